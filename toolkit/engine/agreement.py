"""Whether two networks give the same answers, each to images in its own convention."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from toolkit.engine.network import input_batches, require_character_network
from toolkit.engine.session import Session
from toolkit.errors import ProofError
from toolkit.graph.head import head_of
from toolkit.graph.onnx_form import to_onnx
from toolkit.model import Model

TOLERANCE = 1e-5
"""Largest difference of logits, relative to the largest logit."""

_RANDOM = 32


def require_agreement(original: Model, other: Model, images: NDArray[np.uint8] | None = None) -> float:
    """Run two networks of the same classes, in any order, on images, each in the convention of its card.

    Logits are compared: the values before a final softmax or sigmoid, or the outputs.

    Args:
        images: (n, 28, 28) uint8, upright, light ink; 32 images of random pixels are used too.

    Returns:
        The largest difference, relative to the largest logit of the original.

    Raises:
        ProofError: If it is above 1e-5, or a logit is NaN or infinite.
        UnsupportedError: If a network cannot be run on single glyphs of 28×28.
    """
    noise = np.random.default_rng(0).integers(0, 256, (_RANDOM, 28, 28), dtype=np.uint8)
    shown = noise if images is None else np.concatenate([noise, images])
    ours, theirs = _logits(original, shown), _logits(other, shown)
    names, others = original.card.classes, other.card.classes
    if names != others and sorted(names) == sorted(others):
        theirs = theirs[:, [others.index(name) for name in names]]
    largest = float(np.abs(ours).max())
    difference = float(np.abs(ours - theirs).max()) / (largest or 1.0)
    if not difference <= TOLERANCE:
        raise ProofError(
            f"{original.name}: rewritten from {original.card.convention} to {other.card.convention}, "
            f"its logits differ by {difference:.1e} of the largest, more than {TOLERANCE:.0e}",
            hint="use it with the input format that it was trained for, and report this",
        )
    return difference


def _logits(model: Model, images: NDArray[np.uint8]) -> NDArray[np.float64]:
    require_character_network(model)
    graph = model.build_graph()
    graph = dataclasses.replace(graph, output=head_of(graph).logits or graph.output)
    session = Session(to_onnx(graph, model.tensors), model.name)
    batches = input_batches(images, model.card.convention, model.input_shape)
    return np.concatenate([session.run({graph.input: inputs})[0] for _, inputs in batches]).astype(np.float64)
