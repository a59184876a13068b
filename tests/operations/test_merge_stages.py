"""Adding a stage to a merge: one file, and one entry in the list of stages."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from merge_orders import Run

from toolkit.errors import UsageError
from toolkit.merging.problems import Problem
from toolkit.merging.stages import STAGES
from toolkit.merging.state import MergeState, Stage
from toolkit.options import option

LIST = "toolkit.merging.stages.STAGES"


@dataclass(frozen=True)
class EchoOptions:
    times: int = option(1, help="how often", minimum=1)


def echo(state: MergeState) -> MergeState:
    return state.after("echo", f"echo of {state.recipe.stages.get('echo')}")


def test_a_stage_of_the_list_runs_with_its_options_from_the_recipe(
    run: Run, family: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LIST, (*STAGES, Stage("echo", lambda _: (), echo, options=EchoOptions)))
    first = run(*family, strategy="mean", keep_worse=True)
    assert first.report is not None
    assert [stage.stage for stage in first.report.stages] == ["conform", "combine", "recalibrate", "echo"]
    assert first.recipe_file is not None
    first.recipe_file.write_text(first.recipe_file.read_text() + "\n[stages.echo]\ntimes = 3\n")
    again = run(recipe=first.recipe_file)
    assert again.report is not None
    assert again.report.stages[-1].sentence == "echo of {'times': 3}"

    monkeypatch.setattr(LIST, STAGES)
    with pytest.raises(UsageError, match="no stage 'echo'"):
        run(recipe=first.recipe_file, out=tmp_path / "other.h5")


def test_candidates_pass_through_the_stages_that_finish_them(
    run: Run, family: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    def count(state: MergeState) -> MergeState:
        seen.append(id(state.model))
        return state.after("count", "counted")

    monkeypatch.setattr(LIST, (*STAGES, Stage("count", lambda _: (), count, finishes_candidates=True)))
    run(*family, strategy="greedy")
    assert len(seen) > 1


def test_problems_of_every_stage_are_in_the_plan(
    run: Run, family: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage("refused", lambda _: [Problem("refused", "never")], echo)
    monkeypatch.setattr(LIST, (*STAGES, stage))
    assert [problem.text for problem in run(*family, strategy="mean", plan=True).problems] == ["never"]
