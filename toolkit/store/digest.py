"""Digests of files."""

from __future__ import annotations

import hashlib
from pathlib import Path

from toolkit.store.faults import storage_error
from toolkit.store.opening import open_file


def file_sha256(path: Path) -> str:
    """SHA-256 over a file's bytes.

    Returns:
        64 hexadecimal digits.

    Raises:
        MissingInputError: If there is no such file.
        UnreadableInputError: If it is no regular file, or permission is missing.
        StorageError: If the disk refuses.
    """
    with open_file(path) as file:
        try:
            return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise storage_error(error, path, "could not be read") from error
