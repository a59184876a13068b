"""Files are written whole or not at all."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from toolkit.errors import StorageError
from toolkit.store.faults import errno_of, storage_error
from toolkit.store.staging import folder_in_use, staging_path


@contextmanager
def publish(target: Path, *, verify: Callable[[Path], None] | None = None) -> Iterator[Path]:
    """Replace a file by a complete new one, or leave it as it is.

    The body writes to the path that it is given. Then the file is flushed to the disk, read back by
    ``verify``, moved onto the target in one step, and the folder is flushed. A process that is killed
    at any moment leaves the old file or the new one, and at worst a hidden staging file, which
    :func:`toolkit.store.staging.clean_staging` removes. A target that is a link is replaced; the file that it
    points to is not changed.

    Args:
        target: What to publish; a missing folder is created.
        verify: Reads the staging file and raises if it is wrong; the target is then unchanged.

    Yields a path beside the target that does not exist yet.

    Raises:
        StorageError: If the disk refuses, or nothing was written.
    """
    staging = staging_path(target)
    try:
        _make_folder(target.parent)
        with folder_in_use(target.parent) as folder:
            try:
                yield staging
                _settle(staging, target)
                if verify is not None:
                    verify(staging)
                os.replace(staging, target)  # noqa: PTH105 - one step of the protocol
            except BaseException:
                _discard(staging)
                raise
            try:
                _flush(folder)
            except OSError as error:
                doing = "is written and complete, but a power failure may bring back the old one"
                raise storage_error(error, target, doing) from error
    except (OSError, RuntimeError) as error:
        if errno_of(error) is None and not isinstance(error, OSError):
            raise
        raise storage_error(error, target) from error


def publish_bytes(target: Path, content: bytes) -> None:
    """Replace a file by these bytes, or leave it as it is.

    Raises:
        StorageError: If the disk refuses, or other bytes are read back.
    """

    def verify(staging: Path) -> None:
        if staging.read_bytes() != content:
            raise StorageError(
                f"{target} was not written: the disk returned other bytes than were written",
                hint="the disk is faulty: choose another disk",
            )

    with publish(target, verify=verify) as staging, staging.open("xb") as file:
        file.write(content)


def publish_text(target: Path, content: str) -> None:
    """Replace a file by this text in UTF-8, or leave it as it is; raises as :func:`publish_bytes`."""
    publish_bytes(target, content.encode())


def _make_folder(folder: Path) -> None:
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for new in reversed(missing):
        new.mkdir(exist_ok=True)
        descriptor = os.open(new.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            _flush(descriptor)
        finally:
            os.close(descriptor)


def _settle(staging: Path, target: Path) -> None:
    """Flush the staging file, with the permissions of the file that it replaces."""
    descriptor = _open_written(staging, target)
    try:
        with suppress(FileNotFoundError):
            old = os.lstat(target)
            mode = stat.S_IMODE(old.st_mode)
            if stat.S_ISREG(old.st_mode) and mode != stat.S_IMODE(os.fstat(descriptor).st_mode):
                os.fchmod(descriptor, mode)
        os.fsync(descriptor)
        # So that the check reads the disk and not the page cache.
        if hasattr(os, "posix_fadvise"):
            with suppress(OSError):
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)


def _open_written(staging: Path, target: Path) -> int:
    hint = "report this to the author of the model format or exporter"
    try:
        # A link is not followed: it would be published itself.
        kind = os.lstat(staging).st_mode
    except FileNotFoundError as error:
        raise StorageError(f"{target} was not written: its writer wrote no file", hint=hint) from error
    if not stat.S_ISREG(kind):
        what = {stat.S_IFLNK: "a link", stat.S_IFDIR: "a folder"}.get(stat.S_IFMT(kind), "a special file")
        raise StorageError(f"{target} was not written: its writer wrote {what}", hint=hint)
    return os.open(staging, os.O_RDONLY)


def _discard(staging: Path) -> None:
    # If this fails as well, `toolkit doctor` removes it later.
    with suppress(OSError):
        if staging.is_dir() and not staging.is_symlink():
            shutil.rmtree(staging)
        else:
            staging.unlink(missing_ok=True)


def _flush(folder: int) -> None:
    try:
        os.fsync(folder)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # this file system cannot flush folders
            raise
