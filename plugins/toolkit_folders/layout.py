"""Which folders are data sets, and which of their folders are which classes."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path

from toolkit.errors import LimitReachedError, UnreadableInputError
from toolkit.store import walk_folders
from toolkit.types import DatasetSource

MAX_PICTURES = 200_000
HOW_TO_NAME = "a class folder is named by its character (A), or as upper_A, lower_a or U+0041"

_PARTS = ("train", "test")
_RANK, _RANK_WITHOUT_TRAIN = 100, 150
_ENTRIES_PROBED = 1_000
_CODE_POINT = re.compile(r"U\+([0-9a-f]{4,6})", re.IGNORECASE)
_WITH_CASE = re.compile(r"(upper|lower)_(.)|(.)_(upper|lower)")


def class_of(name: str) -> str | None:
    """The character that a folder's name means; None if it is not the name of a class.

    ``A``, ``upper_A``, ``A_upper`` and ``U+0041`` are A. The longer names are for characters that a
    file system cannot distinguish or does not allow.
    """
    character = unicodedata.normalize("NFC", name)
    if match := _CODE_POINT.fullmatch(name):
        code = int(match[1], 16)
        character = chr(code) if code <= 0x10FFFF else ""
    elif match := _WITH_CASE.fullmatch(character):
        letter = match[2] or match[3]
        character = letter.upper() if "upper" in match.groups() else letter.lower()
    visible = len(character) == 1 and character.isprintable() and not character.isspace()
    return character if visible else None


def detect(folder: Path) -> Sequence[DatasetSource]:
    """Find the folders of pictures by class in a folder and below it; of one name, the nearest."""
    found: dict[str, DatasetSource] = {}
    for visited in walk_folders(folder):
        parts = _parts_of(visited.path, visited.folders)
        classes = {
            character
            for path in parts.values()
            for name in (visited.folders if path == visited.path else _listed(path)[1])
            if (character := class_of(name)) and _has_picture(path / name)
        }
        if len(classes) < 2:
            continue
        visited.folders.clear()
        missing = "".join(f", no {part} folder" for part in _PARTS if not {part, ""} & parts.keys())
        summary = f"{len(classes)} classes, pictures by folder{missing}"
        name = visited.path.name or visited.path.resolve().name
        rank = _RANK_WITHOUT_TRAIN if parts.keys() == {"test"} else _RANK
        found.setdefault(name, DatasetSource(name, "folders", summary, {"pictures": visited.path}, rank))
    return list(found.values())


def pictures_of(folder: Path) -> Mapping[str, Mapping[str, list[Path]]]:
    """The pictures of a data set by class, for ``train`` and ``test``, or for "" without parts."""
    parts: dict[str, dict[str, list[Path]]] = {}
    left = MAX_PICTURES
    for part, path in _parts_of(folder, _listed(folder)[1]).items():
        classes = parts.setdefault(part, {})
        for name in _listed(path)[1]:
            files, _ = _listed(path / name)
            pictures = [path / name / file for file in files if _is_picture(file)]
            if not pictures:
                continue
            character = class_of(name)
            if character is None or character in classes:
                problem = "is not named as a class" if character is None else f"is a second {character!r}"
                raise UnreadableInputError(f"{path / name}: {problem}", hint=HOW_TO_NAME)
            classes[character] = pictures
            left -= len(pictures)
            if left < 0:
                raise LimitReachedError(
                    f"{folder}: expected at most {MAX_PICTURES:,} pictures, received more"
                )
    return parts


def _parts_of(folder: Path, folders: Sequence[str]) -> dict[str, Path]:
    return {name.lower(): folder / name for name in folders if name.lower() in _PARTS} or {"": folder}


def _listed(folder: Path) -> tuple[list[str], list[str]]:
    """Names of the files and folders in a folder."""
    visited = next(walk_folders(folder, max_entries=2 * MAX_PICTURES), None)
    return (visited.files, visited.folders) if visited else ([], [])


def _has_picture(folder: Path) -> bool:
    try:
        with os.scandir(folder) as listing:
            return any(_is_picture(entry.name) for entry in islice(listing, _ENTRIES_PROBED))
    except OSError:
        return False


def _is_picture(name: str) -> bool:
    return name.lower().endswith((".png", ".jpg", ".jpeg")) and not name.startswith(".")
