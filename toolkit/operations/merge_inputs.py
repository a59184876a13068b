"""The models and the data set of a merge, named by the user or found."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path

from toolkit.declarations import DatasetSource, Ingredient
from toolkit.errors import MissingInputError, ToolkitError, UnsupportedError, UsageError
from toolkit.merging.families import best_family
from toolkit.merging.ingredients import ingredient, unique_names
from toolkit.merging.problems import Problem
from toolkit.merging.state import Images
from toolkit.operations.models import model_files
from toolkit.operations.open_model import open_model, stated_conventions
from toolkit.operations.resources import Resources
from toolkit.records import dataclass
from toolkit.requests.merge import WITHOUT_DATASET, Merge
from toolkit.store.opening import real_path


@dataclass(frozen=True)
class Models:
    """The models that could be opened, and why others could not."""

    ingredients: tuple[Ingredient, ...]
    problems: tuple[Problem, ...] = ()
    choices: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def choose_models(toolkit: Resources, request: Merge, out: Path) -> Models:
    """Open the models that the user names, or else the family of the best ones."""
    paths = request.models
    if len(paths) == 1:
        hint = "name two or more, or none to have them chosen"
        raise UsageError(f"{paths[0]}: one model cannot be merged", hint=hint)
    if paths:
        return _opened(toolkit, paths, request)
    outputs = {real_path(out), real_path(toolkit.workspace.merged_model)}
    others = [file.path for file in model_files(toolkit) if real_path(file.path) not in outputs]
    found = _opened(toolkit, others, request)
    family = best_family([item for item in found.ingredients if not item.model.card.untrained])
    untrained = [(item.name, "untrained") for item in found.ingredients if item.model.card.untrained]
    left_out = [*family.left_out, *untrained, *((problem.model, problem.text) for problem in found.problems)]
    notes = tuple(f"{name} skipped: {why.removeprefix(f'{name}: ')}" for name, why in left_out)
    if len(family.members) < 2:
        count = {0: "no model file", 1: "one model file"}.get(len(others), f"{len(others)} model files")
        raise MissingInputError(
            f"{toolkit.workspace.models}: nothing to merge: {count}, {family.reason}"
            + "".join(f"\n  {note}" for note in notes),
            hint="train two models of one architecture, or name the models",
        )
    members = (dataclasses.replace(member, position=place) for place, member in enumerate(family.members))
    return Models(tuple(members), choices=(family.reason,), notes=notes)


def choose_images(toolkit: Resources, wanted: str | None, ingredients: Sequence[Ingredient]) -> Images:
    """Find the images that ingredients and candidates are scored on.

    By default the models' training data; if no card names it, the first of all data sets in files that fits.
    """
    if wanted == WITHOUT_DATASET:
        return Images("no data set, as asked for")
    if wanted is not None:
        source = toolkit.data.find(wanted)
        obstacle = _obstacle(ingredients)
        if obstacle is not None:
            raise UnsupportedError(obstacle.message, hint="merge without images: --dataset none")
        images = _images(toolkit, source, ingredients, f"data set {source.name}, as asked for")
        if images is None:
            classes = f"the models' {ingredients[0].model.classes} classes"
            hint = "choose the data set that they were trained on"
            raise UsageError(f"data set {source.name} does not have {classes}", hint=hint)
        return images
    trained_on = dict.fromkeys(item.model.card.dataset for item in ingredients if item.model.card.dataset)
    sources = toolkit.data.sources()
    if trained_on:
        by_name = {source.name: source for source in reversed(sources)}
        likely = [by_name[name] for name in trained_on if name in by_name]
    else:
        likely = [source for source in sources if source.files and source.rank >= 0]
    obstacle = _obstacle(ingredients) if likely else None
    if obstacle is not None:
        return Images(f"no data set, because the network cannot be run: {obstacle.message}")
    for source in likely:
        owners = [item.name for item in ingredients if item.model.card.dataset == source.name]
        why = "which is here and has the models' classes"
        if owners:
            who = "the models were" if len(owners) == len(ingredients) else f"{', '.join(owners)} was"
            why = f"which {who} trained on"
        images = _images(toolkit, source, ingredients, f"data set {source.name}, {why}")
        if images is not None:
            return images
    if trained_on:
        return Images(f"no data set: {', '.join(trained_on)}, named in the models' cards, is not here")
    return Images("no data set: none with the models' classes is here")


def _opened(toolkit: Resources, paths: Sequence[Path], request: Merge) -> Models:
    opened: list[Ingredient] = []
    problems: list[Problem] = []
    names = unique_names([path.parts for path in paths])
    stated = stated_conventions(paths, request.convention, request.conventions)
    for position, (name, path) in enumerate(zip(names, paths, strict=True)):
        try:
            model = open_model(toolkit, path, request.arch)
            convention = stated[position] or model.card.convention
            model = model.with_card(dataclasses.replace(model.card, convention=convention))
            opened.append(ingredient(name, model, position))
        except ToolkitError as error:
            problems.append(Problem.of(name, error))
    return Models(tuple(opened), tuple(problems))


def _obstacle(ingredients: Sequence[Ingredient]) -> UnsupportedError | None:
    """Why the networks cannot be run on characters; None if they can."""
    from toolkit.engine import require_character_network

    model = ingredients[0].model
    try:
        require_character_network(model)
        model.build_graph()
    except UnsupportedError as error:
        return error
    return None


def _images(
    toolkit: Resources, source: DatasetSource, ingredients: Sequence[Ingredient], reason: str
) -> Images | None:
    """The data set, if it has the networks' classes; output 0 may be unused."""
    names = next((item.model.card.classes for item in ingredients if item.model.card.classes), None)
    try:
        labels = toolkit.data.classes_of(source)
    except ToolkitError:
        if "as asked for" in reason:
            raise
        return None
    count = ingredients[0].model.classes
    fits = sorted(labels) == sorted(names) if names else len(labels) in (count, count - 1)
    split = functools.cache(functools.partial(toolkit.data.open, source))
    return Images(reason, source.name, split) if fits else None
