"""Ingredients as they are opened: named, checked, with a digest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from toolkit.declarations import Ingredient
from toolkit.errors import IncompatibleModelsError, shortened
from toolkit.graph.graph import QUANTISED_OPERATORS
from toolkit.model import Model
from toolkit.tensors import RecordedTensors

_MOST_PARTS = 1000


def ingredient(name: str, model: Model, position: int) -> Ingredient:
    """Read every tensor of a model once, for its digest; what reads it checks its numbers, too.

    Raises:
        IncompatibleModelsError: If it is an ensemble or quantised.
    """
    _require_single_float_network(name, model)
    tensors = RecordedTensors(model.tensors)
    return Ingredient(name, model, model.card.validation_accuracy, tensors.weights_digest(), position)


def _require_single_float_network(name: str, model: Model) -> None:
    card = model.card
    if card.made_by == "ensemble":
        parents = ", ".join(printable(parent.name) for parent in card.parents)
        raise IncompatibleModelsError(
            f"{name}: an ensemble of {parents}: several networks in one file cannot be averaged",
            hint="merge its models instead",
        )
    quantised = sorted({node.operator for node in model.describe_graph().nodes} & QUANTISED_OPERATORS)
    if quantised:
        raise IncompatibleModelsError(
            f"{name}: a quantised network ({', '.join(quantised)}): its integers cannot be averaged",
            hint="merge the float32 models, then export the result",
        )


def in_order(ingredients: Sequence[Ingredient]) -> list[Ingredient]:
    """The most accurate first; the order in which they were named only decides between copies."""
    return sorted(
        ingredients, key=lambda item: (-accuracy_of(item), digest_of(item), item.name, item.position)
    )


def accuracy_of(item: Ingredient) -> float:
    """The validation accuracy, 0 to 1; -1 if it is unknown."""
    return -1.0 if item.validation_accuracy is None else item.validation_accuracy


def digest_of(item: Ingredient) -> str:
    """The weights digest of the model, which differs from the file's after it was rewritten."""
    return item.model.card.weights_digest or item.digest


def printable(name: str) -> str:
    """A file's name with “�” for control characters and for bytes that are no text."""
    return "".join(character if character.isprintable() else "�" for character in name)


def unique_names(models: Sequence[Sequence[str]]) -> list[str]:
    """Short names for files: the file's own name, with folders where that is not unique.

    A file that is given twice gets a number.
    """
    # A recipe may name paths of any length; the time is that of their squares.
    paths = [tuple(part for part in parts[-_MOST_PARTS:] if not part.startswith("/")) for parts in models]
    names = {path: "/".join(path[-1:]) for path in paths}
    for depth in range(2, max(map(len, paths), default=0) + 1):
        counts = Counter(names.values())
        names = {path: "/".join(path[-depth:]) if counts[name] > 1 else name for path, name in names.items()}
    seen: Counter[str] = Counter()
    found: list[str] = []
    for path in paths:
        name = shortened(printable(names[path]), 300)
        seen[name] += 1
        found.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return found
