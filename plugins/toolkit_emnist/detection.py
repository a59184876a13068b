"""Finds EMNIST's files anywhere below a folder."""

from __future__ import annotations

import itertools
import os
import re
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from toolkit.types import DatasetSource
from toolkit_emnist.mapping import STANDARD

LOADER = "emnist"
MAX_DEPTH = 6
MAX_ENTRIES = 20_000
_MOST_COPIES = 30

# In the order in which they are taken where several stand side by side: the fastest first.
LAYOUTS = ("IDX", "IDX.gz", "CSV", "CSV.gz")
RANKS = {"byclass": 10, "bymerge": 11, "balanced": 12, "letters": 13, "digits": 14, "mnist": 15}
_RANK_OF_OTHERS = 20
_WITHOUT_TRAIN = 50

_DATA_NAME = re.compile(
    r"emnist-(?P<variant>[a-z0-9_]{1,32})-(?P<part>train|test)"
    r"(?:(?P<csv>\.csv)|-(?P<idx>images|labels)[-.]idx[13]-ubyte)(?P<gzip>\.gz)?",
    re.IGNORECASE,
)
_MAPPING_NAME = re.compile(r"emnist-(?P<variant>[a-z0-9_]{1,32})-mapping\.txt", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Part:
    """One part of a variant in one layout in one folder: a CSV file or a pair of IDX files."""

    layout: str
    folder: Path
    depth: int
    files: dict[str, Path]  # "" for a CSV file, "images" and "labels" for IDX


def detect(folder: Path) -> Sequence[DatasetSource]:
    """The variants that stand in a folder or below it, best first.

    Where a variant stands there several times, both parts from one folder are preferred, then
    the folder nearest to the top, then both parts in one layout, then IDX before CSV and plain
    before gzip (the fastest to read first).
    """
    parts: dict[tuple[str, str], dict[tuple[Path, str], _Part]] = {}
    mappings: dict[tuple[str, Path], Path] = {}
    for path, depth in _files_below(folder):
        if match := _MAPPING_NAME.fullmatch(path.name):
            mappings[match["variant"].lower(), path.parent] = path
        elif match := _DATA_NAME.fullmatch(path.name):
            layout = ("CSV" if match["csv"] else "IDX") + (".gz" if match["gzip"] else "")
            found = parts.setdefault((match["variant"].lower(), match["part"].lower()), {})
            part = found.setdefault((path.parent, layout), _Part(layout, path.parent, depth, {}))
            part.files.setdefault((match["idx"] or "").lower(), path)
    sources = [_source(variant, parts, mappings) for variant in sorted({variant for variant, _ in parts})]
    return sorted((source for source in sources if source), key=lambda source: (source.rank, source.name))


def _files_below(folder: Path) -> Iterator[tuple[Path, int]]:
    """Files, nearest first; follows no link to a folder, looks into no hidden folder, and ends."""
    waiting = deque([(folder, 0)])
    left = MAX_ENTRIES
    while waiting and left > 0:
        here, depth = waiting.popleft()
        try:
            with os.scandir(here) as listing:
                entries = sorted(itertools.islice(listing, left), key=lambda entry: entry.name)
        except OSError:
            continue  # a folder that is not there, or not ours to read, holds nothing for us
        left -= len(entries)
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                if depth < MAX_DEPTH and not entry.name.startswith("."):
                    waiting.append((here / entry.name, depth + 1))
            elif _is_file(entry):
                yield here / entry.name, depth


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:
        return False  # a link that leads to itself, or where we may not look


def _source(
    variant: str,
    parts: dict[tuple[str, str], dict[tuple[Path, str], _Part]],
    mappings: dict[tuple[str, Path], Path],
) -> DatasetSource | None:
    trains, tests = _whole(parts, variant, "train"), _whole(parts, variant, "test")
    train, test = min(itertools.product(trains, tests), key=_preference)
    folders = [part.folder for part in (train, test) if part]
    mapping = next((mappings[variant, folder] for folder in folders if (variant, folder) in mappings), None)
    if not folders or (mapping is None and variant not in STANDARD):
        return None
    files: dict[str, Path] = {}
    for name, part in (("train", train), ("test", test)):
        if part:
            files |= {f"{name}-{key}" if key else name: path for key, path in sorted(part.files.items())}
    if mapping:
        files["mapping"] = mapping
    rank = RANKS.get(variant, _RANK_OF_OTHERS) + (0 if train else _WITHOUT_TRAIN)
    return DatasetSource(variant, LOADER, _summary(variant, train, test), files, rank)


def _whole(
    parts: dict[tuple[str, str], dict[tuple[Path, str], _Part]], variant: str, name: str
) -> list[_Part | None]:
    found = parts.get((variant, name), {}).values()
    whole = [part for part in found if "" in part.files or {"images", "labels"} <= part.files.keys()]
    nearest = sorted(whole, key=lambda part: (part.depth, str(part.folder), LAYOUTS.index(part.layout)))
    return [*nearest[:_MOST_COPIES], None]


def _preference(pair: tuple[_Part | None, _Part | None]) -> tuple[object, ...]:
    train, test = pair
    there = [part for part in pair if part]
    return (
        train is None,
        test is None,
        len({part.folder for part in there}),
        [part.depth for part in there],
        len({part.layout for part in there}),
        [LAYOUTS.index(part.layout) for part in there],
        [str(part.folder) for part in there],
    )


def _summary(variant: str, train: _Part | None, test: _Part | None) -> str:
    classes = f"{len(STANDARD[variant])} classes" if variant in STANDARD else "classes of its own"
    layouts = {part.layout: None for part in (train, test) if part}
    missing = "" if train and test else f", no {'test' if train else 'train'} file"
    return f"{classes}, {' and '.join(layouts)}{missing}"
