"""ONNX files read field by field: the same network, large tensors left in the file, fields counted first."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx_files import array, from_bytes, make, small

from toolkit.errors import LimitReachedError, UnreadableInputError, UnsupportedError
from toolkit.store.byte_source import MemoryBytes
from toolkit_onnx import wire
from toolkit_onnx.reading import read


def parsed(content: bytes) -> wire.OnnxFile:
    return wire.parse_onnx(MemoryBytes(content, len(content)))


def test_all_but_the_data_of_large_tensors_is_parsed_as_protobuf_does() -> None:
    model = small(doc_string="made by hand")
    model.metadata_props.add(key="a", value="b")
    file = parsed(model.SerializeToString())
    assert list(file.stored) == ["onnx::Gemm_7"]
    for tensor in file.model.graph.initializer:
        if file.is_stored(tensor):
            tensor.raw_data = file.source.read_bytes(*file.stored[tensor.name])
    assert file.model == model


@pytest.mark.parametrize("kind", [TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16])
def test_large_tensors_of_every_float_type_have_their_values(kind: int) -> None:
    values = np.random.default_rng(1).normal(size=(40, 50)).astype(helper.tensor_dtype_to_np_dtype(kind))
    model = make([helper.make_node("Identity", ["x"], ["y"])], [numpy_helper.from_array(values, "w")])
    file = parsed(model.SerializeToString())
    (tensor,) = file.model.graph.initializer
    assert file.is_stored(tensor)
    assert not tensor.raw_data
    assert np.array_equal(file.array(tensor), values)


def test_large_tensors_are_read_when_they_are_used(tmp_path: Path) -> None:
    values = np.random.default_rng(1).normal(size=(2_000_000, 5)).astype(np.float32)
    nodes = [
        helper.make_node("Flatten", ["x"], ["f"]),
        helper.make_node("Gemm", ["f", "fc.weight"], ["y"], name="/fc/Gemm"),
    ]
    model = make(nodes, [numpy_helper.from_array(values, "fc.weight")], shape=("n", 2_000_000))
    path = tmp_path / "large.onnx"
    onnx.save(model, str(path))
    del model
    tracemalloc.start()
    found = read(path)
    assert tracemalloc.get_traced_memory()[1] < 4 << 20
    tracemalloc.stop()
    assert np.array_equal(found.tensors.read("fc/weight"), values)
    path.write_bytes(b"")
    with pytest.raises(UnreadableInputError, match=r"large\.onnx: it has changed since it was opened"):
        found.tensors.read("fc/weight")


def test_two_large_tensors_of_one_name_are_refused() -> None:
    model = small()
    model.graph.initializer.append(array("onnx::Gemm_7", 588, 5))
    with pytest.raises(UnreadableInputError, match=r"two tensors are called 'onnx::Gemm_7'"):
        from_bytes(model.SerializeToString(), "a.onnx")


def test_a_large_tensor_that_holds_its_values_twice_is_refused() -> None:
    model = small()
    model.graph.initializer[-1].float_data.extend([1.0] * 588 * 5)
    with pytest.raises(UnreadableInputError, match="holds its values twice"):
        from_bytes(model.SerializeToString(), "a.onnx")


def test_fields_are_counted_before_they_are_parsed() -> None:
    def field(number: int, content: bytes) -> bytes:
        size, length = len(content), b""
        while size >= 128:
            length, size = length + bytes([size & 127 | 128]), size >> 7
        return bytes([number << 3 | 2]) + length + bytes([size]) + content

    attributes = field(7, field(1, b"\x2a\0" * 500_000))
    tracemalloc.start()
    with pytest.raises(LimitReachedError, match="more than 300,000 fields"):
        parsed(small().SerializeToString() + attributes)
    assert tracemalloc.get_traced_memory()[1] < 4 << 20
    tracemalloc.stop()
    graphs = b""
    for _ in range(300):
        graphs = field(1, field(5, field(6, graphs)))
    with pytest.raises(UnreadableInputError, match="not an ONNX file, or a damaged one"):
        parsed(small().SerializeToString() + field(7, graphs))


@pytest.mark.parametrize(
    "more", [b"\x0f", b"\x3a\xff\xff\xff\xff\x7f", b"\x3b", b"\0\0", b"\x3a", b"\x80" * 20]
)
def test_what_is_no_protobuf_is_refused(more: bytes) -> None:
    with pytest.raises(UnreadableInputError, match="not an ONNX file, or a damaged one"):
        parsed(small().SerializeToString() + more)


def test_operators_of_a_version_that_does_not_exist_yet_are_refused() -> None:
    with pytest.raises(UnsupportedError, match="written for opset 400"):
        from_bytes(small(opset=400).SerializeToString(), "a.onnx")
