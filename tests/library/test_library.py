"""Finding, splitting and caching through DataLibrary."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import toolkit_emnist
from toolkit.data import Dataset, validation_mask
from toolkit.declarations import DatasetLoader, DatasetSource, LoadRequest, NoOptions
from toolkit.errors import MissingInputError, PluginError, StorageError, UnreadableInputError, UsageError
from toolkit.library import DataLibrary
from toolkit.library import cache as cache_module
from toolkit.library import fingerprint as fingerprint_module
from toolkit.library.fingerprint import fingerprint
from toolkit.options import option
from toolkit.store import Workspace

NAMES = ("byclass", "digits")


class Shelf:
    """A loader whose data sets are one .npy file each; counts how often it loads."""

    def __init__(self) -> None:
        self.loads = 0
        self.declared = DatasetLoader(name="shelf", summary="For tests.", detect=self.detect, load=self.load)

    def detect(self, folder: Path) -> list[DatasetSource]:
        return [
            DatasetSource(
                path.stem,
                "shelf",
                "a test's",
                {"train": path, "test-file": path},
                rank=NAMES.index(path.stem),
            )
            for path in sorted(folder.glob("*.npy"))
        ]

    def load(self, request: LoadRequest) -> Dataset:
        self.loads += 1
        try:
            images = np.load(request.source.files["train"])
        except ValueError as error:
            raise UnreadableInputError(f"{request.source.name}: {error}") from error
        labels = (np.arange(len(images)) % 3).astype(np.int32)
        return Dataset(request.source.name, ("a", "b", "ß"), images, labels)


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def library(tmp_path: Path, shelf: Shelf) -> DataLibrary:
    return DataLibrary({"shelf": shelf.declared}, Workspace(tmp_path))


def put(path: Path, count: int = 500, seed: int = 0) -> None:
    path.parent.mkdir(exist_ok=True, parents=True)
    np.save(path, np.random.default_rng(seed).integers(0, 256, (count, 28, 28)).astype(np.uint8))


def entries(root: Path) -> list[Path]:
    return sorted((root / ".toolkit/cache/datasets").glob("shelf-*"))


# --- finding ---------------------------------------------------------------------------------


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


# --- options of loaders ----------------------------------------------------------------------


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


# --- sources that are folders ----------------------------------------------------------------


@pytest.fixture
def drawer(tmp_path: Path, shelf: Shelf) -> DataLibrary:
    """A library whose loader names a folder as its source and reads the .npy files in it."""

    def detect(folder: Path) -> list[DatasetSource]:
        return [DatasetSource(found.name, "shelf", "", {"all": found}) for found in folder.glob("draw*")]

    def load(request: LoadRequest) -> Dataset:
        shelf.loads += 1
        arrays = [np.load(path) for path in sorted(request.source.files["all"].rglob("*.npy"))]
        images = np.concatenate(arrays)
        return Dataset(request.source.name, ("a",), images, np.zeros(len(images), np.int32))

    put(tmp_path / "datasets/drawer/deep/one.npy", 10)
    return DataLibrary(
        {"shelf": dataclasses.replace(shelf.declared, detect=detect, load=load)}, Workspace(tmp_path)
    )


def test_a_source_that_is_a_folder_is_cached_until_a_file_in_it_changes(
    tmp_path: Path, drawer: DataLibrary, shelf: Shelf
) -> None:
    for _ in range(2):
        assert len(drawer.open("drawer", "test")) == 10
    assert shelf.loads == 1
    put(tmp_path / "datasets/drawer/deep/two.npy", 5)
    assert len(drawer.open("drawer", "test")) == 15
    (tmp_path / "datasets/drawer/deep/one.npy").unlink()
    assert len(drawer.open("drawer", "test")) == 5
    put(tmp_path / "datasets/drawer/deep/two.npy", 6)
    assert len(drawer.open("drawer", "test")) == 6
    assert shelf.loads == 4


def test_a_folder_of_too_many_files_is_read_but_not_cached(
    tmp_path: Path,
    drawer: DataLibrary,
    shelf: Shelf,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(fingerprint_module, "MAX_FILES", 1)
    put(tmp_path / "datasets/drawer/two.npy", 5)
    assert len(drawer.open("drawer", "test")) == 15
    assert "not cached" in caplog.text
    assert "at most 1 files" in caplog.text
    assert not entries(tmp_path)


def test_a_source_of_many_files_costs_one_look_at_each(tmp_path: Path, shelf: Shelf) -> None:
    (tmp_path / "many").mkdir()
    files = {str(number): tmp_path / "many" / str(number) for number in range(150)}
    for path in files.values():
        path.touch()
    source = DatasetSource("many", "shelf", "", files)
    key = fingerprint(source, "train", shelf.declared, NoOptions())
    files["7"].write_text("changed")
    assert fingerprint(source, "train", shelf.declared, NoOptions()).state != key.state
    files["7"].unlink()
    with pytest.raises(MissingInputError, match="7: no such file"):
        fingerprint(source, "train", shelf.declared, NoOptions())


# --- splits ----------------------------------------------------------------------------------


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


# --- cache -----------------------------------------------------------------------------------


def test_a_second_load_is_mapped_and_fast(tmp_path: Path, library: DataLibrary, shelf: Shelf) -> None:
    put(tmp_path / "datasets/digits.npy", 5_000)
    first = library.open("digits", "fit")
    begin = time.process_time()
    second = library.open("digits", "fit")
    assert time.process_time() - begin < 0.1
    assert shelf.loads == 1
    assert isinstance(second.images.base, np.memmap) or isinstance(second.images.base.base, np.memmap)
    assert not second.images.flags.writeable
    np.testing.assert_array_equal(first.images, second.images)
    library.open("digits", "validation")
    assert shelf.loads == 1


def test_the_cache_may_be_deleted_at_any_time(tmp_path: Path, library: DataLibrary, shelf: Shelf) -> None:
    put(tmp_path / "datasets/digits.npy")
    first = library.open("digits", "fit")
    shutil.rmtree(tmp_path / ".toolkit")
    again = library.open("digits", "fit")
    np.testing.assert_array_equal(first.images, again.images)
    assert shelf.loads == 2


def test_another_file_is_read_again_and_the_old_entry_goes(
    tmp_path: Path, library: DataLibrary, shelf: Shelf
) -> None:
    path = tmp_path / "datasets/digits.npy"
    put(path)
    library.open("digits", "fit")
    (before,) = entries(tmp_path)
    put(path, seed=1)
    changed = library.open("digits", "fit")
    np.testing.assert_array_equal(changed.images, np.load(path)[~validation_mask(np.load(path))])
    assert shelf.loads == 2
    (after,) = entries(tmp_path)
    assert after != before


def test_a_changed_byte_under_an_old_date_is_noticed(
    tmp_path: Path, library: DataLibrary, shelf: Shelf
) -> None:
    path = tmp_path / "datasets/digits.npy"
    put(path, 3_000)
    library.open("digits", "fit")
    status = path.stat()
    with path.open("r+b") as file:
        file.seek(1_111_111)
        file.write(b"\xaa\x55")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    library.open("digits", "fit")
    assert shelf.loads == 2


def test_content_and_code_are_part_of_the_key(tmp_path: Path, shelf: Shelf) -> None:
    put(tmp_path / "digits.npy")
    (source,) = shelf.detect(tmp_path)
    options = NoOptions()
    key = fingerprint(source, "train", shelf.declared, options)
    assert key == fingerprint(source, "train", shelf.declared, options)
    assert key.state != fingerprint(source, "test", shelf.declared, options).state
    (loader,) = toolkit_emnist.toolkit_dataset_loaders()
    elsewhere = dataclasses.replace(shelf.declared, load=loader.load)
    assert key.place == fingerprint(source, "train", elsewhere, options).place
    assert key.state != fingerprint(source, "train", elsewhere, options).state


def test_nothing_half_read_is_kept(tmp_path: Path, library: DataLibrary) -> None:
    path = tmp_path / "datasets/digits.npy"
    put(path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UnreadableInputError):
        library.open("digits", "fit")
    assert entries(tmp_path) == []


DAMAGES: dict[str, Callable[[Path], object]] = {
    "no index": lambda entry: (entry / "entry.json").unlink(),
    "empty index": lambda entry: (entry / "entry.json").write_text(""),
    "index of something else": lambda entry: (entry / "entry.json").write_text("[]\n[]"),
    "index changed": lambda entry: (entry / "entry.json").write_text(
        (entry / "entry.json").read_text(encoding="utf-8").replace('"a"', '"z"')
    ),
    "no labels": lambda entry: (entry / "labels.npy").unlink(),
    "empty images": lambda entry: (entry / "images.npy").write_bytes(b""),
    "images cut": lambda entry: os.truncate(entry / "images.npy", 10_000),
    "images longer": lambda entry: (entry / "images.npy").write_bytes(
        (entry / "images.npy").read_bytes() + b"x"
    ),
    "one pixel": lambda entry: flip(entry / "images.npy", 200_000),
    "one label": lambda entry: flip(entry / "labels.npy", 200),
    "another array": lambda entry: np.save(entry / "labels.npy", np.zeros(3, np.int32)),
    "objects": lambda entry: np.save(entry / "labels.npy", np.array([{}] * 500), allow_pickle=True),
}


def flip(path: Path, at: int) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 1]))


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_entry_is_ignored_and_made_again(
    tmp_path: Path, library: DataLibrary, shelf: Shelf, damage: str
) -> None:
    put(tmp_path / "datasets/digits.npy")
    first = library.open("digits", "fit")
    images, labels = first.images.copy(), first.labels.copy()
    del first
    (entry,) = entries(tmp_path)
    DAMAGES[damage](entry)
    for _ in range(2):
        again = library.open("digits", "fit")
        np.testing.assert_array_equal(again.images, images)
        np.testing.assert_array_equal(again.labels, labels)
        assert again.classes == ("a", "b", "ß")
    assert shelf.loads == 2


def test_a_copied_entry_is_still_good(tmp_path: Path, library: DataLibrary, shelf: Shelf) -> None:
    put(tmp_path / "datasets/digits.npy")
    library.open("digits", "fit")
    (entry,) = entries(tmp_path)
    shutil.copytree(entry, tmp_path / "copy")
    shutil.rmtree(entry)
    shutil.move(tmp_path / "copy", entry)
    library.open("digits", "fit")
    assert shelf.loads == 1, "times differ, so the digests were compared, and fit"


def test_a_cache_that_cannot_be_written_costs_only_time(
    tmp_path: Path, library: DataLibrary, shelf: Shelf, caplog: pytest.LogCaptureFixture
) -> None:
    put(tmp_path / "datasets/digits.npy")
    (tmp_path / ".toolkit").write_text("a file in place of the folder")
    with caplog.at_level(logging.WARNING):
        fit = library.open("digits", "fit")
    assert len(fit) + len(library.open("digits", "validation")) == 500
    assert "not cached" in caplog.text


def test_a_disk_that_is_full_leaves_no_entry(
    tmp_path: Path, library: DataLibrary, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    put(tmp_path / "datasets/digits.npy")

    def refuse(target: Path, content: str) -> None:
        raise StorageError(f"{target}: the disk is full")

    monkeypatch.setattr(cache_module, "publish_text", refuse)
    assert len(library.open("digits", "fit")) > 400
    assert entries(tmp_path) == []
    assert "the disk is full" in caplog.text


def test_loaders_that_want_no_cache_get_none(tmp_path: Path, shelf: Shelf) -> None:
    put(tmp_path / "datasets/digits.npy")
    library = DataLibrary(
        {"shelf": dataclasses.replace(shelf.declared, cacheable=False)}, Workspace(tmp_path)
    )
    assert len(library.open("digits", "test")) == 500
    assert not (tmp_path / ".toolkit").exists()


def test_many_readers_of_a_cold_cache_read_the_file_once(tmp_path: Path, shelf: Shelf) -> None:
    put(tmp_path / "datasets/digits.npy", 2_000)
    sizes: list[int] = []

    def read() -> None:
        library = DataLibrary({"shelf": shelf.declared}, Workspace(tmp_path))
        sizes.append(int(library.open("digits", "fit").images.sum(dtype=np.int64)))

    threads = [threading.Thread(target=read) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(sizes) == 6
    assert len(set(sizes)) == 1
    assert shelf.loads == 1


def test_the_index_says_what_the_entry_is(tmp_path: Path, library: DataLibrary) -> None:
    put(tmp_path / "datasets/digits.npy")
    library.open("digits", "fit")
    (entry,) = entries(tmp_path)
    index = json.loads((entry / "entry.json").read_text(encoding="utf-8").partition("\n")[2])
    assert index["name"] == "digits"
    assert sum(index["splits"].values()) == 500


def test_real_data_opens_in_a_tenth_of_a_second_the_second_time(tmp_path: Path, shared: Path) -> None:
    (loader,) = toolkit_emnist.toolkit_dataset_loaders()
    (tmp_path / "datasets").symlink_to(shared / "data/emnist", target_is_directory=True)
    library = DataLibrary({"emnist": loader}, Workspace(tmp_path))
    fit = library.open(None, "fit")
    begin = time.process_time()
    again = library.open("emnist-byclass", "fit")
    assert time.process_time() - begin < 0.1
    assert len(again) == len(fit)
    assert len(fit) + len(library.open("byclass", "validation")) == 84_989
    assert len(library.open("byclass", "test")) == 12_000
    assert len(fit.classes) == 62
