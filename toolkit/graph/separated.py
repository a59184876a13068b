"""ONNX models with their large weights beside them, and files of these, written and read without copies."""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import Message  # type: ignore[import-untyped]
from numpy.typing import NDArray
from onnx import TensorProto, helper

from toolkit.errors import LimitReachedError, UnreadableInputError
from toolkit.graph.graph import Graph
from toolkit.graph.onnx_form import to_onnx
from toolkit.records import dataclass
from toolkit.tensors import Tensors
from toolkit.vocabulary import file_size

LARGE = 1 << 12
"""Elements; shapes, bounds and most biases are smaller."""
LARGEST_FILE = (1 << 31) - (1 << 20)
_GRAPH, _INITIALIZER, _RAW_DATA = 7, 5, 9  # field numbers of ModelProto, GraphProto, TensorProto
_LENGTH_DELIMITED = 2


@dataclass(frozen=True)
class SeparatedModel:
    """An ONNX model in two parts.

    Attributes:
        proto: The model; the weights are declared as further inputs, so that it can be checked,
            converted and run like any other.
        weights: Large float32 initializers by name.
    """

    proto: onnx.ModelProto
    weights: Mapping[str, NDArray[np.float32]]

    @property
    def weight_bytes(self) -> int:
        """Size of the weights."""
        return sum(array.nbytes for array in self.weights.values())

    def whole(self) -> onnx.ModelProto:
        """One ordinary model; copies the weights."""
        model = self._without_weight_inputs()
        for name, array in self.weights.items():
            model.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
        return model

    def write(self, path: Path) -> None:
        """Write an ordinary ONNX file; equal models give equal bytes.

        Raises:
            LimitReachedError: If the file would have 2 GiB or more, which protobuf does not read.
        """
        model = self._without_weight_inputs()
        graph, small, rest = (onnx.GraphProto() for _ in range(3))
        for field, value in model.graph.ListFields():
            part = {"node": graph, "name": graph, "initializer": small}.get(field.name, rest)
            _copy_field(part, field.name, value)
        starts = [_start(name, array) for name, array in self.weights.items()]
        parts = [part.SerializeToString(deterministic=True) for part in (graph, small, rest)]
        length = sum(map(len, parts)) + sum(map(len, starts)) + self.weight_bytes
        if length >= LARGEST_FILE:
            raise LimitReachedError(
                f"an ONNX file of {file_size(length)} is larger than the format allows",
                hint="files of less than 2 GiB can be read",
            )
        with path.open("wb") as file:
            file.write(_before_graph(model) + _tag(_GRAPH) + _varint(length) + parts[0] + parts[1])
            for start, array in zip(starts, self.weights.values(), strict=True):
                file.write(start)
                file.write(np.ascontiguousarray(array, dtype="<f4").reshape(-1).data)
            file.write(parts[2] + _after_graph(model))

    def _without_weight_inputs(self) -> onnx.ModelProto:
        model = onnx.ModelProto()
        model.CopyFrom(self.proto)
        inputs = [value for value in model.graph.input if value.name not in self.weights]
        del model.graph.input[:]
        model.graph.input.extend(inputs)
        return model


def separated(graph: Graph, tensors: Tensors | None = None) -> SeparatedModel:
    """A graph with its bound tensors, and constants, as a model in two parts."""
    arrays = dict(graph.constants)
    if tensors is not None:
        for binding in graph.bindings:
            array = binding.rearrangement.apply(tensors.read(binding.tensor))
            arrays[binding.tensor] = np.ascontiguousarray(array, dtype=np.float32)
    weights = {
        name: array for name, array in arrays.items() if array.dtype == np.float32 and array.size > LARGE
    }
    small = {name: array for name, array in arrays.items() if name not in weights}
    proto = to_onnx(replace(graph, constants=small, bindings=()))
    return declared(proto, weights)


def declared(proto: onnx.ModelProto, weights: Mapping[str, NDArray[np.float32]]) -> SeparatedModel:
    """A model whose weights are missing, with inputs declared for them."""
    proto.graph.input.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, array.shape) for name, array in weights.items()
    )
    return SeparatedModel(proto, weights)


def read_separated(path: Path) -> SeparatedModel:
    """Read a file that :meth:`SeparatedModel.write` wrote; its weights are mapped into memory.

    Raises:
        UnreadableInputError: If a weight does not hold what it declares.
    """
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    view = memoryview(mapped)
    proto, weights = onnx.ModelProto(), dict[str, NDArray[np.float32]]()
    for number, start, content, end in _fields(view, 0, len(view)):
        if number != _GRAPH:
            proto.MergeFromString(bytes(view[start:end]))
            continue
        for inner, begin, inside, stop in _fields(view, content, end):
            found = _large_tensor(view, inside, stop) if inner == _INITIALIZER else None
            if found is None:
                proto.graph.MergeFromString(bytes(view[begin:stop]))
                continue
            header, data = found
            array = np.frombuffer(view[data[0] : data[1]], dtype="<f4")
            if array.size != int(np.prod(header.dims)):
                raise UnreadableInputError(f"{path}: tensor {header.name!r} does not hold what it declares")
            weights[header.name] = array.reshape(tuple(header.dims))
    return declared(proto, weights)


def replace_end(path: Path, model: onnx.ModelProto) -> None:
    """Replace what follows the graph in a file, its metadata, by that of a model."""
    with path.open("r+b") as file:
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped, memoryview(mapped) as view:
            end = next(end for number, _, _, end in _fields(view, 0, len(view)) if number == _GRAPH)
        file.truncate(end)
        file.seek(end)
        file.write(_after_graph(model))


def _large_tensor(view: memoryview, start: int, end: int) -> tuple[TensorProto, tuple[int, int]] | None:
    """A large float32 tensor without its data, and where its data is."""
    if end - start <= 4 * LARGE:
        return None
    header, place = TensorProto(), None
    for number, begin, content, stop in _fields(view, start, end):
        if number == _RAW_DATA:
            place = content, stop
        elif stop - begin > 4 * LARGE:
            return None  # data in another field
        else:
            header.MergeFromString(bytes(view[begin:stop]))
    return (header, place) if place and header.data_type == TensorProto.FLOAT else None


def _fields(view: memoryview, start: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Number, start, start of the content, and end of each field of a message."""
    place = start
    while place < end:
        key, content = _read_varint(view, place)
        kind = key & 7
        if kind == _LENGTH_DELIMITED:
            length, content = _read_varint(view, content)
            stop = content + length
        elif kind == 0:
            _, stop = _read_varint(view, content)
        else:
            stop = content + (8 if kind == 1 else 4)
        yield key >> 3, place, content, stop
        place = stop


def _read_varint(view: memoryview, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = view[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
        shift += 7


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*found, value))


def _tag(number: int) -> bytes:
    return _varint(number << 3 | _LENGTH_DELIMITED)


def _start(name: str, array: NDArray[np.float32]) -> bytes:
    """The bytes of an initializer before its data."""
    header = TensorProto(dims=array.shape, data_type=TensorProto.FLOAT, name=name)
    inside: bytes = header.SerializeToString(deterministic=True) + _tag(_RAW_DATA) + _varint(array.nbytes)
    return _tag(_INITIALIZER) + _varint(len(inside) + array.nbytes) + inside


def _before_graph(model: onnx.ModelProto) -> bytes:
    return _serialized(model, lambda number: number < _GRAPH)


def _after_graph(model: onnx.ModelProto) -> bytes:
    return _serialized(model, lambda number: number > _GRAPH)


def _serialized(model: onnx.ModelProto, chosen: Callable[[int], bool]) -> bytes:
    """Some fields of a model."""
    part = onnx.ModelProto()
    for field, value in model.ListFields():
        if chosen(field.number):
            _copy_field(part, field.name, value)
    content: bytes = part.SerializeToString(deterministic=True)
    return content


def _copy_field(message: Message, name: str, value: Any) -> None:
    if isinstance(value, str | int | float | bytes):
        setattr(message, name, value)
    elif isinstance(value, Message):
        getattr(message, name).CopyFrom(value)
    else:
        getattr(message, name).extend(value)
