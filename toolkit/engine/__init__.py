"""Runs a graph in onnxruntime: predict, evaluate, batch statistics."""

from __future__ import annotations

from toolkit.engine.evaluation import Evaluation, evaluate
from toolkit.engine.network import Network, is_character_network, require_character_network, softmax
from toolkit.engine.normalisation import batch_statistics
from toolkit.engine.scores import find_scores
from toolkit.engine.session import Session, usable_processors
from toolkit.engine.timing import SERVED_BATCHES, seconds_per_run

__all__ = [
    "SERVED_BATCHES",
    "Evaluation",
    "Network",
    "Session",
    "batch_statistics",
    "evaluate",
    "find_scores",
    "is_character_network",
    "require_character_network",
    "seconds_per_run",
    "softmax",
    "usable_processors",
]
