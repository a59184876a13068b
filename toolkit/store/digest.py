"""Digests of files."""

from __future__ import annotations

import hashlib
from pathlib import Path

from toolkit.store.opening import open_file


def file_sha256(path: Path) -> str:
    """SHA-256 over a file's bytes, 64 hexadecimal digits; raises as :func:`open_file`."""
    with open_file(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
