"""Reshapes whose target a file computes, or leaves open, given as numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper

from toolkit.graph import Node, ancestors

Shapes = Mapping[str, tuple[int | str | None, ...]]
_Numbers = NDArray[np.int64]

_LONGEST = 16
"""Elements of a constant that may be part of a shape."""
_PASSES = 20


def settled_reshapes(
    nodes: Sequence[Node],
    initializers: dict[str, TensorProto],
    output: str,
    infer: Callable[[Sequence[Node]], Mapping[int, Shapes]],
) -> tuple[Node, ...]:
    """The nodes, with ``[0, 64]`` as the target of reshapes that keep the batch axis.

    PyTorch computes it for ``x.view(x.size(0), -1)`` with Shape, Gather and Concat, which are left out then.

    Args:
        initializers: Receives the targets.
        infer: Finds the shape of every value for two or more batch sizes.
    """
    settled = list(nodes)
    for _ in range(_PASSES):
        shapes = infer(settled)
        small = {
            name: numpy_helper.to_array(tensor).astype(np.int64)
            for name, tensor in initializers.items()
            if tensor.data_type in (TensorProto.INT64, TensorProto.INT32)
            and math.prod(tensor.dims) <= _LONGEST
        }
        computed = {batch: _numbers(settled, small, known) for batch, known in shapes.items()}
        learnt = False
        for place, node in enumerate(settled):
            target = _target(node, shapes, computed) if node.operator == "Reshape" else None
            name = f"{node.outputs[0]}/shape"
            if target is None or node.inputs[1] == name:
                continue
            learnt = learnt or any(None in known.get(node.outputs[0], (None,)) for known in shapes.values())
            initializers[name] = numpy_helper.from_array(np.asarray(target, np.int64), name)
            attributes = {key: value for key, value in node.attributes.items() if key != "allowzero"}
            settled[place] = replace(node, inputs=(node.inputs[0], name), attributes=attributes)
        if not learnt:
            break
    return ancestors(settled, [output])


def _target(
    node: Node, shapes: Mapping[int, Shapes], computed: Mapping[int, Mapping[str, _Numbers]]
) -> list[int] | None:
    """The batch axis, as 0, and the lengths after it; None if they differ or are not known."""
    targets = []
    for batch, known in shapes.items():
        before = known.get(node.inputs[0], ())
        numbers = computed[batch].get(node.inputs[1])
        after = known.get(node.outputs[0], ())
        if numbers is not None and (not after or None in after):
            after = _reshaped(before, numbers.tolist(), copies=not node.attributes.get("allowzero"))
        if not before or not after or before[0] != batch or after[0] != batch:
            return None
        targets.append([axis for axis in after[1:] if isinstance(axis, int)])
        if len(targets[-1]) != len(after) - 1 or targets[-1] != targets[0]:
            return None
    return [0, *targets[0]]


def _reshaped(before: tuple[int | str | None, ...], target: list[int], *, copies: bool) -> tuple[int, ...]:
    """The shape after a reshape; empty if it does not follow or does not fit."""
    lengths = [axis for axis in before if isinstance(axis, int)]
    if len(lengths) != len(before) or (copies and any(size == 0 for size in target[len(lengths) :])):
        return ()
    sizes = [lengths[place] if size == 0 and copies else size for place, size in enumerate(target)]
    rest, total = math.prod(size for size in sizes if size != -1), math.prod(lengths)
    if sizes.count(-1) > 1 or rest <= 0 or total % rest or (-1 not in sizes and rest != total):
        return ()
    return tuple(total // rest if size == -1 else size for size in sizes)


def _numbers(nodes: Sequence[Node], constants: Mapping[str, _Numbers], known: Shapes) -> dict[str, _Numbers]:
    """The values that are computed from shapes alone."""
    found = dict(constants)
    for node in nodes:
        if node.operator == "Shape":
            shape = known.get(node.inputs[0])
            if shape and all(isinstance(axis, int) for axis in shape):
                part = slice(node.attributes.get("start", 0), node.attributes.get("end"))
                found[node.outputs[0]] = np.asarray(shape, np.int64)[part]
            continue
        compute = _COMPUTED.get(node.operator)
        if compute is None or not all(name in found for name in node.inputs if name):
            continue
        try:
            found[node.outputs[0]] = compute(node.attributes, *(found[name] for name in node.inputs if name))
        except (ValueError, IndexError, TypeError, ZeroDivisionError):
            continue  # what onnxruntime would refuse, too
    return found


def _axes(attributes: Mapping[str, Any], axes: Sequence[_Numbers]) -> tuple[int, ...] | None:
    given = axes[0].reshape(-1).tolist() if axes else attributes.get("axes")
    return None if given is None else tuple(given)


def _slice(
    attributes: Mapping[str, Any],
    x: _Numbers,
    starts: _Numbers | None = None,
    ends: _Numbers | None = None,
    axes: _Numbers | None = None,
    steps: _Numbers | None = None,
) -> _Numbers:
    start = attributes["starts"] if starts is None else starts.tolist()
    end = attributes["ends"] if ends is None else ends.tolist()
    if x.ndim != 1 or len(start) != 1 or (axes is not None and axes.tolist() not in ([0], [-1])):
        raise ValueError
    return x[start[0] : end[0] : 1 if steps is None else int(steps[0])]


_COMPUTED: Mapping[str, Callable[..., _Numbers]] = {
    "Add": lambda _, x, y: x + y,
    "Cast": lambda _, x: x,
    "Concat": lambda _, *parts: np.concatenate(parts),
    "Div": lambda _, x, y: x // y,
    "Gather": lambda attributes, x, places: x.take(places, attributes.get("axis", 0)),
    "Identity": lambda _, x: x,
    "Mul": lambda _, x, y: x * y,
    "ReduceProd": lambda _, x, *__: x.prod(keepdims=True),
    "Slice": _slice,
    "Squeeze": lambda attributes, x, *axes: x.squeeze(_axes(attributes, axes)),
    "Sub": lambda _, x, y: x - y,
    "Unsqueeze": lambda attributes, x, *axes: np.expand_dims(x, _axes(attributes, axes) or (0,)),
}
