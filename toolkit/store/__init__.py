"""Files: opening, publishing, digests, locks, finding."""

from __future__ import annotations

from toolkit.store.find import FoundFile, find_files
from toolkit.store.locks import exclusive
from toolkit.store.opening import file_sha256
from toolkit.store.publish import publish, publish_bytes, publish_text
from toolkit.store.walk import walk_folders
from toolkit.store.workspace import Workspace

__all__ = [
    "FoundFile",
    "Workspace",
    "exclusive",
    "file_sha256",
    "find_files",
    "publish",
    "publish_bytes",
    "publish_text",
    "walk_folders",
]
