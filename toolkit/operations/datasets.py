"""Listing, showing, downloading and making data sets."""

from __future__ import annotations

import difflib
import os
import shutil
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from toolkit.declarations import DatasetSource, FetchRequest, MakeRequest
from toolkit.errors import MissingInputError, UsageError
from toolkit.host.kinds import DATASET_LOADERS
from toolkit.operations.resources import Resources
from toolkit.options import route_options
from toolkit.records import dataclass
from toolkit.requests.datasets import GetDataset, ListDatasets, MakeDataset, ShowDataset
from toolkit.store import exclusive, publish, walk_folders
from toolkit.vocabulary import Progress, SplitName

_MOST_FILES = 250_000
_SPLITS: tuple[SplitName, ...] = ("fit", "validation", "test")


@dataclass(frozen=True)
class FoundDataset:
    """A data set in a list; ``default`` is the one that is used if none is named."""

    name: str
    loader: str
    summary: str
    files: Mapping[str, Path]
    size: int
    default: bool


@dataclass(frozen=True)
class SplitCounts:
    """Number of images in a split, in all and for each class in the order of the classes."""

    images: int
    by_class: tuple[int, ...]


@dataclass(frozen=True)
class DatasetDetails:
    """A data set with the counts of its splits, and the reasons why others are missing."""

    dataset: FoundDataset
    classes: tuple[str, ...]
    splits: Mapping[SplitName, SplitCounts]
    missing: Mapping[SplitName, str]


@dataclass(frozen=True)
class WrittenDataset:
    """A data set that was downloaded or made."""

    name: str
    folder: Path
    files: tuple[Path, ...]


def list_datasets(
    toolkit: Resources, _request: ListDatasets | None = None, _progress: Progress | None = None
) -> tuple[FoundDataset, ...]:
    """List every data set in the workspace, the default one first."""
    sources = toolkit.data.sources()
    names = Counter(source.name for source in sources)
    found = []
    for number, source in enumerate(sources):
        unique = names[source.name] == 1 or source.loader == source.name
        name = source.name if unique else f"{source.loader}-{source.name}"
        found.append(_found(source, name, default=number == 0 and source.rank >= 0))
    return tuple(found)


def show_dataset(toolkit: Resources, request: ShowDataset, _progress: Progress) -> DatasetDetails:
    """Load a data set and count its images by split and class."""
    source = toolkit.data.find(request.name)
    loader = toolkit.data.loader_of(source)
    options = route_options(request.options, {"loader": loader.options})["loader"]
    splits: dict[SplitName, SplitCounts] = {}
    missing: dict[SplitName, str] = {}
    classes: tuple[str, ...] = ()
    for split in _SPLITS:
        try:
            dataset = toolkit.data.open(source, split, options)
        except MissingInputError as error:
            missing[split] = error.message
            continue
        classes = dataset.classes
        counts = np.bincount(dataset.labels, minlength=len(classes))
        splits[split] = SplitCounts(len(dataset), tuple(counts.tolist()))
    if not splits:
        raise MissingInputError(f"{source.name}: no part of it was found: {'; '.join(missing.values())}")
    listed = (dataset for dataset in list_datasets(toolkit) if dataset.files == source.files)
    found = next(listed, None) or _found(source, source.name, default=False)
    return DatasetDetails(found, classes, splits, missing)


def get_dataset(toolkit: Resources, request: GetDataset, progress: Progress) -> WrittenDataset:
    """Download a data set.

    Raises:
        UsageError: No loader can fetch it; lists what there is.
        MissingInputError: The server cannot be reached.
        DamagedFileError: What was downloaded has another size or digest.
        BusyError: Another process downloads into the same folder.
    """
    loaders = toolkit.catalog.all(DATASET_LOADERS)
    fetchable = {known: loader for loader in loaders.values() for known in loader.fetchable}
    loader = fetchable.get(request.variant)
    if loader is None or loader.fetch is None:
        raise _unknown("downloaded", request.variant, list(fetchable), "get")
    folder = request.out or toolkit.workspace.datasets
    with exclusive(folder / f"{loader.name}-download"):
        files = loader.fetch(FetchRequest(request.variant, folder, progress, request.url))
    return WrittenDataset(request.variant, folder, tuple(files))


def make_dataset(toolkit: Resources, request: MakeDataset, progress: Progress) -> WrittenDataset:
    """Write a computed data set as files that other tools read.

    Raises:
        UsageError: No loader makes it, or not with this format, seed or option; or a file exists
            and ``force`` is not given.
        BusyError: Another process writes into the same folder.
    """
    loaders = toolkit.catalog.all(DATASET_LOADERS)
    makers = {name: loader for name, loader in loaders.items() if loader.make is not None}
    loader = makers.get(request.name)
    if loader is None or loader.make is None:
        raise _unknown("made", request.name, list(makers), "make")
    options = route_options(request.options, {"loader": loader.options})["loader"]
    folder = request.out or toolkit.workspace.datasets
    staging = folder / ".toolkit" / f"{loader.name}-make"
    with exclusive(folder / staging.name):
        shutil.rmtree(staging, ignore_errors=True)  # of a process that was killed
        staging.mkdir()
        try:
            made = loader.make(MakeRequest(staging, request.format, request.seed, progress, options))
            files = {path: folder / path.relative_to(staging) for path in made}
            _publish_files(files, force=request.force)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    return WrittenDataset(request.name, folder, tuple(files.values()))


def _publish_files(files: Mapping[Path, Path], *, force: bool) -> None:
    for target in files.values():
        if os.path.lexists(target) and not force:
            raise UsageError(f"{target} exists", hint="choose another folder, or replace it with --force")
    for path, target in files.items():
        with publish(target) as place:
            path.replace(place)


def _found(source: DatasetSource, name: str, *, default: bool) -> FoundDataset:
    size = sum(map(_size, source.files.values()))
    return FoundDataset(name, source.loader, source.summary, source.files, size, default)


def _size(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    below = walk_folders(path, max_entries=_MOST_FILES)
    return sum((visited.path / name).stat().st_size for visited in below for name in visited.files)


def _unknown(done: str, name: str, known: list[str], command: str) -> UsageError:
    near = difflib.get_close_matches(name, known, n=1)
    return UsageError(
        f"data set {name!r} cannot be {done}; there are {', '.join(known) or 'none'}",
        hint=f"try `toolkit datasets {command} {near[0]}`" if near else "",
    )
