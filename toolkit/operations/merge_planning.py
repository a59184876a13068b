"""From an order to a plan with every choice made and every problem found, before any work."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from toolkit.declarations import MergeRequest, MergeStrategy, ModelFormat, Need
from toolkit.errors import PlanRefusedError, PluginError, ToolkitError, UnsupportedError, UsageError
from toolkit.host.kinds import MERGE_STRATEGIES, MODEL_FORMATS
from toolkit.merging.matching import Candidate, Matched, match
from toolkit.merging.plan import MergePlan, PlannedIngredient
from toolkit.merging.problems import Problem
from toolkit.merging.recalibrate import (
    CALIBRATION_IMAGES,
    has_batch_statistics,
    recalibration_obstacle,
)
from toolkit.model.card_file import read_card, verify_file
from toolkit.operations.merge_inputs import (
    ChosenImages,
    ChosenModels,
    choose_images,
    choose_models,
    default_output,
)
from toolkit.operations.toolkit import Toolkit
from toolkit.options import options_as_json, parse_options
from toolkit.vocabulary import Progress

_CANNOT_GIVE = (Need.BASE, Need.GRADIENTS, Need.ACTIVATIONS)


@dataclass(frozen=True, slots=True)
class MergeOrder:
    """What the user wants merged.

    Attributes:
        models: Paths; empty for the models of the workspace that belong together.
        strategy: Name of the strategy; None for greedy where there are images to score on, and
            mean otherwise.
        options: ``key=value`` for the strategy.
        recalibrate: Number of images to recalibrate on; 0 for no recalibration; None for 5,000
            where there are images and the network has batch normalisation.
        dataset: Name or path; ``none`` for no images; None for the one the models were trained on.
        out: The output; its suffix decides the format. None for ``models/emnist_model.h5``.
        plan_only: Whether to stop before any work.
        seed: Of every random choice, 0 or above.
        test: Whether to score on the test split as well, at the end.
    """

    models: tuple[Path, ...] = ()
    strategy: str | None = None
    options: tuple[str, ...] = ()
    recalibrate: int | None = None
    dataset: str | None = None
    out: Path | None = None
    plan_only: bool = False
    seed: int = 0
    test: bool = False


@dataclass(frozen=True, slots=True)
class Prepared:
    """A plan with what it takes to carry it out.

    Attributes:
        plan: What would be done.
        strategy: As declared by its plugin.
        options: An instance of its options.
        candidates: The models.
        matched: The same, seen under one's names.
        images: What to score on.
        recalibrate: Number of images; 0 for none.
        recalibration: Why that many, for the report.
        out: The output.
        model_format: Writes it.
    """

    plan: MergePlan
    strategy: MergeStrategy
    options: Any
    candidates: tuple[Candidate, ...]
    matched: Matched
    images: ChosenImages
    recalibrate: int
    recalibration: str
    out: Path
    model_format: ModelFormat


@dataclass(slots=True)
class _Findings:
    choices: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def prepare(toolkit: Toolkit, order: MergeOrder, progress: Progress) -> Prepared:
    """Make every choice that the order leaves open, and look for everything that is in the way.

    Args:
        toolkit: Where formats, strategies and data sets come from.
        order: What the user wants.
        progress: Told what is looked at.

    Raises:
        UsageError: If the order itself cannot be followed: a wrong option, an output that is not
            the toolkit's to overwrite.
        MissingInputError: If there is nothing to merge, or a data set that was named is not there.
        PluginError: If there is no such strategy.
    """
    out = order.out if order.out is not None else default_output(toolkit)
    named = None if order.strategy is None else toolkit.catalog.get(MERGE_STRATEGIES, order.strategy)
    model_format = _writer(toolkit, out)
    _check_output(out, order)
    found = _Findings()
    progress.note("reading the models")
    chosen = choose_models(toolkit, order.models, out)
    found.choices += chosen.choices
    found.notes += chosen.notes
    found.problems += chosen.problems
    if len(chosen.candidates) < 2:
        return _hopeless(toolkit, order, named, chosen, found, out, model_format)
    matched = match(chosen.candidates)
    found.notes += matched.notes
    found.problems += matched.problems
    found.problems += _unwritable(toolkit, chosen, matched, model_format, out)
    matched = dataclasses.replace(matched, problems=tuple(found.problems))
    outputs = chosen.candidates[0].model.classes
    images = _images(toolkit, order, matched, outputs, found)
    found.choices.append(f"scored on {images.reason}" if images.source else images.reason)
    strategy, reason = _strategy(toolkit, named, images)
    if reason:
        found.choices.append(reason)
    options: Any = parse_options(strategy.options, order.options, owner=f"merge strategy {strategy.name!r}")
    found.problems += _unmet(strategy, options, matched, images, chosen)
    if not found.problems:
        found.problems += _objections(order, strategy, options, matched)
    count, why = _recalibration(order, matched, images)
    plan = _plan(order, strategy, options, matched, images, count, out, found, why)
    return Prepared(
        plan, strategy, options, chosen.candidates, matched, images, count, why, out, model_format
    )


def _writer(toolkit: Toolkit, out: Path) -> ModelFormat:
    model_format = toolkit.catalog.format_of(out)
    if model_format.write is None:
        writable = sorted(
            suffix
            for one in toolkit.catalog.all(MODEL_FORMATS).values()
            if one.write
            for suffix in one.suffixes
        )
        raise UsageError(
            f"{out}: {model_format.name} files are only read",
            hint=f"name an output that ends in {', '.join(writable)}, then `toolkit export` it",
        )
    return model_format


def _unwritable(
    toolkit: Toolkit, chosen: ChosenModels, matched: Matched, model_format: ModelFormat, out: Path
) -> Iterator[Problem]:
    """A network in a dialect that the output's format cannot hold."""
    first = matched.ingredients[0].model if matched.ingredients else chosen.candidates[0].model
    dialect = first.dialect
    if model_format.dialects and dialect not in model_format.dialects:
        able = (
            one
            for one in toolkit.catalog.all(MODEL_FORMATS).values()
            if one.write and (not one.dialects or dialect in one.dialects)
        )
        suffixes = ", ".join(sorted(suffix for one in able for suffix in one.suffixes))
        yield Problem(
            out.name,
            f"a file of format {model_format.name} holds no {dialect} network",
            f"name an --out that ends in {suffixes}; `toolkit export` makes another format of it",
            UnsupportedError.code,
        )


def _check_output(out: Path, order: MergeOrder) -> None:
    if any(path.resolve() == out.resolve() for path in order.models):
        raise UsageError(
            f"{out}: the merge would replace one of its own ingredients",
            hint="choose another place with --out",
        )
    if not out.exists():
        return
    if not out.is_file() or read_card(out) is None:
        raise UsageError(
            f"{out}: is there already and was not written by this toolkit",
            hint="move it away, or choose another place with --out",
        )
    verify_file(out)


def _images(
    toolkit: Toolkit, order: MergeOrder, matched: Matched, outputs: int, found: _Findings
) -> ChosenImages:
    """No data set is opened for models that cannot be merged anyway."""
    if found.problems:
        return ChosenImages(None, None, "no data set was looked for, for the models cannot be merged")
    images = choose_images(toolkit, order.dataset, matched, outputs)
    if images.validation is not None and matched.convention is None:
        found.notes.append("no card tells how the models want their pixels: taken to be upright/unit/light")
    if images.source is None and order.test:
        raise UsageError("--test needs a data set", hint="name one with --dataset")
    return images


def _strategy(
    toolkit: Toolkit, named: MergeStrategy | None, images: ChosenImages
) -> tuple[MergeStrategy, str]:
    if named is not None:
        return named, ""
    with_images = images.validation is not None
    chosen = _default_strategy(toolkit, with_images=with_images)
    there_are = "there are" if with_images else "there are no"
    return chosen, f"strategy {chosen.name}, for {there_are} validation images to choose the ingredients by"


def _default_strategy(toolkit: Toolkit, *, with_images: bool) -> MergeStrategy:
    """The first by rank whose needs can be met under its own defaults."""
    met = {Need.SCORES, Need.EVALUATOR} if with_images else set()
    possible = [
        strategy
        for strategy in toolkit.catalog.all(MERGE_STRATEGIES).values()
        if strategy.exactly is None and strategy.needs_with(strategy.options()) <= met
    ]
    if not possible:
        raise PluginError(
            "no merge strategy can do with what is at hand",
            hint="see toolkit plugins list, or name a --dataset",
        )
    return min(possible, key=lambda strategy: (strategy.rank, strategy.name))


def _unmet(
    strategy: MergeStrategy,
    options: Any,
    matched: Matched,
    images: ChosenImages,
    chosen: ChosenModels,
) -> Iterator[Problem]:
    needs = strategy.needs_with(options)
    about = f"strategy {strategy.name}"
    for need in sorted(needs.intersection(_CANNOT_GIVE), key=lambda one: one.name):
        yield Problem(
            about,
            f"{about} needs {need.value}, which a merge cannot give it",
            "choose another",
            PlanRefusedError.code,
        )
    if Need.EVALUATOR in needs and images.validation is None and not matched.problems:
        yield Problem(
            about,
            f"{about} needs {Need.EVALUATOR.value}: {images.reason}",
            "name a data set with --dataset, or choose --strategy mean",
            PlanRefusedError.code,
        )
    elif Need.SCORES in needs and images.validation is None:
        for item in matched.ingredients:
            if item.validation_accuracy is None:
                yield Problem(
                    item.name,
                    f"has no validation accuracy in its card, which {about} needs",
                    "name a data set with --dataset to measure it",
                    PlanRefusedError.code,
                )
    if strategy.exactly is not None and len(chosen.candidates) != strategy.exactly:
        yield Problem(
            about,
            f"{about} merges exactly {strategy.exactly} models, {len(chosen.candidates)} were given",
            "name that many",
            PlanRefusedError.code,
        )


def _objections(
    order: MergeOrder, strategy: MergeStrategy, options: Any, matched: Matched
) -> Iterator[Problem]:
    """What a strategy that needs nothing but the ingredients has against them, asked before any work."""
    if strategy.needs_with(options):
        return
    classes = matched.ingredients[0].model.classes
    try:
        strategy.merge(MergeRequest(matched.ingredients, classes, options, order.seed))
    except ToolkitError as error:
        yield Problem.of(f"strategy {strategy.name}", error)


def _recalibration(order: MergeOrder, matched: Matched, images: ChosenImages) -> tuple[int, str]:
    if matched.problems:
        return 0, images.reason
    if not has_batch_statistics(matched.ingredients[0].model):
        return 0, "nothing to recalibrate: the network has no batch normalisation"
    if order.recalibrate == 0:
        return 0, "batch statistics are averaged, not recalibrated, as asked for"
    if images.source is None:
        if order.recalibrate is not None:
            raise UsageError(
                f"--recalibrate {order.recalibrate} needs images: {images.reason}",
                hint="name a data set with --dataset, or say --recalibrate off",
            )
        return 0, "batch statistics are only averaged: there are no images to recalibrate them on"
    obstacle = recalibration_obstacle(matched.ingredients[0].model)
    if obstacle is not None:
        if order.recalibrate is not None:
            raise type(obstacle)(obstacle.message, hint=f"{obstacle.hint}: say --recalibrate off")
        return 0, f"batch statistics are only averaged: {obstacle.message}"
    count = CALIBRATION_IMAGES if order.recalibrate is None else order.recalibrate
    where = f"{count:,} unlabelled image{'' if count == 1 else 's'} of {images.source.name}'s fit split"
    return count, f"batch statistics are recalibrated on {where}"


def _plan(
    order: MergeOrder,
    strategy: MergeStrategy,
    options: Any,
    matched: Matched,
    images: ChosenImages,
    recalibrate: int,
    out: Path,
    found: _Findings,
    recalibration: str,
) -> MergePlan:
    first = matched.ingredients[0].model if matched.ingredients else None
    return MergePlan(
        strategy=strategy.name,
        options=options_as_json(options),
        ingredients=tuple(
            PlannedIngredient(item.name, item.digest, item.validation_accuracy)
            for item in matched.ingredients
        ),
        classes=first.classes if first else 0,
        parameters=first.parameters if first else 0,
        dataset=images.source.name if images.source else "",
        recalibrate=recalibrate,
        output=str(out),
        seed=order.seed,
        choices=tuple(dict.fromkeys((*found.choices, recalibration))),
        notes=tuple(found.notes),
        problems=tuple(found.problems),
    )


def _hopeless(
    toolkit: Toolkit,
    order: MergeOrder,
    named: MergeStrategy | None,
    chosen: ChosenModels,
    found: _Findings,
    out: Path,
    model_format: ModelFormat,
) -> Prepared:
    """The plan where fewer than two models could be opened: nothing but the problems."""
    images = ChosenImages(None, None, "no data set was looked for, for the models cannot be merged")
    strategy = named or _default_strategy(toolkit, with_images=False)
    options: Any = parse_options(strategy.options, order.options, owner=f"merge strategy {strategy.name!r}")
    matched = Matched((), (), (), None, tuple(found.problems), ())
    plan = _plan(order, strategy, options, matched, images, 0, out, found, images.reason)
    return Prepared(plan, strategy, options, chosen.candidates, matched, images, 0, "", out, model_format)
