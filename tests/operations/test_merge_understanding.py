"""Ingredients whose convention is unknown are understood before they are merged, or left out."""

from __future__ import annotations

import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from quarters import save_keras
from template_readers import CHARACTERS, template_images, template_reader
from test_adopt import patterns

import toolkit_emnist
import toolkit_keras
import toolkit_soups
from toolkit.data import apply_convention
from toolkit.errors import IncompatibleModelsError
from toolkit.model import Card
from toolkit.model.card_file import read_card, write_card
from toolkit.operations.merge import Merged, merge
from toolkit.operations.toolkit import Toolkit
from toolkit.requests.merge import Merge
from toolkit.store import Workspace
from toolkit.testing import catalog_of
from toolkit.vocabulary import Convention, SilentProgress

Run = Callable[..., Merged]
RAW = Convention(scale="raw")
IMAGES = template_images()


@pytest.fixture
def run(tmp_path: Path) -> Run:
    catalog = catalog_of(toolkit_keras, toolkit_soups, patterns(CHARACTERS))
    toolkit = Toolkit(Workspace(tmp_path), lambda: catalog)

    def run(*models: Path, **settings: Any) -> Merged:
        settings = {
            "dataset": "patterns",
            "out": tmp_path / "out" / "merged.h5",
            "strategy": "mean",
            "force": True,
        } | settings
        settings["out"].parent.mkdir(exist_ok=True)
        return merge(toolkit, Merge(models, **settings), SilentProgress())

    return run


def save(
    path: Path,
    convention: Convention | None = None,
    *,
    seed: int = 0,
    classes: tuple[str, ...] = CHARACTERS,
    card: Card | None = None,
    trained: bool = True,
) -> Path:
    """A reader with a little noise of its own and batch normalisation."""
    chance = np.random.default_rng(seed)
    kernel, bias = template_reader(classes, convention)
    if not trained:
        kernel, bias = chance.normal(0, 0.04, kernel.shape), 0 * bias
    kernel = kernel + chance.normal(0, 0.15 * kernel.std(), kernel.shape)
    pixels = apply_convention(IMAGES.images, convention or Convention(), (784,))
    mean, variance = pixels.mean(axis=0), pixels.var(axis=0)
    # It does nothing, nor does it after its statistics are measured again on such images.
    norm = {"gamma": variance**0.5, "beta": mean, "moving_mean": mean, "moving_variance": variance}
    settings = {"units": len(classes), "activation": "softmax", "use_bias": True}
    layers = [
        ("flatten", "Flatten", {}, {}),
        ("norm", "BatchNormalization", {"axis": -1, "epsilon": 1e-12}, norm),
        ("dense", "Dense", settings, {"kernel": kernel, "bias": bias}),
    ]
    save_keras(path, layers)  # type: ignore[arg-type]
    if card is not None:
        write_card(path, card)
    return path


def test_what_is_found_is_used_said_and_written(run: Run, tmp_path: Path) -> None:
    first, second = (save(tmp_path / f"{seed}.h5", RAW, seed=seed) for seed in (1, 2))
    planned = run(first, second, plan=True)
    assert planned.problems == ()
    assert [item.convention for item in planned.recipe.ingredients] == [RAW, RAW]
    merged = run(first, second)
    assert merged.report is not None
    assert merged.report.convention == RAW
    assert min(item.scores[0].accuracy for item in merged.report.ingredients) > 0.7
    assert any(
        note.startswith("1.h5: input format upright/raw/light (certain): ") for note in merged.report.notes
    )
    card = read_card(tmp_path / "out" / "merged.h5")
    assert card is not None
    assert (card.convention, card.classes) == (RAW, CHARACTERS)


def test_a_class_order_that_no_card_states_is_found(run: Run, tmp_path: Path) -> None:
    order = (*string.ascii_lowercase, *string.ascii_uppercase, *string.digits)
    first = save(tmp_path / "1.h5", seed=1, classes=order)
    second = save(tmp_path / "2.h5", seed=2, classes=order)
    report = run(first, second).report
    assert report is not None
    assert report.scores[0].accuracy > 0.7
    card = read_card(tmp_path / "out" / "merged.h5")
    assert card is not None
    assert card.classes == order


def test_models_of_different_conventions_are_made_equal(run: Run, tmp_path: Path) -> None:
    first = save(tmp_path / "upright.h5", seed=1)
    second = save(tmp_path / "transposed.h5", Convention("transposed"), seed=2)
    report = run(first, second).report
    assert report is not None
    assert min(item.scores[0].accuracy for item in report.ingredients) > 0.7
    assert any("transposed.h5" in choice and "rewritten" in choice for choice in report.choices)
    assert report.scores[0].accuracy > 0.7


def test_untrained_models_are_named_and_left_out(run: Run, tmp_path: Path) -> None:
    first, second = (save(tmp_path / f"{seed}.h5", seed=seed) for seed in (1, 2))
    never = save(tmp_path / "never.h5", seed=3, trained=False)
    merged = run(first, never, second)
    assert merged.report is not None
    assert {item.name for item in merged.report.ingredients} == {"1.h5", "2.h5"}
    assert any(note.startswith("never.h5 is left out: untrained: ") for note in merged.report.notes)
    with pytest.raises(IncompatibleModelsError, match=r"never\.h5: untrained: no convention") as caught:
        run(first, never)
    assert caught.value.exit_status == 4
    (problem,) = run(first, never, plan=True).problems
    assert problem.model == "never.h5"


def test_a_card_that_says_untrained_counts_without_images(run: Run, tmp_path: Path) -> None:
    first = save(tmp_path / "1.h5", seed=1)
    adopted = Card(settings={"adopted": {"certainty": "untrained"}})
    never = save(tmp_path / "never.h5", seed=3, trained=False, card=adopted)
    with pytest.raises(IncompatibleModelsError, match=r"never\.h5: untrained: its card says so"):
        run(first, never, dataset="none", keep_worse=True)


def test_untrained_models_are_not_chosen(run: Run, tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    card = Card(classes=CHARACTERS, convention=Convention(), metrics={"validation_accuracy": 0.85})
    for seed in (1, 2):
        save(tmp_path / "models" / f"{seed}.h5", seed=seed, card=card)
    adopted = Card(settings={"adopted": {"certainty": "untrained"}})
    save(tmp_path / "models" / "never.h5", seed=3, trained=False, card=adopted)
    planned = run(plan=True)
    assert [item.name for item in planned.recipe.ingredients] == ["1.h5", "2.h5"]
    assert "never.h5 skipped: untrained" in planned.notes


@pytest.mark.parametrize("by_card", [True, False])
def test_no_merge_is_better_while_a_stated_convention_is_in_doubt(
    run: Run, tmp_path: Path, *, by_card: bool
) -> None:
    wrong = Convention()
    card = Card(classes=CHARACTERS, convention=wrong) if by_card else None
    models = [save(tmp_path / f"{seed}.h5", RAW, seed=seed, card=card) for seed in (1, 2, 3)]
    stated = {} if by_card else {"convention": wrong}
    report = run(*models, keep_worse=True, **stated).report
    assert report is not None
    assert report.verdict.outcome in ("in doubt", "worse", "perhaps worse")
    assert "use --convention 1.h5=upright/raw/light" in report.verdict.sentence
    (stage,) = [stage for stage in report.stages if stage.stage == "recalibrate"]
    assert not stage.ran
    assert "in doubt" in stage.sentence


def test_the_data_set_is_the_one_with_the_models_classes_of_all(tmp_path: Path) -> None:
    catalog = catalog_of(toolkit_keras, toolkit_soups, toolkit_emnist)
    toolkit = Toolkit(Workspace(tmp_path), lambda: catalog)
    chance = np.random.default_rng(0)
    rows = [f"{place % 10}," + ",".join(map(str, chance.integers(0, 256, 784))) for place in range(80)]
    for variant in ("byclass", "digits"):
        for part in ("train", "test"):
            file = tmp_path / "datasets" / f"emnist-{variant}-{part}.csv"
            file.parent.mkdir(exist_ok=True)
            file.write_text("\n".join(rows))
    digits = tuple(string.digits)
    cards = Card(classes=digits, convention=Convention())
    models = [save(tmp_path / f"{seed}.h5", seed=seed, classes=digits, card=cards) for seed in (1, 2)]
    planned = merge(toolkit, Merge(tuple(models), strategy="mean", plan=True), SilentProgress())
    assert planned.recipe.dataset == "digits"
