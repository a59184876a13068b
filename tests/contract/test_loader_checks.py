"""The checks of data set loaders find what would fail later, in the hands of a user."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from toolkit.contract.loader_checks import dataset_problems, loader_problems
from toolkit.data import Dataset
from toolkit.declarations import DatasetLoader, DatasetSource, LoadRequest
from toolkit.options import option

Detect = Callable[[Path], Sequence[DatasetSource]]


@dataclass(frozen=True)
class TriedOptions:
    share: float = option(0.5, help="share of the pictures", minimum=0.0, maximum=1.0)


def dataset(images: Any = None, labels: Any = None, classes: tuple[str, ...] = ("A", "B")) -> Dataset:
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (60, 28, 28), np.uint8) if images is None else images
    labels = np.resize(np.arange(2, dtype=np.int32), len(images)) if labels is None else labels
    return Dataset("tried", classes, images, labels)


def problems(detect: Detect, load: Callable[[LoadRequest], Any] = lambda _: dataset()) -> list[str]:
    loader = DatasetLoader(name="tried", summary="Is tried", detect=detect, load=load, options=TriedOptions)
    return list(loader_problems(loader))


def source_at(folder: Path) -> list[DatasetSource]:
    return [DatasetSource("letters", "tried", "Letters", {"train": folder, "test": folder})]


def pictures(folder: Path) -> list[DatasetSource]:
    """The data set of a good loader: one source for a folder of pictures by class."""
    found = [below for below in folder.glob("*") if list(below.glob("*/*.png"))]
    return source_at(found[0]) if found else []


def test_a_loader_whose_source_is_a_folder_is_opened_through_the_cache() -> None:
    requests: list[LoadRequest] = []

    def load(request: LoadRequest) -> Dataset:
        requests.append(request)
        assert request.source.files["train"].is_dir()
        return dataset()

    assert problems(pictures, load) == []
    assert {request.part for request in requests} == {"train", "test"}
    assert all(request.options == TriedOptions() for request in requests)


def test_a_loader_that_fails_on_a_folder_is_named_with_its_error() -> None:
    def load(request: LoadRequest) -> Dataset:
        return dataset(np.frombuffer(request.source.files["train"].read_bytes(), np.uint8))

    (found,) = problems(pictures, load)
    assert found.startswith("source 'letters' cannot be opened: IsADirectoryError")


def test_a_loader_that_lists_every_picture_is_found() -> None:
    def detect(folder: Path) -> list[DatasetSource]:
        files = {f"train-{number}": path for number, path in enumerate(sorted(folder.rglob("*.png")))}
        return [DatasetSource("letters", "tried", "Letters", files)] if files else []

    assert (
        "source 'letters' lists 120 files of a folder with 120 pictures; list the folder instead"
        in problems(detect)
    )


def test_a_detect_that_needs_the_folder_to_exist_is_found() -> None:
    (found,) = problems(lambda folder: [source_at(below)[0] for below in folder.iterdir() if below.is_file()])
    assert found.startswith("detect fails on a folder that does not exist: FileNotFoundError")


def test_a_detect_that_fails_on_an_empty_folder_is_found() -> None:
    found = problems(lambda folder: [DatasetSource("a", "tried", str(1 // len(list(folder.glob("*")))))])
    assert any(text.startswith("detect fails on an empty folder: ZeroDivisionError") for text in found)


def test_a_detect_that_always_fails_is_found() -> None:
    found = problems(lambda _: 1 // 0)  # type: ignore[arg-type, return-value]
    assert [text.partition(": ")[2] for text in found] == [
        "ZeroDivisionError: integer division or modulo by zero"
    ] * 3


def test_sources_that_cannot_be_told_apart_and_written_files_are_found() -> None:
    def detect(folder: Path) -> list[DatasetSource]:
        if folder.exists():
            (folder / "cache").touch()
        return [DatasetSource("a", "somebody", "A"), DatasetSource("a", "tried", "A")]

    found = problems(detect)
    assert "detect writes into an empty folder: cache" in found
    assert "source 'a' names the loader 'somebody', expected 'tried'" in found
    assert any("two sources of one name" in text for text in found)


def test_a_detect_that_returns_something_else_is_found() -> None:
    (found,) = problems(lambda _: iter(()))  # type: ignore[arg-type, return-value]
    assert found.startswith("detect returned tuple_iterator")
    assert found.endswith("expected Sequence[DatasetSource]")


def test_parts_of_a_data_set_are_compared_with_what_the_host_expects() -> None:
    good = dataset()
    assert list(dataset_problems(good, good)) == []
    floats = dataset(np.zeros((4, 28, 28), np.float32))
    assert list(dataset_problems(floats, good)) == [
        "images are float32 (4, 28, 28), expected uint8 (4, 28, 28)"
    ]
    high = dataset(labels=np.full(60, 2, np.int32))
    assert list(dataset_problems(good, high)) == ["labels are 2 to 2 for 2 classes"]
    assert list(dataset_problems(dataset(np.zeros((0, 28, 28), np.uint8)), good)) == ["there are no images"]
    same = dataset(classes=("A", "A"))
    assert list(dataset_problems(same, good)) == [
        "classes are not two or more different ones",
        "the two parts have different classes",
    ]
