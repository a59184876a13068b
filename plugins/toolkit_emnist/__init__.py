"""EMNIST's six variants, as CSV and as IDX: found, read, downloaded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.host.hookspecs import hookimpl
from toolkit.types import DatasetLoader, DatasetSource, FetchRequest, LoadRequest

if TYPE_CHECKING:
    from toolkit.data import Dataset

VARIANTS = ("byclass", "bymerge", "balanced", "letters", "digits", "mnist")


@hookimpl
def toolkit_dataset_loaders() -> Iterable[DatasetLoader]:
    """Yield the loader ``emnist``."""
    yield DatasetLoader(
        name="emnist",
        summary="EMNIST as CSV, .csv.gz or IDX: byclass, bymerge, balanced, letters, digits, mnist.",
        detect=_detect,
        load=_load,
        fetch=_fetch,
        fetchable=VARIANTS,
    )


def _detect(folder: Path) -> Sequence[DatasetSource]:
    from toolkit_emnist.detection import detect

    return detect(folder)


def _load(request: LoadRequest) -> Dataset:
    from toolkit_emnist.loading import load

    return load(request)


def _fetch(request: FetchRequest) -> Sequence[Path]:
    from toolkit_emnist.fetching import fetch

    return fetch(request)
