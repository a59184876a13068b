"""The data set that is always there."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import toolkit_glyphs
from toolkit.data import Dataset
from toolkit.declarations import DatasetLoader, LoadRequest, MakeRequest
from toolkit.errors import UsageError
from toolkit.vocabulary import SilentProgress
from toolkit_glyphs import GlyphOptions, faces
from toolkit_glyphs.drawing import draw_glyphs
from toolkit_glyphs.fields import glyph_fields, signed_distance

SMALL = GlyphOptions(train_per_class=6, test_per_class=3)


@pytest.fixture(scope="module")
def loader() -> DatasetLoader:
    (declared,) = toolkit_glyphs.toolkit_dataset_loaders()
    return declared


def load(loader: DatasetLoader, part: str, options: GlyphOptions = SMALL) -> Dataset:
    (source,) = loader.detect(Path())
    return loader.load(LoadRequest(source, part, options))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def train(loader: DatasetLoader) -> Dataset:
    return load(loader, "train", GlyphOptions(train_per_class=60))


def test_it_is_found_in_every_folder_and_never_picked_unnamed(loader: DatasetLoader, tmp_path: Path) -> None:
    (source,) = loader.detect(tmp_path / "nowhere")
    assert source.name == "glyphs"
    assert source.rank < 0
    assert not source.files


def test_the_classes_are_emnist_s(train: Dataset) -> None:
    assert "".join(train.classes) == "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    assert (np.bincount(train.labels) == 60).all()
    assert train.images.shape == (62 * 60, 28, 28)
    assert train.images.dtype == np.uint8
    assert train.labels.dtype == np.int32


def test_twice_the_same_and_in_another_process_too(loader: DatasetLoader) -> None:
    first = load(loader, "train").images
    assert np.array_equal(first, load(loader, "train").images)
    program = (
        "import hashlib; from toolkit_glyphs.parts import draw_part; from toolkit_glyphs import GlyphOptions;"
        "print(hashlib.sha256(draw_part('train', GlyphOptions(6, 3)).images).hexdigest())"
    )
    printed = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout
    assert printed.strip() == hashlib.sha256(first.tobytes()).hexdigest()


def test_a_longer_data_set_begins_like_a_shorter_one(loader: DatasetLoader, train: Dataset) -> None:
    shorter = load(loader, "train")
    assert np.array_equal(shorter.images, train.images[: len(shorter)])


def test_seed_and_part_make_other_images(loader: DatasetLoader) -> None:
    draws = [
        load(loader, "train"),
        load(loader, "train", GlyphOptions(6, 3, seed=1)),
        load(loader, "test"),
        load(loader, "test", GlyphOptions(6, 3, seed=1)),
    ]
    seen = {image.tobytes() for dataset in draws for image in dataset.images}
    assert len(seen) == sum(len(dataset) for dataset in draws)


def test_the_test_part_is_distorted_in_ways_of_its_own() -> None:
    without, _ = draw_glyphs(glyph_fields(), 4, seed=3, stream=1, held_out=False)
    held_out, _ = draw_glyphs(glyph_fields(), 4, seed=3, stream=1, held_out=True)
    changed = np.any(without != held_out, axis=(1, 2)).mean()
    assert 0.35 < changed < 0.65


def test_framing_and_greys_are_emnist_s(train: Dataset) -> None:
    """Against what 12,000 real images measure: longer side 23.7, mean grey 44, box centre 14."""
    images = train.images
    inked = np.asarray(images > 20)
    rows, columns = np.asarray(inked.any(2)), np.asarray(inked.any(1))
    top, left = rows.argmax(1), columns.argmax(1)
    bottom, right = 28 - rows[:, ::-1].argmax(1), 28 - columns[:, ::-1].argmax(1)
    longer = np.maximum(bottom - top, right - left)
    assert longer.mean() == pytest.approx(23.7, abs=0.7)
    assert np.percentile(longer, 1) >= 18
    assert np.abs((top + bottom) / 2 - 14).max() <= 1.5
    assert np.abs((left + right) / 2 - 14).max() <= 1.5
    assert images.mean() == pytest.approx(44, abs=5)
    assert np.all(images.max((1, 2)) == 255)
    assert not images[:, [0, -1]].all(2).any()


def test_every_class_looks_like_itself(train: Dataset) -> None:
    """The mean images of the classes tell held-out ones apart far better than chance (1.6 %)."""
    images = train.images.reshape(len(train), -1).astype(np.float64)
    half = len(train) // 2
    means = np.stack([images[:half][train.labels[:half] == label].mean(0) for label in range(62)])
    distances = (means * means).sum(1) - 2 * images[half:] @ means.T
    assert (distances.argmin(1) == train.labels[half:]).mean() > 0.5


def test_every_character_has_many_faces() -> None:
    count = glyph_fields().count
    assert len(count) == 62
    assert count.min() >= 10


def test_a_face_without_a_character_leaves_it_out(monkeypatch: pytest.MonkeyPatch) -> None:
    # Nobody has assigned the private code points from U+E000 on.
    beyond = faces.Face("DejaVuSans.ttf", digits=0xE000, capitals=0xE100, small=ord("a"))
    monkeypatch.setattr(faces, "FACES", (beyond,))
    assert {label for label, _ in faces.draw_characters()} == set(range(36, 62))


def test_pillow_s_own_face_remains_without_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faces, "_font_folder", lambda: None)
    assert sorted(label for label, _ in faces.draw_characters()) == list(range(62))


def test_distances_to_the_edge() -> None:
    coverage = np.zeros((1, 32, 32), np.float32)
    coverage[0, 8:24, 8:24] = 1
    coverage[0, 8:24, 24] = 0.75
    distance = signed_distance(coverage)[0]
    assert distance[16, 8] == 0.5
    assert distance[16, 12] == 4.5
    assert distance[16, 5] == -2.5
    assert distance[16, 24] == pytest.approx(0.25)
    assert distance[5, 4] == pytest.approx(0.5 - 5)
    assert distance.min() >= -11


def test_the_whole_data_set_takes_seconds(loader: DatasetLoader) -> None:
    start = time.process_time()
    load(loader, "train", GlyphOptions())
    load(loader, "test", GlyphOptions())
    assert time.process_time() - start < 10


def test_csv_is_emnist_s(loader: DatasetLoader, tmp_path: Path) -> None:
    assert loader.make is not None
    files = loader.make(MakeRequest(tmp_path, "csv", 0, SilentProgress(), SMALL))
    assert [file.name for file in files] == [
        "emnist-glyphs-train.csv",
        "emnist-glyphs-test.csv",
        "emnist-glyphs-mapping.txt",
    ]
    assert sorted(tmp_path.iterdir()) == sorted(files)
    for part, file in zip(("train", "test"), files, strict=False):
        rows = np.loadtxt(file, delimiter=",", dtype=np.int64)
        dataset = load(loader, part)
        assert rows.shape == (len(dataset), 785)
        assert np.array_equal(rows[:, 0], dataset.labels)
        assert np.array_equal(rows[:, 1:].reshape(-1, 28, 28).transpose(0, 2, 1), dataset.images)
    mapping = [line.split() for line in files[2].read_text().splitlines()]
    assert [(int(label), chr(int(code))) for label, code in mapping] == list(enumerate(faces.CHARACTERS))


def test_the_seed_of_the_request_counts(loader: DatasetLoader, tmp_path: Path) -> None:
    assert loader.make is not None
    options = GlyphOptions(1, 1)
    for seed in (0, 5):
        (tmp_path / str(seed)).mkdir()
        loader.make(MakeRequest(tmp_path / str(seed), "csv", seed, SilentProgress(), options))
    first, second = ((tmp_path / seed / "emnist-glyphs-train.csv").read_bytes() for seed in ("0", "5"))
    assert first != second


def test_other_formats_are_refused(loader: DatasetLoader, tmp_path: Path) -> None:
    assert loader.make is not None
    with pytest.raises(UsageError, match="'npz'"):
        loader.make(MakeRequest(tmp_path, "npz", 0, SilentProgress()))
    assert not list(tmp_path.iterdir())


def test_declaring_imports_nothing_heavy() -> None:
    program = (
        "import sys, toolkit_glyphs; list(toolkit_glyphs.toolkit_dataset_loaders());"
        "print(sorted({'numpy', 'PIL', 'matplotlib'} & set(sys.modules)))"
    )
    printed = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout
    assert printed.strip() == "[]"
