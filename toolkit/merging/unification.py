"""All ingredients of a merge for one input format, with their classes in one order."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from toolkit.declarations import Ingredient
from toolkit.errors import ToolkitError, UsageError
from toolkit.merging.problems import Problem
from toolkit.model import Model
from toolkit.model.heads import take_outputs
from toolkit.model.rewriting import rewritten
from toolkit.records import dataclass
from toolkit.tensors import weights_digest
from toolkit.vocabulary import Convention

_HINT = "merge networks of the same classes and input format"

T = TypeVar("T", Convention, tuple[str, ...])


@dataclass(frozen=True)
class Unified:
    """Ingredients after they were rewritten.

    Attributes:
        ingredients: In the order given; those that cannot be rewritten as they were. The card of a
            rewritten one has its new weights digest.
        sentences: What was rewritten, for people.
        problems: Why others could not be.
    """

    ingredients: tuple[Ingredient, ...]
    sentences: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()


def unified(ingredients: Sequence[Ingredient]) -> Unified:
    """Rewrite ingredients that expect other pixels, or have the same classes in another order.

    The input format is the one that most ingredients can be rewritten to exactly; of several, the
    most common one, then that of the ingredient with the highest accuracy in its card, then upright
    before transposed, unit before raw, light before dark. The order of classes is chosen alike. The
    result does not depend on the order of the ingredients, nor on figures that are measured later.
    Ingredients whose format or classes are unknown stay as they are.
    """
    found, told, problems = list(ingredients), [], []
    rewrite = partial(rewritten, tensors_only=True)
    target, attempts = _best(found, lambda model: model.card.convention, rewrite, _plainness)
    for place, attempt in enumerate(attempts):
        item, own = found[place], found[place].model.card.convention
        if isinstance(attempt, ToolkitError):
            text = f"expects {own} input, not {target}: {_reason(item, attempt)}"
            problems.append(Problem(item.name, text, _HINT))
        elif attempt is not item.model:
            found[place] = _replaced(item, attempt)
            told.append(f"{item.name} rewritten from {own} to {target}, with the same answers")
    classes = _common_classes(found)
    order, attempts = _best(
        found,
        lambda model: model.card.classes if tuple(sorted(model.card.classes)) == classes else None,
        _ordered,
        _same,
    )
    for place, attempt in enumerate(attempts):
        item = found[place]
        if isinstance(attempt, ToolkitError):
            text = f"has its classes in another order: {_reason(item, attempt)}"
            problems.append(Problem(item.name, text, _HINT))
        elif attempt is not item.model:
            found[place] = _replaced(item, attempt)
            first = next(one.name for one in ingredients if one.model.card.classes == order)
            told.append(f"outputs of {item.name} put into the order of {first}")
    return Unified(tuple(found), tuple(told), tuple(problems))


def _best(
    items: Sequence[Ingredient],
    known: Callable[[Model], T | None],
    rewrite: Callable[[Model, T], Model],
    preference: Callable[[T], Any],
) -> tuple[T | None, list[Model | ToolkitError]]:
    """The best target, and every model as it is for this target, or why it cannot be."""
    values = [known(item.model) for item in items]
    counts = Counter(value for value in values if value is not None)
    if len(counts) < 2:
        return None, []
    accuracy = {
        target: max(
            _card_accuracy(item) for item, value in zip(items, values, strict=True) if value == target
        )
        for target in counts
    }
    ranked = sorted(counts, key=lambda target: (-counts[target], -accuracy[target], preference(target)))

    def attempt(item: Ingredient, value: T | None, target: T) -> Model | ToolkitError:
        if value is None or value == target:
            return item.model
        try:
            return rewrite(item.model, target)
        except ToolkitError as error:
            return error

    attempts = [
        [attempt(item, value, target) for item, value in zip(items, values, strict=True)] for target in ranked
    ]
    failures = [sum(isinstance(one, ToolkitError) for one in made) for made in attempts]
    chosen = failures.index(min(failures))
    return ranked[chosen], attempts[chosen]


def _reason(item: Ingredient, error: ToolkitError) -> str:
    """The message without the model's name, which the problem has already."""
    return error.message.removeprefix(item.model.name).removeprefix(":").strip()


def _replaced(item: Ingredient, model: Model) -> Ingredient:
    card = dataclasses.replace(model.card, weights_digest=weights_digest(model.tensors))
    return dataclasses.replace(item, model=model.with_card(card))


def _plainness(convention: Convention) -> tuple[bool, bool, bool, str]:
    unusual = convention.orientation != "upright", convention.scale != "unit", convention.ink != "light"
    return *unusual, str(convention)


def _same(classes: tuple[str, ...]) -> tuple[str, ...]:
    return classes


def _common_classes(items: Sequence[Ingredient]) -> tuple[str, ...]:
    """The characters that most ingredients have, sorted."""
    known = [tuple(sorted(item.model.card.classes)) for item in items if item.model.card.classes]
    counts = Counter(known)
    return max(sorted(counts), key=lambda classes: counts[classes], default=())


def _ordered(model: Model, classes: tuple[str, ...]) -> Model:
    """The network with its outputs in the order of the classes."""
    own = model.card.classes
    if len(set(own)) < len(own):
        raise UsageError("its card names a class twice", hint="correct its card")
    return take_outputs(model, [own.index(name) for name in classes])


def _card_accuracy(item: Ingredient) -> float:
    accuracy = item.model.card.validation_accuracy
    return -1.0 if accuracy is None else accuracy
