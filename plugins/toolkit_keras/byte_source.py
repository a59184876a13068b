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


class ByteSource(ABC):
    """Bytes that can be opened again and again, from any thread."""

    size: int

    @abstractmethod
    def open(self) -> BinaryIO:
        """A new stream over all the bytes, at their beginning."""

    def read_array(
        self, offset: int, shape: tuple[int, ...], dtype: np.dtype[Any], what: str
    ) -> NDArray[Any]:
        """Read a contiguous array straight into its memory.

        Args:
            offset: Of its first byte.
            what: Name of the tensor, for error messages.

        Raises:
            UnreadableInputError: If the bytes end too early.
        """
        array = np.empty(shape, dtype)
        left = memoryview(array.reshape(-1).view(np.uint8).data)
        with self.open() as stream:
            stream.seek(offset)
            while left:
                count = stream.readinto(left)  # type: ignore[attr-defined]
                if not count:
                    raise UnreadableInputError(
                        f"{what} ends after the end of the file", hint="download or create it again"
                    )
                left = left[count:]
        return array


class FileBytes(ByteSource):
    """A file, or a part of one, as it was when it was first opened.

    Args:
        path: The file.
        start: Where the part begins.
        size: How long it is; None for all that follows.
    """

    def __init__(self, path: Path, start: int = 0, size: int | None = None) -> None:
        self._path = path
        with open_file(path) as stream:
            self._state = _state(stream)
            length = os.fstat(stream.fileno()).st_size
        self._start = start
        self.size = length - start if size is None else size
        if self.size < 0 or start + self.size > length:
            raise UnreadableInputError(f"{path.name}: it was cut off", hint="download or create it again")

    def open(self) -> BinaryIO:
        """A stream over the part, if the file has not changed."""
        stream = open_file(self._path)
        if _state(stream) != self._state:
            stream.close()
            raise UnreadableInputError(
                f"{self._path.name} has changed since it was opened", hint="read it again"
            )
        return _FilePart(stream, self._start, self.size)  # type: ignore[return-value]


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
        super().__init__()
        self._stream = stream
        self._start = start
        self._size = size
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        wanted = min(len(view), max(0, self._size - self._position))
        self._stream.seek(self._start + self._position)
        count = self._stream.readinto(view[:wanted])  # type: ignore[attr-defined]
        self._position += count
        return int(count)

    def close(self) -> None:
        self._stream.close()
        super().close()


def open_file(path: Path) -> BinaryIO:
    """Open a file for reading, unbuffered.

    Raises:
        MissingInputError: If there is none.
        StorageError: If it cannot be opened.
    """
    try:
        return path.open("rb", buffering=0)
    except FileNotFoundError as error:
        raise MissingInputError(f"{path.name}: no such file", hint="see `toolkit models find`") from error
    except OSError as error:
        raise StorageError(f"{path.name} cannot be opened: {error.strerror}") from error


def _state(stream: BinaryIO) -> tuple[int, ...]:
    found = os.fstat(stream.fileno())
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
