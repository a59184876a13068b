"""Models beside each other: networks, weights, relatives."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from quarters import CLASSES, save_keras, save_reader

from toolkit.cli.jsonable import to_jsonable
from toolkit.errors import MissingInputError, UsageError
from toolkit.merging.relatedness import kernel_products, likeness
from toolkit.model import Card
from toolkit.model.card_file import write_card
from toolkit.operations.compare import ComparedPair, ModelComparison, compare_models
from toolkit.operations.toolkit import Toolkit
from toolkit.requests.compare import CompareModels
from toolkit.tensors import ArrayTensors, TensorRole
from toolkit.vocabulary import Convention, SilentProgress

UPRIGHT, TRANSPOSED = Convention(), Convention("transposed")


def compare(toolkit: Toolkit, *models: Path) -> ModelComparison:
    return compare_models(toolkit, CompareModels(models), SilentProgress())


def conv_net(path: Path, seed: int, *, noise: float = 0.0, convention: Convention | None = UPRIGHT) -> Path:
    """A small convolutional network; ``noise`` of its own on the weights that the seed gives."""
    base, own = np.random.default_rng(seed), np.random.default_rng(len(path.name))
    shapes = {"conv": (3, 3, 1, 8), "more": (3, 3, 8, 8), "dense": (4608, 4)}
    kernels = {
        name: base.normal(size=shape) + noise * own.normal(size=shape) for name, shape in shapes.items()
    }
    settings = {"filters": 8, "kernel_size": [3, 3], "use_bias": False, "activation": "relu"}
    ones = np.ones(8)
    norm = {"gamma": ones, "beta": 0 * ones, "moving_mean": 0 * ones, "moving_variance": ones}
    save_keras(
        path,
        [
            ("conv", "Conv2D", settings, {"kernel": kernels["conv"]}),
            ("norm", "BatchNormalization", {"axis": -1, "epsilon": 0.001}, norm),
            ("more", "Conv2D", settings, {"kernel": kernels["more"]}),
            ("flatten", "Flatten", {}, {}),
            ("dense", "Dense", {"units": 4, "use_bias": False}, {"kernel": kernels["dense"]}),
        ],
    )
    if convention is not None:
        write_card(path, Card(name=path.stem, classes=CLASSES, convention=convention))
    return path


def only(comparison: ModelComparison) -> ComparedPair:
    (pair,) = comparison.pairs
    return pair


@pytest.mark.parametrize("suffix", ["", "_7"])
def test_a_copy_is_the_same_model_whatever_its_layers_are_called(
    toolkit: Toolkit, tmp_path: Path, suffix: str
) -> None:
    first = save_reader(tmp_path / "first.h5", 1, noise=0.01)
    copy = save_reader(tmp_path / "copy.h5", 1, noise=0.01, suffix=suffix)
    relative = save_reader(tmp_path / "relative.h5", 2, noise=0.01, suffix=suffix)
    found = compare(toolkit, first, copy, relative)
    same = {(pair.first.stem, pair.second.stem): pair.same_weights for pair in found.pairs}
    assert same == {("first", "copy"): True, ("first", "relative"): False, ("copy", "relative"): False}
    assert [model.same_weights_as for model in found.models] == [None, first, None]
    assert [model.network for model in found.models] == ["A", "A", "A"]


def test_each_model_is_a_row_with_what_is_known_of_it(toolkit: Toolkit, tmp_path: Path) -> None:
    one, other = conv_net(tmp_path / "one.h5", 1), save_reader(tmp_path / "other.h5", 1, noise=0.1)
    found = compare(toolkit, one, other)
    assert [model.network for model in found.models] == ["A", "B"]
    row = found.models[0]
    assert (row.input_shape, row.classes, row.convention) == ((28, 28, 1), 4, UPRIGHT)
    assert row.parameters == 72 + 32 + 576 + 4608 * 4
    assert row.digest == toolkit.show(model=one).digest
    assert found.models[1].convention is None
    pair = only(found)
    assert not pair.same_topology
    assert (pair.related, pair.cosine, pair.distance, pair.by_kernel) == (None, None, None, {})
    assert any("Conv" in difference for difference in pair.differences)
    assert json.loads(json.dumps(to_jsonable(found)))["models"][0]["convention"] == "upright/unit/light"


def test_normalisation_does_not_make_networks_related(toolkit: Toolkit, tmp_path: Path) -> None:
    pair = only(compare(toolkit, conv_net(tmp_path / "one.h5", 1), conv_net(tmp_path / "other.h5", 2)))
    assert pair.same_topology
    assert pair.related is False
    assert pair.cosine is not None
    assert abs(pair.cosine) < 0.15
    assert set(pair.by_kernel) == {"conv/kernel", "more/kernel", "dense/kernel"}
    tuned = only(
        compare(toolkit, conv_net(tmp_path / "base.h5", 1), conv_net(tmp_path / "tuned.h5", 1, noise=1.0))
    )
    assert tuned.related is True
    assert tuned.cosine == pytest.approx(0.7, abs=0.1)
    assert tuned.distance == pytest.approx(0.8, abs=0.1)


def test_the_median_of_the_kernels_decides() -> None:
    chance = np.random.default_rng(0)

    def tensors(kernels: list[np.ndarray]) -> ArrayTensors:
        arrays = {f"k{place}": (array, TensorRole.KERNEL) for place, array in enumerate(kernels)}
        return ArrayTensors({**arrays, "gamma": (np.ones(10_000), TensorRole.SCALE)})

    base = [chance.normal(size=1000) for _ in range(3)]
    head = [*base[:2], chance.normal(size=1000) * 50]
    found = likeness(kernel_products([tensors(base), tensors(head)]), 0, 1)
    assert found.related, "only the head is another one"
    assert found.by_kernel["k2"] == pytest.approx(0.0, abs=0.1)
    others = [chance.normal(size=1000) for _ in range(3)]
    assert not likeness(kernel_products([tensors(base), tensors(others)]), 0, 1).related
    zeros = [np.zeros(1000)] * 3
    nothing = likeness(kernel_products([tensors(base), tensors(zeros)]), 0, 1)
    assert (nothing.cosine, nothing.distance, nothing.related) == (None, None, False)


@pytest.mark.parametrize("known", [True, False])
def test_relatives_in_other_orientations_are_recognised(
    toolkit: Toolkit, tmp_path: Path, known: bool
) -> None:
    base = conv_net(tmp_path / "base.h5", 1)
    tuned = conv_net(tmp_path / "tuned.h5", 1, noise=0.3)
    turned = tmp_path / "turned.h5"
    toolkit.export(model=tuned, to="h5", out=turned, conform=TRANSPOSED, dataset="none")
    if not known:
        for path in (base, turned):
            path.with_name(f"{path.stem}.card.json").unlink()
    pair = only(compare(toolkit, base, turned))
    assert pair.related is True
    assert pair.transposed
    assert pair.cosine is not None
    assert pair.cosine > 0.9
    plain = only(compare(toolkit, base, tuned))
    assert plain.cosine == pytest.approx(pair.cosine)
    assert not plain.transposed


@pytest.mark.parametrize("target", ["unfolded.onnx", "copy.keras"])
def test_the_same_weights_in_other_formats_are_found(toolkit: Toolkit, tmp_path: Path, target: str) -> None:
    first = conv_net(tmp_path / "first.h5", 1)
    out = tmp_path / target
    options = ("keep_batch_norm=true",) if out.suffix == ".onnx" else ()
    toolkit.export(model=first, to=out.suffix[1:], out=out, options=options, dataset="none")
    found = compare(toolkit, first, out)
    assert only(found).same_weights
    assert found.models[1].same_weights_as == first


def test_a_folded_export_is_said_not_to_be_comparable(toolkit: Toolkit, tmp_path: Path) -> None:
    first = conv_net(tmp_path / "first.h5", 1)
    folded = tmp_path / "folded.onnx"
    toolkit.export(model=first, to="onnx", out=folded, dataset="none")
    pair = only(compare(toolkit, first, folded))
    assert not pair.same_weights
    assert pair.differences[0] == (
        "cannot be compared by weights: folded.onnx has no batch normalisation where first.h5 has it, "
        "so it may be folded into the kernels"
    )


def test_files_that_cannot_be_read_are_rows_with_the_reason(toolkit: Toolkit, tmp_path: Path) -> None:
    page = tmp_path / "page.h5"
    page.write_text("<!DOCTYPE html><title>404</title>")
    first, diverged = (
        conv_net(tmp_path / "first.h5", 1),
        save_reader(tmp_path / "nan.h5", 1, noise=float("nan")),
    )
    found = compare(toolkit, page, first, diverged, tmp_path / "missing.h5")
    assert [bool(model.problem) for model in found.models] == [True, False, True, True]
    assert "web page" in found.models[0].problem
    assert "NaN" in found.models[2].problem
    assert "no such model file" in found.models[3].problem
    assert found.pairs == ()
    with pytest.raises(MissingInputError, match=r"missing\.h5"):
        compare(toolkit, tmp_path / "missing.h5", page)
    with pytest.raises(UsageError, match="1 model given"):
        compare(toolkit, first)


def test_layers_that_are_not_known_are_compared_all_the_same(toolkit: Toolkit, tmp_path: Path) -> None:
    def save(name: str, seed: int) -> Path:
        kernel = np.random.default_rng(seed).normal(size=(784, 4))
        layers = [
            ("flatten", "Flatten", {}, {}),
            ("mystery", "Mystery", {}, {"kernel": np.random.default_rng(seed).normal(size=(5, 5))}),
            ("dense", "Dense", {"units": 4}, {"kernel": kernel, "bias": np.zeros(4)}),
        ]
        save_keras(tmp_path / name, layers)  # type: ignore[arg-type]
        return tmp_path / name

    pair = only(compare(toolkit, save("one.h5", 1), save("same.h5", 1)))
    assert (pair.same_topology, pair.same_weights, pair.related) == (True, True, True)
    apart = only(compare(toolkit, save("one.h5", 1), save("two.h5", 2)))
    assert (apart.same_topology, apart.same_weights, apart.related) == (True, False, False)


def test_real_networks_are_told_apart(shared: Path, toolkit: Toolkit) -> None:
    names = (
        *("excal21-a-z97.h5", "excal21-a-z98.h5", "kayode004-byclass.h5", "msbrdmr-byclass.h5"),
        *("moonflower2022-mnist.h5", "moonflower2022-mnist.keras", "khanhtran2000-letters.h5"),
        *("khanhtran2000-letters-augmented.h5", "khanhtran2000-byclass-weights-only.h5"),
    )
    found = compare(toolkit, *(shared / "models" / name for name in names))
    assert [model.network for model in found.models] == [*"AABBCCDD", ""]
    related = {
        (pair.first.name, pair.second.name): pair.related for pair in found.pairs if pair.same_topology
    }
    assert related == {
        ("excal21-a-z97.h5", "excal21-a-z98.h5"): False,
        ("kayode004-byclass.h5", "msbrdmr-byclass.h5"): False,
        ("moonflower2022-mnist.h5", "moonflower2022-mnist.keras"): False,
        ("khanhtran2000-letters.h5", "khanhtran2000-letters-augmented.h5"): True,
    }
    assert "weights only" in found.models[-1].problem
