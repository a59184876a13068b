"""ONNX files as PyTorch and tf2onnx write them: read, run, exported again, merged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from keras_files import run
from numpy.typing import NDArray
from onnx_dialects import CLASSES, DIALECTS, Weights, doubles, halves, halves_between_casts, weights

from toolkit.model.correspondence import correspondence
from toolkit.operations.toolkit import Toolkit
from toolkit_onnx.reading import read


def save(path: Path, build: Callable[[Weights], onnx.ModelProto], seed: int = 0) -> Path:
    model = build(weights(seed))
    onnx.checker.check_model(model, full_check=True)
    path.write_bytes(model.SerializeToString())
    return path


def outputs(path: Path, x: NDArray[Any]) -> NDArray[Any]:
    """What onnxruntime computes with the file, one image at a time."""
    session = onnxruntime.InferenceSession(path.read_bytes())
    (taken,) = session.get_inputs()
    return np.concatenate(
        [session.run(None, {taken.name: x[index : index + 1]})[0] for index in range(len(x))]
    )


@pytest.mark.parametrize("name", DIALECTS)
def test_it_is_read_for_batches_of_any_size(name: str, tmp_path: Path) -> None:
    path = save(tmp_path / "a.onnx", DIALECTS[name])
    model = read(path)
    assert model.output_shape == (CLASSES,)
    assert model.dropped == ()
    x = np.random.default_rng(0).random((3, *model.input_shape), dtype=np.float32)
    np.testing.assert_allclose(run(model, x), outputs(path, x), atol=1e-6)


@pytest.mark.parametrize("name", DIALECTS)
def test_its_export_is_small(name: str, tmp_path: Path) -> None:
    path = save(tmp_path / "a.onnx", DIALECTS[name])
    done = Toolkit().export(model=path, to="onnx", out=tmp_path / "out.onnx", dataset="none")
    operators = [node.op_type for node in onnx.load(done.path).graph.node]
    assert len(operators) <= 8
    assert not {"Shape", "Gather", "Unsqueeze", "Transpose", "BatchNormalization", "Dropout"} & {
        *operators
    } or (name == "unsqueezed" and operators.count("Unsqueeze") == 1)


@pytest.mark.parametrize("name", DIALECTS)
def test_two_trainings_are_merged(name: str, tmp_path: Path) -> None:
    paths = [save(tmp_path / f"{seed}.onnx", DIALECTS[name], seed) for seed in (1, 2)]
    merged = tmp_path / "merged.onnx"
    Toolkit().merge(models=paths, strategy="mean", dataset="none", out=merged)
    one, two, mean = (read(path) for path in (*paths, merged))
    for tensor in one.tensors:
        wanted = (one.tensors.read(tensor).astype(np.float64) + two.tensors.read(tensor)) / 2
        np.testing.assert_allclose(mean.tensors.read(tensor), wanted, atol=1e-7)


def test_one_architecture_in_several_spellings_is_one_network(tmp_path: Path) -> None:
    spellings = ("viewed", "viewed_in_opset_9", "fixed_batch", "fixed_batch_counted", "dynamo")
    first, *others = (read(save(tmp_path / f"{name}.onnx", DIALECTS[name])) for name in spellings)
    for other in others:
        assert correspondence(first, other) == {tensor: tensor for tensor in first.tensors}


@pytest.mark.parametrize("build", [doubles, halves, halves_between_casts], ids=lambda build: build.__name__)
def test_other_precisions_are_read_as_float32(
    build: Callable[[Weights], onnx.ModelProto], tmp_path: Path
) -> None:
    path = save(tmp_path / "a.onnx", build)
    model = read(path)
    (said,) = model.dropped
    assert said.startswith("the precision ")
    assert said.endswith("read and computed as float32")
    assert {spec.dtype for spec in model.tensors.specs.values()} == {np.dtype(np.float32)}
    x = np.random.default_rng(0).random((3, 1, 8, 8), dtype=np.float32)
    held = {name: array.astype(np.float16) for name, array in weights(0).items()}
    exact = (
        weights(0) if build is doubles else {name: array.astype(np.float32) for name, array in held.items()}
    )
    np.testing.assert_allclose(run(model, x), _by_hand(x, exact), atol=1e-5)
    done = Toolkit().export(model=path, to="onnx", out=tmp_path / "out.onnx", dataset="none")
    assert onnx.load(done.path).graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.FLOAT


def _by_hand(x: NDArray[Any], w: Weights) -> NDArray[Any]:
    """Convolution, ReLU, pooling and a dense layer in NumPy."""
    padded = np.pad(x[:, 0], ((0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    maps = np.einsum("nijkl,ckl->ncij", windows, w["conv.weight"][:, 0]) + w["conv.bias"][:, None, None]
    pooled = np.maximum(maps, 0).reshape(len(x), 4, 4, 2, 4, 2).max(axis=(3, 5))
    return np.asarray(pooled.reshape(len(x), -1) @ w["fc.weight"].T + w["fc.bias"])


def test_a_moved_weight_that_another_node_uses_stays(tmp_path: Path) -> None:
    """A tied weight: an encoder and, transposed, a decoder."""
    from onnx import TensorProto, helper, numpy_helper

    random = np.random.default_rng(0)
    kernel = random.normal(size=(6, 4)).astype(np.float32)
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["a"]),
        helper.make_node("Transpose", ["w"], ["t"], perm=[1, 0]),
        helper.make_node("MatMul", ["a", "t"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ("n", 6))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ("n", 6))],
        initializer=[numpy_helper.from_array(kernel, "w")],
    )
    path = tmp_path / "a.onnx"
    path.write_bytes(
        helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8
        ).SerializeToString()
    )
    x = random.normal(size=(2, 6)).astype(np.float32)
    np.testing.assert_allclose(run(read(path), x), x @ kernel @ kernel.T, atol=1e-5)
