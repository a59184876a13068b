"""Finding and splitting data sets through DataLibrary, and options of loaders."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from shelf import Shelf, entries, put

from toolkit.data import Dataset, validation_mask
from toolkit.declarations import DatasetSource, LoadRequest, NoOptions
from toolkit.errors import MissingInputError, PluginError, UsageError
from toolkit.library import DataLibrary
from toolkit.options import option
from toolkit.store import Workspace


def test_the_first_folder_that_has_a_data_set_wins_and_the_best_rank_is_taken(
    tmp_path: Path, library: DataLibrary
) -> None:
    put(tmp_path / "digits.npy")
    put(tmp_path / "byclass.npy")
    put(tmp_path / "data/byclass.npy")
    put(tmp_path / "datasets/digits.npy")
    found = {source.name: source.files["train"].parent.name for source in library.sources()}
    assert found == {"byclass": "data", "digits": "datasets"}
    assert library.find(None).name == "byclass"


@pytest.mark.parametrize("name", ["digits", "shelf-digits", "shelf:digits", "Digits"])
def test_names_are_taken_with_and_without_the_loader(tmp_path: Path, library: DataLibrary, name: str) -> None:
    put(tmp_path / "datasets/digits.npy")
    assert library.find(name).name == "digits"


def test_a_path_names_a_folder_or_a_file(tmp_path: Path, library: DataLibrary) -> None:
    put(tmp_path / "elsewhere/digits.npy")
    put(tmp_path / "elsewhere/byclass.npy")
    assert library.find(tmp_path / "elsewhere").name == "byclass"
    assert library.find(str(tmp_path / "elsewhere/digits.npy")).name == "digits"
    (tmp_path / "elsewhere/notes.txt").touch()
    with pytest.raises(MissingInputError, match=r"notes\.txt: not a file of a known data set"):
        library.find(tmp_path / "elsewhere/notes.txt")
    (tmp_path / "empty").mkdir()
    with pytest.raises(MissingInputError, match="empty: no data set in this folder"):
        library.find(tmp_path / "empty")


def test_an_unknown_name_lists_what_there_is_and_the_nearest(tmp_path: Path, library: DataLibrary) -> None:
    with pytest.raises(MissingInputError, match="no data set found in"):
        library.find(None)
    put(tmp_path / "datasets/digits.npy")
    with pytest.raises(MissingInputError, match=r"digit: .*there are digits.*did you mean digits") as caught:
        library.find("digit")
    assert caught.value.exit_status == 3
    for impossible in ("", "\0", "x" * 5_000):
        with pytest.raises(MissingInputError, match="there is no such data set"):
            library.find(impossible)


def test_a_name_of_two_loaders_is_ambiguous(tmp_path: Path, shelf: Shelf) -> None:
    put(tmp_path / "datasets/digits.npy")

    def detect(folder: Path) -> list[DatasetSource]:
        return [dataclasses.replace(source, loader="other") for source in shelf.detect(folder)]

    other = dataclasses.replace(shelf.declared, name="other", detect=detect)
    library = DataLibrary({"shelf": shelf.declared, "other": other}, Workspace(tmp_path))
    with pytest.raises(UsageError, match=r"several data sets.*shelf-digits"):
        library.find("digits")
    assert library.find("other-digits").loader == "other"
    namesake = dataclasses.replace(
        other,
        name="digits",
        detect=lambda folder: [dataclasses.replace(found, loader="digits") for found in shelf.detect(folder)],
    )
    library = DataLibrary({"shelf": shelf.declared, "digits": namesake}, Workspace(tmp_path))
    assert library.find("digits").loader == "digits"


def test_a_folder_that_does_not_exist_is_not_searched(tmp_path: Path, shelf: Shelf) -> None:
    def detect(folder: Path) -> list[DatasetSource]:
        assert list(folder.iterdir())
        return shelf.detect(folder)

    put(tmp_path / "datasets/digits.npy")
    library = DataLibrary({"shelf": dataclasses.replace(shelf.declared, detect=detect)}, Workspace(tmp_path))
    assert [source.name for source in library.sources()] == ["digits"]


@dataclass(frozen=True)
class HeadOptions:
    """Options of a loader."""

    images: int = option(100, help="images that are read", minimum=1)


@pytest.fixture
def head(tmp_path: Path, shelf: Shelf) -> DataLibrary:
    """A library whose loader reads as many images as its option says."""
    put(tmp_path / "datasets/digits.npy")

    def load(request: LoadRequest) -> Dataset:
        return shelf.load(request).take(np.arange(request.options.images))

    loader = dataclasses.replace(shelf.declared, options=HeadOptions, load=load)
    return DataLibrary({"shelf": loader}, Workspace(tmp_path))


def test_options_reach_the_loader_and_each_choice_is_cached(head: DataLibrary, shelf: Shelf) -> None:
    for _ in range(2):
        assert len(head.open("digits", "test")) == 100
        assert len(head.open("digits", "test", HeadOptions(100))) == 100
        assert len(head.open("digits", "test", HeadOptions(7))) == 7
    assert shelf.loads == 2


def test_options_of_another_loader_are_refused(head: DataLibrary) -> None:
    with pytest.raises(UsageError, match="digits: expected options of type HeadOptions, received NoOptions"):
        head.open("digits", "test", NoOptions())


def test_splits_are_disjoint_whole_and_in_the_order_of_the_file(tmp_path: Path, library: DataLibrary) -> None:
    put(tmp_path / "datasets/digits.npy")
    images = np.load(tmp_path / "datasets/digits.npy")
    labels = np.arange(500) % 3
    mask = validation_mask(images)
    for _ in range(2):
        fit, validation, test = (library.open("digits", split) for split in ("fit", "validation", "test"))
        np.testing.assert_array_equal(fit.images, images[~mask])
        np.testing.assert_array_equal(fit.labels, labels[~mask])
        np.testing.assert_array_equal(validation.images, images[mask])
        np.testing.assert_array_equal(validation.labels, labels[mask])
        np.testing.assert_array_equal(test.images, images)
        assert fit.classes == ("a", "b", "ß")
        assert fit.labels.dtype == np.int32


@pytest.mark.parametrize(
    "change",
    [
        lambda made: dataclasses.replace(made, images=made.images.astype(np.float32)),
        lambda made: dataclasses.replace(made, images=made.images[:, :14]),
        lambda made: dataclasses.replace(made, labels=made.labels.astype(np.int64)),
        lambda made: dataclasses.replace(made, labels=made.labels[:-1]),
        lambda made: dataclasses.replace(made, labels=made.labels + np.int32(1)),
        lambda made: dataclasses.replace(made, labels=made.labels - np.int32(1)),
        lambda made: made.take(np.arange(0)),
    ],
)
def test_what_a_loader_returns_is_checked(
    tmp_path: Path, shelf: Shelf, change: Callable[[Dataset], Dataset]
) -> None:
    put(tmp_path / "datasets/digits.npy")
    careless = dataclasses.replace(shelf.declared, load=lambda request: change(shelf.load(request)))
    library = DataLibrary({"shelf": careless}, Workspace(tmp_path))
    with pytest.raises(PluginError, match=r"dataset loader 'shelf', train part: (images|labels|there) are"):
        library.open("digits", "fit")
    assert not [path for entry in entries(tmp_path) for path in entry.rglob("*.npy")]
