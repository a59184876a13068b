"""The statistics of batch normalisation, computed exactly."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from toolkit.engine.network import input_batches, require_character_network
from toolkit.engine.segments import Cut, Normalisation, SegmentedGraph, moment_names
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
            passes.replace(name, rearrangements[name].apply(stored))
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


class _Passes:
    """Runs a graph depth by depth, from the activations that the pass before it kept."""

    def __init__(
        self,
        graph: SegmentedGraph,
        batches: Callable[[], Iterator[tuple[slice, NDArray[np.float32]]]],
        images: int,
        threads: int,
        cut_bytes: int,
        progress: Progress,
    ) -> None:
        self._graph = graph
        self._batches = batches
        self._images = images
        self._threads = threads
        self._cut_bytes = cut_bytes
        self._progress = progress
        self._shapes = graph.shapes()
        self._position = 0
        self._kept: dict[str, NDArray[np.float32]] = {}
        self._replaced: dict[str, onnx.TensorProto] = {}

    def replace(self, name: str, initializer: NDArray[Any]) -> None:
        """Use these statistics from the next pass on."""
        self._replaced[name] = as_initializer(name, initializer)

    def measure(self, depth: int) -> dict[str, NDArray[np.float64]]:
        """New statistics of the normalisations of one depth, by initializer."""
        found = self._graph.at(depth)
        moments = {one.source: _Moments() for one in found}
        spatial = [source for source in moments if len(self._shapes[source]) > 1]
        flat = [source for source in moments if len(self._shapes[source]) <= 1]
        cut = self._next_cut(depth)
        keep = () if cut is None else cut.values
        feeds = {name: self._shapes[name] for name in self._kept}
        outputs = [name for name in dict.fromkeys([*flat, *keep]) if name != self._graph.input]
        model = self._graph.segment(outputs, feeds, self._replaced, spatial)
        kept = {name: np.empty((self._images, *self._shapes[name]), np.float32) for name in keep}
        # Without an output, only the graph's input is measured.
        session = (
            Session(model, "a part of the network", threads=self._threads) if model.graph.output else None
        )
        inputs = session.inputs if session else ()
        for part, images in self._batches():
            batch = {name: array[part] for name, array in self._kept.items() if name in inputs}
            if self._graph.input in inputs:
                batch[self._graph.input] = images
            answers = dict(zip(session.outputs, session.run(batch), strict=True)) if session else {}
            answers[self._graph.input] = images
            for source in flat:
                moments[source].add(answers[source].astype(np.float64), 0.0)
            for source in spatial:
                means, variances = (
                    answers[name].reshape(len(images), -1).astype(np.float64) for name in moment_names(source)
                )
                moments[source].add(means, variances)
            for name, array in kept.items():
                array[part] = answers[name]
            self._progress.advance(depth * self._images + part.stop)
        if cut is not None:
            self._position, self._kept = cut.position, kept
        return _by_initializer(found, moments)

    def _next_cut(self, depth: int) -> Cut | None:
        """The last place whose values fit; None if no later place than the current one does."""
        if depth + 1 < self._graph.depths:
            for cut in self._graph.cuts(depth, self._shapes):
                if cut.position <= self._position:
                    break
                if cut.bytes_per_image * self._images <= self._cut_bytes:
                    return cut
        return None


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
