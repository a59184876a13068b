"""Setting a merged network's batch statistics right."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from toolkit.data import Dataset
from toolkit.errors import UnsupportedError
from toolkit.model import Model
from toolkit.tensors import OverlaidTensors

if TYPE_CHECKING:
    from toolkit.vocabulary import Convention

CALIBRATION_IMAGES = 5000
"""How many images are plenty: more change the statistics of an EMNIST-size network by nothing."""


def has_batch_statistics(model: Model) -> bool:
    """Whether there is anything to recalibrate."""
    return any(spec.role.is_statistic for spec in model.tensors.specs.values())


def recalibration_obstacle(model: Model) -> UnsupportedError | None:
    """Why a network that can be run cannot be recalibrated; None where it can. Reads no tensor."""
    from toolkit.engine.segments import SegmentedGraph

    try:
        SegmentedGraph(model.build_graph(), model.name)
    except UnsupportedError as error:
        return error
    return None


def calibration_images(fit: Dataset, count: int, seed: int) -> NDArray[np.uint8]:
    """Draw images from the fit split; their labels are not looked at.

    Args:
        fit: Never the validation or the test split.
        count: How many; all where there are fewer.
        seed: The same seed draws the same images, in the order of the data set.

    Returns:
        (count, 28, 28) uint8, in memory.
    """
    if count >= len(fit):
        return np.asarray(fit.images)
    chosen = np.random.default_rng([seed, count]).choice(len(fit), size=count, replace=False)
    return np.asarray(fit.images[np.sort(chosen)])


def recalibrate(model: Model, images: NDArray[np.uint8], convention: Convention | None = None) -> Model:
    """Give every batch normalisation the statistics that its inputs really have.

    Averaging networks shrinks the spread of their activations, so statistics averaged from the
    parents are wrong (Jordan et al., REPAIR, arXiv 2211.08403, section 3). Here they are counted
    anew: exact mean and population variance over all images, layer by layer from the input on.

    Args:
        model: Everything but its running means and variances stays.
        images: (n, 28, 28) uint8, upright, light ink; unlabelled, from the fit split.
        convention: How the network wants its pixels; by default what its card says.

    Returns:
        The model itself where it has no batch normalisation.
    """
    if not has_batch_statistics(model):
        return model
    from toolkit.engine import batch_statistics

    statistics = batch_statistics(model, images, convention)
    return model.with_tensors(OverlaidTensors(model.tensors, statistics)) if statistics else model
