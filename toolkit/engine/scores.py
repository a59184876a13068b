"""What the outputs of a network are: decided by its graph and by running it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from toolkit.graph import Graph
from toolkit.graph.head import head_of
from toolkit.vocabulary import Scores

_SUM = 1e-3
_ROUNDED_SUM = 0.5
"""Where the graph has a softmax: probabilities that were rounded to two digits sum to 1 this roughly."""


def find_scores(graph: Graph, run: Callable[[NDArray[np.float32]], NDArray[np.float32]]) -> Scores:
    """What the outputs of a network are.

    The graph is searched for a final softmax or sigmoid, and the network is run on a few fixed
    inputs. Where the two disagree, the numbers decide: rows that are not negative and sum to 1 are
    probabilities, whatever the layers are called. Values from 0 to 1 that do not sum to 1 are a
    sigmoid head, unless the graph shows that nothing limits them (a last Relu or dense layer).
    Log-probabilities are logits: their softmax gives the probabilities.

    Args:
        run: Takes (n, *input_shape) float32; returns (n, classes).
    """
    stated = head_of(graph).scores
    outputs = run(probes(graph.input_shape)).astype(np.float64)
    rows = outputs.reshape(-1, outputs.shape[-1])
    rows = rows[np.isfinite(rows).all(axis=1)]
    if not len(rows):
        return stated or "logits"
    if stated == "probabilities" and _sums_to_one(rows, _ROUNDED_SUM):
        return "probabilities"
    if are_probabilities(rows) or (_sums_to_one(rows, _SUM) and stated not in ("logits", "sigmoid")):
        return "probabilities"
    if stated != "logits" and (rows >= 0).all() and (rows <= 1 + _SUM).all():
        return "sigmoid"
    return "logits"


def are_probabilities(rows: NDArray[np.floating]) -> bool:
    """Whether rows are not negative and sum to 1, and not by chance.

    Saturated outputs, which are all 0 or 1, and constant ones may do so by chance.
    """
    by_chance = np.isin(rows, (0.0, 1.0)).all() or (rows == rows[0]).all()
    return _sums_to_one(rows, _SUM) and not bool(by_chance)


def _sums_to_one(rows: NDArray[np.floating], tolerance: float) -> bool:
    return bool((rows >= 0).all() and (np.abs(rows.sum(axis=1) - 1) <= tolerance).all())


def probes(input_shape: tuple[int, ...]) -> NDArray[np.float32]:
    """(6, *input_shape) float32: noise, strokes and normal noise, each as x/255 and as 0 to 255."""
    rng = np.random.default_rng(0)
    noise, strokes = rng.random((2, *input_shape), dtype=np.float32)
    strokes *= rng.random(input_shape) < 0.2
    unit = np.stack([noise, strokes, rng.standard_normal(input_shape, dtype=np.float32)])
    return np.concatenate([unit, unit * np.float32(255)])
