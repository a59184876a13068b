"""The models that a client may name, and by which names."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from toolkit.operations.models import model_files
from toolkit.records import dataclass
from toolkit.store.opening import name_of
from toolkit.web.web_state import WebState


@dataclass(frozen=True)
class ListedModel:
    """A model file as a client sees it.

    Attributes:
        label: Unique in the list: the file's name, or where two have the same one, the path.
        path: The name that requests use, ``models/emnist_byclass_model.h5``.
    """

    label: str
    path: str
    size: int
    file: Path


def listed_models(state: WebState) -> tuple[ListedModel, ...]:
    """The model files below the roots, sorted by path.

    Files that no request could name are left out: their names have other characters than letters,
    digits, ``.``, ``_`` and ``-``, or they are too deep.
    """
    named = [(name_of(found.path, state.roots), found) for found in model_files(state.toolkit)]
    counts = Counter(found.path.name for path, found in named if path is not None)
    return tuple(
        ListedModel(path if counts[found.path.name] > 1 else found.path.name, path, found.size, found.path)
        for path, found in named
        if path is not None
    )
