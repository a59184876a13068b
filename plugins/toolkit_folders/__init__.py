"""Folders of pictures by class, as a data set."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from toolkit import hookimpl
from toolkit.options import option
from toolkit.records import dataclass
from toolkit.types import DatasetLoader, DatasetSource, LoadRequest

if TYPE_CHECKING:
    from toolkit.data import Dataset


@dataclass(frozen=True)
class FolderOptions:
    """Options of the loader."""

    test_share: float = option(
        0.1, help="share of the pictures in the test part, if there is no test folder", minimum=0, maximum=0.9
    )
    ink: Literal["auto", "light", "dark"] = option("auto", help="whether the strokes are light or dark")
    skip_unreadable: bool = option(default=False, help="leave out pictures that cannot be read")


@hookimpl
def toolkit_dataset_loaders() -> Iterable[DatasetLoader]:
    """Yield the loader ``folders``."""
    yield DatasetLoader(
        name="folders",
        summary="Pictures in one folder for each class: NAME/train/A/1.png or NAME/A/1.png.",
        detect=_detect,
        load=_load,
        options=FolderOptions,
    )


def _detect(folder: Path) -> Sequence[DatasetSource]:
    from toolkit_folders.layout import detect

    return detect(folder)


def _load(request: LoadRequest) -> Dataset:
    from toolkit_folders.loading import load

    return load(request)
