"""The requests of ``toolkit datasets``."""

from pathlib import Path

from toolkit.options import GivenOptions, option
from toolkit.records import dataclass


@dataclass(frozen=True)
class ListDatasets:
    """List the data sets of the workspace."""


@dataclass(frozen=True)
class ShowDataset:
    """Count the images of a data set by split and class."""

    name: str | None = option(
        None, help="data set: name, folder or file; by default the one used for training"
    )
    options: GivenOptions = option((), help="options of the data set's loader")


@dataclass(frozen=True)
class GetDataset:
    """Download a data set."""

    variant: str
    out: Path | None = option(None, help="folder for the files; by default datasets/")
    url: str = option("", help="another address of the same archive")


@dataclass(frozen=True)
class MakeDataset:
    """Write a computed data set to files."""

    name: str
    format: str = option("csv", help="format of the files")
    seed: int = option(0, help="random seed", minimum=0)
    out: Path | None = option(None, help="folder for the files; by default datasets/")
    force: bool = option(False, help="replace existing files")  # noqa: FBT003
    options: GivenOptions = option((), help="options of the data set")
