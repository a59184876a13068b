"""Digests of files."""

from __future__ import annotations

import hashlib
from pathlib import Path

from toolkit.errors import MissingInputError
from toolkit.store.faults import storage_error


def file_sha256(path: Path) -> str:
    """SHA-256 over a file's bytes.

    Returns:
        64 hexadecimal digits.

    Raises:
        MissingInputError: If there is no such file.
        StorageError: If it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError as error:
        raise MissingInputError(f"{path}: there is no such file", hint="check the path") from error
    except OSError as error:
        raise storage_error(error, path, "could not be read") from error
