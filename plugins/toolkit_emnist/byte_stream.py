"""A file's bytes, decompressed if it is gzip, in bounded memory."""

from __future__ import annotations

from functools import partial
from io import BufferedReader
from pathlib import Path

from isal import isal_zlib
from isal.igzip_lib import IsalError

from toolkit.errors import UnreadableInputError

_GZIP_MAGIC = b"\x1f\x8b"
_GZIP_WINDOW = 31  # zlib's code for "a gzip header and trailer, largest window"
_COMPRESSED_READ = 64 * 1024  # what is left of it is copied with each piece

DOWNLOAD_AGAIN = "the file is damaged or was not copied whole: copy or download it again"
damaged = partial(UnreadableInputError, hint=DOWNLOAD_AGAIN)


class BrokenStreamError(UnreadableInputError):
    """A stream that cannot be read to its end; ``received`` bytes of the target were filled."""

    def __init__(self, path: Path, reason: str, received: int) -> None:
        super().__init__(f"{path}: {reason}", hint=DOWNLOAD_AGAIN)
        self.reason = reason
        self.received = received


class ByteStream:
    """The bytes of a file, or those in a gzip file of one or more members."""

    def __init__(self, file: BufferedReader, path: Path) -> None:
        self._compressed = file.peek(2)[:2] == _GZIP_MAGIC
        self._file = file
        self._path = path
        self._member = isal_zlib.decompressobj(_GZIP_WINDOW)
        self._waiting = b""
        self._inside_member = False

    def read_into(self, target: memoryview) -> int:
        """Fill ``target``; returns the number of bytes, fewer than fit only at the end of the stream."""
        if not self._compressed:
            return self._file.readinto(target)
        done = 0
        while done < len(target):
            self._waiting = self._waiting or self._file.read(_COMPRESSED_READ)
            if not self._waiting and not self._inside_member:
                break
            end_of_file = not self._waiting
            try:
                piece = self._member.decompress(self._waiting, len(target) - done)
            except IsalError as error:  # type: ignore[misc]  # isal's stubs take the class for an instance
                reason = f"data not readable as gzip near compressed byte {self._file.tell():,}: {error}"
                raise BrokenStreamError(self._path, reason, done) from error
            if end_of_file and not piece:
                ends = f"the file ends after {self._file.tell():,} bytes, inside its compressed data"
                raise BrokenStreamError(self._path, f"truncated gzip: {ends}", done)
            target[done : done + len(piece)] = piece
            done += len(piece)
            self._waiting = self._member.unconsumed_tail
            self._inside_member = not self._member.eof
            if self._member.eof:
                # Another member may follow, and zeros may pad the end.
                self._waiting = self._member.unused_data.lstrip(b"\0")
                self._member = isal_zlib.decompressobj(_GZIP_WINDOW)
        return done
