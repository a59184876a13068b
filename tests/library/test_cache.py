"""What DataLibrary caches, and when it reads again."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from shelf import Shelf, entries, put

import toolkit_emnist
from toolkit.data import Dataset, validation_mask
from toolkit.declarations import DatasetSource, LoadRequest, NoOptions
from toolkit.errors import MissingInputError, StorageError, UnreadableInputError
from toolkit.library import DataLibrary
from toolkit.library import cache as cache_module
from toolkit.library import fingerprint as fingerprint_module
from toolkit.library.fingerprint import fingerprint
from toolkit.store import Workspace


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
