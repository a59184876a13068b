"""Listing, showing, downloading and making data sets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from toolkit.data import Dataset
from toolkit.declarations import DatasetLoader, DatasetSource, FetchRequest, LoadRequest, MakeRequest
from toolkit.errors import BusyError, MissingInputError, StorageError, UsageError
from toolkit.operations.datasets import get_dataset, list_datasets, make_dataset, show_dataset
from toolkit.operations.toolkit import Toolkit
from toolkit.options import option
from toolkit.requests.datasets import GetDataset, ListDatasets, MakeDataset, ShowDataset
from toolkit.store import Workspace, exclusive
from toolkit.vocabulary import SilentProgress

QUIET = SilentProgress()


@dataclass(frozen=True)
class BlotOptions:
    count: int = option(3, help="How many.", minimum=1)


class Loaders:
    """Stands for a catalog with one loader that does everything."""

    def __init__(self) -> None:
        self.requests: list[Any] = []
        self.blots = DatasetLoader(
            name="blots",
            summary="For tests.",
            detect=lambda folder: [DatasetSource("blots", "blots", "computed", rank=-1)],
            load=self.load,
            options=BlotOptions,
            fetch=self.fetch,
            fetchable=("small", "large"),
            make=self.make,
        )

    def all(self, kind: object) -> dict[str, DatasetLoader]:
        return {"blots": self.blots}

    def load(self, request: LoadRequest) -> Dataset:
        if request.part == "test":
            raise MissingInputError("blots-test: there is none")
        count = 200 if request.options == BlotOptions() else request.options.count
        images = np.random.default_rng(0).integers(0, 256, (count, 28, 28)).astype(np.uint8)
        return Dataset("blots", ("x", "y", "z"), images, (np.arange(count) % 2).astype(np.int32))

    def fetch(self, request: FetchRequest) -> Sequence[Path]:
        self.requests.append(request)
        return [request.folder / f"{request.name}.csv"]

    def make(self, request: MakeRequest) -> Sequence[Path]:
        self.requests.append(request)
        path = request.folder / "parts" / "made.csv"
        path.parent.mkdir()
        path.write_text(str(request.seed))
        return [path]


@pytest.fixture
def loaders() -> Loaders:
    return Loaders()


@pytest.fixture
def toolkit(tmp_path: Path, loaders: Loaders) -> Toolkit:
    load: Callable[[], Any] = lambda: loaders  # noqa: E731 - typed, a def could not be
    return Toolkit(Workspace(tmp_path), load)


def test_what_is_never_picked_unnamed_is_listed_and_not_the_default(toolkit: Toolkit) -> None:
    (found,) = list_datasets(toolkit, ListDatasets(), QUIET)
    assert (found.name, found.default, found.size) == ("blots", False, 0)
    with pytest.raises(MissingInputError, match="no data set found"):
        show_dataset(toolkit, ShowDataset(), QUIET)


def test_show_counts_every_class_also_those_that_do_not_occur(toolkit: Toolkit) -> None:
    details = show_dataset(toolkit, ShowDataset("blots"), QUIET)
    assert details.classes == ("x", "y", "z")
    fit, validation = details.splits["fit"], details.splits["validation"]
    assert [a + b for a, b in zip(fit.by_class, validation.by_class, strict=True)] == [100, 100, 0]
    assert fit.images == sum(fit.by_class)
    assert details.missing == {"test": "blots-test: there is none"}


@pytest.mark.parametrize("options", [("loader.count=40",), ("count=40",), {"count": 40}])
def test_show_takes_the_loaders_options(toolkit: Toolkit, options: Any) -> None:
    details = show_dataset(toolkit, ShowDataset("blots", options), QUIET)
    assert details.splits["fit"].images + details.splits["validation"].images == 40
    with pytest.raises(UsageError, match="colour"):
        show_dataset(toolkit, ShowDataset("blots", ("colour=red",)), QUIET)


def test_get_asks_the_loader_that_knows_the_name(toolkit: Toolkit, loaders: Loaders, tmp_path: Path) -> None:
    written = get_dataset(toolkit, GetDataset("large", url="http://mirror/"), QUIET)
    assert written.files == (tmp_path / "datasets/large.csv",)
    (request,) = loaders.requests
    assert (request.name, request.folder, request.url) == ("large", tmp_path / "datasets", "http://mirror/")
    assert request.folder.is_dir()
    with pytest.raises(UsageError, match=r"there are small, large.*datasets get large"):
        get_dataset(toolkit, GetDataset("larg"), QUIET)


def test_make_reads_the_loaders_options(toolkit: Toolkit, loaders: Loaders, tmp_path: Path) -> None:
    request = MakeDataset("blots", "idx", seed=7, options=("count=5",), out=tmp_path / "a/b")
    written = make_dataset(toolkit, request, QUIET)
    (made,) = loaders.requests
    assert (made.format, made.seed, made.options) == ("idx", 7, BlotOptions(5))
    assert written.files == (tmp_path / "a/b/parts/made.csv",)
    with pytest.raises(UsageError, match="cannot be made; there are blots"):
        make_dataset(toolkit, MakeDataset("blot"), QUIET)
    with pytest.raises(UsageError, match="0 or above"):
        toolkit.make_dataset(MakeDataset("blots", seed=-1))
    with pytest.raises(UsageError, match="count"):
        make_dataset(toolkit, MakeDataset("blots", options=("count=0",)), QUIET)


def test_make_replaces_files_only_with_force(toolkit: Toolkit, loaders: Loaders, tmp_path: Path) -> None:
    path = tmp_path / "datasets/parts/made.csv"
    path.parent.mkdir(parents=True)
    path.write_text("the user's own")
    with pytest.raises(UsageError, match=r"made\.csv exists.*--force"):
        make_dataset(toolkit, MakeDataset("blots", seed=1), QUIET)
    assert path.read_text() == "the user's own"
    make_dataset(toolkit, MakeDataset("blots", seed=2, force=True), QUIET)
    assert path.read_text() == "2"
    assert not any(request.folder.exists() for request in loaders.requests)
    (tmp_path / "datasets/.toolkit/blots-make").mkdir()  # left by a process that was killed
    make_dataset(toolkit, MakeDataset("blots", seed=3, force=True), QUIET)
    assert path.read_text() == "3"


def test_two_downloads_into_one_folder_do_not_mix(toolkit: Toolkit, tmp_path: Path) -> None:
    with exclusive(tmp_path / "datasets/blots-download"), pytest.raises(BusyError):
        get_dataset(toolkit, GetDataset("small"), QUIET)


def test_a_folder_that_cannot_be_made_is_reported(toolkit: Toolkit, tmp_path: Path) -> None:
    (tmp_path / "datasets").touch()
    with pytest.raises(StorageError, match="Not a directory"):
        get_dataset(toolkit, GetDataset("small"), QUIET)
