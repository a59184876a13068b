"""Running a recipe again gives the same weights; model, card, report and recipe are one outcome."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from merge_orders import Run
from quarters import save_reader

from toolkit.errors import DamagedFileError, MissingInputError, StorageError, UsageError
from toolkit.merging import outputs
from toolkit.merging.recipe import read_recipe
from toolkit.model import Card
from toolkit.model.card_file import card_path, read_card, write_card
from toolkit.operations.open_model import open_model
from toolkit.operations.toolkit import Toolkit
from toolkit.requests.merge import Merge
from toolkit.vocabulary import Convention


def run_command(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "toolkit", "merge", *arguments],
        cwd=folder, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("strategy", ["mean", "greedy"])
def test_a_recipe_gives_the_same_digest_again(
    run: Run, family: list[Path], tmp_path: Path, strategy: str
) -> None:
    first = run(family[2], family[0], family[1], strategy=strategy, seed=7)
    assert first.report is not None
    assert first.recipe_file is not None
    recipe = read_recipe(first.recipe_file)
    assert recipe == first.recipe
    assert recipe.stages == {"recalibrate": {"images": 5000, "seed": 7}}
    again = run(recipe=first.recipe_file, out=tmp_path / "elsewhere" / "again.h5")
    assert again.report is not None
    assert again.report.weights_digest == first.report.weights_digest
    assert again.recipe.ingredients[0].path == "../models/net-3.h5", "relative to the new recipe"


def test_a_recipe_runs_in_another_process_and_in_another_order(family: list[Path], tmp_path: Path) -> None:
    names = [str(path.relative_to(tmp_path)) for path in family]
    plan = run_command(tmp_path, *names, "--dataset", "none", "--strategy", "mean", "--plan", "--quiet")
    assert plan.returncode == 0, plan.stderr
    recipe = tmp_path / "shuffled.toml"
    recipe.write_text(plan.stdout)
    settings = ("--strategy", "mean", "--dataset", "none", "--output", "json")
    digests = {run_command(tmp_path, *names[::-1], *settings).stdout}
    done = run_command(tmp_path, "--recipe", str(recipe), "--output", "json")
    assert done.returncode == 0, done.stderr
    digests.add(done.stdout)
    assert len({json.loads(text)["report"]["weights_digest"] for text in digests}) == 1


def test_an_ingredient_that_changed_is_refused(run: Run, family: list[Path], tmp_path: Path) -> None:
    first = run(*family, strategy="mean", dataset="none")
    save_reader(family[1], 9, noise=0.12, suffix="_2", dataset="quarters")
    with pytest.raises(DamagedFileError, match=r"net-2\.h5: the weights differ from those in the recipe"):
        run(recipe=first.recipe_file)


def test_a_recipe_is_a_whole_request(run: Run, family: list[Path], tmp_path: Path) -> None:
    first = run(*family, strategy="mean", dataset="none")
    assert first.recipe_file is not None
    with pytest.raises(UsageError, match="a recipe is a whole request"):
        run(*family, recipe=first.recipe_file)
    text = first.recipe_file.read_text().replace("[stages.recalibrate]", "[stages.polish]")
    (tmp_path / "other.toml").write_text(text.replace('path = "', 'path = "models/'))
    with pytest.raises(UsageError, match="no stage 'polish'"):
        run(recipe=tmp_path / "other.toml")


def test_no_absolute_path_is_written(run: Run, family: list[Path], tmp_path: Path) -> None:
    outcome = run(*family)
    for path in (
        outcome.report_html,
        outcome.report_json,
        outcome.recipe_file,
        card_path(outcome.path or Path()),
    ):
        assert path is not None
        assert str(tmp_path) not in path.read_text()


def test_conventions_of_all_and_of_one(run: Run, tmp_path: Path, toolkit: Toolkit) -> None:
    models = [save_reader(tmp_path / f"{seed}.h5", seed, noise=0.05, dataset="quarters") for seed in (1, 2)]
    write_card(models[1], Card(classes=("a", "b", "c", "d"), convention=Convention("transposed")))
    transposed = Convention("transposed")
    told = "2.h5 rewritten from transposed/unit/light to upright/unit/light, with the same answers"
    assert told in run(*models, plan=True).choices
    assert told not in run(*models, plan=True, convention=Convention()).choices
    assert told not in run(*models, plan=True, conventions={"2.h5": Convention()}).choices
    with pytest.raises(UsageError, match=r"convention for '3\.h5': no such model"):
        run(*models, conventions={"3.h5": Convention()})
    outcome = run(*models, strategy="mean", convention=transposed, dataset="none")
    assert outcome.path is not None
    assert open_model(toolkit, outcome.path).card.convention == transposed
    assert {item.convention for item in outcome.recipe.ingredients} == {transposed}


# --- files -------------------------------------------------------------------------------------


def test_only_the_default_output_is_replaced(run: Run, family: list[Path], tmp_path: Path) -> None:
    settings: dict[str, Any] = {"strategy": "mean", "dataset": "none"}
    trained = save_reader(tmp_path / "models" / "base.h5", 9, noise=0.1, dataset="quarters", made_by="train")
    before = trained.read_bytes()
    with pytest.raises(UsageError, match=r"base\.h5: exists already"):
        run(*family, out=trained, **settings)
    assert trained.read_bytes() == before
    other = tmp_path / "models" / "merged.h5"
    run(*family, out=other, **settings)
    with pytest.raises(UsageError, match=r"merged\.h5: exists already") as caught:
        run(*family, out=other, **settings)
    assert "--force" in caught.value.hint
    run(*family, out=other, force=True, **settings)
    run(*family, out=trained, force=True, **settings)
    card = read_card(trained)
    assert card is not None
    assert card.made_by == "merge"
    default = tmp_path / "models" / "emnist_model.h5"
    for _ in range(2):
        run(*family, out=default, **settings)


@pytest.mark.parametrize("name", ["foo.report.html", "foo.report.json", "foo.recipe.toml"])
def test_a_file_of_the_users_beside_the_output_is_kept(
    run: Run, family: list[Path], tmp_path: Path, name: str
) -> None:
    mine = tmp_path / name
    mine.write_text("my own\n")
    settings: dict[str, Any] = {"strategy": "mean", "dataset": "none", "out": tmp_path / "foo.h5"}
    with pytest.raises(UsageError, match="exists and is not of an earlier merge"):
        run(*family, **settings)
    assert mine.read_text() == "my own\n"
    assert not (tmp_path / "foo.h5").exists()
    run(*family, force=True, **settings)
    assert mine.read_text() != "my own\n"
    (tmp_path / "foo.h5").unlink()
    card_path(tmp_path / "foo.h5").unlink()
    run(*family, **settings)


@pytest.mark.parametrize(
    "name", ["foo.h5", "foo.card.json", "foo.report.html", "foo.report.json", "foo.recipe.toml"]
)
def test_a_link_to_nothing_is_kept(run: Run, family: list[Path], tmp_path: Path, name: str) -> None:
    (tmp_path / name).symlink_to("nothing")
    with pytest.raises(UsageError, match=r"exists|cannot be replaced"):
        run(*family, strategy="mean", dataset="none", out=tmp_path / "foo.h5")
    assert (tmp_path / name).is_symlink()


def test_a_merge_without_its_report_says_so(
    run: Run, family: list[Path], monkeypatch: pytest.MonkeyPatch, toolkit: Toolkit
) -> None:
    def full(path: Path, text: str) -> None:
        raise StorageError(f"{path.name}: the disk is full")

    monkeypatch.setattr(outputs, "publish_text", full)
    outcome = run(*family, strategy="mean", dataset="none")
    assert outcome.status == "published, report failed"
    assert outcome.failure == "emnist_model.recipe.toml: the disk is full"
    assert outcome.path is not None
    assert open_model(toolkit, outcome.path).card.made_by == "merge"


@pytest.mark.parametrize(
    "content", ['{"schema": 99, "file": "foo.h5"}', "no card at all", '{"schema": 1, "file": "foo.h5"}']
)
def test_a_card_without_its_model(run: Run, family: list[Path], tmp_path: Path, content: str) -> None:
    """A leftover card is replaced; one that cannot be read is named before any work."""
    (tmp_path / "foo.card.json").write_text(content)
    settings: dict[str, Any] = {"strategy": "mean", "dataset": "none", "out": tmp_path / "foo.h5"}
    if '"schema": 1,' in content:
        assert run(*family, **settings).status == "published"
        return
    with pytest.raises(UsageError, match=r"foo\.card\.json: .*cannot be replaced"):
        run(*family, **settings)
    assert not (tmp_path / "foo.h5").exists()


def test_the_request_has_the_names_of_the_command_line() -> None:
    from toolkit.cli.merge import command

    parameters = {parameter.name for parameter in command.params}
    assert set(Merge.__dataclass_fields__) - {"conventions"} <= parameters


@pytest.mark.parametrize(
    ("line", "status", "said"),
    [
        (f'schema = "{"x" * 70_000}"', 3, "not a recipe of this version: schema 'xxx"),
        (f'schema = 1\nstrategy = "{"x" * 70_000}"', 2, "there is no merge strategy 'xxx"),
        (f'schema = 1\noutput = "{"x" * 70_000}"', 2, "no model format has this suffix"),
        (f'schema = 1\nstages."{"x" * 70_000}".a = 1', 2, "a merge has no stage 'xxx"),
    ],
)
def test_long_text_of_a_recipe_is_shortened(tmp_path: Path, line: str, status: int, said: str) -> None:
    items = "".join(f'\n[[ingredients]]\nname = "{one}"\npath = "{one}.h5"' for one in "ab")
    (tmp_path / "r.toml").write_text(line + items)
    done = run_command(tmp_path, "--recipe", "r.toml", "--quiet")
    assert (done.returncode, said in done.stderr) == (status, True), done.stderr[:500]
    assert len(done.stderr) < 600


@pytest.mark.parametrize("path", ["x" * 70_000, "d/" * 35_000 + "a.h5"])
def test_a_path_that_is_too_long_is_a_model_that_is_not_there(tmp_path: Path, path: str) -> None:
    items = "".join(f'[[ingredients]]\nname = "a"\npath = "{one}"\n' for one in (path, "b.h5"))
    (tmp_path / "r.toml").write_text(f"schema = 1\n{items}")
    done = run_command(tmp_path, "--recipe", "r.toml", "--quiet")
    assert done.returncode == 3, done.stderr[:500]
    assert "no such model file" in done.stderr
    assert len(done.stderr) < 1500
    with pytest.raises(MissingInputError, match=r"^xxx.*…x+: File name too long \(check the path\)$"):
        read_recipe(Path("x" * 70_000))
