"""A network rewritten for another convention gives the same answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx_files
import pytest
from convention_networks import ANYTHING, Build, branches, rescaled_first, spread_pixels
from keras_files import layer, read_any, run, sequential, write_legacy
from keras_networks import fill
from onnx import helper

from toolkit.data.convention import apply_convention
from toolkit.engine.agreement import TOLERANCE, require_agreement
from toolkit.errors import ProofError, UnsupportedError, UsageError
from toolkit.model import Model
from toolkit.model.correspondence import signature
from toolkit.model.rewriting import rewritten
from toolkit.tensors import OverlaidTensors, weights_digest
from toolkit.vocabulary import Convention
from toolkit_keras.read_h5 import read_h5
from toolkit_keras.write_h5 import write_h5
from toolkit_keras.write_keras import write_keras
from toolkit_onnx.writing import write as write_onnx

PLAIN = Convention()
TRANSPOSED = Convention("transposed")
RAW = Convention(scale="raw")
STANDARD = Convention(scale="standard", mean=0.1307, deviation=0.3081)
DARK = Convention(ink="dark")
ALL = (TRANSPOSED, RAW, STANDARD, DARK, Convention("transposed", "standard", "dark", 0.1736, 0.3317))


def stated(model: Model, convention: Convention) -> Model:
    return model.with_card(replace(model.card, convention=convention))


def saved(keras: Any, build: Build, folder: Path) -> Model:
    network = build(keras)
    fill(network, 5)
    network.save(folder / "a.keras")
    return read_any(folder / "a.keras")


@pytest.mark.parametrize("build", [*ANYTHING, branches, spread_pixels, rescaled_first])
def test_keras_networks_give_the_same_answers_for_transposed_images(
    keras: Any, build: Build, tmp_path: Path
) -> None:
    model = stated(saved(keras, build, tmp_path), PLAIN)
    turned = rewritten(model, TRANSPOSED)
    assert turned.card.convention == TRANSPOSED
    assert require_agreement(model, turned) < TOLERANCE
    x = np.random.default_rng(1).random((2, 28, 28)).astype(np.float32)
    own = run(model, x.reshape(2, *model.input_shape))
    assert np.abs(own).max() > 0.01
    other = run(model, x.transpose(0, 2, 1).reshape(2, *model.input_shape))
    assert np.abs(own - other).max() > 1e-3 * np.abs(own).max(), "the test shows nothing"
    assert weights_digest(turned.tensors) != weights_digest(model.tensors)
    assert weights_digest(rewritten(turned, PLAIN).tensors) == weights_digest(model.tensors)
    assert signature(turned) == signature(model)


@pytest.mark.parametrize("build", ANYTHING)
def test_keras_networks_give_the_same_answers_in_every_convention(
    keras: Any, build: Build, tmp_path: Path
) -> None:
    model = stated(saved(keras, build, tmp_path), STANDARD)
    for convention in ALL:
        other = rewritten(model, convention)
        assert other.card.convention == convention
        assert require_agreement(model, other) < TOLERANCE
    images = np.random.default_rng(1).integers(0, 256, (2, 28, 28), dtype=np.uint8)
    wanted = run(model, apply_convention(images, STANDARD, model.input_shape))
    for suffix, write in (("h5", write_h5), ("keras", write_keras)):
        path = tmp_path / f"other.{suffix}"
        write(other, path)
        network = keras.models.load_model(path)
        found = np.asarray(network(apply_convention(images, convention, model.input_shape), training=False))
        assert np.abs(found - wanted).max() < 2e-5 * max(1.0, np.abs(wanted).max())


def test_the_numbers_of_a_rescaling_change_only_where_tensors_are_not_enough(
    keras: Any, tmp_path: Path
) -> None:
    model = stated(saved(keras, rescaled_first, tmp_path), RAW)
    plain = rewritten(model, PLAIN)
    assert require_agreement(model, plain) < TOLERANCE
    (settings,) = (
        entry["config"]
        for entry in plain.description["config"]["layers"]
        if entry["class_name"] == "Rescaling"
    )
    assert settings["scale"] == pytest.approx(2.0)
    assert settings["offset"] == pytest.approx(-1.0)
    dark = rewritten(model, DARK)
    assert require_agreement(model, dark) < TOLERANCE
    write_keras(dark, tmp_path / "dark.keras")
    images = np.random.default_rng(1).integers(0, 256, (2, 28, 28), dtype=np.uint8)
    found = np.asarray(
        keras.models.load_model(tmp_path / "dark.keras")(apply_convention(images, DARK, (28, 28, 1)))
    )
    wanted = run(model, apply_convention(images, RAW, (28, 28, 1)))
    assert np.abs(found - wanted).max() < 2e-5 * max(1.0, np.abs(wanted).max())
    # Without an offset, the next kernel takes the factor: the network stays the same but for its weights.
    config = sequential(
        layer("InputLayer", "start", batch_shape=[None, 28, 28, 1]),
        layer("Rescaling", "scale", scale=1 / 255, offset=0.0),
        layer("Conv2D", "conv", filters=2, kernel_size=[3, 3], padding="same"),
    )
    random = np.random.default_rng(0)
    arrays: Any = {"scale": {}, "conv": {"kernel": random.normal(size=(3, 3, 1, 2)), "bias": np.ones(2)}}
    bare = stated(read_h5(write_legacy(tmp_path / "bare.h5", config, arrays)), RAW)
    scaled = rewritten(bare, PLAIN)
    assert signature(scaled) == signature(bare)
    assert scaled.description == bare.description


def onnx_model(nodes: list[Any], tensors: list[Any], **options: Any) -> Model:
    return stated(onnx_files.as_model(onnx_files.make(nodes, tensors, **options)), PLAIN)


def channels_last() -> Model:
    """As tf2onnx writes it: pixels with the channel last, transposed for the convolution and back."""
    node = helper.make_node
    nodes = [
        node("Transpose", ["x"], ["t"], perm=[0, 3, 1, 2]),
        node("Conv", ["t", "c.weight"], ["a"], pads=[1, 1, 1, 1]),
        node("Add", ["a", "c.bias"], ["b"]),
        node("Relu", ["b"], ["r"]),
        node("Transpose", ["r"], ["u"], perm=[0, 2, 3, 1]),
        node("Reshape", ["u", "shape"], ["f"]),
        node("MatMul", ["f", "d.weight"], ["m"]),
        node("Add", ["m", "d.bias"], ["y"]),
    ]
    tensors = [onnx_files.array("c.weight", 3, 1, 3, 3), onnx_files.array("c.bias", 1, 3, 1, 1)]
    tensors += [
        onnx_files.array("d.weight", 2352, 5),
        onnx_files.array("d.bias", 5),
        onnx_files.whole("shape", -1, 2352),
    ]
    return onnx_model(nodes, tensors, shape=("n", 28, 28, 1))


def from_pytorch() -> Model:
    """A block with a residual, a slice, position-dependent constants and Gemm."""
    node = helper.make_node
    nodes = [
        node("Conv", ["x", "c.weight", "c.bias"], ["a"]),
        node("Slice", ["a", "from", "to", "axes"], ["s"]),
        node("Conv", ["s", "d.weight", "d.bias"], ["b"], pads=[1, 1, 1, 1], group=3),
        node("Add", ["s", "b"], ["e"]),
        node("Add", ["e", "place"], ["g"]),
        node("AveragePool", ["g"], ["h"], kernel_shape=[2, 2], strides=[2, 2]),
        node("Flatten", ["h"], ["f"]),
        node("Gemm", ["f", "fc.weight", "fc.bias"], ["y"], transB=1),
    ]
    tensors = [onnx_files.array("c.weight", 3, 1, 3, 3), onnx_files.array("c.bias", 3)]
    tensors += [onnx_files.array("d.weight", 3, 1, 3, 3), onnx_files.array("d.bias", 3)]
    tensors += [onnx_files.array("place", 1, 1, 24, 24)]
    tensors += [onnx_files.array("fc.weight", 5, 432), onnx_files.array("fc.bias", 5)]
    tensors += [
        onnx_files.whole("from", 1, 1),
        onnx_files.whole("to", 25, 25),
        onnx_files.whole("axes", 2, 3),
    ]
    return onnx_model(nodes, tensors)


@pytest.mark.parametrize(
    "make", [channels_last, from_pytorch, lambda: stated(onnx_files.as_model(onnx_files.small()), PLAIN)]
)
def test_onnx_networks_give_the_same_answers_for_transposed_images(make: Callable[[], Model]) -> None:
    model = make()
    turned = rewritten(model, TRANSPOSED)
    assert require_agreement(model, turned) < TOLERANCE
    assert weights_digest(turned.tensors) != weights_digest(model.tensors)
    assert weights_digest(rewritten(turned, PLAIN).tensors) == weights_digest(model.tensors)


@pytest.mark.parametrize("convention", ALL)
def test_onnx_networks_give_the_same_answers_in_every_convention(convention: Convention) -> None:
    model = from_pytorch()
    assert require_agreement(model, rewritten(model, convention)) < TOLERANCE


def test_a_factor_passes_zero_padding_and_rectifiers() -> None:
    model = stated(channels_last(), RAW)
    assert require_agreement(model, rewritten(model, TRANSPOSED)) < TOLERANCE
    node = helper.make_node
    first = [
        node("Relu", ["x"], ["r"]),
        node("Flatten", ["r"], ["f"]),
        node("Gemm", ["f", "fc.weight"], ["y"]),
    ]
    model = stated(onnx_model(first, [onnx_files.array("fc.weight", 784, 5)]), RAW)
    assert require_agreement(model, rewritten(model, PLAIN)) < TOLERANCE
    with pytest.raises(UnsupportedError, match="nonlinearity"):
        rewritten(model, STANDARD)


def one_node(operator: str, *inputs: str, size: int = 784, opset: int = 17, **attributes: Any) -> Model:
    """An operation on the image, then a dense layer."""
    node = helper.make_node
    nodes = [
        node(operator, ["x", *inputs], ["a"], **attributes),
        node("Flatten", ["a"], ["f"]),
        node("Gemm", ["f", "fc.weight", "fc.bias"], ["y"]),
    ]
    tensors = [onnx_files.array("fc.weight", size, 5), onnx_files.array("fc.bias", 5)]
    tensors += [onnx_files.array("c.weight", 2, 1, 3, 3), onnx_files.array("c.wide", 2, 1, 3, 5)]
    tensors += [onnx_files.array("rows.weight", 28, 4), onnx_files.whole("pads", 0, 0, 1, 0, 0, 0, 1, 0)]
    wanted = {*inputs, "fc.weight", "fc.bias"}
    return onnx_model(nodes, [tensor for tensor in tensors if tensor.name in wanted], opset=opset)


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (lambda: one_node("Conv", "c.weight", size=26 * 13 * 2, strides=[1, 2]), r"strides \(1, 2\) differ"),
        (lambda: one_node("Conv", "c.weight", size=27 * 26 * 2, pads=[1, 0, 0, 0]), r"pads \(1, 0, 0, 0\)"),
        (lambda: one_node("Conv", "c.wide", size=26 * 24 * 2), "3×5 differs between height and width"),
        (lambda: one_node("MaxPool", size=27 * 28, kernel_shape=[2, 1]), "kernel_shape"),
        (lambda: one_node("MatMul", "rows.weight", size=28 * 4), "along one of the two axes"),
        (lambda: one_node("Softmax", axis=3), "along one of the two axes"),
        (lambda: one_node("Pad", "pads", size=30 * 28), "padding differs"),
    ],
)
def test_what_depends_on_the_orientation_is_refused_by_name(model: Callable[[], Model], reason: str) -> None:
    with pytest.raises(UnsupportedError, match=rf"made\.onnx cannot be rewritten .*: layer .*{reason}"):
        rewritten(model(), TRANSPOSED)


@pytest.mark.parametrize("opset", [10, 17])
@pytest.mark.parametrize(
    "padding", [{"pads": [1, 1, 1, 1]}, {"auto_pad": "SAME_LOWER"}, {"auto_pad": "SAME_UPPER"}]
)
@pytest.mark.parametrize("stride", [1, 2])
def test_onnx_networks_pad_with_what_zero_has_become(
    opset: int, padding: dict[str, Any], stride: int, tmp_path: Path
) -> None:
    size = 28 * 28 * 2 // stride**2
    model = one_node("Conv", "c.weight", size=size, opset=opset, strides=[stride, stride], **padding)
    for convention in (STANDARD, DARK):
        other = rewritten(model, convention)
        assert require_agreement(model, other) < TOLERANCE
        write_onnx(other, tmp_path / f"{convention.ink}.onnx")
        read = stated(onnx_files.read(tmp_path / f"{convention.ink}.onnx"), convention)
        assert require_agreement(model, read) < TOLERANCE
        with pytest.raises(UnsupportedError, match="pads with zeros"):
            rewritten(model, convention, tensors_only=True)


def test_a_window_of_one_pixel_that_is_padded_is_no_exception() -> None:
    node = helper.make_node
    nodes = [
        node("Conv", ["x", "p.weight"], ["a"], pads=[1, 1, 1, 1]),
        node("Flatten", ["a"], ["f"]),
        node("Gemm", ["f", "fc.weight", "fc.bias"], ["y"]),
    ]
    tensors = [onnx_files.array("p.weight", 2, 1, 1, 1), onnx_files.array("fc.weight", 1800, 5)]
    model = onnx_model(nodes, [*tensors, onnx_files.array("fc.bias", 5)])
    assert require_agreement(model, rewritten(model, DARK)) < TOLERANCE
    with pytest.raises(UnsupportedError, match="pads with zeros"):
        rewritten(model, DARK, tensors_only=True)


def test_keras_networks_that_pad_with_zeros_are_refused_a_shift(tmp_path: Path) -> None:
    config = sequential(
        layer("InputLayer", "start", batch_shape=[None, 28, 28, 1]),
        layer("Conv2D", "conv", filters=2, kernel_size=[3, 3], padding="same"),
        layer("Flatten", "flat"),
    )
    arrays: Any = {"conv": {"kernel": np.ones((3, 3, 1, 2)), "bias": np.ones(2)}}
    model = stated(read_h5(write_legacy(tmp_path / "a.h5", config, arrays)), PLAIN)
    for convention in (STANDARD, DARK):
        with pytest.raises(UnsupportedError, match=r"layer conv: pads with zeros, which a shift"):
            rewritten(model, convention)


@pytest.mark.parametrize(
    ("model", "convention", "reason"),
    [
        (lambda: one_node("MaxPool", size=196, kernel_shape=[2, 2], strides=[2, 2]), DARK, "a minimum"),
        (lambda: one_node("Tanh"), RAW, "Tanh is not followed"),
    ],
)
def test_what_would_not_be_exact_is_refused_with_the_reason(
    model: Callable[[], Model], convention: Convention, reason: str
) -> None:
    with pytest.raises(UnsupportedError, match=rf"another scale or ink: layer .*{reason}"):
        rewritten(model(), convention)


def test_weights_that_two_layers_share_are_not_rewritten_for_one_of_them() -> None:
    node = helper.make_node
    nodes = [
        node("Flatten", ["x"], ["f"]),
        node("Gemm", ["f", "w.weight"], ["a"]),
        node("Gemm", ["a", "w.weight"], ["b"]),
        node("Gemm", ["b", "fc.weight"], ["y"]),
    ]
    model = onnx_model(nodes, [onnx_files.array("w.weight", 784, 784), onnx_files.array("fc.weight", 784, 5)])
    for convention in (TRANSPOSED, RAW):
        with pytest.raises(UnsupportedError, match=r"w/weight (in another order|is used more than once)"):
            rewritten(model, convention)


def test_a_model_in_the_convention_stays_as_it_is_and_one_without_is_refused() -> None:
    model = stated(onnx_files.as_model(onnx_files.small()), PLAIN)
    assert rewritten(model, PLAIN) is model
    with pytest.raises(UsageError, match="not known"):
        rewritten(onnx_files.as_model(onnx_files.small()), PLAIN)


def test_another_network_is_no_rewriting() -> None:
    model = from_pytorch()
    name = next(iter(model.tensors))
    other = model.with_tensors(OverlaidTensors(model.tensors, {name: model.tensors.read(name) * 1.001}))
    with pytest.raises(ProofError, match=r"differ by .* of the largest"):
        require_agreement(model, other)


SHARED = {
    "excal21-a-z97.h5": ALL,
    "khanhtran2000-letters.h5": ALL,
    "khanhtran2000-byclass.h5": ALL,
    "msbrdmr-byclass.h5": ALL,
    "moonflower2022-mnist.keras": ALL,
    "abdo-eid-letters.onnx": ALL,
}


@pytest.mark.parametrize("name", SHARED)
def test_real_networks_give_the_same_answers(shared: Path, name: str) -> None:
    path = shared / "models" / name
    read = onnx_files.read(path) if name.endswith(".onnx") else read_any(path)
    model = stated(read, PLAIN)
    for convention in SHARED[name]:
        assert require_agreement(model, rewritten(model, convention)) < TOLERANCE
