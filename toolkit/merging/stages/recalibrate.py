"""Recalibrate: batch statistics of the merged network, measured on unlabelled images.

Averaging networks shrinks the spread of their activations, so averaged statistics are wrong
(Jordan et al., REPAIR, arXiv 2211.08403, section 3).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import UnsupportedError, UsageError
from toolkit.merging.problems import Problem
from toolkit.merging.recipe import Recipe
from toolkit.merging.state import Images, MergeState, Stage
from toolkit.model import Model
from toolkit.options import option, options_from_mapping
from toolkit.records import dataclass
from toolkit.tensors import OverlaidTensors
from toolkit.vocabulary import Convention

CALIBRATION_IMAGES = 5000
"""Enough: more images do not change the statistics of an EMNIST-size network."""


@dataclass(frozen=True)
class RecalibrateOptions:
    """Options of the stage."""

    images: int = option(0, help="number of unlabelled images of the fit split; 0 for off", minimum=0)
    seed: int = option(0, help="random seed of their choice", minimum=0)


def default_images(model: Model, images: Images) -> int:
    """How many images are used if the user does not say."""
    usable = images.open is not None and has_batch_statistics(model) and obstacle(model) is None
    return CALIBRATION_IMAGES if usable else 0


def has_batch_statistics(model: Model) -> bool:
    """Whether the network has batch normalisation."""
    return any(spec.role.is_statistic for spec in model.tensors.specs.values())


def obstacle(model: Model) -> UnsupportedError | None:
    """Why a network that can be run cannot be recalibrated; None if it can. Reads no tensor."""
    from toolkit.engine.segments import SegmentedGraph

    try:
        SegmentedGraph(model.build_graph(), model.name)
    except UnsupportedError as error:
        return error
    return None


def draw_images(images: Images, count: int, seed: int) -> NDArray[np.uint8]:
    """Draw images from the fit split, in its order: (count, 28, 28) uint8, all if there are fewer."""
    assert images.open is not None  # the plan refuses a merge that needs images and has none
    fit = images.open("fit")
    if count >= len(fit):
        return np.asarray(fit.images)
    chosen = np.random.default_rng([seed, count]).choice(len(fit), size=count, replace=False)
    return np.asarray(fit.images[np.sort(chosen)])


def problems(state: MergeState) -> Iterator[Problem]:
    """Images were asked for, and there are none or the network cannot be recalibrated on them."""
    options = options_of(state.recipe)
    if not options.images or not has_batch_statistics(state.model):
        return
    if state.images.open is None:
        yield Problem(
            "recalibrate",
            f"--recalibrate {options.images} needs images: {state.images.reason}",
            "name a data set with --dataset, or use --recalibrate off",
            UsageError.code,
        )
        return
    error = obstacle(state.model)
    if error is not None:
        yield Problem("recalibrate", error.message, f"{error.hint}; use --recalibrate off", error.code)


def skip(state: MergeState) -> str:
    """Why the batch statistics stay as they are."""
    if not has_batch_statistics(state.model):
        return "nothing to recalibrate: the network has no batch normalisation"
    if state.result is not None and state.result.unchanged is not None:
        return "not recalibrated: the result is one ingredient with its own batch statistics"
    if state.doubts:
        return "batch statistics are averaged, not recalibrated: an input format is in doubt"
    if options_of(state.recipe).images:
        return ""
    if state.images.open is None:
        return "batch statistics are averaged: there are no images to recalibrate them on"
    error = obstacle(state.model)
    return f"batch statistics are averaged, not recalibrated{f': {error.message}' if error else ''}"


def run(state: MergeState) -> MergeState:
    """Measure every batch normalisation's input, layer by layer from the input on."""
    from toolkit.engine import batch_statistics

    options, name = options_of(state.recipe), state.images.name
    images = draw_images(state.images, options.images, options.seed)
    statistics = batch_statistics(state.model, images, state.convention or Convention())
    model = state.model.with_tensors(OverlaidTensors(state.model.tensors, statistics))
    number = f"{len(images):,} unlabelled image{'' if len(images) == 1 else 's'}"
    every = "all " if len(images) < options.images else ""
    return state.after(
        "recalibrate",
        f"batch statistics are recalibrated on {every}{number} of the fit split of {name}",
        model,
        images=len(images),
        dataset=name,
    )


def options_of(recipe: Recipe) -> RecalibrateOptions:
    """The stage's options in a recipe."""
    given = recipe.stages.get("recalibrate", {})
    return options_from_mapping(RecalibrateOptions, given, owner="stage recalibrate")


STAGE = Stage("recalibrate", problems, run, skip, RecalibrateOptions, finishes_candidates=True)
