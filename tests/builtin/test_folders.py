"""Folders of pictures by class."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import toolkit_folders
from toolkit.data import Dataset
from toolkit.declarations import DatasetLoader, LoadRequest
from toolkit.errors import LimitReachedError, MissingInputError, UnreadableInputError
from toolkit.library import DataLibrary
from toolkit.pictures import prepare_picture
from toolkit.store import Workspace
from toolkit.testing import check_plugin
from toolkit_folders import FolderOptions
from toolkit_folders.layout import class_of, detect


def glyph(seed: int) -> NDArray[np.uint8]:
    """A stroke somewhere in a dark picture."""
    picture = np.zeros((28, 28), np.uint8)
    picture[4:24, 6 + seed % 14 : 9 + seed % 14] = 100 + seed % 150
    return picture


def save(path: Path, picture: NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path)


def fill(root: Path, *folders: str, count: int = 3) -> None:
    for place, folder in enumerate(folders):
        for number in range(count):
            save(root / folder / f"{number}.png", glyph(place * count + number))


@pytest.fixture
def loader() -> DatasetLoader:
    (declared,) = toolkit_folders.toolkit_dataset_loaders()
    return declared


def read(loader: DatasetLoader, folder: Path, part: Any, **options: Any) -> Dataset:
    (source,) = detect(folder)
    return loader.load(LoadRequest(source, part, FolderOptions(**options)))


def test_the_plugin_keeps_the_contract() -> None:
    check_plugin("toolkit_folders")


# --- names of classes ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "character"),
    [
        ("A", "A"),
        ("a", "a"),
        ("7", "7"),
        ("ß", "ß"),
        ("a\u0308", "ä"),
        ("upper_A", "A"),
        ("upper_a", "A"),
        ("A_upper", "A"),
        ("lower_a", "a"),
        ("a_lower", "a"),
        ("U+0041", "A"),
        ("u+002f", "/"),
        ("U+1F600", "\U0001f600"),
        ("065", None),
        ("41", None),
        ("train", None),
        ("U+D800", None),
        ("U+0020", None),
        ("U+FFFFFF", None),
        ("upper_ß", None),
        (" ", None),
    ],
)
def test_a_folder_is_named_by_its_character(name: str, character: str | None) -> None:
    assert class_of(name) == character


# --- finding ---------------------------------------------------------------------------------


def test_both_layouts_are_found(tmp_path: Path) -> None:
    fill(tmp_path, "datasets/plain/A", "datasets/plain/lower_a", "datasets/deep/er/parts/train/0")
    fill(tmp_path, "datasets/deep/er/parts/train/1", "datasets/deep/er/parts/Test/1")
    plain, parts = detect(tmp_path / "datasets")
    assert (plain.name, plain.summary) == ("plain", "2 classes, pictures by folder")
    assert (parts.name, parts.files) == ("parts", {"pictures": tmp_path / "datasets/deep/er/parts"})
    assert detect(tmp_path / "datasets/plain")[0].name == "plain"


def test_other_folders_are_no_data_sets(tmp_path: Path) -> None:
    fill(tmp_path, "one/A", "words/cat", "words/dog", "docs/images")
    (tmp_path / "empty/A").mkdir(parents=True)
    (tmp_path / "empty/B").mkdir(parents=True)
    assert detect(tmp_path) == []
    assert detect(tmp_path / "nowhere") == []


def test_a_linked_folder_is_found(tmp_path: Path) -> None:
    fill(tmp_path, "elsewhere/mine/A", "elsewhere/mine/B")
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets/linked").symlink_to(tmp_path / "elsewhere/mine", target_is_directory=True)
    assert [source.name for source in detect(tmp_path / "datasets")] == ["linked"]


# --- loading ---------------------------------------------------------------------------------


def test_classes_are_sorted_and_grey_28_by_28_is_taken_as_it_is(
    tmp_path: Path, loader: DatasetLoader
) -> None:
    fill(tmp_path, "set/train/b", "set/train/upper_A", "set/test/b")
    train = read(loader, tmp_path, "train")
    assert train.name == "set"
    assert train.classes == ("A", "b")
    assert train.labels.dtype == np.int32
    assert train.labels.tolist() == [0, 0, 0, 1, 1, 1]
    np.testing.assert_array_equal(train.images[0], glyph(3))
    test = read(loader, tmp_path, "test")
    assert test.classes == ("A", "b")
    assert test.labels.tolist() == [1, 1, 1]


@pytest.mark.parametrize("ink", ["auto", "dark"])
def test_dark_strokes_become_light(tmp_path: Path, loader: DatasetLoader, ink: str) -> None:
    fill(tmp_path, "set/A", "set/B")
    save(tmp_path / "set/A/0.png", 255 - glyph(0))
    images = read(loader, tmp_path, "train", test_share=0.0, ink=ink).images
    np.testing.assert_array_equal(images[0], glyph(0))


def test_other_pictures_are_prepared(tmp_path: Path, loader: DatasetLoader) -> None:
    fill(tmp_path, "set/A", "set/B")
    large = np.full((120, 90, 3), 240, np.uint8)
    large[20:100, 40:50] = 10
    save(tmp_path / "set/A/9.PNG", large)
    images = read(loader, tmp_path, "train", test_share=0.0).images
    np.testing.assert_array_equal(images[3], prepare_picture(tmp_path / "set/A/9.PNG"))


def test_without_a_test_folder_the_pixels_decide(tmp_path: Path, loader: DatasetLoader) -> None:
    for number in range(200):
        save(tmp_path / f"set/{number % 2}/{number}.png", glyph(number))
    save(tmp_path / "set/0/copy.png", glyph(10))
    train, test = (read(loader, tmp_path, part, test_share=0.3) for part in ("train", "test"))
    assert len(train) + len(test) == 201
    assert 40 <= len(test) <= 80
    assert not {image.tobytes() for image in train.images} & {image.tobytes() for image in test.images}
    assert len(read(loader, tmp_path, "train", test_share=0.0)) == 201
    with pytest.raises(MissingInputError, match="set: there are no test pictures"):
        read(loader, tmp_path, "test", test_share=0.0)


def test_a_test_folder_alone_has_no_train_part(tmp_path: Path, loader: DatasetLoader) -> None:
    fill(tmp_path, "set/test/A", "set/test/B")
    assert detect(tmp_path)[0].summary == "2 classes, pictures by folder, no train folder"
    assert len(read(loader, tmp_path, "test")) == 6
    with pytest.raises(MissingInputError, match="set: there are no train pictures"):
        read(loader, tmp_path, "train")


@pytest.mark.parametrize("content", [b"", b"no picture", "cut", "blank"])
def test_a_bad_picture_is_named_or_skipped(
    tmp_path: Path, loader: DatasetLoader, content: Any, caplog: pytest.LogCaptureFixture
) -> None:
    fill(tmp_path, "set/A", "set/B")
    bad = tmp_path / "set/B/1.png"
    if content == "blank":
        save(bad, np.full((60, 60), 255, np.uint8))
    else:
        bad.write_bytes(bad.read_bytes()[:-30] if content == "cut" else content)
    with pytest.raises(UnreadableInputError, match=r"B/1\.png") as caught:
        read(loader, tmp_path, "train", test_share=0.0)
    assert "loader.skip_unreadable=true" in caught.value.hint
    rest = read(loader, tmp_path, "train", test_share=0.0, skip_unreadable=True)
    assert rest.labels.tolist() == [0, 0, 0, 1, 1]
    assert "skipped 1 of 6 pictures" in caplog.text
    assert "1.png" in caplog.text


def test_a_folder_that_is_no_class_is_refused(tmp_path: Path, loader: DatasetLoader) -> None:
    fill(tmp_path, "set/A", "set/B", "set/thumbs")
    with pytest.raises(UnreadableInputError, match="thumbs: is not named as a class") as caught:
        read(loader, tmp_path, "train")
    assert "upper_A" in caught.value.hint


def test_two_folders_of_one_class_are_refused(tmp_path: Path, loader: DatasetLoader) -> None:
    fill(tmp_path, "set/A", "set/B", "set/upper_A")
    with pytest.raises(UnreadableInputError, match="upper_A: is a second 'A'"):
        read(loader, tmp_path, "train")


def test_too_many_pictures_are_refused(
    tmp_path: Path, loader: DatasetLoader, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path, "set/A", "set/B")
    monkeypatch.setattr("toolkit_folders.layout.MAX_PICTURES", 5)
    with pytest.raises(LimitReachedError, match="at most 5 pictures"):
        read(loader, tmp_path, "train")


def test_the_library_caches_a_part_until_a_picture_changes(tmp_path: Path, loader: DatasetLoader) -> None:
    fill(tmp_path, "datasets/set/A", "datasets/set/B", "datasets/set/C", count=30)
    loads = []

    def load(request: LoadRequest) -> Dataset:
        loads.append(request.part)
        return loader.load(request)

    library = DataLibrary({"folders": dataclasses.replace(loader, load=load)}, Workspace(tmp_path))
    for _ in range(2):
        splits = [library.open("set", split) for split in ("fit", "validation", "test")]
        assert sum(map(len, splits)) == 90
    assert loads == ["train", "test"]
    save(tmp_path / "datasets/set/A/new.png", glyph(99))
    assert sum(len(library.open("set", split)) for split in ("fit", "validation", "test")) == 91
