"""The bytes of an HDF5 file: a file, a part of one, or memory."""

from __future__ import annotations

import io
import os
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import MissingInputError, StorageError, UnreadableInputError
from toolkit.store.opening import state_of
from toolkit_keras.file_errors import damaged_file


class ByteSource(ABC):
    """Bytes that can be opened again and again, from any thread."""

    size: int

    @abstractmethod
    def open(self) -> BinaryIO:
        """A new stream over all the bytes, at their beginning."""

    def read_array(
        self, offset: int, shape: tuple[int, ...], dtype: np.dtype[Any], what: str
    ) -> NDArray[Any]:
        """Read a contiguous array straight into its memory; ``what`` is the tensor's name."""
        array = np.empty(shape, dtype)
        left = memoryview(array.reshape(-1).view(np.uint8).data)
        with self.open() as stream:
            stream.seek(offset)
            while left:
                count = stream.readinto(left)  # type: ignore[attr-defined]
                if not count:
                    raise damaged_file(f"{what} ends after the end of the file")
                left = left[count:]
        return array


class FileBytes(ByteSource):
    """A file, or ``size`` bytes of it from ``start``, as it was when it was first opened."""

    def __init__(self, path: Path, start: int = 0, size: int | None = None) -> None:
        self._path = path
        with _open(path) as stream:
            status = os.fstat(stream.fileno())
        self._state, length = state_of(status), status.st_size
        self._start = start
        self.size = length - start if size is None else size
        self._whole = self.size == length
        if self.size < 0 or start + self.size > length:
            raise damaged_file("it was cut off")

    def open(self) -> BinaryIO:
        """A stream over the part, if the file has not changed."""
        stream = _open(self._path)
        if state_of(os.fstat(stream.fileno())) != self._state:
            stream.close()
            raise UnreadableInputError("it has changed since it was opened", hint="read it again")
        # A whole file is read without a step through Python for each read.
        return stream if self._whole else _FilePart(stream, self._start, self.size)  # type: ignore[return-value]


class MemoryBytes(ByteSource):
    """Bytes in memory."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.size = len(content)

    def open(self) -> BinaryIO:
        """A stream over the bytes."""
        return io.BytesIO(self._content)


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
        return io.FileIO(path)
    except FileNotFoundError as error:
        raise MissingInputError("no such file", hint="see `toolkit models find`") from error
    except OSError as error:
        raise StorageError(f"it cannot be opened: {error.strerror}") from error
