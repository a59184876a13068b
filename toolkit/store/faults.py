"""What an operating system's error means for a file of ours, and what to do about it."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path

from toolkit.errors import StorageError

_HINTS = {
    errno.ENOSPC: "free some space on the disk that holds it",
    errno.EDQUOT: "your disk quota is used up: delete something or ask for more",
    errno.EFBIG: "a limit on file sizes stopped it: see `ulimit -f`, or use another file system",
    errno.EACCES: "you may not do that there: change the permissions or choose another place",
    errno.EPERM: "you may not do that there: change the permissions or choose another place",
    errno.EROFS: "the file system is mounted read-only: choose another place",
    errno.EIO: "the disk reports a fault: look at the system's log and choose another disk",
    errno.EMFILE: "too many files are open: raise `ulimit -n`",
    errno.ENFILE: "too many files are open on this machine: close some programs",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.EISDIR: "a folder has this name: choose another name or remove it",
    errno.ENOTDIR: "one of its folders is a file: choose another place",
    errno.ENOENT: "its folder went away meanwhile: try again",
}
_HINT = "what was there before is untouched: try again or choose another place"

# HDF5 keeps the number of the error in the text of its own exceptions.
_ERRNO_IN_TEXT = re.compile(r"\berrno = (\d+)")


def errno_of(error: BaseException) -> int | None:
    """The operating system's error number behind an exception, if there is one.

    Returns:
        As in :mod:`errno`; None for an exception that no disk caused.
    """
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    if isinstance(error, (OSError, RuntimeError)):
        found = _ERRNO_IN_TEXT.search(str(error))
        if found:
            return int(found.group(1))
    return None


def storage_error(error: BaseException, path: Path, doing: str = "was not written") -> StorageError:
    """Say which file of ours an operating system's error hit, and what to do.

    Args:
        error: What was caught.
        path: The file as the user knows it, never a staging name.
        doing: What did not happen to it.

    Returns:
        To be raised from ``error``.
    """
    number = errno_of(error)
    # Without a number the words are a library's own, and may name the staging file.
    reason = os.strerror(number) if number is not None else "the operating system refused"
    return StorageError(f"{path} {doing}: {reason}", hint=_HINTS.get(number or 0, _HINT))
