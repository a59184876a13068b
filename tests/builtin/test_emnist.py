"""Finding and loading EMNIST's variants in their layouts."""

from __future__ import annotations

import functools
import gzip
import string
import struct
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import toolkit_emnist
from toolkit.declarations import DatasetLoader, DatasetSource, LoadRequest
from toolkit.errors import (
    LimitReachedError,
    MissingInputError,
    ToolkitError,
    UnreadableInputError,
    UnsupportedError,
)
from toolkit.store import walk_folders
from toolkit_emnist.detection import detect
from toolkit_emnist.idx_reader import read_idx
from toolkit_emnist.mapping import STANDARD, mapping_of, read_mapping

DIGITS = mapping_of("digits", None)


@pytest.fixture
def loader() -> DatasetLoader:
    (declared,) = toolkit_emnist.toolkit_dataset_loaders()
    return declared


def cells(rows: int, label: int = 1, seed: int = 0) -> NDArray[np.uint8]:
    made = np.random.default_rng(seed).integers(0, 256, (rows, 785)).astype(np.uint8)
    made[:, 0] = label
    return made


def write_csv(path: Path, rows: NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    content = "".join(",".join(map(str, row)) + "\n" for row in rows.tolist()).encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def idx(array: NDArray[np.uint8]) -> bytes:
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


def write_idx(folder: Path, stem: str, rows: NDArray[np.uint8], *, end: str = ".gz") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in (("images-idx3", rows[:, 1:].reshape(-1, 28, 28)), ("labels-idx1", rows[:, 0])):
        content = idx(array)
        content = gzip.compress(content) if end else content
        (folder / f"{stem}-{name}-ubyte{end}").write_bytes(content)


def names_of(source: DatasetSource) -> dict[str, str]:
    return {role: path.name for role, path in source.files.items()}


# --- finding ---------------------------------------------------------------------------------


def test_all_variants_are_found_anywhere_below_and_byclass_comes_first(tmp_path: Path) -> None:
    for depth, variant in enumerate(reversed(list(STANDARD))):
        folder = tmp_path.joinpath(*"abcdef"[:depth])
        write_csv(folder / f"emnist-{variant}-train.csv", cells(1))
        write_csv(folder / f"EMNIST-{variant}-Test.CSV", cells(1))
    found = detect(tmp_path)
    assert [source.name for source in found] == [
        "byclass",
        "bymerge",
        "balanced",
        "letters",
        "digits",
        "mnist",
    ]
    assert found[0].rank < found[1].rank
    assert names_of(found[0]) == {"train": "emnist-byclass-train.csv", "test": "EMNIST-byclass-Test.CSV"}
    assert found[0].summary == "62 classes, CSV"


@pytest.mark.parametrize("end", ["", ".gz"])
def test_both_names_of_idx_files_are_known(tmp_path: Path, end: str) -> None:
    write_idx(tmp_path, "emnist-digits-train", cells(2), end=end)
    for path in tmp_path.iterdir():
        path.rename(path.with_name(path.name.replace("-idx", ".idx")))
    (source,) = detect(tmp_path)
    assert set(source.files) == {"train-images", "train-labels"}
    assert source.summary == f"10 classes, IDX{end}, no test file"


def test_images_without_labels_are_no_data_set(tmp_path: Path) -> None:
    write_idx(tmp_path, "emnist-digits-train", cells(2))
    (tmp_path / "emnist-digits-train-labels-idx1-ubyte.gz").unlink()
    assert detect(tmp_path) == []


def test_parts_may_be_in_different_layouts_and_folders(tmp_path: Path) -> None:
    write_csv(tmp_path / "a/emnist-digits-train.csv.gz", cells(2))
    write_idx(tmp_path / "b", "emnist-digits-test", cells(2))
    (source,) = detect(tmp_path)
    assert set(source.files) == {"train", "test-images", "test-labels"}


def test_side_by_side_idx_is_taken_before_csv_and_plain_before_gzip(tmp_path: Path) -> None:
    for part in ("train", "test"):
        write_csv(tmp_path / f"emnist-digits-{part}.csv", cells(2))
        write_csv(tmp_path / f"emnist-digits-{part}.csv.gz", cells(2))
    (source,) = detect(tmp_path)
    assert names_of(source) == {"train": "emnist-digits-train.csv", "test": "emnist-digits-test.csv"}
    write_idx(tmp_path, "emnist-digits-train", cells(2))
    (source,) = detect(tmp_path)
    assert set(source.files) == {"train", "test"}, "parts of one layout belong together"
    write_idx(tmp_path, "emnist-digits-test", cells(2))
    (source,) = detect(tmp_path)
    assert set(source.files) == {"train-images", "train-labels", "test-images", "test-labels"}


def test_the_nearest_folder_is_taken_and_parts_of_one_folder_belong_together(tmp_path: Path) -> None:
    write_csv(tmp_path / "deep/er/emnist-digits-train.csv", cells(2))
    write_csv(tmp_path / "deep/er/emnist-digits-test.csv", cells(2))
    write_csv(tmp_path / "emnist-digits-train.csv", cells(2))
    (source,) = detect(tmp_path)
    assert {path.parent.name for path in source.files.values()} == {"er"}
    write_csv(tmp_path / "near/emnist-digits-train.csv", cells(2))
    write_csv(tmp_path / "near/emnist-digits-test.csv", cells(2))
    (source,) = detect(tmp_path)
    assert {path.parent.name for path in source.files.values()} == {"near"}


def test_a_variant_without_train_file_is_taken_last(tmp_path: Path) -> None:
    write_csv(tmp_path / "emnist-byclass-test.csv", cells(2))
    write_csv(tmp_path / "emnist-mnist-train.csv", cells(2))
    assert [source.name for source in detect(tmp_path)] == ["mnist", "byclass"]


def test_hidden_folders_and_loops_of_links_are_left_alone(tmp_path: Path) -> None:
    write_csv(tmp_path / ".hidden/emnist-digits-train.csv", cells(2))
    (tmp_path / "loop").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "emnist-digits-train.csv").symlink_to(tmp_path / "emnist-digits-train.csv")
    (tmp_path / "emnist-digits-test.csv").symlink_to(tmp_path / "nowhere.csv")
    assert detect(tmp_path) == []
    assert detect(tmp_path / "nowhere") == []


def test_too_deep_and_too_many_end_the_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_csv(tmp_path / "1/2/3/4/5/6/7/emnist-digits-train.csv", cells(2))
    assert detect(tmp_path) == []
    write_csv(tmp_path / "z/emnist-digits-train.csv", cells(2))
    bounded = functools.partial(walk_folders, max_entries=1)
    monkeypatch.setattr("toolkit_emnist.detection.walk_folders", bounded)
    assert detect(tmp_path) == []


def test_a_folder_that_is_a_link_is_followed(tmp_path: Path) -> None:
    write_csv(tmp_path / "elsewhere/emnist/emnist-digits-train.csv", cells(2))
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets/linked").symlink_to(tmp_path / "elsewhere/emnist", target_is_directory=True)
    (source,) = detect(tmp_path / "datasets")
    assert source.files == {"train": tmp_path / "datasets/linked/emnist-digits-train.csv"}


def test_a_file_that_is_a_link_is_taken(tmp_path: Path) -> None:
    write_csv(tmp_path / "elsewhere/data.csv", cells(2))
    (tmp_path / "emnist-digits-train.csv").symlink_to(tmp_path / "elsewhere/data.csv")
    assert [source.name for source in detect(tmp_path)] == ["digits"]


def test_own_sets_are_found_if_a_mapping_is_in_their_folder(tmp_path: Path, loader: DatasetLoader) -> None:
    write_csv(tmp_path / "emnist-signs-train.csv", cells(2, label=7))
    assert detect(tmp_path) == []
    (tmp_path / "emnist-signs-mapping.txt").write_text("3 43\n7 45\n")
    (source,) = detect(tmp_path)
    dataset = loader.load(LoadRequest(source, "train"))
    assert dataset.classes == ("+", "-")
    assert dataset.labels.tolist() == [1, 1]


# --- mappings --------------------------------------------------------------------------------


def test_standard_mappings_are_emnists_own(shared: Path) -> None:
    assert {variant: len(classes) for variant, classes in STANDARD.items()} == {
        "byclass": 62,
        "bymerge": 47,
        "balanced": 47,
        "letters": 26,
        "digits": 10,
        "mnist": 10,
    }
    for variant in ("byclass", "bymerge"):
        file = shared / f"data/emnist/emnist-{variant}-mapping.txt"
        assert read_mapping(file) == mapping_of(variant, None)


@pytest.mark.parametrize(
    "content", ["0 48\n1 49\n", "0 48\r\n1 49\r\n", "0 48\n1 49", "\ufeff1 49\n0 48 111\n\n"]
)
def test_mappings_are_read(tmp_path: Path, content: str) -> None:
    path = tmp_path / "emnist-x-mapping.txt"
    path.write_bytes(content.encode())
    mapping = read_mapping(path)
    assert list(mapping.characters) == [0, 1]
    assert mapping.classes == ("0", "1")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"0 48\n1\n", "row 2: expected 'label code-point'"),
        (b"0 48\n1 x\n", "row 2: expected 'label code-point'"),
        (b"0 48\n-1 49\n", "row 2: expected 'label code-point'"),
        (b"0 48\n256 49\n", "row 2: expected a label from 0 to 255, received 256"),
        (b"0 48\n0 49\n", "row 2: label 0 is in the mapping twice"),
        (b"0 48\n1 48\n", "row 2: character '0' is in the mapping twice"),
        (b"0 48\n1 7\n", "row 2: expected the code point of a visible character"),
        (b"0 48\n1 55296\n", "row 2: expected the code point of a visible character"),
        (b"0 48\n1 9999999\n", "row 2: expected the code point of a visible character"),
        (b"0 48\n", "expected a mapping of 2 classes or more, received 1"),
        (b"", "received 0"),
        (b"\xff\xfe0\x00", "expected a text file"),
        (b"0 48\n" * 20_000, "larger than the limit of 0.06 MiB"),
    ],
)
def test_a_damaged_mapping_is_reported(tmp_path: Path, content: bytes, complaint: str) -> None:
    path = tmp_path / "emnist-x-mapping.txt"
    path.write_bytes(content)
    with pytest.raises(UnreadableInputError) as caught:
        read_mapping(path)
    assert complaint in caught.value.message
    assert path.name in caught.value.message


def test_the_mapping_in_the_data_s_folder_is_used_and_classes_are_its_own(
    tmp_path: Path, loader: DatasetLoader
) -> None:
    write_csv(tmp_path / "emnist-letters-train.csv", cells(4, label=26))
    (source,) = detect(tmp_path)
    dataset = loader.load(LoadRequest(source, "train"))
    assert dataset.classes == tuple(string.ascii_uppercase)
    assert dataset.labels.tolist() == [25] * 4
    (tmp_path / "emnist-letters-mapping.txt").write_text("".join(f"{n} {96 + n}\r\n" for n in range(1, 27)))
    (source,) = detect(tmp_path)
    assert loader.load(LoadRequest(source, "train")).classes == tuple(string.ascii_lowercase)


def test_a_missing_part_is_reported(tmp_path: Path, loader: DatasetLoader) -> None:
    write_csv(tmp_path / "emnist-digits-train.csv", cells(2))
    (source,) = detect(tmp_path)
    with pytest.raises(MissingInputError, match="digits has no test file"):
        loader.load(LoadRequest(source, "test"))


# --- IDX -------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["", ".gz"])
def test_csv_and_idx_of_the_same_images_are_the_same(tmp_path: Path, loader: DatasetLoader, end: str) -> None:
    rows = cells(3_000, label=9)
    write_csv(tmp_path / "csv/emnist-digits-train.csv", rows)
    write_idx(tmp_path / "idx", "emnist-digits-train", rows, end=end)
    first, second = (
        loader.load(LoadRequest(detect(tmp_path / layout)[0], "train")) for layout in ("csv", "idx")
    )
    np.testing.assert_array_equal(first.images, second.images)
    np.testing.assert_array_equal(first.labels, second.labels)
    assert second.labels.dtype == np.int32
    assert first.images[0, 3, 5] == rows[0, 1 + 5 * 28 + 3]


def test_real_idx_files_are_read(shared: Path) -> None:
    folder = shared / "data/emnist"
    images, labels = read_idx(
        folder / "emnist-bymerge-test-images-idx3-ubyte.gz",
        folder / "emnist-bymerge-test-labels-idx1-ubyte.gz",
        mapping_of("bymerge", folder / "emnist-bymerge-mapping.txt"),
    )
    assert images.shape == (10_000, 28, 28)
    assert labels.max() == 46


IMAGES = np.zeros((3, 28, 28), np.uint8)
LABELS = np.array([0, 1, 2], np.uint8)


@pytest.mark.parametrize(
    ("images", "labels", "kind", "complaint"),
    [
        (b"", idx(LABELS), UnreadableInputError, "images: expected an IDX file of 3 dimensions"),
        (b"\0\0\x08", idx(LABELS), UnreadableInputError, "received 00 00 08"),
        (idx(LABELS), idx(LABELS), UnreadableInputError, "received 00 00 08 01"),
        (idx(IMAGES), idx(IMAGES), UnreadableInputError, "labels: expected an IDX file of 1 dimension "),
        (
            idx(IMAGES)[:-1],
            idx(LABELS),
            UnreadableInputError,
            "images: truncated: its header promises 3 images",
        ),
        (
            idx(IMAGES),
            idx(LABELS)[:-1],
            UnreadableInputError,
            "labels: truncated: its header promises 3 labels",
        ),
        (idx(IMAGES) + b"x", idx(LABELS), UnreadableInputError, "images: expected the end of the file"),
        (idx(IMAGES), idx(LABELS) + b"x", UnreadableInputError, "labels: expected the end of the file"),
        (idx(IMAGES[:2]), idx(LABELS), UnreadableInputError, "expected 3 images, one for each label"),
        (idx(IMAGES[:, :14]), idx(LABELS), UnsupportedError, "28×28, received 14×28"),
        (b"\0\0\x0d\x03" + bytes(12), idx(LABELS), UnsupportedError, "type 0x0d"),
        (
            idx(IMAGES),
            idx(LABELS + 9),
            UnreadableInputError,
            "labels: label number 2: expected a label from 0",
        ),
        (idx(IMAGES), b"\0\0\x08\x01" + bytes(4), UnreadableInputError, "received a header of none"),
        (idx(IMAGES), b"\0\0\x08\x01" + b"\xff" * 4, LimitReachedError, "at most 2,000,000 images"),
        (idx(IMAGES), b"\0\0\x08\x01\0\x1e\0\0", UnreadableInputError, "promises 1,966,080 bytes"),
        (
            gzip.compress(idx(IMAGES), mtime=0)[:-4],
            idx(LABELS),
            UnreadableInputError,
            "images: truncated gzip",
        ),
    ],
)
def test_a_damaged_idx_file_is_reported(
    tmp_path: Path, images: bytes, labels: bytes, kind: type[ToolkitError], complaint: str
) -> None:
    (tmp_path / "images").write_bytes(images)
    (tmp_path / "labels").write_bytes(labels)
    with pytest.raises(kind) as caught:
        read_idx(tmp_path / "images", tmp_path / "labels", DIGITS)
    assert complaint in caught.value.message
