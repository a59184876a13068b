"""An ONNX file's protobuf, read field by field: the data of large tensors stays in the file.

Protobuf's own parser copies all of a file into objects: empty nodes of two bytes take a hundred
times as much, and a network of 300 MB is in memory twice before one tensor is used. Here the fields are
counted before they are parsed, and large float tensors are parsed without their data.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import onnx
from google.protobuf.descriptor import Descriptor, FieldDescriptor  # type: ignore[import-untyped]
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper

from toolkit.errors import LimitReachedError, UnreadableInputError
from toolkit.graph.onnx_form import is_large_float
from toolkit.records import dataclass
from toolkit.store.byte_source import ByteSource
from toolkit.store.content import varint

MAX_FIELDS = 300_000
"""Of all messages in the file but the elements of tensors; a network of 1,000 nodes has 20,000."""

_MAX_DEPTH = 100  # of messages inside one another, as in protobuf itself
_LONGEST_KEY = 20
_BYTES = 2  # the wire type of messages, texts and packed numbers
_GRAPH = onnx.ModelProto.GRAPH_FIELD_NUMBER
_INITIALIZER = onnx.GraphProto.INITIALIZER_FIELD_NUMBER
_RAW_DATA = TensorProto.RAW_DATA_FIELD_NUMBER


@dataclass(frozen=True)
class OnnxFile:
    """A parsed file.

    Attributes:
        model: Its large float initializers have no data.
        stored: Offset and size in bytes of their data, by name.
    """

    model: onnx.ModelProto
    stored: Mapping[str, tuple[int, int]]
    source: ByteSource

    def is_stored(self, tensor: TensorProto) -> bool:
        """Whether a tensor's data is still in the file."""
        return tensor.name in self.stored and not tensor.HasField("raw_data")

    def array(self, tensor: TensorProto) -> NDArray[Any]:
        """A tensor's values, read from the file if they are there."""
        if not self.is_stored(tensor):
            return numpy_helper.to_array(tensor)
        offset, size = self.stored[tensor.name]
        if tensor.data_type == TensorProto.FLOAT:
            return self.source.read_array(offset, tuple(tensor.dims), np.dtype("<f4"), tensor.name)
        whole = TensorProto(
            data_type=tensor.data_type, dims=tensor.dims, raw_data=self.source.read_bytes(offset, size)
        )
        return numpy_helper.to_array(whole)


class _Field(NamedTuple):
    number: int
    wire: int
    start: int
    value: int
    end: int


def parse_onnx(source: ByteSource) -> OnnxFile:
    """Parse a file but for the data of its large float tensors.

    Raises:
        UnreadableInputError: If it is no protobuf of a model, or two of its tensors have one name.
        LimitReachedError: If it has more than :data:`MAX_FIELDS` fields.
    """
    outer: list[bytes] = []
    inner: list[bytes] = []
    tensors: list[TensorProto] = []
    stored: dict[str, tuple[int, int]] = {}
    counter = _Counter()
    with source.open() as raw:
        stream: BinaryIO = io.BufferedReader(raw)  # type: ignore[type-var]
        for field in _fields(stream, 0, source.size, counter):
            if (field.number, field.wire) != (_GRAPH, _BYTES):
                outer.append(_counted(stream, field, onnx.ModelProto.DESCRIPTOR, counter))
                continue
            for part in _fields(stream, field.value, field.end, counter):
                if (part.number, part.wire) == (_INITIALIZER, _BYTES):
                    tensors.append(_tensor(stream, part, counter, stored))
                else:
                    inner.append(_counted(stream, part, onnx.GraphProto.DESCRIPTOR, counter))
    model = onnx.ModelProto()
    _parse(model, outer)
    _parse(model.graph, inner)
    model.graph.initializer.extend(tensors)
    return OnnxFile(model, stored, source)


def _tensor(
    stream: BinaryIO, field: _Field, counter: _Counter, stored: dict[str, tuple[int, int]]
) -> TensorProto:
    parts: list[bytes] = []
    data: _Field | None = None
    for part in _fields(stream, field.value, field.end, counter):
        if (part.number, part.wire) == (_RAW_DATA, _BYTES):
            data = part
        else:
            parts.append(_counted(stream, part, TensorProto.DESCRIPTOR, counter))
    tensor = TensorProto()
    _parse(tensor, parts)
    if data is None:
        return tensor
    if not is_large_float(tensor):
        tensor.raw_data = _read(stream, data.value, data.end)
        return tensor
    if tensor.name in stored:
        raise UnreadableInputError(f"two tensors are called {tensor.name!r}", hint="export it again")
    if math.prod(tensor.dims) < 0 or tensor.float_data or tensor.double_data or tensor.int32_data:
        raise UnreadableInputError(f"tensor {tensor.name!r} holds its values twice", hint="export it again")
    stored[tensor.name] = (data.value, data.end - data.value)
    return tensor


def _parse(message: Any, parts: list[bytes]) -> None:
    try:
        message.ParseFromString(b"".join(parts))
    except DecodeError as error:
        raise _damaged() from error


def _damaged() -> UnreadableInputError:
    return UnreadableInputError("not an ONNX file, or a damaged one", hint="download it again")


class _Counter:
    """Counts fields before they are parsed."""

    def __init__(self) -> None:
        self._fields = 0

    def add(self) -> None:
        self._fields += 1
        if self._fields > MAX_FIELDS:
            raise LimitReachedError(
                f"its structure has more than {MAX_FIELDS:,} fields",
                hint="networks for characters are far smaller",
            )


def _fields(stream: BinaryIO, start: int, end: int, counter: _Counter) -> Iterator[_Field]:
    """The fields of a message between two offsets of a file."""
    while start < end:
        stream.seek(start)
        field = _field(stream.read(min(_LONGEST_KEY, end - start)), 0, start, end)
        counter.add()
        yield field
        start = field.end


def _field(data: bytes, place: int, start: int, end: int) -> _Field:
    """The field that begins at a place in some bytes, which is ``start`` in the file."""
    key, used = varint(data[place : place + 10])
    number, wire = key >> 3, key & 7
    size, width = varint(data[place + used : place + used + 10]) if wire in (0, _BYTES) else (0, 0)
    if not used or not number or wire not in (0, 1, _BYTES, 5) or (wire in (0, _BYTES) and not width):
        raise _damaged()
    value = start + used + (width if wire == _BYTES else 0)
    finish = value + {0: width, 1: 8, _BYTES: size, 5: 4}[wire]
    if finish > end:
        raise _damaged()
    return _Field(number, wire, start, value, finish)


def _read(stream: BinaryIO, start: int, end: int) -> bytes:
    stream.seek(start)
    content = stream.read(end - start)
    if len(content) != end - start:
        raise _damaged()
    return content


def _counted(stream: BinaryIO, field: _Field, owner: Descriptor, counter: _Counter) -> bytes:
    """A field's bytes, after counting the fields of the message that it is."""
    content = _read(stream, field.start, field.end)
    waiting = [(field.value - field.start, len(content), _message(owner, field), 1)]
    while waiting:
        place, end, kind, depth = waiting.pop()
        if depth > _MAX_DEPTH:
            raise _damaged()
        while kind is not None and place < end:
            inner = _field(content, place, place, end)
            counter.add()
            below = _message(kind, inner)
            if below is not None and inner.value < inner.end:
                waiting.append((inner.value, inner.end, below, depth + 1))
            place = inner.end
    return content


def _message(owner: Descriptor, field: _Field) -> Descriptor | None:
    """The type of message that a field of ``owner`` is; None for numbers, texts and unknown fields."""
    known = owner.fields_by_number.get(field.number) if field.wire == _BYTES else None
    if known is None or known.type != FieldDescriptor.TYPE_MESSAGE:
        return None
    return known.message_type
