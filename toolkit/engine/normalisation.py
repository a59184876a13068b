"""The statistics of batch normalisation, computed exactly."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from toolkit.engine.network import input_batches, require_character_network
from toolkit.engine.segments import Normalisation, SegmentedGraph, moment_names
from toolkit.engine.session import Session, usable_processors
from toolkit.errors import UnreadableInputError, UsageError
from toolkit.graph.onnx_form import initializer as as_initializer
from toolkit.graph.onnx_form import to_onnx
from toolkit.model import Model
from toolkit.vocabulary import Convention, Progress, SilentProgress

CACHE_BYTES = 256 << 20
"""Memory for activations that are kept between passes; half of it for each of two neighbouring cuts."""

_BATCH = 32  # fits the processor's caches; measured in benchmarks/recalibrate.py


def batch_statistics(
    model: Model,
    images: NDArray[np.uint8],
    convention: Convention | None = None,
    *,
    frozen: Collection[str] = (),
    threads: int | None = None,
    cache_bytes: int = CACHE_BYTES,
    progress: Progress | None = None,
) -> dict[str, NDArray[np.float32]]:
    """The exact mean and population variance of each batch normalisation's input.

    From the input on: each normalisation is measured in a network whose earlier ones already use
    their new statistics. Everything else is as at inference. Normalisations of equal depth share
    a pass; a pass continues from the activations that an earlier one kept, if they fit in
    ``cache_bytes``. Means are over images and positions; moments of single images are combined in
    float64 (Chan, Golub and LeVeque 1983), so that the result does not depend on batches.

    Args:
        model: Its tensors are read once.
        images: (n, 28, 28) uint8, upright, light ink on a dark ground, one or more.
        convention: The network's input format; by default that of its card.
        frozen: Tensors that keep their values.
        threads: Number of threads for one operation; by default one per processor.
        cache_bytes: Memory for activations kept between passes; 0 keeps none.
        progress: Receives the number of images done.

    Returns:
        New running means and variances by tensor name, in the shapes of the model's tensors; empty
        if the network has no batch normalisation.

    Raises:
        UsageError: If there is no image.
        UnsupportedError: If the network does not take glyphs of 28×28, or cannot be run.
        UnreadableInputError: If an activation is NaN or infinite.
    """
    require_character_network(model)
    graph = model.build_graph()
    rearrangements = {
        binding.tensor: binding.rearrangement for binding in graph.bindings if binding.tensor not in frozen
    }
    initializers = {tensor.name: tensor for tensor in to_onnx(graph, model.tensors).graph.initializer}
    segmented = SegmentedGraph(graph, model.name, initializers, frozen)
    if not segmented.normalisations:
        return {}
    if len(images) == 0:
        raise UsageError(
            f"{model.name}: no images to measure batch statistics on", hint="a few thousand are enough"
        )

    def batches() -> Iterator[tuple[slice, NDArray[np.float32]]]:
        return input_batches(images, convention or model.card.convention, model.input_shape, batch=_BATCH)

    told = progress or SilentProgress()
    told.begin(f"recalibrating {model.name}", segmented.depths * len(images), "images")
    passes = _Passes(segmented, batches, len(images), threads or usable_processors(), cache_bytes // 2, told)
    result: dict[str, NDArray[np.float32]] = {}
    for depth in range(segmented.depths):
        for name, initializer in passes.measure(depth).items():
            if name not in rearrangements:
                continue
            if not np.isfinite(initializer).all():
                raise UnreadableInputError(
                    f"{model.name}: the activations that {name} is measured from are NaN or infinite",
                    hint="its weights are damaged, or its training diverged",
                )
            result[name] = np.ascontiguousarray(rearrangements[name].inverse(initializer.astype(np.float32)))
            # What the network will use once the tensor is stored in the model's own type.
            stored = result[name].astype(model.tensors.specs[name].dtype)
            passes.replaced[name] = as_initializer(name, rearrangements[name].apply(stored))
    told.end()
    return result


@dataclass
class _Moments:
    """Running mean and sum of squared deviations, in float64."""

    count: int = 0
    mean: Any = 0.0
    squares: Any = 0.0

    def add(self, means: NDArray[np.float64], variances: NDArray[np.float64] | float) -> None:
        """Add images: (n, channels) means, and the variances within each image."""
        count = len(means)
        mean = means.mean(axis=0)
        squares = np.square(means - mean).sum(axis=0) + np.sum(variances, axis=0)
        together = self.count + count
        apart = mean - self.mean
        self.squares = self.squares + squares + np.square(apart) * (self.count * count / together)
        self.mean = self.mean + apart * (count / together)
        self.count = together


@dataclass
class _Passes:
    """Runs a graph depth by depth, from what the pass before it kept; ``replaced`` are new statistics."""

    graph: SegmentedGraph
    batches: Callable[[], Iterator[tuple[slice, NDArray[np.float32]]]]
    images: int
    threads: int
    cut_bytes: int
    progress: Progress
    position: int = 0
    kept: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    replaced: dict[str, onnx.TensorProto] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.shapes = self.graph.shapes()

    def measure(self, depth: int) -> dict[str, NDArray[np.float64]]:
        """New statistics of the normalisations of one depth, by initializer."""
        found = tuple(one for one in self.graph.normalisations if one.depth == depth)
        moments = {one.source: _Moments() for one in found}
        spatial = [source for source in moments if len(self.shapes[source]) > 1]
        flat = [source for source in moments if len(self.shapes[source]) <= 1]
        cut = self.graph.cut(depth, self.shapes, self.position, self.cut_bytes // self.images)
        keep = () if cut is None else cut[1]
        feeds = {name: self.shapes[name] for name in self.kept}
        outputs = [name for name in dict.fromkeys([*flat, *keep]) if name != self.graph.input]
        model = self.graph.segment(outputs, feeds, self.replaced, spatial)
        kept = {name: np.empty((self.images, *self.shapes[name]), np.float32) for name in keep}
        # Without an output, only the graph's input is measured.
        session = (
            Session(model, "a part of the network", threads=self.threads) if model.graph.output else None
        )
        inputs = session.inputs if session else ()
        for part, images in self.batches():
            batch = {name: array[part] for name, array in self.kept.items() if name in inputs}
            if self.graph.input in inputs:
                batch[self.graph.input] = images
            answers = dict(zip(session.outputs, session.run(batch), strict=True)) if session else {}
            answers[self.graph.input] = images
            for source in flat:
                moments[source].add(answers[source].astype(np.float64), 0.0)
            for source in spatial:
                means, variances = (
                    answers[name].reshape(len(images), -1).astype(np.float64) for name in moment_names(source)
                )
                moments[source].add(means, variances)
            for name, array in kept.items():
                array[part] = answers[name]
            self.progress.advance(depth * self.images + part.stop)
        if cut is not None:
            self.position, self.kept = cut[0], kept
        return _by_initializer(found, moments)


def _by_initializer(
    found: tuple[Normalisation, ...], moments: Mapping[str, _Moments]
) -> dict[str, NDArray[np.float64]]:
    """Mean and variance for each initializer, pooled where several normalisations share one."""
    pooled: dict[tuple[str, str], list[_Moments]] = {}
    for one in found:
        pooled.setdefault((one.mean, one.variance), []).append(moments[one.source])
    result = {}
    for (mean, variance), parts in pooled.items():
        centre = np.mean([part.mean for part in parts], axis=0)
        within = np.mean([part.squares / part.count for part in parts], axis=0)
        result[mean] = centre
        result[variance] = within + np.mean([np.square(part.mean - centre) for part in parts], axis=0)
    return result
