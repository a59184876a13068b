"""What an operating system's error means for a file, and what to do about it."""

from __future__ import annotations

import errno
import os
import re
from contextlib import suppress
from pathlib import Path

from toolkit.errors import StorageError

_HINTS = {
    errno.ENOSPC: "free some space on its disk",
    errno.EDQUOT: "your disk quota is used up: delete something, or ask for more",
    errno.EFBIG: "it exceeds a limit on file sizes: see `ulimit -f`, or use another file system",
    errno.EACCES: "permission is missing: change it, or choose another folder",
    errno.EPERM: "permission is missing: change it, or choose another folder",
    errno.EROFS: "the file system is read-only: choose another folder",
    errno.EIO: "the disk reports a fault: see the system's log, and choose another disk",
    errno.EMFILE: "too many files are open: raise `ulimit -n`",
    errno.ENFILE: "too many files are open on this machine: close some programs",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.EISDIR: "a folder has this name: choose another name or remove it",
    errno.ENOTDIR: "one of its folders is a file: choose another folder",
    errno.ENOENT: "its folder was removed meanwhile: try again",
}
_HINT = "existing files are unchanged: try again, or choose another folder"

# HDF5 has the error number in the text of its exceptions.
_ERRNO_IN_TEXT = re.compile(r"\berrno = (\d+)")


def errno_of(error: BaseException) -> int | None:
    """The operating system's error number behind an exception; None if it has another cause."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    if isinstance(error, (OSError, RuntimeError)):
        found = _ERRNO_IN_TEXT.search(str(error))
        if found:
            return int(found.group(1))
    return None


def close_quietly(descriptor: int) -> None:
    """Close a file that was only read or locked; an error then means nothing for what was done."""
    with suppress(OSError):
        os.close(descriptor)


def storage_error(error: BaseException, path: Path, doing: str = "was not written") -> StorageError:
    """The error to raise for an operating system's error: which file, what failed, what to do.

    The path is the file as the user knows it, never a staging name.
    """
    number = errno_of(error)
    # Without a number, the text is a library's own and may name the staging file.
    reason = os.strerror(number) if number is not None else "the operating system refused"
    return StorageError(f"{path} {doing}: {reason}", hint=_HINTS.get(number or 0, _HINT))
