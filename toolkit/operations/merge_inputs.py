"""What a merge is to be made of: its models and its images, named by the user or found."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from toolkit.data import Dataset
from toolkit.declarations import DatasetSource
from toolkit.errors import MissingInputError, ToolkitError, UnsupportedError, UsageError
from toolkit.merging.evaluator import labelled_for
from toolkit.merging.families import best_family
from toolkit.merging.matching import Candidate, Matched, candidate, unique_names
from toolkit.merging.problems import Problem
from toolkit.operations.models import model_files
from toolkit.operations.opening import open_model
from toolkit.operations.toolkit import Toolkit

WITHOUT = "none"
"""The name of no data set, for a merge that is to look at no images."""


@dataclass(frozen=True, slots=True)
class ChosenModels:
    """The models of a merge.

    Attributes:
        candidates: Those that could be opened.
        problems: Why others could not.
        choices: What was chosen, and why; empty where the user named the models.
        notes: Which models were passed over, and why.
    """

    candidates: tuple[Candidate, ...]
    problems: tuple[Problem, ...] = ()
    choices: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ChosenImages:
    """The data set of a merge.

    Attributes:
        source: None where there is none.
        validation: Its validation split, labelled in the order of the networks' outputs.
        reason: Why this one, or why none.
        asked_for: Whether the user named it.
    """

    source: DatasetSource | None
    validation: Dataset | None
    reason: str
    asked_for: bool = False


def default_output(toolkit: Toolkit) -> Path:
    """Where a merge goes when nobody says."""
    return toolkit.workspace.models / "emnist_model.h5"


def choose_models(toolkit: Toolkit, paths: Sequence[Path], out: Path) -> ChosenModels:
    """Open the models that the user names, or else the family of the best ones.

    Args:
        toolkit: Where formats come from.
        paths: Of the models; empty for those of the workspace that belong together.
        out: The merge's output, which is not taken unless it is named.

    Raises:
        UsageError: If one model alone is named.
        MissingInputError: If no models are named and no two belong together.
    """
    if len(paths) == 1:
        raise UsageError(
            f"{paths[0]}: one model alone cannot be merged",
            hint="name two or more, or none to have them chosen",
        )
    if paths:
        candidates, problems = _opened(toolkit, paths)
        return ChosenModels(candidates, problems)
    outputs = {out.resolve(), default_output(toolkit).resolve()}
    others = [file.path for file in model_files(toolkit) if file.path.resolve() not in outputs]
    candidates, problems = _opened(toolkit, others)
    family = best_family(candidates)
    left_out = [*family.left_out, *((problem.model, problem.text) for problem in problems)]
    notes = tuple(f"{name} was passed over: {why.removeprefix(f'{name}: ')}" for name, why in left_out)
    if len(family.members) < 2:
        found = {0: "there is no model file", 1: "there is one model file"}.get(
            len(others), f"there are {len(others)} model files"
        )
        raise MissingInputError(
            f"{toolkit.workspace.models}: nothing to merge: {found}, {family.reason}"
            + "".join(f"\n  {note}" for note in notes),
            hint="train two models of one architecture, or name the models",
        )
    members = tuple(
        dataclasses.replace(member, position=place) for place, member in enumerate(family.members)
    )
    return ChosenModels(members, choices=(family.reason,), notes=notes)


def choose_images(toolkit: Toolkit, wanted: str | None, matched: Matched, outputs: int) -> ChosenImages:
    """Find the images that ingredients and candidates are scored on.

    Unless the user names it, the data set is the one that the models were trained on; where their
    cards do not say, the first that is found in files and has their classes.

    Args:
        toolkit: Where data sets come from.
        wanted: Name or path; ``none`` for no images; None to find them.
        matched: The models.
        outputs: Number of outputs of the networks.

    Raises:
        MissingInputError: If the data set that was named is not there.
        UnsupportedError: If the networks cannot be run on the images of the data set that was named.
        UsageError: If its classes are not the networks'.
    """
    if wanted == WITHOUT:
        return ChosenImages(None, None, "no data set, as asked for", asked_for=True)
    if wanted is not None:
        source = toolkit.data.find(wanted)
        obstacle = _obstacle(matched)
        if obstacle is not None:
            raise UnsupportedError(obstacle.message, hint="merge without looking at images: --dataset none")
        validation = _validation(toolkit, source, matched, outputs)
        if validation is None:
            raise UsageError(
                f"data set {source.name} does not have the {outputs} classes of the models",
                hint="choose the data set that they were trained on",
            )
        return ChosenImages(source, validation, f"data set {source.name}, as asked for", asked_for=True)
    cards = [item.model.card for item in matched.ingredients]
    names = list(dict.fromkeys(card.dataset for card in cards if card.dataset))
    sources = toolkit.data.sources()
    by_name = {source.name: source for source in reversed(sources)}
    if names:
        likely = [by_name[name] for name in names if name in by_name]
        why = "which the models were trained on"
    else:
        likely = [source for source in sources if source.files and source.rank >= 0][:1]
        why = "which is here and has their classes"
    obstacle = _obstacle(matched) if likely else None
    if obstacle is not None:
        return ChosenImages(None, None, f"no data set, for the network cannot be run: {obstacle.message}")
    for source in likely:
        validation = _validation(toolkit, source, matched, outputs)
        if validation is not None:
            return ChosenImages(source, validation, f"data set {source.name}, {why}")
    if names:
        missing = ", ".join(names)
        return ChosenImages(None, None, f"no data set: {missing}, {why}, is not here")
    return ChosenImages(None, None, "no data set: none with the models' classes is here")


def _opened(toolkit: Toolkit, paths: Sequence[Path]) -> tuple[tuple[Candidate, ...], tuple[Problem, ...]]:
    candidates: list[Candidate] = []
    problems: list[Problem] = []
    for position, (name, path) in enumerate(
        zip(unique_names([path.parts for path in paths]), paths, strict=True)
    ):
        try:
            candidates.append(candidate(name, open_model(toolkit, path), position))
        except ToolkitError as error:
            problems.append(Problem.of(name, error))
    return tuple(candidates), tuple(problems)


def _obstacle(matched: Matched) -> UnsupportedError | None:
    """Why the networks cannot be run on characters; None where they can."""
    from toolkit.engine import require_character_network

    model = matched.ingredients[0].model
    try:
        require_character_network(model)
        model.build_graph()
    except UnsupportedError as error:
        return error
    return None


def _validation(toolkit: Toolkit, source: DatasetSource, matched: Matched, outputs: int) -> Dataset | None:
    dataset = toolkit.data.open(source, "validation")
    if matched.classes:
        return labelled_for(dataset, matched.classes)
    return dataset if len(dataset.classes) == outputs else None
