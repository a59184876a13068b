"""The data sets of a workspace: found by the loaders, split and cached."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from toolkit.data.dataset import Dataset
from toolkit.data.splits import validation_mask
from toolkit.declarations import DatasetLoader, DatasetSource, LoadRequest
from toolkit.errors import (
    LimitReachedError,
    MissingInputError,
    PluginError,
    UsageError,
    did_you_mean,
    shortened,
)
from toolkit.library.cache import Divided, cached_splits
from toolkit.library.fingerprint import Part, fingerprint
from toolkit.vocabulary import SplitName

if TYPE_CHECKING:
    from toolkit.store import Workspace

_log = logging.getLogger(__name__)

_GET_HINT = "put its files into datasets/, or download a data set with `toolkit datasets get`"


class DataLibrary:
    """Finds data sets in a workspace with loaders by name, and opens them through its cache."""

    def __init__(self, loaders: Mapping[str, DatasetLoader], workspace: Workspace) -> None:
        self._loaders = loaders
        self._workspace = workspace

    def sources(self) -> tuple[DatasetSource, ...]:
        """All data sets, best first; of several with one name, the one in the first folder."""
        found: dict[tuple[str, str], DatasetSource] = {}
        for folder in filter(Path.is_dir, self._workspace.dataset_folders):
            for loader, source in self._detect(folder):
                found.setdefault((loader, source.name), source)
        return _best_first(found.values())

    def find(self, name_or_path: str | Path | None) -> DatasetSource:
        """Find a data set: ``byclass``, ``emnist-byclass``, a folder or a file of it; None for the best."""
        sources = self.sources()
        if name_or_path is None:
            if not sources or sources[0].rank < 0:
                raise MissingInputError(
                    f"no data set found in {self._workspace.datasets} or elsewhere in the workspace",
                    hint=_GET_HINT,
                )
            return sources[0]
        name = str(name_or_path)
        fitting = [
            source
            for source in sources
            if name.lower() == source.name.lower()
            or name.lower().replace(":", "-", 1) == f"{source.loader}-{source.name}".lower()
        ]
        # `glyphs` is still the loader's own after it was written to a CSV file.
        own = [source for source in fitting if source.loader == source.name]
        if len(fitting) == 1 or own:
            return (own or fitting)[0]
        if fitting:
            raise UsageError(
                f"{name!r} is the name of several data sets",
                hint=f"name the loader, too: {', '.join(f'{s.loader}-{s.name}' for s in fitting)}",
            )
        if name and os.path.exists(name):  # noqa: PTH110 - Path.exists raises where a name is no path
            return self._find_at(Path(name))
        known = [source.name for source in sources]
        raise MissingInputError(
            f"{shortened(name)}: there is no such data set or file; there are {', '.join(known) or 'none'}",
            hint=f"{did_you_mean(name, known)} {_GET_HINT}".lstrip(),
        )

    def open(
        self, source: DatasetSource | str | Path | None, split: SplitName, options: Any = None
    ) -> Dataset:
        """Load a split, from the cache if it is there; ``options`` are those of the loader.

        ``fit`` and ``validation`` divide the train file, ``test`` is the test file.
        """
        if not isinstance(source, DatasetSource):
            source = self.find(source)
        loader = self.loader_of(source)
        chosen = loader.options() if options is None else options
        if not isinstance(chosen, loader.options):
            raise UsageError(
                f"{source.name}: expected options of type {loader.options.__name__}, "
                f"received {type(chosen).__name__}"
            )
        part: Part = "test" if split == "test" else "train"
        if loader.cacheable:
            try:
                key = fingerprint(source, part, loader, chosen)
            except LimitReachedError as error:
                _log.warning("warning: not cached: %s", error)
            else:
                folder = self._workspace.cache / "datasets"
                return cached_splits(folder, key, lambda: _load(loader, source, part, chosen))[split]
        return _load(loader, source, part, chosen).splits()[split]

    def classes_of(self, source: DatasetSource) -> tuple[str, ...]:
        """Character by label; opens the test part, or another one, if the source does not say."""
        if source.classes:
            return source.classes
        try:
            return self.open(source, "test").classes
        except MissingInputError:
            return self.open(source, "validation").classes

    def loader_of(self, source: DatasetSource) -> DatasetLoader:
        """The loader that found a source; a PluginError if there is none of this name."""
        if source.loader not in self._loaders:
            known = ", ".join(self._loaders)
            raise PluginError(f"{source.name}: there is no loader {source.loader!r}; there are {known}")
        return self._loaders[source.loader]

    def _detect(self, folder: Path) -> list[tuple[str, DatasetSource]]:
        return [(name, source) for name, loader in self._loaders.items() for source in loader.detect(folder)]

    def _find_at(self, path: Path) -> DatasetSource:
        folder = path if path.is_dir() else path.parent
        # Computed data sets are found in every folder.
        sources = _best_first(source for _, source in self._detect(folder) if source.files)
        if path.is_dir() and sources:
            return sources[0]
        for source in sources:
            if any(file.exists() and file.samefile(path) for file in source.files.values()):
                return source
        what = "no data set in this folder" if path.is_dir() else "not a file of a known data set"
        raise MissingInputError(
            f"{path}: {what}; the loaders are {', '.join(self._loaders) or 'none'}",
            hint="name files as emnist-byclass-train.csv, or put pictures in one folder for each class",
        )


def _best_first(sources: Iterable[DatasetSource]) -> tuple[DatasetSource, ...]:
    return tuple(sorted(sources, key=lambda source: (source.rank < 0, source.rank, source.name)))


def _load(loader: DatasetLoader, source: DatasetSource, part: Part, options: Any) -> Divided:
    dataset = loader.load(LoadRequest(source, part, options))
    if problem := dataset.problem():
        raise PluginError(
            f"dataset loader {loader.name!r}, {part} part: {problem}", hint="report it to its author"
        )
    if part == "test":
        return Divided(dataset, {"test": np.arange(len(dataset))})
    mask = validation_mask(dataset.images)
    return Divided(dataset, {"fit": np.flatnonzero(~mask), "validation": np.flatnonzero(mask)})
