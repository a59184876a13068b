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
SUFFIXES = (".png", ".jpg", ".jpeg")
HOW_TO_NAME = "a class folder is named by its character (A), or as upper_A, lower_a or U+0041"

_PARTS = ("train", "test")
_RANK, _RANK_WITHOUT_TRAIN = 100, 150
_ENTRIES_PROBED = 1_000
_CODE_POINT = re.compile(r"U\+([0-9a-f]{4,6})", re.IGNORECASE)
_WITH_CASE = re.compile(r"(?P<case>upper|lower)_(?P<letter>.)|(?P<letter2>.)_(?P<case2>upper|lower)")


def class_of(name: str) -> str | None:
    """The character that a folder's name stands for; None if it is not the name of a class.

    ``A``, ``upper_A``, ``A_upper`` and ``U+0041`` are A. The longer names are for characters that a
    file system cannot distinguish or does not allow.
    """
    character = unicodedata.normalize("NFC", name)
    if match := _CODE_POINT.fullmatch(name):
        code = int(match[1], 16)
        character = chr(code) if code <= 0x10FFFF else ""
    elif match := _WITH_CASE.fullmatch(character):
        letter = match["letter"] or match["letter2"]
        character = letter.upper() if "upper" in (match["case"], match["case2"]) else letter.lower()
    visible = len(character) == 1 and character.isprintable() and not character.isspace()
    return character if visible else None


def detect(folder: Path) -> Sequence[DatasetSource]:
    """Find the folders of pictures by class in a folder and below it; of one name, the nearest."""
    found: dict[str, DatasetSource] = {}
    for visited in walk_folders(folder):
        parts = _parts_of(visited.path, visited.folders)
        classes = {
            character
            for name, path in parts.items()
            for sub in (visited.folders if path == visited.path else _folders_in(path))
            if (character := class_of(sub)) and _has_picture(path / sub)
        }
        if len(classes) < 2:
            continue
        visited.folders.clear()
        missing = [f", no {part} folder" for part in _PARTS if part not in parts and "" not in parts]
        name = visited.path.name or visited.path.resolve().name
        found.setdefault(
            name,
            DatasetSource(
                name,
                "folders",
                f"{len(classes)} classes, pictures by folder{''.join(missing)}",
                {"pictures": visited.path},
                _RANK if "test" not in parts or "train" in parts else _RANK_WITHOUT_TRAIN,
            ),
        )
    return list(found.values())


def pictures_of(folder: Path) -> Mapping[str, Mapping[str, list[Path]]]:
    """The pictures of a data set by class, by part: ``train``, ``test``, or ```` for both in one.

    Raises:
        UnreadableInputError: A folder with pictures is not named as a class, or two are one class.
        LimitReachedError: More than ``MAX_PICTURES``.
    """
    parts: dict[str, dict[str, list[Path]]] = {}
    left = MAX_PICTURES
    for part, path in _parts_of(folder, _folders_in(folder)).items():
        classes: dict[str, list[Path]] = {}
        for name in _folders_in(path):
            pictures = _pictures_in(path / name)
            if not pictures:
                continue
            left -= len(pictures)
            if left < 0:
                raise LimitReachedError(
                    f"{folder}: expected at most {MAX_PICTURES:,} pictures, received more"
                )
            character = class_of(name)
            if character is None or character in classes:
                problem = "is not named as a class" if character is None else f"is a second {character!r}"
                raise UnreadableInputError(f"{path / name}: {problem}", hint=HOW_TO_NAME)
            classes[character] = pictures
        parts[part] = classes
    return parts


def _parts_of(folder: Path, folders: Sequence[str]) -> dict[str, Path]:
    return {name.lower(): folder / name for name in folders if name.lower() in _PARTS} or {"": folder}


def _folders_in(folder: Path) -> list[str]:
    visited = next(walk_folders(folder), None)
    return visited.folders if visited else []


def _pictures_in(folder: Path) -> list[Path]:
    visited = next(walk_folders(folder, max_entries=2 * MAX_PICTURES), None)
    names = visited.files if visited else []
    return [folder / name for name in names if _is_picture(name)]


def _has_picture(folder: Path) -> bool:
    try:
        with os.scandir(folder) as listing:
            return any(_is_picture(entry.name) for entry in islice(listing, _ENTRIES_PROBED))
    except OSError:
        return False


def _is_picture(name: str) -> bool:
    return name.lower().endswith(SUFFIXES) and not name.startswith(".")
