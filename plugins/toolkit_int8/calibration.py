"""The range of each activation on calibration images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import UnreadableInputError
from toolkit.graph.editing import EditableGraph
from toolkit.graph.separated import separated
from toolkit.onnx_export import session_of
from toolkit_int8 import Int8Options

_BATCH = 32
_BINS = 2048
_LEVELS = 256
_LEAST_COUNT = 1e-4  # of a bin that is empty after the reduction
_STEP = 16  # bins between two thresholds that are tried

Range = tuple[float, float]


def activation_ranges(
    graph: EditableGraph, values: Sequence[str], inputs: NDArray[np.float32], options: Int8Options, name: str
) -> dict[str, Range]:
    """The lowest and the highest number that each value of a float32 network is to represent.

    Ranges include 0. ``minmax`` is exact. ``percentile`` leaves out equal shares of the lowest and the
    highest numbers; ``entropy`` limits magnitudes where the histogram loses the least information
    (Migacz, "8-bit Inference with TensorRT", 2017), zeros not counted. Both use histograms of 2,048 bins.

    Args:
        inputs: (n, *input_shape) float32, in the network's input format.

    Raises:
        UnreadableInputError: If a value is NaN or infinite.
    """
    shown = [value for value in values if value != graph.input]
    session = session_of(separated(graph.finished()), name, shown)

    def batches() -> Iterator[Mapping[str, NDArray[np.float32]]]:
        for start in range(0, len(inputs), _BATCH):
            part = inputs[start : start + _BATCH]
            found = session.run({graph.input: part}) if session.outputs else ()
            yield dict(zip(session.outputs, found, strict=True)) | {graph.input: part}

    ranges = dict.fromkeys(values, (0.0, 0.0))
    for batch in batches():
        for value, (low, high) in ranges.items():
            least, largest = float(batch[value].min()), float(batch[value].max())
            if not np.isfinite((least, largest)).all():
                raise UnreadableInputError(
                    f"{name}: {value} is NaN or infinite on calibration images",
                    hint="its weights are damaged, or its training diverged",
                )
            ranges[value] = min(low, least), max(high, largest)
    if options.method == "minmax":
        return ranges
    counts = {value: np.zeros(_BINS, np.int64) for value in values}
    for batch in batches():
        for value, ends in ranges.items():
            counts[value] += np.histogram(_folded(batch[value], options), _BINS, _span(ends, options))[0]
    return {value: _limited(counts[value], ends, options) for value, ends in ranges.items()}


def _folded(found: NDArray[np.float32], options: Int8Options) -> NDArray[np.float32]:
    """Magnitudes without zeros, which every range represents exactly; or all numbers."""
    return np.abs(found[found != 0]) if options.method == "entropy" else found


def _span(ends: Range, options: Int8Options) -> Range:
    """The ends of the histogram; never empty."""
    low, high = (0.0, max(-ends[0], ends[1])) if options.method == "entropy" else ends
    return low, high if high > low else low + 1.0


def _limited(counts: NDArray[np.int64], ends: Range, options: Int8Options) -> Range:
    low, high = _span(ends, options)
    edges = np.linspace(low, high, _BINS + 1)
    if options.method == "entropy":
        threshold = float(edges[entropy_threshold(counts)])
        return max(ends[0], -threshold), min(ends[1], threshold)
    outside = (1 - options.percentile / 100) * counts.sum()
    first = int(np.searchsorted(np.cumsum(counts), outside, side="right"))
    last = _BINS - int(np.searchsorted(np.cumsum(counts[::-1]), outside, side="right"))
    return min(0.0, float(edges[min(first, _BINS)])), max(0.0, float(edges[max(last, 0)]))


def entropy_threshold(counts: NDArray[np.int64]) -> int:
    """How many of the bins of a histogram of magnitudes to keep.

    For each threshold, what is above it is added to the last bin; the rest is reduced to 256 levels, each
    spread evenly over the bins of it that are not empty. The threshold with the least Kullback-Leibler
    divergence between the two is the best.
    """
    best, least = len(counts), np.inf
    for kept in range(_LEVELS, len(counts) + 1, _STEP):
        inside = counts[:kept].astype(np.float64)
        clipped = inside.copy()
        clipped[-1] += counts[kept:].sum()
        level = np.arange(kept) * _LEVELS // kept
        filled = inside > 0
        share = np.bincount(level, inside, _LEVELS) / np.maximum(np.bincount(level, filled, _LEVELS), 1)
        reduced = np.where(filled, share[level], 0.0)
        occurs = clipped > 0
        if not inside.sum():
            continue
        p = clipped[occurs] / clipped.sum()
        q = np.maximum(reduced[occurs], _LEAST_COUNT) / reduced.sum()
        divergence = float((p * np.log(p / q)).sum())
        if divergence < least:
            best, least = kept, divergence
    return best
