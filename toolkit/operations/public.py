"""What plugins may call of the verbs, offered as ``toolkit.<name>``."""

from __future__ import annotations

from pathlib import Path

from toolkit.data import Dataset
from toolkit.operations.toolkit import Toolkit
from toolkit.store import Workspace
from toolkit.vocabulary import SplitName


def open_dataset(name: str | None, split: SplitName, workspace: str | Path = ".") -> Dataset:
    """Open one split of a data set, through the cache.

    Args:
        name: Name or path; None for the best that is found.
        split: ``fit``, ``validation`` or ``test``.
        workspace: The folder whose data sets are looked through.

    Raises:
        MissingInputError: If there is no such data set.
        UnreadableInputError: If its files are damaged.
    """
    data = Toolkit(Workspace(Path(workspace))).data
    return data.open(data.find(name), split)
