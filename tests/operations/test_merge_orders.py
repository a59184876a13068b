"""Orders to merge: plans, outputs, what is refused, and what is chosen where nothing is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from merge_orders import Run
from quarters import save_reader

from toolkit.errors import (
    BusyError,
    DamagedFileError,
    IncompatibleModelsError,
    MissingInputError,
    PlanRefusedError,
    PluginError,
    ToolkitError,
    UnsupportedError,
    UsageError,
)
from toolkit.model.card_file import read_card
from toolkit.operations.open_model import open_model
from toolkit.operations.toolkit import Toolkit
from toolkit.store import exclusive

# --- what is refused -----------------------------------------------------------------------


def test_every_problem_is_told_at_once_and_nothing_is_written(
    run: Run, family: list[Path], tmp_path: Path
) -> None:
    damaged = save_reader(tmp_path / "damaged.h5", 5, noise=0.1, dataset="quarters")
    damaged.write_bytes(damaged.read_bytes()[:-9] + b"\x01" * 9)
    other = save_reader(tmp_path / "other.h5", 6, noise=0.1, classes=3, dataset="quarters")
    diverged = save_reader(tmp_path / "diverged.h5", 7, noise=float("nan"), dataset="quarters")
    named = [*family, damaged, other, diverged, tmp_path / "missing.h5"]
    with pytest.raises(IncompatibleModelsError) as caught:
        run(*named)
    for wanted in (
        "SHA-256 differs",
        "other.h5",
        "784×3",
        "tensor dense/kernel has 3,136 values that are NaN",
        "no such model file",
    ):
        assert wanted in " ".join(caught.value.message.split()), wanted
    assert not (tmp_path / "models" / "emnist_model.h5").exists()
    plan = run(*named, plan=True)
    assert {problem.model for problem in plan.problems} == {
        "damaged.h5", "other.h5", "diverged.h5", "missing.h5",
    }  # fmt: skip


def test_models_of_which_none_can_be_read_are_all_named(run: Run, tmp_path: Path) -> None:
    (tmp_path / "text.h5").write_bytes(b"text")
    named = [tmp_path / "text.h5", tmp_path / "missing.h5"]
    with pytest.raises(ToolkitError, match=r"(?s)text\.h5.*it is a text file.*no such model file"):
        run(*named)
    assert [problem.model for problem in run(*named, plan=True).problems] == ["text.h5", "missing.h5"]


def test_a_plan_writes_nothing_and_says_what_it_would_do(
    run: Run, family: list[Path], tmp_path: Path
) -> None:
    before = sorted(path for path in tmp_path.rglob("*") if ".toolkit" not in path.parts)
    outcome = run(*family, plan=True)
    assert (outcome.status, outcome.report, outcome.path) == ("planned", None, None)
    recipe = outcome.recipe
    assert (recipe.strategy, recipe.dataset) == ("greedy", "quarters")
    assert recipe.stages == {"recalibrate": {"images": 5000, "seed": 0}}
    assert [item.name for item in recipe.ingredients] == [path.name for path in family]
    assert sorted(path for path in tmp_path.rglob("*") if ".toolkit" not in path.parts) == before


@pytest.mark.parametrize("strategy", ["greedy", "needy"])
def test_a_strategy_whose_needs_are_not_met_is_refused(run: Run, family: list[Path], strategy: str) -> None:
    with pytest.raises(PlanRefusedError, match="needs"):
        run(*family, strategy=strategy, dataset="none")


def test_other_orders_that_cannot_be_followed(run: Run, family: list[Path], tmp_path: Path) -> None:
    missing = [tmp_path / "none-1.h5", tmp_path / "none-2.h5"]
    assert len(run(*missing, recalibrate=5, plan=True).problems) == 2
    with pytest.raises(UsageError, match="one model cannot be merged"):
        run(family[0])
    with pytest.raises(PluginError, match="slerpp"):
        run(*family, strategy="slerpp")
    with pytest.raises(PlanRefusedError, match="merges exactly 2 models, 3 were given"):
        run(*family, strategy="pair")
    with pytest.raises(UsageError, match="replace one of its own ingredients"):
        run(*family, out=family[0])
    with pytest.raises(MissingInputError):
        run(*family, dataset="nothing-of-that-name")
    two_weights: dict[str, Any] = {"strategy": "weighted", "options": ("weights=1,2",)}
    with pytest.raises(UsageError, match="strategy weighted: option weights has 2 values for 3 models"):
        run(*family, **two_weights)
    (problem,) = run(*family, **two_weights, plan=True).problems
    assert (problem.code, problem.model) == ("usage", "strategy weighted")
    with pytest.raises(UsageError, match="needs images"):
        run(*family, dataset="none", recalibrate=100)
    with pytest.raises(UsageError, match="--test needs a data set"):
        run(*family, dataset="none", test=True)
    with pytest.raises(PlanRefusedError, match="has no validation accuracy in its card"):
        run(*family, strategy="weighted", dataset="none")


def test_a_file_that_is_not_the_toolkits_is_not_overwritten(
    run: Run, family: list[Path], tmp_path: Path
) -> None:
    mine = tmp_path / "models" / "emnist_model.h5"
    mine.write_bytes(b"years of work")
    with pytest.raises(UsageError, match="exists and was not written by this toolkit"):
        run(*family, strategy="mean", dataset="none")
    assert mine.read_bytes() == b"years of work"


def test_its_own_output_is_overwritten_and_a_changed_one_is_not(
    run: Run, family: list[Path], toolkit: Toolkit
) -> None:
    first = run(*family, strategy="mean", dataset="none")
    again = run(*family[:2], strategy="mean", dataset="none")
    assert first.path == again.path
    assert again.path is not None
    card = read_card(again.path)
    assert card is not None
    assert len(card.parents) == 2
    again.path.write_bytes(again.path.read_bytes() + b"edited")
    with pytest.raises(DamagedFileError):
        run(*family, strategy="mean", dataset="none")


def test_two_merges_to_one_output_do_not_meet(run: Run, family: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "models" / "emnist_model.h5"
    with exclusive(out), pytest.raises(BusyError):
        run(*family, strategy="mean", dataset="none")


def test_another_format_is_written_where_the_suffix_says_so(
    run: Run, family: list[Path], tmp_path: Path, toolkit: Toolkit
) -> None:
    as_h5 = run(*family, strategy="mean", dataset="none")
    as_keras = run(*family, strategy="mean", dataset="none", out=tmp_path / "merged.keras")
    assert as_h5.report is not None
    assert as_keras.report is not None
    assert as_keras.path is not None
    assert open_model(toolkit, as_keras.path).card.made_by == "merge"
    assert as_keras.report.weights_digest == as_h5.report.weights_digest


def test_a_format_that_cannot_hold_the_network_is_refused_before_any_work(
    run: Run, family: list[Path], tmp_path: Path
) -> None:
    with pytest.raises(
        UnsupportedError, match=r"merged\.onnx: a file of format onnx cannot hold a keras network"
    ) as caught:
        run(*family, strategy="mean", dataset="none", out=tmp_path / "merged.onnx")
    assert "suffix .h5, .hdf5, .keras;" in caught.value.hint


# --- nothing named -------------------------------------------------------------------------


def test_without_arguments_the_family_of_the_best_is_merged(
    run: Run, toolkit: Toolkit, tmp_path: Path
) -> None:
    folder = tmp_path / "models"
    for seed, accuracy in ((1, 0.8), (2, 0.7)):
        save_reader(
            folder / f"net-{seed}.h5", seed, noise=0.1, dataset="quarters",
            metrics={"validation_accuracy": accuracy},
        )  # fmt: skip
    save_reader(folder / "three.h5", 9, noise=0.1, classes=3, metrics={"validation_accuracy": 0.99})
    (folder / "broken.h5").write_bytes(b"nothing of this kind")
    first = run(strategy="mean", dataset="none")
    assert first.report is not None
    assert [item.name for item in first.report.ingredients] == ["net-1.h5", "net-2.h5"]
    assert first.report.choices[0] == (
        "2 related models share architecture, classes and convention; "
        "the best is net-1.h5 with 80.00 % on validation"
    )
    assert any(note.startswith("broken.h5 skipped: ") for note in first.report.notes)
    elsewhere = run(strategy="mean", dataset="none", out=tmp_path / "models" / "again.h5")
    assert elsewhere.report is not None
    assert len(elsewhere.report.ingredients) == 2, "its own earlier output is no ingredient"
    third = run(strategy="mean", dataset="none")
    assert third.report is not None
    assert third.report.weights_digest == first.report.weights_digest


def test_without_two_models_that_fit_it_says_what_is_there(run: Run, tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    with pytest.raises(MissingInputError, match="no model file"):
        run()
    save_reader(tmp_path / "models" / "lone.h5", 1, noise=0.1, dataset="quarters")
    with pytest.raises(MissingInputError, match="one model file, no two related models share"):
        run()
