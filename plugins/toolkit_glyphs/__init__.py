"""The data set that is always there: characters drawn from the fonts that matplotlib and Pillow ship."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit import hookimpl
from toolkit.types import DatasetLoader, DatasetSource, LoadRequest, MakeRequest
from toolkit_glyphs.options import GlyphOptions

if TYPE_CHECKING:
    from toolkit.data import Dataset


def _detect(folder: Path) -> Sequence[DatasetSource]:  # noqa: ARG001 - it is there for every folder
    return (
        DatasetSource(
            name="glyphs",
            loader="glyphs",
            summary="62 characters drawn from fonts, computed; 28×28, EMNIST's classes and look",
            rank=-1,
        ),
    )


def _load(request: LoadRequest) -> Dataset:
    from toolkit_glyphs.parts import load_part

    return load_part(request)


def _make(request: MakeRequest) -> Sequence[Path]:
    from toolkit_glyphs.csv_files import make_files

    return make_files(request)


@hookimpl
def toolkit_dataset_loaders() -> Iterable[DatasetLoader]:
    """The drawn data set."""
    return (
        DatasetLoader(
            name="glyphs",
            summary="characters drawn from fonts, always there; `make` writes them as EMNIST's CSV",
            detect=_detect,
            load=_load,
            options=GlyphOptions,
            make=_make,
        ),
    )
