"""Finds EMNIST's files anywhere below a folder."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from toolkit.errors import ToolkitError
from toolkit.store import walk_folders
from toolkit.types import DatasetSource
from toolkit_emnist.mapping import STANDARD, mapping_of

_MOST_COPIES = 30  # of one part, so that all pairs of train and test can be compared

# The fastest to read first.
_LAYOUTS = ("IDX", "IDX.gz", "CSV", "CSV.gz")
_RANKS = {variant: 10 + place for place, variant in enumerate(STANDARD)}
_RANK_OF_OTHERS = 20
_WITHOUT_TRAIN = 50

_DATA_NAME = re.compile(
    r"emnist-(?P<variant>[a-z0-9_]{1,32})-(?P<part>train|test)"
    r"(?:(?P<csv>\.csv)|-(?P<idx>images|labels)[-.]idx[13]-ubyte)(?P<gzip>\.gz)?",
    re.IGNORECASE,
)
_MAPPING_NAME = re.compile(r"emnist-(?P<variant>[a-z0-9_]{1,32})-mapping\.txt", re.IGNORECASE)


class _Part(NamedTuple):
    """One part of a variant in one layout in one folder: a CSV file or a pair of IDX files."""

    variant: str
    name: str
    depth: int
    folder: Path
    layout: str


_Files = dict[str, Path]  # "" for a CSV file, "images" and "labels" for IDX


def detect(folder: Path) -> Sequence[DatasetSource]:
    """Find the variants in a folder and below it, best first."""
    parts: dict[_Part, _Files] = {}
    mappings: dict[tuple[str, Path], Path] = {}
    for visited in walk_folders(folder):
        for name in visited.files:
            path = visited.path / name
            if match := _MAPPING_NAME.fullmatch(name):
                mappings[match["variant"].lower(), visited.path] = path
            elif match := _DATA_NAME.fullmatch(name):
                layout = ("CSV" if match["csv"] else "IDX") + (".gz" if match["gzip"] else "")
                names = match["variant"].lower(), match["part"].lower()
                part = _Part(*names, visited.depth, visited.path, layout)
                parts.setdefault(part, {}).setdefault((match["idx"] or "").lower(), path)
    whole = {part: files for part, files in parts.items() if "" in files or len(files) == 2}
    sources = [_source(variant, whole, mappings) for variant in sorted({part.variant for part in whole})]
    return sorted((source for source in sources if source), key=lambda source: (source.rank, source.name))


def _source(
    variant: str, parts: Mapping[_Part, _Files], mappings: Mapping[tuple[str, Path], Path]
) -> DatasetSource | None:
    copies: list[list[_Part | None]] = [
        [*sorted(part for part in parts if part[:2] == (variant, name))[:_MOST_COPIES], None]
        for name in ("train", "test")
    ]
    train, test = min(itertools.product(*copies), key=_preference)
    chosen = [part for part in (train, test) if part]
    files: _Files = {}
    for part in chosen:
        for key, path in sorted(parts[part].items()):
            files[f"{part.name}-{key}" if key else part.name] = path
        if mapping := mappings.get((variant, part.folder)):
            files.setdefault("mapping", mapping)
    if "mapping" not in files and variant not in STANDARD:
        return None
    described = f"{len(STANDARD[variant])} classes" if variant in STANDARD else "own classes"
    layouts = " and ".join(dict.fromkeys(part.layout for part in chosen))
    missing = "" if train and test else f", no {'test' if train else 'train'} file"
    rank = _RANKS.get(variant, _RANK_OF_OTHERS) + (0 if train else _WITHOUT_TRAIN)
    return DatasetSource(
        variant, "emnist", f"{described}, {layouts}{missing}", files, rank, _classes(variant, files)
    )


def _classes(variant: str, files: _Files) -> tuple[str, ...]:
    """The classes; none if the mapping file is wrong, which loading reports."""
    try:
        return mapping_of(variant, files.get("mapping")).classes
    except ToolkitError:
        return ()


def _preference(pair: tuple[_Part | None, ...]) -> tuple[object, ...]:
    """Both parts from one folder, the nearest one, in one layout, the fastest to read: in this order."""
    chosen = [part for part in pair if part]
    return (
        pair[0] is None,
        pair[1] is None,
        len({part.folder for part in chosen}),
        [part.depth for part in chosen],
        len({part.layout for part in chosen}),
        [_LAYOUTS.index(part.layout) for part in chosen],
        [str(part.folder) for part in chosen],
    )
