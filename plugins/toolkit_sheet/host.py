"""The host's data sets, as the command and the routes reach them."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import toolkit
from toolkit.data import Dataset
from toolkit.library import DataLibrary
from toolkit.types import SplitName


@runtime_checkable
class HasData(Protocol):
    """What the host puts into a Click context and into a Flask app's extensions."""

    @property
    def data(self) -> DataLibrary:
        """The data sets of the workspace."""


class Output(Protocol):
    """Where the host's command line writes."""

    json: bool


@runtime_checkable
class HasOutput(Protocol):
    """What the host puts into a Click context."""

    @property
    def output(self) -> Output:
        """Whether JSON is wanted."""


def open_dataset(host: object, name: str | None, split: SplitName) -> Dataset:
    """Open a data set of the host's workspace, or of the working directory where there is no host.

    Args:
        host: What the host gave, if it gave anything.
        name: None for the best that there is.
        split: Which part.

    Raises:
        MissingInputError: There is no such data set.
    """
    if isinstance(host, HasData):
        return host.data.open(name, split)
    return toolkit.open_dataset(name, split)
