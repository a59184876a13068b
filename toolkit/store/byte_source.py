"""The bytes of an untrusted file: a file, a part of one, or memory.

Nothing is memory-mapped. A file that another process cuts off while it is mapped, as Keras does when it
saves over it, ends the process that touches the map with SIGBUS, which Python cannot handle; and one that
is rewritten changes arrays that were already checked. A map saves 0.3 ms for each megabyte
(benchmarks/read.py), less than any use of the tensor costs: its digest alone takes three times as much.
"""

from __future__ import annotations

import io
import os
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import ToolkitError, UnreadableInputError
from toolkit.store.opening import open_descriptor, state_of

_BLOCK = 1 << 20  # stays in the cache from being cleared until it is filled
_DAMAGED = "the file is damaged; download or create it again"


class ByteSource(ABC):
    """Bytes that can be opened again and again, from any thread. Its errors do not name the file.

    Attributes:
        size: Number of bytes.
        stored: Size of the whole file that they come from, which may be compressed.
    """

    size: int
    stored: int

    @abstractmethod
    def open(self) -> BinaryIO:
        """A new stream over all the bytes, at their beginning."""

    @abstractmethod
    def _read_into(self, memory: memoryview, offset: int) -> int:
        """Fill the memory with the bytes from an offset on; returns how many there were."""

    def read_array(
        self, offset: int, shape: tuple[int, ...], dtype: np.dtype[Any], what: str
    ) -> NDArray[Any]:
        """Read a contiguous array straight into its memory; ``what`` is the tensor's name.

        Raises:
            UnreadableInputError: If the file ends before the array, or has changed.
        """
        array = np.empty(shape, dtype)
        memory = memoryview(array.reshape(-1).view(np.uint8).data)
        if self._read_into(memory, offset) < len(memory):
            raise UnreadableInputError(f"{what} ends after the end of the file", hint=_DAMAGED)
        return array

    def read_bytes(self, offset: int, size: int) -> bytes:
        """``size`` bytes from an offset on, fewer at the end."""
        memory = bytearray(max(0, min(size, self.size - offset)))
        return bytes(memory[: self._read_into(memoryview(memory), offset)])


class FileBytes(ByteSource):
    """A regular file, or ``size`` bytes of it from ``start``, as it was when it was first opened."""

    def __init__(self, path: Path, start: int = 0, size: int | None = None) -> None:
        self._path = path
        with _open(path) as stream:
            status = os.fstat(stream.fileno())
        self._state, self.stored = state_of(status), status.st_size
        self._start = start
        self.size = self.stored - start if size is None else size
        if self.size < 0 or start + self.size > self.stored:
            raise UnreadableInputError("it was cut off", hint=_DAMAGED)

    def open(self) -> BinaryIO:
        """A stream over the part, if the file has not changed."""
        stream = _open(self._path)
        try:
            self._require_unchanged(stream)
        except ToolkitError:
            stream.close()
            raise
        # A whole file is read without a step through Python for each read.
        whole = self.size == self.stored
        return stream if whole else _FilePart(stream, self._start, self.size)  # type: ignore[return-value]

    def _read_into(self, memory: memoryview, offset: int) -> int:
        done, memory = 0, memory[: max(0, self.size - offset)]
        with _open(self._path) as stream:
            self._require_unchanged(stream)
            while done < len(memory):
                part = memory[done : done + _BLOCK]
                count = os.preadv(stream.fileno(), [part], self._start + offset + done)
                if not count:
                    break
                done += count
            self._require_unchanged(stream)
        return done

    def _require_unchanged(self, stream: BinaryIO) -> None:
        if state_of(os.fstat(stream.fileno())) != self._state:
            raise UnreadableInputError("it has changed since it was opened", hint="read it again")


class MemoryBytes(ByteSource):
    """Bytes in memory, which were unpacked from a file of ``stored`` bytes."""

    def __init__(self, content: bytes, stored: int) -> None:
        self._content = content
        self.size = len(content)
        self.stored = stored

    def open(self) -> BinaryIO:
        """A stream over the bytes."""
        return io.BytesIO(self._content)

    def _read_into(self, memory: memoryview, offset: int) -> int:
        part = memoryview(self._content)[offset : offset + len(memory)]
        memory[: len(part)] = part
        return len(part)


class _FilePart(io.RawIOBase):
    """A part of a file as a file."""

    def __init__(self, stream: BinaryIO, start: int, size: int) -> None:
        self._stream = stream
        self._start = start
        self._size = size
        stream.seek(start)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self.tell(), os.SEEK_END: self._size}[whence]
        return self._stream.seek(self._start + max(0, base + offset)) - self._start

    def tell(self) -> int:
        return self._stream.tell() - self._start

    def readinto(self, buffer: Any) -> int:
        left = max(0, self._size - self.tell())
        return int(self._stream.readinto(memoryview(buffer).cast("B")[:left]))  # type: ignore[attr-defined]

    def close(self) -> None:
        self._stream.close()
        super().close()


def _open(path: Path) -> BinaryIO:
    try:
        return io.FileIO(open_descriptor(path))
    except ToolkitError as error:
        raise type(error)(error.message.removeprefix(f"{path}: "), hint=error.hint) from error
