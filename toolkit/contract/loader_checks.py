"""Checks of data set loaders: on folders that are missing, empty, or full of pictures."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.declarations import DatasetLoader, DatasetSource
from toolkit.errors import one_line
from toolkit.host.checks import result_problem
from toolkit.host.kinds import DATASET_LOADERS

if TYPE_CHECKING:
    from toolkit.data import Dataset

_PICTURES = 60
_MOST_FILES = 16


def loader_problems(loader: DatasetLoader) -> Iterator[str]:
    """Call a loader's ``detect`` on three folders, and open what it finds among pictures."""
    with tempfile.TemporaryDirectory() as name:
        workspace = Path(name)
        (workspace / "empty").mkdir()
        _write_pictures(workspace / "datasets" / "letters")
        for what, folder in (
            ("a folder that does not exist", workspace / "missing"),
            ("an empty folder", workspace / "empty"),
            ("a folder of pictures", workspace / "datasets"),
        ):
            before = set(folder.rglob("*"))
            sources: Sequence[DatasetSource] = ()
            try:
                sources = loader.detect(folder)
            except Exception as error:  # noqa: BLE001 - a plugin may raise anything
                yield f"detect fails on {what}: {type(error).__name__}: {one_line(error)}"
                continue
            written = ", ".join(sorted(path.name for path in set(folder.rglob("*")) - before))
            if written:
                yield f"detect writes into {what}: {written}"
            problem = result_problem(DATASET_LOADERS, "detect", sources)
            if problem:
                yield problem
                return
        yield from _source_problems(loader, sources)
        for source in sources:
            if source.files:
                yield from _opening_problems(loader, source, workspace)


def _source_problems(loader: DatasetLoader, sources: Sequence[DatasetSource]) -> Iterator[str]:
    names = [source.name for source in sources]
    if len(set(names)) != len(names):
        yield f"detect returned two sources of one name: {', '.join(sorted(names))}"
    for source in sources:
        if source.loader != loader.name:
            yield f"source {source.name!r} names the loader {source.loader!r}, expected {loader.name!r}"
        if len(source.files) > _MOST_FILES:
            yield (
                f"source {source.name!r} lists {len(source.files)} files of a folder with {2 * _PICTURES} "
                "pictures; list the folder instead"
            )


def _opening_problems(loader: DatasetLoader, source: DatasetSource, workspace: Path) -> Iterator[str]:
    """Open a source as the host does, with its cache and its split."""
    from toolkit.library import DataLibrary
    from toolkit.store import Workspace

    library = DataLibrary({loader.name: loader}, Workspace(workspace))
    try:
        fit, test = library.open(source, "fit"), library.open(source, "test")
    except Exception as error:  # noqa: BLE001 - a plugin may raise anything
        yield f"source {source.name!r} cannot be opened: {type(error).__name__}: {one_line(error)}"
        return
    yield from dataset_problems(fit, test)


def dataset_problems(train: Dataset, test: Dataset) -> Iterator[str]:
    """What is wrong with the two parts of a data set, one sentence for each broken promise."""
    for dataset in (train, test):
        problem = result_problem(DATASET_LOADERS, "load", dataset) or dataset.problem()
        if problem:
            yield problem
            return
    if not len(set(train.classes)) == len(train.classes) >= 2:
        yield "classes are not two or more different ones"
    if train.classes != test.classes:
        yield "the two parts have different classes"


def _write_pictures(folder: Path) -> None:
    import numpy as np
    from PIL import Image

    random = np.random.default_rng(0)
    for name in ("A", "B"):
        (folder / name).mkdir(parents=True)
        for number in range(_PICTURES):
            pixels = random.integers(0, 256, (28, 28), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
