"""Data set loaders, and their requests."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from toolkit.declarations.options import Declaration, NoOptions
from toolkit.records import dataclass
from toolkit.vocabulary.progress import Progress

if TYPE_CHECKING:
    from toolkit.data import Dataset


@dataclass(frozen=True)
class DatasetSource:
    """A data set that a loader has found and can load.

    Attributes:
        name: What users type: ``byclass``; unique among the loader's sources.
        loader: Name of the loader.
        summary: One line for lists: layout, number of classes.
        files: Files or folders to read, by part (``train``, ``test``) or by a key of the loader's
            own; empty if the data is computed. The cache is renewed when one changes. Of many files
            name the folder.
        rank: The lowest is used if the user names no data set; below 0 means never.
        classes: Character by label, if that is known without reading the data.
    """

    name: str
    loader: str
    summary: str
    files: Mapping[str, Path] = field(default_factory=dict)
    rank: int = 100
    classes: tuple[str, ...] = ()


@dataclass(frozen=True)
class LoadRequest:
    """Asks for one part of a data set.

    Attributes:
        source: As ``detect`` returned it.
        part: The host splits ``train`` into fit and validation.
    """

    source: DatasetSource
    part: Literal["train", "test"]
    options: Any = field(default_factory=NoOptions)


@dataclass(frozen=True)
class FetchRequest:
    """Asks for the download of a data set.

    Attributes:
        name: One of ``fetchable``.
        folder: Folder for the files; it exists.
        progress: Receives the number of bytes so far.
        url: Address to download from; empty for the loader's default.
    """

    name: str
    folder: Path
    progress: Progress
    url: str = ""


@dataclass(frozen=True)
class MakeRequest:
    """Asks for a computed data set as files.

    Attributes:
        folder: Empty folder for the files, which the host moves to the user's folder.
        format: One of the loader's formats, such as ``csv``.
        seed: Random seed, 0 or above.
        progress: Receives the number of images so far.
    """

    folder: Path
    format: str
    seed: int
    progress: Progress
    options: Any = field(default_factory=NoOptions)


@dataclass(frozen=True, kw_only=True)
class DatasetLoader(Declaration):
    """Finds and reads data sets.

    Attributes:
        detect: Returns the sources in a folder and below it; computed ones for every folder.
        load: Returns one part: images (n, 28, 28) uint8, upright, light ink, and their labels.
        fetch: Downloads one of ``fetchable`` and returns the files.
        fetchable: Names for ``fetch``.
        make: Writes a computed data set to files and returns them.
        cacheable: Whether the host may cache what ``load`` returns.
    """

    detect: Callable[[Path], Sequence[DatasetSource]]
    load: Callable[[LoadRequest], Dataset]
    options: type = NoOptions
    fetch: Callable[[FetchRequest], Sequence[Path]] | None = None
    fetchable: tuple[str, ...] = ()
    make: Callable[[MakeRequest], Sequence[Path]] | None = None
    cacheable: bool = True
