"""Combine: the strategy makes one model of the ingredients."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from toolkit.declarations import MergeRequest, Need
from toolkit.declarations.merged_tensors import TensorwiseTensors, check_shares
from toolkit.errors import PlanRefusedError, PluginError, ToolkitError
from toolkit.merging.problems import Problem
from toolkit.merging.stages.recalibrate import draw_images
from toolkit.merging.state import MergeState, Stage


def problems(state: MergeState) -> Iterator[Problem]:
    """Needs that are not met, and what the strategy itself refuses of conformed ingredients."""
    needs, count = state.strategy.needs_with(state.options), len(state.ingredients)
    about, code = f"strategy {state.strategy.name}", PlanRefusedError.code
    without_images = state.images.open is None
    found = [
        Problem(
            about,
            f"{about} needs {need.value}: {state.images.reason}",
            "name a data set with --dataset, or choose --strategy mean",
            code,
        )
        for need in (Need.EVALUATOR, Need.IMAGES)
        if need in needs and without_images
    ]
    if Need.SCORES in needs and not found and without_images:
        text = f"has no validation accuracy in its card, which {about} needs"
        hint = "name a data set with --dataset to measure it"
        unscored = [item.name for item in state.ingredients if item.validation_accuracy is None]
        found += [Problem(name, text, hint, code) for name in unscored]
    if state.strategy.exactly not in (None, count):
        text = f"{about} merges exactly {state.strategy.exactly} models, {count} were given"
        found.append(Problem(about, text, "name that many", code))
    yield from found
    if not found and state.reports:
        yield from _refusals(state)


def _refusals(state: MergeState) -> Iterator[Problem]:
    """Without images a merge is cheap to try, because a strategy's tensors are computed when read."""
    needs = state.strategy.needs_with(state.options)
    if needs and (state.images.open is not None or needs != {Need.SCORES}):
        return
    try:
        result = run(state).made
    except ToolkitError as error:
        yield Problem.of(f"strategy {state.strategy.name}", error)
        return
    mean_of_weights = isinstance(result.model.tensors, TensorwiseTensors)
    if state.images.open is None and mean_of_weights and not state.recipe.keep_worse:
        for pair in state.unrelated:
            yield Problem(
                pair.other,
                f"{pair.sentence}: their mean is useless, and there are no images to measure it",
                "name a data set with --dataset, or save it anyway with --keep-worse",
            )


def run(state: MergeState) -> MergeState:
    """Call the strategy and check what it says about its result."""
    needs, seed = state.strategy.needs_with(state.options), state.recipe.seed
    images = state.images
    request = MergeRequest(
        ingredients=state.ingredients,
        options=state.options,
        seed=seed,
        evaluate=state.evaluate if Need.EVALUATOR in needs else None,
        images=(lambda count: draw_images(images, count, seed)) if Need.IMAGES in needs else None,
    )
    result = state.strategy.merge(request)
    names = [item.name for item in state.ingredients]
    originals = {item.copy_of or item.name for item in state.ingredients}
    if result.unchanged is None and len(originals) == 1:
        only = names.index(originals.pop())
        result = dataclasses.replace(result, model=state.ingredients[only].model, unchanged=names[only])
    if result.unchanged not in (None, *names):
        raise PluginError(
            f"strategy {state.strategy.name} returned {result.unchanged!r} unchanged, which is no ingredient",
            hint="report it to the strategy's author",
        )
    shares = check_shares(result.shares, len(names))
    used = sum(share != 0 for share in shares)
    sentence = f"{state.strategy.name} of {used} of {len(names)} ingredients"
    if result.unchanged is not None:
        sentence = f"{state.strategy.name}: the result is {result.unchanged} unchanged"
    result = dataclasses.replace(result, shares=shares)
    return dataclasses.replace(state, result=result).after("combine", sentence)


STAGE = Stage("combine", problems, run)
