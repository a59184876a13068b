"""Loaders of data sets, and what they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from toolkit.declarations.options import NoOptions
from toolkit.vocabulary.progress import Progress

if TYPE_CHECKING:
    from toolkit.data import Dataset


@dataclass(frozen=True, slots=True)
class DatasetSource:
    """A data set that a loader found and could load.

    Attributes:
        name: What the user types, unique among one loader's sources: ``byclass``, ``glyphs``.
        loader: Name of the loader that found it.
        summary: One line for lists: layout, number of classes.
        files: The files it stands in, by part: ``train``, ``test``, ``mapping``, or a loader's
            own keys (IDX keeps images and labels apart). Empty for a data set that is computed.
        rank: Lower is picked first when the user names none; below 0 is never picked unnamed.
    """

    name: str
    loader: str
    summary: str
    files: Mapping[str, Path] = field(default_factory=dict)
    rank: int = 100


@dataclass(frozen=True, slots=True)
class LoadRequest:
    """Asks a loader for one part of a data set.

    Attributes:
        source: As the loader's ``detect`` returned it.
        part: ``train`` or ``test``; the host splits ``train`` into fit and validation.
        options: An instance of the loader's options.
    """

    source: DatasetSource
    part: Literal["train", "test"]
    options: Any = field(default_factory=NoOptions)


@dataclass(frozen=True, slots=True)
class FetchRequest:
    """Asks a loader to download a data set.

    Attributes:
        name: What to download: ``byclass``.
        folder: Where its files go; exists.
        progress: Told of bytes done.
        url: Another place to download from; empty for the loader's own.
    """

    name: str
    folder: Path
    progress: Progress
    url: str = ""


@dataclass(frozen=True, slots=True)
class MakeRequest:
    """Asks a loader to write a data set as files that other tools read.

    Attributes:
        folder: Where the files go; exists.
        format: One of the loader's formats, such as ``csv``.
        seed: 0 or above.
        options: An instance of the loader's options.
    """

    folder: Path
    format: str
    seed: int
    progress: Progress
    options: Any = field(default_factory=NoOptions)


@dataclass(frozen=True, kw_only=True)
class DatasetLoader:
    """Finds and reads data sets of one family.

    Attributes:
        detect: From a folder to the sources in it and below it. A loader that computes its
            data returns its source for every folder.
        load: Returns the images (n, 28, 28) uint8, upright, light ink, and their labels.
        fetch: Downloads one of ``fetchable`` and returns the files.
        fetchable: Names that ``fetch`` knows.
        make: Writes the data set out and returns the files; for loaders that compute theirs.
        cacheable: Whether the host may keep what ``load`` returned in its cache.
    """

    name: str
    summary: str
    detect: Callable[[Path], Sequence[DatasetSource]]
    load: Callable[[LoadRequest], Dataset]
    options: type = NoOptions
    fetch: Callable[[FetchRequest], Sequence[Path]] | None = None
    fetchable: tuple[str, ...] = ()
    make: Callable[[MakeRequest], Sequence[Path]] | None = None
    cacheable: bool = True
