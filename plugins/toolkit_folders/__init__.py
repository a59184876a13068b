"""Folders of pictures by class, as a data set."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from toolkit import hookimpl
from toolkit.options import option
from toolkit.records import dataclass
from toolkit.types import DatasetLoader, lazy


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
        detect=lazy("toolkit_folders.layout:detect"),
        load=lazy("toolkit_folders.loading:load"),
        options=FolderOptions,
    )
