"""The header of a safetensors file: names, types, shapes and places of its tensors, and its metadata.

A file is the header's length in eight bytes, the header as JSON, and the tensors' bytes, end to end.
It is parsed here, not by the library, which maps the file into memory: a mapped file that another
process cuts off ends the process that reads it.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from toolkit.errors import LimitReachedError, UnreadableInputError, UnsupportedError, shown
from toolkit.records import dataclass
from toolkit.store.byte_source import FileBytes
from toolkit.store.content import FileContent
from toolkit.store.limits import LARGEST_DOCUMENT, SizeBudget, written_size
from toolkit.store.opening import parse_json

ARCHITECTURE = "toolkit_architecture"
CARD = "toolkit_card"
DIALECT = "toolkit_dialect"

DTYPES: Mapping[str, np.dtype[Any]] = {
    name: np.dtype(code)
    for name, code in (
        *(("F64", "<f8"), ("F32", "<f4"), ("F16", "<f2"), ("BF16", "<u2")),
        *(("I64", "<i8"), ("I32", "<i4"), ("I16", "<i2"), ("I8", "i1")),
        *(("U64", "<u8"), ("U32", "<u4"), ("U16", "<u2"), ("U8", "u1"), ("BOOL", "?")),
    )
}
"""NumPy's types of the format's; NumPy has no bfloat16, the upper half of a float32."""

_LENGTH = struct.Struct("<Q")
_METADATA = "__metadata__"
_MOST_TENSORS = 20_000
_MOST_AXES = 16
_HINT = "the file is damaged; download or create it again"


@dataclass(frozen=True)
class StoredTensor:
    """One tensor's type, as the format names it, its shape, and the place of its first byte in the file."""

    kind: str
    shape: tuple[int, ...]
    offset: int

    @property
    def is_float(self) -> bool:
        """Whether its elements are floats."""
        return self.kind in ("F64", "F32", "F16", "BF16")


@dataclass(frozen=True)
class Header:
    """What a file's header says: tensors by name, in the order of their bytes, and texts by key."""

    tensors: Mapping[str, StoredTensor]
    metadata: Mapping[str, str]


def is_safetensors(content: FileContent) -> bool:
    """Whether it begins with the length of a header that is a JSON object."""
    length = int.from_bytes(content.head[:8], "little")
    return 2 <= length <= content.size - 8 and content.head[8:9] == b"{"


def read_header(source: FileBytes, path: Path) -> Header:
    """Read a header, and check that its tensors lie end to end and fill the file.

    Raises:
        UnreadableInputError: If it is damaged.
        UnsupportedError: If a tensor has a type that NumPy does not have.
        LimitReachedError: If it declares too much.
    """
    start = source.read_bytes(0, _LENGTH.size)
    if len(start) < _LENGTH.size:
        raise UnreadableInputError("it has no header", hint=_HINT)
    (length,) = _LENGTH.unpack(start)
    if length > LARGEST_DOCUMENT:
        raise LimitReachedError(f"its header is larger than the limit of {written_size(LARGEST_DOCUMENT)}")
    if length > source.size - _LENGTH.size:
        raise UnreadableInputError("it ends before the end of its header", hint=_HINT)
    document = parse_json(source.read_bytes(_LENGTH.size, length), path.name)
    if not isinstance(document, dict):
        raise UnreadableInputError("its header is not a JSON object", hint=_HINT)
    metadata = document.pop(_METADATA, None) or {}
    if not isinstance(metadata, dict) or not all(isinstance(text, str) for text in metadata.values()):
        raise UnreadableInputError("its metadata are not texts by key", hint=_HINT)
    if len(document) > _MOST_TENSORS:
        raise LimitReachedError(f"it declares {len(document):,} tensors, at most {_MOST_TENSORS:,} are read")
    return Header(_tensors(document, source, _LENGTH.size + length), metadata)


def _tensors(document: Mapping[str, Any], source: FileBytes, begin: int) -> dict[str, StoredTensor]:
    budget = SizeBudget(source.stored)
    found = {}
    for name, entry in document.items():
        match entry:
            case {"dtype": str(kind), "shape": list(shape), "data_offsets": [int(first), int(last)]} if all(
                type(size) is int and 0 <= size < 1 << 48 for size in shape
            ):
                pass
            case _:
                raise UnreadableInputError(f"tensor {shown(name)} has no type, shape and place", hint=_HINT)
        if kind not in DTYPES:
            raise UnsupportedError(
                f"tensor {shown(name)} is of type {shown(kind)}", hint=f"supported: {', '.join(DTYPES)}"
            )
        if len(shape) > _MOST_AXES:
            raise UnsupportedError(f"tensor {shown(name)} has {len(shape)} axes", hint="supported: 16")
        size = math.prod(shape) * DTYPES[kind].itemsize
        if last - first != size:
            raise UnreadableInputError(
                f"tensor {shown(name)} of shape {shape} and type {kind} does not have {last - first:,} bytes",
                hint=_HINT,
            )
        budget.add(size, f"tensor {name}")
        found[name] = first, last, StoredTensor(kind, tuple(shape), begin + first)
    expected = 0
    ordered = sorted(found.items(), key=lambda item: item[1][:2])
    for name, (first, last, _) in ordered:
        if first != expected:
            raise UnreadableInputError(
                f"tensor {shown(name)} overlaps another one, or follows a gap", hint=_HINT
            )
        expected = last
    if begin + expected != source.size:
        raise UnreadableInputError(
            f"its tensors end at byte {begin + expected:,}, the file has {source.size:,}", hint=_HINT
        )
    return {name: tensor for name, (_, _, tensor) in ordered}
