"""Listing, showing, downloading and making data sets."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from toolkit.declarations import DatasetLoader, FetchRequest, MakeRequest
from toolkit.errors import MissingInputError, StorageError, UsageError
from toolkit.host.kinds import DATASET_LOADERS
from toolkit.operations.toolkit import Toolkit
from toolkit.options import parse_options
from toolkit.store import exclusive
from toolkit.vocabulary import Progress, SplitName

SPLITS: tuple[SplitName, ...] = ("fit", "validation", "test")


@dataclass(frozen=True, slots=True)
class FoundDataset:
    """A data set in a list.

    Attributes:
        name: What the user types; with the loader before it where two loaders use the name.
        loader: Which loader found it.
        summary: One line.
        files: Where it stands, by part; empty where it is computed.
        size: Of its files, in bytes.
        default: Whether it is the one that is taken when none is named.
    """

    name: str
    loader: str
    summary: str
    files: Mapping[str, Path]
    size: int
    default: bool


@dataclass(frozen=True, slots=True)
class SplitCounts:
    """How many images a split has.

    Attributes:
        images: In all.
        by_class: For each class, in the order of the classes.
    """

    images: int
    by_class: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class DatasetDetails:
    """A data set, counted.

    Attributes:
        dataset: As it stands in the list.
        classes: Character by label.
        splits: What there is of fit, validation and test.
        missing: Why a split is not there, by split.
    """

    dataset: FoundDataset
    classes: tuple[str, ...]
    splits: Mapping[SplitName, SplitCounts]
    missing: Mapping[SplitName, str]


@dataclass(frozen=True, slots=True)
class WrittenDataset:
    """A data set that was downloaded or made.

    Attributes:
        name: Of the data set.
        folder: Where it is.
        files: What was written.
    """

    name: str
    folder: Path
    files: tuple[Path, ...]


def list_datasets(toolkit: Toolkit) -> tuple[FoundDataset, ...]:
    """Every data set in the workspace, the one that is taken by default first."""
    sources = toolkit.data.sources()
    default = next((source for source in sources if source.rank >= 0), None)
    names = Counter(source.name for source in sources)
    return tuple(
        FoundDataset(
            source.name
            if names[source.name] == 1 or source.loader == source.name
            else f"{source.loader}-{source.name}",
            source.loader,
            source.summary,
            source.files,
            _size(source.files),
            source is default,
        )
        for source in sources
    )


def show_dataset(toolkit: Toolkit, name: str | None) -> DatasetDetails:
    """Load a data set and count its images by split and class.

    Args:
        toolkit: Where it is looked for.
        name: As ``DataLibrary.find`` takes it; None for the default.

    Raises:
        MissingInputError: There is no such data set, or nothing of it.
        UnreadableInputError: A file of it is damaged.
    """
    source = toolkit.data.find(name)
    splits: dict[SplitName, SplitCounts] = {}
    missing: dict[SplitName, str] = {}
    classes: tuple[str, ...] = ()
    for split in SPLITS:
        try:
            dataset = toolkit.data.open(source, split)
        except MissingInputError as error:
            missing[split] = error.message
            continue
        classes = dataset.classes
        counts = np.bincount(dataset.labels, minlength=len(classes))
        splits[split] = SplitCounts(len(dataset), tuple(counts.tolist()))
    if not splits:
        raise MissingInputError(f"{source.name}: there is nothing of it: {'; '.join(missing.values())}")
    listed = (dataset for dataset in list_datasets(toolkit) if dataset.files == source.files)
    alone = FoundDataset(
        source.name, source.loader, source.summary, source.files, _size(source.files), default=False
    )
    return DatasetDetails(next(listed, alone), classes, splits, missing)


def get_dataset(
    toolkit: Toolkit, name: str, progress: Progress, *, folder: Path | None = None, url: str = ""
) -> WrittenDataset:
    """Download a data set.

    Args:
        toolkit: Whose loaders know where it is.
        name: One that a loader can fetch: ``byclass``.
        progress: Told of bytes done.
        folder: Where it goes; ``datasets/`` unless given.
        url: Another place to download from.

    Raises:
        UsageError: No loader can fetch it; lists what there is.
        MissingInputError: The server cannot be reached.
        DamagedFileError: What was downloaded is not what it should be.
        BusyError: Another process downloads into the same folder.
        StorageError: The disk is full or refuses.
    """
    loaders = toolkit.catalog.all(DATASET_LOADERS)
    fetchable = {known: loader for loader in loaders.values() for known in loader.fetchable}
    loader = fetchable.get(name)
    if loader is None or loader.fetch is None:
        raise _unknown(f"data set {name!r} cannot be downloaded", name, list(fetchable), "datasets get")
    folder = _made(folder or toolkit.workspace.datasets)
    with exclusive(folder / f"{loader.name}-download"):
        files = loader.fetch(FetchRequest(name, folder, progress, url))
    return WrittenDataset(name, folder, tuple(files))


def make_dataset(
    toolkit: Toolkit,
    name: str,
    progress: Progress,
    *,
    file_format: str = "csv",
    seed: int = 0,
    options: Sequence[str] = (),
    folder: Path | None = None,
) -> WrittenDataset:
    """Write a computed data set as files that other tools read.

    Args:
        toolkit: Whose loaders make data sets.
        name: Of the loader: ``glyphs``.
        progress: Told of images done.
        file_format: One of the loader's formats.
        seed: 0 or above.
        options: The loader's, as ``key=value``.
        folder: Where it goes; ``datasets/`` unless given.

    Raises:
        UsageError: No loader makes it; or a format, a seed or an option that it does not take.
        BusyError: Another process writes into the same folder.
        StorageError: The disk is full or refuses.
    """
    makers: dict[str, DatasetLoader] = {
        key: loader for key, loader in toolkit.catalog.all(DATASET_LOADERS).items() if loader.make is not None
    }
    loader = makers.get(name)
    if loader is None or loader.make is None:
        raise _unknown(f"data set {name!r} cannot be made", name, list(makers), "datasets make")
    if seed < 0:
        raise UsageError(f"expected a seed of 0 or above, received {seed}")
    chosen: object = parse_options(loader.options, options, owner=f"data set {loader.name!r}")
    folder = _made(folder or toolkit.workspace.datasets)
    with exclusive(folder / f"{loader.name}-make"):
        files = loader.make(MakeRequest(folder, file_format, seed, progress, chosen))
    return WrittenDataset(name, folder, tuple(files))


def _size(files: Mapping[str, Path]) -> int:
    return sum(path.stat().st_size for path in files.values() if path.is_file())


def _made(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(
            f"{folder}: the folder cannot be made: {error.strerror or error}", hint="name another folder"
        ) from error
    return folder


def _unknown(complaint: str, name: str, there: list[str], command: str) -> UsageError:
    near = difflib.get_close_matches(name, there, n=1)
    guess = f"try `toolkit {command} {near[0]}`" if near else ""
    return UsageError(f"{complaint}; there are {', '.join(there) or 'none'}", hint=guess)
