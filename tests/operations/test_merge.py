"""A whole merge: from files to a published model with its card and its report."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import jsonschema
import numpy as np
import pytest
from quarters import CLASSES, quarters_plugin, save_keras, save_reader

import toolkit_keras
import toolkit_onnx
import toolkit_soups
from toolkit import hookimpl
from toolkit.data import Dataset
from toolkit.errors import (
    BusyError,
    DamagedFileError,
    IncompatibleModelsError,
    MissingInputError,
    PlanRefusedError,
    PluginError,
    UnsupportedError,
    UsageError,
)
from toolkit.merging import evaluator
from toolkit.merging.combine import combined, plain_mean
from toolkit.merging.matching import candidate, match
from toolkit.merging.scores import answers
from toolkit.model import Card, Model, weights_digest
from toolkit.model.sidecar import card_path, read_card, write_card
from toolkit.operations.context import Toolkit
from toolkit.operations.merge import MergeOrder, MergeOutcome, merge
from toolkit.operations.opening import open_model
from toolkit.store import Workspace, exclusive
from toolkit.testing import catalog_of
from toolkit.types import (
    Convention,
    MergeStrategy,
    Need,
    SilentProgress,
)

SCHEMAS = Path(__file__).resolve().parents[2] / "docs" / "schemas"


def needy_plugin() -> SimpleNamespace:
    def fail(_: object) -> Any:
        raise AssertionError("its needs are not met")

    @hookimpl
    def toolkit_merge_strategies() -> Iterable[MergeStrategy]:
        yield MergeStrategy(name="needy", summary="needs a base", merge=fail, needs=frozenset({Need.BASE}))
        yield MergeStrategy(name="pair", summary="takes two", merge=fail, exactly=2)

    return SimpleNamespace(toolkit_merge_strategies=toolkit_merge_strategies)


Run = Callable[..., MergeOutcome]


@pytest.fixture
def toolkit(tmp_path: Path) -> Toolkit:
    return Toolkit(
        Workspace(tmp_path),
        lambda: catalog_of(toolkit_keras, toolkit_onnx, toolkit_soups, quarters_plugin(), needy_plugin()),
    )


@pytest.fixture
def run(toolkit: Toolkit, tmp_path: Path) -> Run:
    def order(*models: Path, **settings: Any) -> MergeOutcome:
        settings.setdefault("out", tmp_path / "models" / "emnist_model.h5")
        return merge(toolkit, MergeOrder(tuple(models), **settings), SilentProgress())

    return order


@pytest.fixture
def family(tmp_path: Path) -> list[Path]:
    """Three relatives of one accuracy, in files that name their layers differently."""
    return [
        save_reader(
            tmp_path / "models" / f"net-{seed}.h5", seed, noise=0.12, suffix=f"_{seed}", dataset="quarters"
        )
        for seed in (1, 2, 3)
    ]


def test_mean_is_the_float64_mean_of_the_arrays_and_opens_again(
    run: Run, family: list[Path], toolkit: Toolkit
) -> None:
    outcome = run(*family, strategy="mean", dataset="none")
    assert outcome.path is not None
    merged = open_model(toolkit, outcome.path)
    ingredients = [open_model(toolkit, path) for path in family]
    for place, name in enumerate(merged.tensors):
        arrays = [model.tensors.read(list(model.tensors)[place]) for model in ingredients]
        expected = np.mean(arrays, axis=0, dtype=np.float64).astype(np.float32)
        assert np.array_equal(merged.tensors.read(name), expected), name


def test_the_card_tells_where_the_merge_comes_from(run: Run, family: list[Path], toolkit: Toolkit) -> None:
    outcome = run(*family, strategy="mean")
    assert outcome.path is not None
    assert outcome.report is not None
    card = open_model(toolkit, outcome.path).card
    assert (card.made_by, card.classes, card.convention) == ("merge", CLASSES, Convention())
    assert {(parent.name, round(parent.weight, 6)) for parent in card.parents} == {
        (path.name, 0.333333) for path in family
    }
    assert {parent.digest for parent in card.parents} == {
        weights_digest(open_model(toolkit, path).tensors) for path in family
    }
    assert card.weights_digest == weights_digest(open_model(toolkit, outcome.path).tensors)
    assert card.validation_accuracy == outcome.report.scores[0].accuracy
    images = len(toolkit.data.open("quarters", "fit"))
    assert images < 5000, "all there are"
    assert card.settings == {
        "strategy": "mean",
        "options": {},
        "recalibrated_on": images,
        "verdict": outcome.report.verdict.sentence,
    }
    assert str(outcome.path.parent) not in card.to_json()


def test_a_name_that_is_no_text_is_told_without_what_is_none(
    run: Run, family: list[Path], toolkit: Toolkit
) -> None:
    odd = family[0].with_name("caf\udce9.h5")
    try:
        odd.write_bytes(family[0].read_bytes())
    except OSError:
        pytest.skip("this file system takes no such name")
    outcome = run(odd, family[1], strategy="mean", dataset="none")
    assert outcome.path is not None
    assert {parent.name for parent in open_model(toolkit, outcome.path).card.parents} == {
        "caf�.h5",
        "net-2.h5",
    }


def test_card_and_report_follow_their_published_schemas(run: Run, family: list[Path]) -> None:
    outcome = run(*family, test=True)
    assert outcome.path is not None
    assert outcome.document is not None
    for path, name in ((card_path(outcome.path), "card"), (outcome.document, "report")):
        schema = json.loads((SCHEMAS / f"{name}.schema.json").read_text())
        jsonschema.Draft202012Validator.check_schema(schema)
        document = json.loads(path.read_text())
        jsonschema.validate(document, schema)
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(document | {"schema": 99}, schema)


def test_relatives_average_to_more_than_the_best_of_them(run: Run, family: list[Path]) -> None:
    report = run(*family, test=True).report
    assert report is not None
    assert report.strategy == "greedy"
    assert report.verdict.outcome == "better"
    assert [score.split for score in report.scores] == ["validation", "test"]
    assert report.test_verdict is not None
    assert report.test_verdict.helped
    last = [step for step in report.steps if step.accepted][-1]
    assert report.scores[0].accuracy == last.score, "what was selected is what is handed over"
    assert report.choices == (
        "scored on data set quarters, which the models were trained on",
        "strategy greedy, for there are validation images to choose the ingredients by",
    )


@pytest.mark.parametrize("strategy", ["mean", "weighted", "greedy"])
def test_the_order_of_listing_changes_no_bit(
    run: Run, family: list[Path], tmp_path: Path, strategy: str
) -> None:
    digests = set()
    for place, order in enumerate(([0, 1, 2], [2, 0, 1], [1, 2, 0])):
        report = run(*(family[i] for i in order), strategy=strategy, out=tmp_path / f"{place}.h5").report
        assert report is not None
        digests.add(report.weights_digest)
    assert len(digests) == 1


def test_recalibration_mends_statistics_that_are_off(run: Run, tmp_path: Path) -> None:
    models = [
        save_reader(tmp_path / f"{seed}.h5", seed, noise=0.05, dataset="quarters", variance=variance)
        for seed, variance in ((1, 1.0), (2, 400.0))
    ]
    report = run(*models, strategy="mean", recalibrate=500).report
    assert report is not None
    assert report.recalibration.images == 500
    assert report.plain_mean
    assert report.scores[0].log_loss < report.plain_mean[0].log_loss
    off = run(*models, strategy="mean", recalibrate=0).report
    assert off is not None
    assert off.recalibration.images == 0
    assert off.plain_mean == (), "the merge is the plain mean itself"


def test_recalibrated_statistics_are_those_of_the_calibration_images(
    run: Run, family: list[Path], toolkit: Toolkit
) -> None:
    outcome = run(*family, strategy="mean", recalibrate=10**6)
    assert outcome.path is not None
    assert outcome.report is not None
    count = len(toolkit.data.open("quarters", "fit"))
    assert outcome.report.recalibration.images == count
    assert outcome.report.recalibration.sentence == (
        f"batch statistics are recalibrated on all {count:,} unlabelled images of quarters's fit split: "
        "there are no more"
    )
    assert open_model(toolkit, outcome.path).card.settings["recalibrated_on"] == count
    merged = open_model(toolkit, outcome.path)
    fit = toolkit.data.open("quarters", "fit").images.reshape(-1, 784) / 255.0
    names = list(merged.tensors)
    mean = next(name for name in names if name.endswith("moving_mean"))
    variance = next(name for name in names if name.endswith("moving_variance"))
    assert merged.tensors.read(mean) == pytest.approx(fit.mean(axis=0), abs=1e-5)
    assert merged.tensors.read(variance) == pytest.approx(fit.var(axis=0), abs=1e-5)


def test_greedy_hands_over_the_best_ingredient_untouched_where_nothing_helps(
    run: Run, tmp_path: Path, toolkit: Toolkit
) -> None:
    good = save_reader(tmp_path / "good.h5", 1, noise=0.0, dataset="quarters", suffix="_x")
    bad = save_reader(tmp_path / "bad.h5", 2, noise=3.0, dataset="quarters")
    outcome = run(bad, good, strategy="greedy")
    assert outcome.report is not None
    assert outcome.path is not None
    assert outcome.report.verdict.outcome == "unchanged"
    assert outcome.report.recalibration.images == 0
    original = open_model(toolkit, good)
    merged = open_model(toolkit, outcome.path)
    assert weights_digest(merged.tensors) == weights_digest(original.tensors)
    assert [parent.name for parent in merged.card.parents] == ["good.h5"]
    best = max(item.scores[0].accuracy for item in outcome.report.ingredients)
    assert outcome.report.scores[0].accuracy == best


def test_a_merge_that_hurts_is_said_to_hurt(run: Run, tmp_path: Path) -> None:
    good = save_reader(tmp_path / "good.h5", 1, noise=0.0, dataset="quarters")
    bad = save_reader(tmp_path / "bad.h5", 2, noise=3.0, dataset="quarters")
    outcome = run(good, bad, strategy="mean")
    assert outcome.report is not None
    assert outcome.report.verdict.outcome == "worse"
    assert "NOT better than the best ingredient, good.h5" in outcome.report.verdict.sentence
    assert outcome.page is not None
    assert "NOT better" in outcome.page.read_text()


def test_weighted_measures_what_the_cards_do_not_say(run: Run, family: list[Path]) -> None:
    report = run(*family, strategy="weighted").report
    assert report is not None
    accuracies = [item.scores[0].accuracy for item in report.ingredients]
    above = np.asarray(accuracies) - 0.25
    assert [item.weight for item in report.ingredients] == pytest.approx(list(above / above.sum()))
    assert accuracies == sorted(accuracies, reverse=True)


def test_weights_of_ones_own_follow_the_order_in_which_models_are_named(
    run: Run, family: list[Path], tmp_path: Path
) -> None:
    report = run(family[2], family[0], strategy="weighted", options=("weights=3,1",), dataset="none").report
    assert report is not None
    assert {item.name: item.weight for item in report.ingredients} == {"net-3.h5": 0.75, "net-1.h5": 0.25}


@pytest.mark.parametrize(
    ("strategy", "option", "dataset"),
    [
        ("mean", (), "none"),
        ("mean", (), "quarters"),
        ("weighted", ("power=3",), "none"),
        ("weighted", ("power=3",), "quarters"),
        ("greedy", ("tie=accept-equal",), "quarters"),
    ],
)
def test_copies_merge_to_the_model(
    run: Run, family: list[Path], toolkit: Toolkit, strategy: str, option: tuple[str, ...], dataset: str
) -> None:
    renamed = save_reader(family[0].with_name("copy.h5"), 1, noise=0.12, suffix="_copy", dataset="quarters")
    for path in (family[0], renamed):
        card = open_model(toolkit, path).card
        write_card(path, dataclasses.replace(card, metrics={"validation_accuracy": 0.5}))
    report = run(family[0], renamed, strategy=strategy, options=option, dataset=dataset).report
    assert report is not None
    assert [item.weight for item in report.ingredients] == [0.5, 0.5]
    assert report.weights_digest in {item.digest for item in report.ingredients}
    assert report.recalibration.images == 0
    assert "all ingredients are copies of one model, and so is the result" in report.notes
    if dataset != "none":
        assert report.verdict.outcome == "unchanged"
        assert report.verdict.sentence.startswith("All that was averaged are copies of ")


def test_all_the_weight_on_an_ingredient_that_is_not_the_best(run: Run, tmp_path: Path) -> None:
    good = save_reader(tmp_path / "good.h5", 1, noise=0.0, dataset="quarters")
    bad = save_reader(tmp_path / "bad.h5", 2, noise=3.0, dataset="quarters")
    report = run(good, bad, strategy="weighted", options=("weights=0,1",)).report
    assert report is not None
    assert report.verdict.outcome == "worse"
    assert report.verdict.sentence.startswith(
        "bad.h5 has all the weight, so the result is bad.h5 unchanged, which is NOT better than the best "
        "ingredient, good.h5: "
    )


def test_every_candidate_is_recalibrated_and_scored_once(
    run: Run, family: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = {"recalibrate": 0, "answers": 0}

    def counted(name: str) -> None:
        below = getattr(evaluator, name)

        def call(*given: Any) -> Any:
            counts[name] += 1
            return below(*given)

        monkeypatch.setattr(evaluator, name, call)

    for name in counts:
        counted(name)
    report = run(*family, strategy="greedy").report
    assert report is not None
    candidates = len(report.steps) - 1
    assert report.steps[-1].accepted, "the last one is handed over"
    assert counts == {"recalibrate": candidates, "answers": len(family) + candidates}


def test_networks_that_cannot_be_run_are_merged_without_images(run: Run, tmp_path: Path) -> None:
    """A layer of an unknown kind that the cards' data set would have to go through."""
    models = [tmp_path / f"{seed}.h5" for seed in (1, 2)]
    for seed, path in enumerate(models):
        kernel = np.random.default_rng(seed).normal(size=(784, 4))
        dense = {"units": 4, "activation": "softmax", "use_bias": True}
        save_keras(
            path,
            [
                ("stranger", "Stranger", {"depth": 3}, {"scale": np.full(1, float(seed))}),
                ("flatten", "Flatten", {}, {}),
                ("dense", "Dense", dense, {"kernel": kernel, "bias": np.zeros(4)}),
            ],
        )
        write_card(path, Card(classes=CLASSES, convention=Convention(), dataset="quarters"))
    report = run(*models).report
    assert report is not None
    assert report.strategy == "mean"
    assert report.verdict.outcome == "not measured"
    assert "the network cannot be run" in report.verdict.sentence
    assert "stranger (Stranger)" in report.verdict.sentence
    with pytest.raises(UnsupportedError, match="Stranger") as caught:
        run(*models, dataset="quarters", plan_only=True)
    assert "--dataset none" in caught.value.hint


def test_without_batch_normalisation_there_is_nothing_to_recalibrate(run: Run, tmp_path: Path) -> None:
    models = [
        save_reader(tmp_path / f"{seed}.h5", seed, noise=0.1, batch_norm=False, dataset="quarters")
        for seed in (1, 2)
    ]
    report = run(*models, strategy="mean").report
    assert report is not None
    assert report.recalibration.sentence == "nothing to recalibrate: the network has no batch normalisation"


# --- what is refused -----------------------------------------------------------------------


def test_every_problem_is_told_at_once_and_nothing_is_written(
    run: Run, family: list[Path], tmp_path: Path
) -> None:
    damaged = save_reader(tmp_path / "damaged.h5", 5, noise=0.1, dataset="quarters")
    damaged.write_bytes(damaged.read_bytes()[:-9] + b"\x01" * 9)
    other = save_reader(tmp_path / "other.h5", 6, noise=0.1, classes=3, dataset="quarters")
    diverged = save_reader(tmp_path / "diverged.h5", 7, noise=float("nan"), dataset="quarters")
    transposed = save_reader(tmp_path / "transposed.h5", 8, noise=0.1)
    write_card(transposed, Card(classes=CLASSES, convention=Convention("transposed")))
    named = [*family, damaged, other, diverged, transposed, tmp_path / "missing.h5"]
    with pytest.raises(IncompatibleModelsError) as caught:
        run(*named)
    for wanted in (
        "SHA-256 differs",
        "other.h5",
        "784×3",
        "tensor dense/kernel holds 3,136 values that are NaN",
        "wants its pixels transposed/unit/light",
        "no such model file",
    ):
        assert wanted in " ".join(caught.value.message.split()), wanted
    assert not (tmp_path / "models" / "emnist_model.h5").exists()
    plan = run(*named, plan_only=True).plan
    assert {problem.model for problem in plan.problems} == {
        "damaged.h5", "other.h5", "diverged.h5", "transposed.h5", "missing.h5",
    }  # fmt: skip


def test_a_plan_writes_nothing_and_says_what_it_would_do(
    run: Run, family: list[Path], tmp_path: Path
) -> None:
    before = sorted(path for path in tmp_path.rglob("*") if ".toolkit" not in path.parts)
    outcome = run(*family, plan_only=True)
    assert (outcome.report, outcome.path) == (None, None)
    assert (outcome.plan.strategy, outcome.plan.recalibrate, outcome.plan.dataset) == (
        "greedy",
        5000,
        "quarters",
    )
    assert {item.name for item in outcome.plan.ingredients} == {path.name for path in family}
    assert sorted(path for path in tmp_path.rglob("*") if ".toolkit" not in path.parts) == before


@pytest.mark.parametrize("settings", [{"strategy": "greedy", "dataset": "none"}, {"strategy": "needy"}])
def test_a_strategy_whose_needs_are_not_met_is_refused(
    run: Run, family: list[Path], settings: dict[str, Any]
) -> None:
    with pytest.raises(PlanRefusedError, match="needs"):
        run(*family, **settings)


def test_other_orders_that_cannot_be_followed(run: Run, family: list[Path], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="one model alone"):
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
    (problem,) = run(*family, **two_weights, plan_only=True).plan.problems
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
    with pytest.raises(UsageError, match="was not written by this toolkit"):
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
        UnsupportedError, match=r"merged\.onnx: a file of format onnx holds no keras network"
    ) as caught:
        run(*family, strategy="mean", dataset="none", out=tmp_path / "merged.onnx")
    assert "ends in .h5, .hdf5, .keras;" in caught.value.hint


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
        "2 models share topology, classes and convention; "
        "the best of them is net-1.h5 with 80.00 % on validation"
    )
    assert any(note.startswith("broken.h5 was passed over") for note in first.report.notes)
    elsewhere = run(strategy="mean", dataset="none", out=tmp_path / "models" / "again.h5")
    assert elsewhere.report is not None
    assert len(elsewhere.report.ingredients) == 2, "its own earlier output is no ingredient"
    third = run(strategy="mean", dataset="none")
    assert third.report is not None
    assert third.report.weights_digest == first.report.weights_digest


def test_without_two_models_that_fit_it_says_what_is_there(run: Run, tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    with pytest.raises(MissingInputError, match="there is no model file"):
        run()
    save_reader(tmp_path / "models" / "lone.h5", 1, noise=0.1, dataset="quarters")
    with pytest.raises(MissingInputError, match="there is one model file, no two models share"):
        run()


# --- the command ---------------------------------------------------------------------------


def command(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    code = (
        "import sys; from toolkit.cli.main import main\n"
        "heavy = {'tensorflow', 'keras', 'onnxruntime'}\n"
        "try:\n    main()\n"
        "finally:\n    print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    return subprocess.run(
        [sys.executable, "-c", code, "merge", *arguments],
        cwd=folder, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def test_the_command_merges_without_a_framework_and_the_same_way_each_time(
    family: list[Path], tmp_path: Path
) -> None:
    names = [str(path.relative_to(tmp_path)) for path in family]
    digests = set()
    for order in (names, names[::-1]):
        done = command(tmp_path, *order, "--strategy", "mean", "--dataset", "none", "--output", "json")
        assert done.returncode == 0, done.stderr
        document = json.loads(done.stdout)
        assert document["merged"] == "models/emnist_model.h5"
        assert done.stderr.splitlines()[-1] == "[]", "no TensorFlow, no onnxruntime"
        digests.add(document["report"]["weights_digest"])
    assert len(digests) == 1


def test_the_command_prints_a_plan_with_its_problems_and_exits_as_the_error_would(
    family: list[Path], tmp_path: Path
) -> None:
    other = save_reader(tmp_path / "models" / "other.h5", 6, noise=0.1, classes=3, dataset="quarters")
    done = command(tmp_path, str(family[0]), str(other), "--plan", "--output", "json")
    assert done.returncode == 4
    assert json.loads(done.stdout)["plan"]["problems"][0]["code"] == "incompatible_models"
    refused = command(tmp_path, str(family[0]), str(other), "--output", "json")
    assert (refused.returncode, json.loads(refused.stdout)["error"]["code"]) == (4, "incompatible_models")


def test_a_number_of_images_that_is_none_is_a_usage_error(tmp_path: Path) -> None:
    done = command(tmp_path, "a.h5", "b.h5", "--recalibrate", "some")
    assert done.returncode == 2
    assert "neither a number of images nor off" in done.stderr


# --- real networks -------------------------------------------------------------------------


def test_the_letters_pair_averages_without_a_framework(shared: Path, run: Run, toolkit: Toolkit) -> None:
    pair = [shared / "models" / f"khanhtran2000-letters{tail}.h5" for tail in ("", "-augmented")]
    outcome = run(*pair, dataset="none")
    assert outcome.path is not None
    merged: Model = open_model(toolkit, outcome.path)
    with h5py.File(pair[0]) as one, h5py.File(pair[1]) as two:
        for name in merged.tensors:
            layer, part = name.split("/")
            place = f"model_weights/{layer}/{layer}/{part}:0"
            expected = (one[place][()].astype(np.float64) + two[place][()]) / 2
            assert np.array_equal(merged.tensors.read(name), expected.astype(np.float32)), name
    assert merged.dropped == ()


@pytest.fixture(scope="module")
def byclass(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Toolkit:
    """A workspace with the shared images, read once."""
    import toolkit_emnist

    root = tmp_path_factory.mktemp("byclass")
    (root / "datasets").symlink_to(shared / "data" / "emnist")
    return Toolkit(Workspace(root), lambda: catalog_of(toolkit_keras, toolkit_soups, toolkit_emnist))


def test_the_letters_pair_averages_well(shared: Path, byclass: Toolkit) -> None:
    """Relatives: their mean is about as good as each, on letters of either case."""
    test = byclass.data.open("byclass", "test")
    alphabet = "abcdefghijklmnopqrstuvwxyz"
    place = np.asarray([alphabet.find(name.lower()) for name in test.classes], np.int32)
    labels = place[test.labels]
    letters = np.flatnonzero(labels >= 0)[:2000]
    images = Dataset("letters", tuple(alphabet), np.asarray(test.images[letters]), labels[letters])
    names = ("letters", "letters-augmented")
    found = [
        candidate(name, open_model(byclass, shared / "models" / f"khanhtran2000-{name}.h5"), place)
        for place, name in enumerate(names)
    ]
    pair = match(found).ingredients
    each = [answers(item.model, images, "test", Convention()).score.accuracy for item in pair]
    mean = combined(pair, plain_mean(pair), "mean")
    merged = answers(mean, images, "test", Convention()).score.accuracy
    assert min(each) > 0.93
    assert merged > min(each) - 0.005


def test_equal_shapes_prove_nothing_and_the_guard_says_so(
    shared: Path, byclass: Toolkit, tmp_path: Path
) -> None:
    """Two networks of one shape by two authors, one of which never learnt."""
    models = []
    for name in ("kayode004-byclass.h5", "msbrdmr-byclass.h5"):
        models.append(tmp_path / name)
        models[-1].write_bytes((shared / "models" / name).read_bytes())
        convention = Convention("transposed")
        write_card(
            models[-1], Card(classes=byclass.data.open("byclass", "test").classes, convention=convention)
        )
    for strategy, outcome in (("mean", "worse"), ("greedy", "unchanged")):
        order = MergeOrder(tuple(models), strategy, dataset="byclass", out=tmp_path / f"{strategy}.h5")
        report = merge(byclass, order, SilentProgress()).report
        assert report is not None
        assert report.verdict.outcome == outcome
        assert report.verdict.best == "msbrdmr-byclass.h5"
        assert any("kayode004-byclass.h5 is no better than chance" in note for note in report.notes)
