"""A whole merge: from files to a published model with its card and its report."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from merge_orders import Run
from quarters import CLASSES, save_keras, save_reader

from toolkit import engine
from toolkit.errors import UnsupportedError, WorseMergeError
from toolkit.merging.report import MergeReport
from toolkit.merging.state import StageReport
from toolkit.model import Card
from toolkit.model.card_file import card_path, write_card
from toolkit.operations.open_model import open_model
from toolkit.operations.toolkit import Toolkit
from toolkit.tensors import weights_digest
from toolkit.vocabulary import Convention

SCHEMAS = Path(__file__).resolve().parents[2] / "docs" / "schemas"


def recalibrated(report: MergeReport) -> StageReport:
    return next(stage for stage in report.stages if stage.stage == "recalibrate")


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
    assert outcome.report_json is not None
    for path, name in ((card_path(outcome.path), "card"), (outcome.report_json, "report")):
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
    assert "better" in report.test_verdict.outcome
    last = [step for step in report.steps if step.accepted][-1]
    assert report.scores[0].accuracy == last.score, "the selected candidate is the result"
    assert report.choices == (
        "scored on data set quarters, which the models were trained on",
        "strategy: greedy (validation images available)",
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
    assert recalibrated(report).figures == {"images": 500, "dataset": "quarters"}
    assert report.plain_mean
    assert report.scores[0].log_loss < report.plain_mean[0].log_loss
    off = run(*models, strategy="mean", recalibrate=0).report
    assert off is not None
    assert not recalibrated(off).ran
    assert off.plain_mean == (), "the merge is the plain mean itself"


def test_recalibrated_statistics_are_those_of_the_calibration_images(
    run: Run, family: list[Path], toolkit: Toolkit
) -> None:
    outcome = run(*family, strategy="mean", recalibrate=10**6)
    assert outcome.path is not None
    assert outcome.report is not None
    count = len(toolkit.data.open("quarters", "fit"))
    assert recalibrated(outcome.report).figures["images"] == count
    assert recalibrated(outcome.report).sentence == (
        f"batch statistics are recalibrated on all {count:,} unlabelled images of the fit split of quarters"
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
    assert not recalibrated(outcome.report).ran
    original = open_model(toolkit, good)
    merged = open_model(toolkit, outcome.path)
    assert weights_digest(merged.tensors) == weights_digest(original.tensors)
    assert [parent.name for parent in merged.card.parents] == ["good.h5"]
    best = max(item.scores[0].accuracy for item in outcome.report.ingredients)
    assert outcome.report.scores[0].accuracy == best


def test_a_merge_that_hurts_is_said_to_hurt(run: Run, tmp_path: Path) -> None:
    good = save_reader(tmp_path / "good.h5", 1, noise=0.0, dataset="quarters")
    bad = save_reader(tmp_path / "bad.h5", 2, noise=3.0, dataset="quarters")
    out = tmp_path / "models" / "emnist_model.h5"
    with pytest.raises(WorseMergeError, match=r"NOT better than the best ingredient, good\.h5"):
        run(good, bad, strategy="mean")
    assert not out.exists()
    assert not list(tmp_path.rglob("*.report.*"))
    outcome = run(good, bad, strategy="mean", keep_worse=True)
    assert outcome.report is not None
    assert outcome.report.verdict.outcome == "worse"
    assert "NOT better than the best ingredient, good.h5" in outcome.report.verdict.sentence
    assert outcome.report_html is not None
    assert "NOT better" in outcome.report_html.read_text()


def test_weighted_measures_what_the_cards_do_not_say(run: Run, family: list[Path]) -> None:
    report = run(*family, strategy="weighted").report
    assert report is not None
    accuracies = [item.scores[0].accuracy for item in report.ingredients]
    above = np.asarray(accuracies) - 0.25
    assert [item.share for item in report.ingredients] == pytest.approx(list(above / above.sum()))
    assert accuracies == sorted(accuracies, reverse=True)


def test_weights_of_ones_own_follow_the_order_in_which_models_are_named(
    run: Run, family: list[Path], tmp_path: Path
) -> None:
    report = run(family[2], family[0], strategy="weighted", options=("weights=3,1",), dataset="none").report
    assert report is not None
    assert {item.name: item.share for item in report.ingredients} == {"net-3.h5": 0.75, "net-1.h5": 0.25}


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
    assert [item.share for item in report.ingredients] == [0.5, 0.5]
    assert report.weights_digest in {item.digest for item in report.ingredients}
    assert not recalibrated(report).ran
    assert "all ingredients are copies of one model, and so is the result" in report.notes
    if dataset != "none":
        assert report.verdict.outcome == "unchanged"
        assert " unchanged: " in report.verdict.sentence


def test_all_the_weight_on_an_ingredient_that_is_not_the_best(run: Run, tmp_path: Path) -> None:
    good = save_reader(tmp_path / "good.h5", 1, noise=0.0, dataset="quarters")
    bad = save_reader(tmp_path / "bad.h5", 2, noise=3.0, dataset="quarters")
    with pytest.raises(WorseMergeError, match=r"The result is bad\.h5 unchanged, which is NOT better"):
        run(good, bad, strategy="weighted", options=("weights=0,1",))


def test_or_best_hands_over_the_best_ingredient(run: Run, tmp_path: Path, toolkit: Toolkit) -> None:
    good = save_reader(tmp_path / "good.h5", 1, noise=0.0, dataset="quarters", suffix="_x")
    bad = save_reader(tmp_path / "bad.h5", 2, noise=3.0, dataset="quarters")
    outcome = run(bad, good, strategy="mean", or_best=True, test=True)
    assert outcome.report is not None
    assert outcome.path is not None
    assert outcome.report.verdict.outcome == "unchanged"
    assert outcome.report.test_verdict is not None
    assert outcome.report.test_verdict.outcome == "unchanged"
    assert outcome.report.weights_digest == weights_digest(open_model(toolkit, good).tensors)
    assert any("was replaced by good.h5: The merge is NOT better" in note for note in outcome.report.notes)


def test_one_opponent_chosen_on_validation_for_both_splits(run: Run, family: list[Path]) -> None:
    report = run(*family, test=True).report
    assert report is not None
    assert report.test_verdict is not None
    best = max(report.ingredients, key=lambda item: item.scores[0].accuracy).name
    assert report.verdict.best == report.test_verdict.best == best


def test_every_candidate_is_recalibrated_and_scored_once(
    run: Run, family: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = {"batch_statistics": 0, "evaluate": 0}

    def counted(name: str) -> None:
        below = getattr(engine, name)

        def call(*given: Any) -> Any:
            counts[name] += 1
            return below(*given)

        monkeypatch.setattr(engine, name, call)

    for name in counts:
        counted(name)
    report = run(*family, strategy="greedy").report
    assert report is not None
    candidates = len(report.steps) - 1
    assert report.steps[-1].accepted, "the last one is the result"
    assert counts == {"batch_statistics": candidates, "evaluate": len(family) + candidates + 1}, (
        "and the plain mean is scored"
    )


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
    report = run(*models, keep_worse=True).report
    assert report is not None
    assert report.strategy == "mean"
    assert report.verdict.outcome == "not measured"
    assert "the network cannot be run" in report.verdict.sentence
    assert "stranger (Stranger)" in report.verdict.sentence
    with pytest.raises(UnsupportedError, match="Stranger") as caught:
        run(*models, dataset="quarters", plan=True)
    assert "--dataset none" in caught.value.hint


def test_without_batch_normalisation_there_is_nothing_to_recalibrate(run: Run, tmp_path: Path) -> None:
    models = [
        save_reader(tmp_path / f"{seed}.h5", seed, noise=0.1, batch_norm=False, dataset="quarters")
        for seed in (1, 2)
    ]
    report = run(*models, strategy="mean", keep_worse=True).report
    assert report is not None
    assert recalibrated(report).sentence == "nothing to recalibrate: the network has no batch normalisation"


def test_training_data_is_only_claimed_for_models_whose_cards_say_so(run: Run, tmp_path: Path) -> None:
    models = [
        save_reader(tmp_path / "1.h5", 1, noise=0.1, dataset="quarters"),
        save_reader(tmp_path / "2.h5", 2, noise=0.1),
    ]
    choices = run(*models, plan=True).choices
    assert choices[0] == "scored on data set quarters, which 1.h5 was trained on"


def test_a_model_that_reads_nothing_is_named(run: Run, tmp_path: Path) -> None:
    good = save_reader(tmp_path / "good.h5", 1, noise=0.0, dataset="quarters")
    untrained = save_reader(tmp_path / "untrained.h5", 2, noise=30.0, dataset="quarters")
    report = run(good, untrained, strategy="greedy").report
    assert report is not None
    assert "untrained.h5 is no better than chance" in report.notes
    assert any(note.startswith("untrained.h5 is untrained: no convention gives") for note in report.notes)


def test_unrelated_models_are_named_before_and_after(run: Run, tmp_path: Path) -> None:
    good = save_reader(tmp_path / "good.h5", 1, noise=0.0, dataset="quarters")
    bad = save_reader(tmp_path / "bad.h5", 2, noise=3.0, dataset="quarters")
    warning = "have nothing in common (cosine of kernels 0.1"
    assert any(warning in note for note in run(good, bad, plan=True).notes)
    report = run(good, bad, strategy="greedy").report
    assert report is not None
    assert any(warning in note for note in report.notes)


def test_a_strategy_with_equal_shares_is_not_taken_for_the_plain_mean(run: Run, family: list[Path]) -> None:
    report = run(*family, strategy="median", recalibrate=0, keep_worse=True).report
    assert report is not None
    assert report.plain_mean, "scored beside it, because it is something else"
    assert [item.share for item in report.ingredients] == [1 / 3] * 3


def test_a_strategy_can_have_unlabelled_images(run: Run, family: list[Path]) -> None:
    report = run(*family, strategy="seeing").report
    assert report is not None
    assert "(64, 4) of uint8" in report.notes
    assert report.verdict.outcome == "unchanged"
