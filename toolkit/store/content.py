"""What a file is, from its content."""

from __future__ import annotations

import os
import struct
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from io import BufferedReader
from pathlib import Path

from toolkit.store.opening import open_file

HEAD = 4096
_MOST_DIRECTORY = 1 << 20
_MOST_FIELDS = 10_000
_DAMAGE = (zipfile.BadZipFile, struct.error, OSError, ValueError, EOFError, NotImplementedError)
_END_OF_ZIP = b"PK\x05\x06"
_ZIP = b"PK\x03\x04"


class FileContent:
    """An open file that is being recognised; nothing in it is decoded.

    Attributes:
        name: The file's name, without folders.
        size: In bytes.
        head: Its first 4096 bytes.
    """

    def __init__(self, stream: BufferedReader, name: str) -> None:
        self._stream = stream
        self.name = name
        self.size = os.fstat(stream.fileno()).st_size
        self.head = self.at(0, HEAD)

    def at(self, offset: int, length: int) -> bytes:
        """Bytes at an offset; fewer at the end of the file."""
        self._stream.seek(max(0, offset))
        return self._stream.read(length)

    @cached_property
    def members(self) -> tuple[str, ...]:
        """Names in a zip archive; only the first one if the archive is damaged, none if it is not one."""
        if not self.head.startswith(_ZIP):
            return ()
        length = int.from_bytes(self.head[26:28], "little")
        first = self.head[30 : 30 + length].decode("utf-8", "replace")
        tail = self.at(self.size - (1 << 16) - 22, (1 << 16) + 22)
        end = tail.rfind(_END_OF_ZIP)
        directory = int.from_bytes(tail[end + 12 : end + 16], "little")
        if end < 0 or directory > _MOST_DIRECTORY:
            return (first,)
        with suppress(*_DAMAGE):
            return tuple(zipfile.ZipFile(self._stream).namelist())
        return (first,)

    @cached_property
    def protobuf(self) -> tuple[tuple[int, int], ...]:
        """Numbers and wire types of the fields of a protobuf message, up to the first invalid one."""
        found: list[tuple[int, int]] = []
        position = 0
        while position < self.size and len(found) < _MOST_FIELDS:
            window = self.at(position, 20)
            key, used = varint(window)
            number, wire = key >> 3, key & 7
            if not used or not number:
                break
            value, width = varint(window[used:])
            step = {0: width, 1: 8, 2: width + value, 5: 4}.get(wire)
            if step is None or (wire in (0, 2) and not width):
                break
            found.append((number, wire))
            position += used + step
        return tuple(found)


def varint(data: bytes) -> tuple[int, int]:
    """A protobuf number and its length in bytes; (0, 0) if there is none."""
    value = 0
    for index, byte in enumerate(data[:10]):
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value, index + 1
    return 0, 0


@contextmanager
def content_of(path: Path, *, follow_links: bool = True) -> Iterator[FileContent]:
    """Open a file to recognise it; raises as :func:`toolkit.store.opening.open_file`."""
    with open_file(path, follow_links=follow_links) as stream:
        yield FileContent(stream, path.name)
