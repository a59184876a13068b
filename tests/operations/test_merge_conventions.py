"""Ingredients in different input formats and orders of classes are made alike before a merge."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from merge_orders import Run
from quarters import CLASSES, save_keras, save_reader

from toolkit.errors import IncompatibleModelsError
from toolkit.model import Card
from toolkit.model.card_file import read_card, write_card
from toolkit.operations.merge import Merged
from toolkit.operations.toolkit import Toolkit
from toolkit.vocabulary import Convention

UPRIGHT, TRANSPOSED = Convention(), Convention("transposed")


def in_convention(toolkit: Toolkit, path: Path, convention: Convention) -> Path:
    """The same network for another convention, in a file of its own."""
    name = str(convention).replace("/", "-")
    out = path.with_name(f"{path.stem}-{name}.h5")
    toolkit.export(model=path, to="h5", out=out, conform=convention, dataset="none")
    return out


def digest(merged: Merged) -> str:
    assert merged.path is not None
    card = read_card(merged.path)
    assert card is not None
    return card.weights_digest


@pytest.mark.parametrize("dataset", ["none", "quarters"])
def test_a_transposed_relative_merges_to_the_same_weights(
    toolkit: Toolkit, run: Run, family: list[Path], dataset: str, tmp_path: Path
) -> None:
    first, second, third = family
    settings = {"strategy": "mean", "dataset": dataset, "keep_worse": True}
    plain = run(first, second, third, out=tmp_path / "plain.h5", **settings)
    turned = in_convention(toolkit, second, TRANSPOSED)
    for order in ((first, turned, third), (turned, third, first)):
        mixed = run(*order, out=tmp_path / "mixed.h5", force=True, **settings)
        assert digest(mixed) == digest(plain)
    assert mixed.path is not None
    card = read_card(mixed.path)
    assert card is not None
    assert card.convention == UPRIGHT
    told = f"{turned.name} rewritten from transposed/unit/light to upright/unit/light"
    assert mixed.report is not None
    conform = next(stage for stage in mixed.report.stages if stage.stage == "conform")
    assert told in conform.sentence
    assert conform.figures["rewritten"][0].startswith(told)


def test_copies_in_different_orientations_merge_to_the_model_bit_for_bit(
    toolkit: Toolkit, run: Run, family: list[Path], tmp_path: Path
) -> None:
    turned = in_convention(toolkit, family[0], TRANSPOSED)
    merged = run(turned, family[0], out=tmp_path / "merged.h5", strategy="mean", dataset="none")
    assert digest(merged) == toolkit.show(model=family[0]).digest


def test_the_most_common_format_is_kept_and_named_in_the_plan(
    toolkit: Toolkit, run: Run, family: list[Path]
) -> None:
    first, *others = family
    turned = [in_convention(toolkit, path, TRANSPOSED) for path in others]
    planned = run(first, *turned, strategy="mean", plan=True)
    assert not planned.problems
    assert (
        f"{first.name} rewritten from upright/unit/light to transposed/unit/light, with the same answers"
        in (planned.choices)
    )
    assert [item.convention for item in planned.recipe.ingredients] == [UPRIGHT, TRANSPOSED, TRANSPOSED]


def test_other_scales_are_rewritten_and_a_recipe_gives_the_same_again(
    toolkit: Toolkit, run: Run, family: list[Path], tmp_path: Path
) -> None:
    raw = in_convention(toolkit, family[1], Convention(scale="raw", ink="dark"))
    merged = run(family[0], raw, family[2], strategy="mean", dataset="quarters", keep_worse=True)
    plain = run(*family, strategy="mean", dataset="quarters", keep_worse=True, out=tmp_path / "plain.h5")
    assert merged.report is not None
    assert plain.report is not None
    assert merged.report.scores[0].accuracy == pytest.approx(plain.report.scores[0].accuracy, abs=0.003)
    assert merged.recipe_file is not None
    again = run(recipe=merged.recipe_file, out=tmp_path / "again.h5")
    assert digest(again) == digest(merged)


def test_classes_in_another_order_are_put_in_order(run: Run, family: list[Path], tmp_path: Path) -> None:
    order = (2, 0, 3, 1)
    chance = np.random.default_rng(5)
    kernel, bias = chance.normal(size=(784, 4)), chance.normal(size=4)

    def save(path: Path, shift: float, order: tuple[int, ...]) -> Path:
        weights = {"kernel": (kernel + shift)[:, order], "bias": bias[list(order)]}
        settings = {"units": 4, "activation": "softmax", "use_bias": True}
        save_keras(path, [("flatten", "Flatten", {}, {}), ("dense", "Dense", settings, weights)])
        classes = tuple(CLASSES[index] for index in order)
        write_card(path, Card(name=path.stem, classes=classes, convention=UPRIGHT))
        return path

    straight = (0, 1, 2, 3)
    one, two = save(tmp_path / "one.h5", 0.0, straight), save(tmp_path / "two.h5", 0.5, straight)
    three = save(tmp_path / "three.h5", 0.25, straight)
    mixed = save(tmp_path / "mixed.h5", 0.25, order)
    settings = {"strategy": "mean", "dataset": "none"}
    plain = run(one, two, three, out=tmp_path / "plain.h5", **settings)
    merged = run(one, mixed, two, out=tmp_path / "merged.h5", **settings)
    assert digest(merged) == digest(plain)
    assert merged.report is not None
    sentences = " ".join(stage.sentence for stage in merged.report.stages)
    assert "outputs of mixed.h5 put into the order of one.h5" in sentences


def padded(path: Path, seed: int, convention: Convention) -> Path:
    chance = np.random.default_rng(seed)
    kernel, dense = chance.normal(size=(3, 3, 1, 2)), chance.normal(size=(1568, 4))
    settings = {"filters": 2, "kernel_size": [3, 3], "padding": "same"}
    save_keras(
        path,
        [
            ("conv", "Conv2D", settings, {"kernel": kernel, "bias": np.zeros(2)}),
            ("flatten", "Flatten", {}, {}),
            ("dense", "Dense", {"units": 4}, {"kernel": dense, "bias": np.zeros(4)}),
        ],
    )
    write_card(path, Card(name=path.stem, classes=CLASSES, convention=convention))
    return path


def test_what_cannot_be_rewritten_is_a_problem_with_the_reason(run: Run, tmp_path: Path) -> None:
    dark = dataclasses.replace(UPRIGHT, ink="dark")
    models = [padded(tmp_path / "light.h5", 1, UPRIGHT), padded(tmp_path / "dark.h5", 1, dark)]
    with pytest.raises(
        IncompatibleModelsError,
        match=r"dark\.h5: expects upright/unit/dark input, not upright/unit/light: .*pads with zeros",
    ):
        run(*models, strategy="mean", dataset="none")
    # A factor can be moved where a shift cannot: of the formats that are there, the one that all can have.
    normal = Convention(scale="standard", mean=0.0, deviation=0.5)
    models[1] = padded(tmp_path / "normal.h5", 1, normal)
    assert not run(*models, strategy="mean", dataset="none", plan=True).problems


def test_readers_of_one_format_are_not_rewritten(run: Run, family: list[Path]) -> None:
    merged = run(*family, strategy="mean", dataset="none")
    assert merged.report is not None
    assert merged.report.stages[0].figures == {}
    assert "rewritten" not in merged.report.stages[0].sentence
    assert save_reader(family[0].with_name("x.h5"), 1, noise=0.1).is_file()
