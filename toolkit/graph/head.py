"""The end of a network: what its outputs are, as far as the graph says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.graph.graph import Graph, Node
from toolkit.graph.walking import producers
from toolkit.records import dataclass
from toolkit.vocabulary import Scores

_DEEPEST = 200
_KEEPS_ALL = {"Cast", "Dropout", "Identity"}
_MOVES_OR_AVERAGES = {
    *("AveragePool", "Flatten", "GlobalAveragePool", "GlobalMaxPool", "MaxPool", "ReduceMax"),
    *("DequantizeLinear", "QuantizeLinear", "ReduceMean", "Reshape", "Round", "Squeeze", "Transpose"),
    "Unsqueeze",
}
_LOGITS = {
    *("BatchNormalization", "Celu", "Conv", "ConvTranspose", "Einsum", "Elu", "Gelu", "Gemm", "HardSwish"),
    *("LeakyRelu", "Log", "LogSoftmax", "MatMul", "Mish", "Neg", "PRelu", "Relu", "Selu", "Softplus"),
    *("Softsign", "Tanh"),
}


@dataclass(frozen=True)
class Head:
    """The end of a network.

    Attributes:
        scores: What the outputs are; None if it does not follow from the graph.
        sources: The values that the last softmaxes or sigmoids are applied to; the output itself, or
            what is flattened to it, if it is logits.
        logits: The value with one logit an output, from which the output follows by one softmax or
            sigmoid, or which is the output; None if there is none.
    """

    scores: Scores | None
    sources: tuple[str, ...] = ()
    logits: str | None = None


def head_of(graph: Graph) -> Head:
    """Walk back from a graph's output to softmaxes and sigmoids.

    The walk passes what keeps a sum of 1 over the classes: identities, averages over positions or
    of several networks, changes of shape. Whether the shapes really keep it is not checked: run the
    network to know (:func:`toolkit.engine.find_scores`).
    """
    found = _Walk(graph.nodes, graph.constants).head(graph.output, 0)
    if found.scores == "logits":
        return Head("logits", (graph.output,), graph.output)
    whole = found.scores is not None and abs(found.factor - 1) < 1e-3
    logits = found.sources[0] if found.direct and len(found.sources) == 1 and whole else None
    return Head(found.scores if whole else None, tuple(dict.fromkeys(found.sources)), logits)


@dataclass(frozen=True)
class _Found:
    """A value: ``factor`` times scores, whose sources come to it directly or not."""

    scores: Scores | None
    sources: tuple[str, ...] = ()
    factor: float = 1.0
    direct: bool = False


_UNKNOWN = _Found(None)


class _Walk:
    def __init__(self, nodes: Iterable[Node], constants: Mapping[str, NDArray[Any]]) -> None:
        self._made_by = producers(nodes)
        self._constants = constants

    def head(self, value: str, depth: int) -> _Found:
        node = self._made_by.get(value)
        if node is None or depth > _DEEPEST:
            return _UNKNOWN
        kind = node.operator
        if kind in _KEEPS_ALL:
            return self.head(node.inputs[0], depth + 1)
        if kind in _MOVES_OR_AVERAGES:
            return self._indirect(self.head(node.inputs[0], depth + 1))
        if kind == "Softmax":
            return _Found("probabilities", (node.inputs[0],), direct=True)
        if kind in ("Sigmoid", "HardSigmoid"):
            return _Found("sigmoid", (node.inputs[0],), direct=True)
        if kind == "LpNormalization" and node.attributes.get("p", 2) == 1:
            return _Found("probabilities", self.head(node.inputs[0], depth + 1).sources)
        if kind == "Exp":
            before = self._made(node.inputs[0])
            if before is not None and before.operator == "LogSoftmax":
                return _Found("probabilities", (before.inputs[0],), direct=True)
            return _UNKNOWN
        if kind in ("Add", "Sum", "Mean"):
            return self._combined(node, depth)
        if kind == "Concat":  # several heads of one class each
            parts = [self.head(name, depth + 1) for name in node.inputs]
            same = parts[0].scores if len({part.scores for part in parts}) == 1 else None
            return _Found(same) if same in ("logits", "sigmoid") else _UNKNOWN
        if kind in ("Div", "Mul", "Reciprocal"):
            return self._scaled(node, depth)
        if kind in ("Clip", "Max", "Min"):
            below = self.head(next((x for x in node.inputs if x in self._made_by), ""), depth + 1)
            if below.scores in ("probabilities", "sigmoid"):
                return self._indirect(below)
            return _Found("sigmoid") if self._is_hard_sigmoid(value, 1.0) else _Found("logits")
        return _Found("logits") if kind in _LOGITS else _UNKNOWN

    @staticmethod
    def _indirect(found: _Found) -> _Found:
        return _Found(found.scores, found.sources, found.factor)

    def _made(self, value: str) -> Node | None:
        """The node that makes a value, seen through identities."""
        node = self._made_by.get(value)
        while node is not None and node.operator in _KEEPS_ALL:
            node = self._made_by.get(node.inputs[0])
        return node

    def _number(self, value: str) -> float | None:
        array = self._constants.get(value)
        return float(array.reshape(-1)[0]) if array is not None and array.size == 1 else None

    def _combined(self, node: Node, depth: int) -> _Found:
        """A sum or mean of several values, such as a weighted average of two softmaxes."""
        if not all(name in self._made_by for name in node.inputs):
            return _Found("logits")  # a bias, or a learnt shift
        parts = [self.head(name, depth + 1) for name in node.inputs]
        if len({part.scores for part in parts}) != 1:
            return _UNKNOWN
        factor = sum(part.factor for part in parts)
        sources = tuple(source for part in parts for source in part.sources)
        return _Found(parts[0].scores, sources, factor / (len(parts) if node.operator == "Mean" else 1))

    def _scaled(self, node: Node, depth: int) -> _Found:
        """A product or quotient: with a number, or with a value's own sum over the classes."""
        first, *rest = node.inputs
        second = rest[0] if rest else ""
        if node.operator == "Reciprocal" or (node.operator == "Div" and self._number(first) == 1.0):
            return _Found("sigmoid") if self._is_one_plus_exp(second or first) else _UNKNOWN
        numbers = [(self._number(b), a) for a, b in ((first, second), (second, first))]
        if node.operator == "Div":
            del numbers[1]
        for number, other in numbers:
            if number:
                factor = 1 / number if node.operator == "Div" else number
                if self._is_hard_sigmoid(other, factor):
                    return _Found("sigmoid")
                found = self.head(other, depth + 1)
                return _Found(found.scores, found.sources, found.factor * factor, found.direct)
        pairs = [(first, second), (second, first)] if node.operator == "Mul" else [(first, second)]
        for value, by in pairs:
            if self._is_sum_of(value, by, inverse=node.operator == "Mul"):
                made = self._made(value)
                if made is not None and made.operator == "Exp":
                    return _Found("probabilities", (made.inputs[0],), direct=True)
                return _Found("probabilities", self.head(value, depth + 1).sources)
        return _UNKNOWN

    def _is_sum_of(self, value: str, total: str, *, inverse: bool) -> bool:
        """Whether a value is another one's sum over an axis, perhaps kept above 0; or the inverse of it."""
        node = self._made(total)
        if inverse:
            if node is None or node.operator != "Reciprocal":
                return False
            node = self._made(node.inputs[0])
        for _ in range(4):
            if node is None or node.operator not in ("Add", "Clip", "Expand", "Max", "Reshape", "Unsqueeze"):
                break
            node = next((self._made(name) for name in node.inputs if name in self._made_by), None)
        return (
            node is not None
            and node.operator == "ReduceSum"
            and (node.inputs[0] == value or self._made(node.inputs[0]) is self._made(value) is not None)
        )

    def _is_one_plus_exp(self, value: str) -> bool:
        node = self._made(value)
        if node is None or node.operator != "Add" or 1.0 not in map(self._number, node.inputs):
            return False
        return any(made is not None and made.operator == "Exp" for made in map(self._made, node.inputs))

    def _is_hard_sigmoid(self, value: str, factor: float) -> bool:
        """Whether ``factor`` times a value is a line through a half, clipped to 0 … 1."""
        low, high, node = -np.inf, np.inf, self._made(value)
        while node is not None and node.operator in ("Clip", "Max", "Min", "Relu"):
            if node.operator == "Clip":
                bounds = [self._number(name) if name else None for name in (*node.inputs[1:3], "", "")[:2]]
                found = [
                    node.attributes.get(name) if bound is None else bound
                    for name, bound in zip(("min", "max"), bounds, strict=True)
                ]
                low, high = (given if b is None else b for given, b in zip((low, high), found, strict=True))
                inner = node.inputs[0]
            else:
                numbers = [n for n in map(self._number, node.inputs) if n is not None]
                if node.operator == "Relu" or (node.operator == "Max" and numbers):
                    low = numbers[0] if numbers else 0.0
                elif numbers:
                    high = numbers[0]
                inner = next((name for name in node.inputs if name in self._made_by), "")
            node = self._made(inner)
        if not (low == 0.0 and abs(high * factor - 1) < 1e-3):
            return False
        while node is not None and node.operator in ("Add", "Mul"):
            number = next((n for n in map(self._number, node.inputs) if n is not None), None)
            if number is None:
                return False
            if node.operator == "Add":
                return abs(number * factor - 0.5) < 1e-3
            inner = next((name for name in node.inputs if name in self._made_by), "")
            node = self._made(inner)
        return False
