"""HDF5's global heaps, checked before HDF5 reads them.

Texts in attributes are stored in global heaps: sequences of objects, each with its length. In a
damaged heap an object may have the length 0, and HDF5 1.14 then steps from it to itself for ever,
in C code that nothing can interrupt. One flipped bit is enough.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

from toolkit_keras.byte_source import ByteSource
from toolkit_keras.file_errors import damaged_file

_SIGNATURE = b"GCOL"
_COLLECTION = struct.Struct("<4sB3sQ")
_OBJECT = struct.Struct("<HHIQ")
_CHUNK = 8 << 20
_LARGEST = 64 << 20


def check_global_heaps(source: ByteSource) -> None:
    """Follow every global heap of an HDF5 file as HDF5 does."""
    with source.open() as stream:
        for start in list(_places(stream)):
            if not _is_sound(stream, start, source.size):
                raise damaged_file(f"the heap of texts at byte {start:,} is damaged")


def _places(stream: BinaryIO) -> Iterator[int]:
    """Offsets of heaps: wherever there is their signature."""
    position, tail = 0, b""
    stream.seek(0)
    while chunk := stream.read(_CHUNK):
        part = tail + chunk
        found = part.find(_SIGNATURE)
        while found >= 0:
            yield position - len(tail) + found
            found = part.find(_SIGNATURE, found + 1)
        position += len(chunk)
        tail = part[-len(_SIGNATURE) + 1 :]


def _is_sound(stream: BinaryIO, start: int, size: int) -> bool:
    """Whether HDF5 reaches the heap's end, or refuses it by itself."""
    stream.seek(start)
    head = stream.read(_COLLECTION.size)
    if len(head) < _COLLECTION.size:
        return True
    _, version, _, length = _COLLECTION.unpack(head)
    if version != 1 or start + length > size:
        return True
    if length > _LARGEST:
        return False
    content = head + stream.read(max(0, length - len(head)))
    position = _COLLECTION.size
    while position + _OBJECT.size <= length:
        index, _, _, bytes_in_it = _OBJECT.unpack_from(content, position)
        step = bytes_in_it if index == 0 else _OBJECT.size + (bytes_in_it + 7) // 8 * 8
        if step == 0 or position + step > length:
            return False
        position += step
    return True
