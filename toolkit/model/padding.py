"""Padding with another number than zero, which ONNX can describe and Keras cannot."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from toolkit.graph import Node, node_key

_INPUTS_FROM = 11  # the version from which the operator has its numbers as inputs

AddConstant = Callable[[str, ArrayLike], str]
"""Adds a constant of the graph: takes the wanted name and the array, returns the name."""


def is_padded(node: Node) -> bool:
    """Whether a pooling operation or convolution pads its input."""
    auto = node.attributes.get("auto_pad", "NOTSET")
    return auto.startswith("SAME") or (auto == "NOTSET" and any(node.attributes.get("pads", ())))


def padding_of(node: Node, sizes: Sequence[int], kernel: Sequence[int]) -> tuple[int, ...]:
    """Zeros that a convolution puts around its input: before each axis, then after each.

    Args:
        sizes: Of the input's spatial axes.
        kernel: Of the kernel's spatial axes.
    """
    auto = node.attributes.get("auto_pad", "NOTSET")
    rank = len(sizes)
    if auto == "NOTSET":
        return tuple(node.attributes.get("pads", (0,) * 2 * rank))
    if auto == "VALID":
        return (0,) * 2 * rank
    strides = node.attributes.get("strides", (1,) * rank)
    dilations = node.attributes.get("dilations", (1,) * rank)
    totals = [
        max((-(-size // stride) - 1) * stride + (window - 1) * dilation + 1 - size, 0)
        for size, stride, window, dilation in zip(sizes, strides, kernel, dilations, strict=True)
    ]
    less, more = [total // 2 for total in totals], [total - total // 2 for total in totals]
    return (*less, *more) if auto == "SAME_UPPER" else (*more, *less)


def padded_before(
    node: Node, pads: Sequence[int], value: float, opset: int, constant: AddConstant
) -> tuple[Node, Node]:
    """A convolution without padding, after a node that pads its input with a number."""
    rank = len(pads) // 2
    whole = (0, 0, *pads[:rank], 0, 0, *pads[rank:])
    padded = f"{node_key(node)}/padded"
    attributes: dict[str, Any] = {"mode": "constant"}
    inputs = [node.inputs[0]]
    if opset < _INPUTS_FROM:
        attributes |= {"pads": whole, "value": float(value)}
    else:
        inputs.append(constant(f"{padded}/pads", np.asarray(whole, np.int64)))
        inputs.append(constant(f"{padded}/value", np.asarray(value, np.float32)))
    pad = Node("Pad", tuple(inputs), (padded,), attributes, padded, node.layer)
    plain = {key: setting for key, setting in node.attributes.items() if key != "auto_pad"}
    unpadded = dataclasses.replace(
        node, inputs=(padded, *node.inputs[1:]), attributes={**plain, "pads": (0,) * len(pads)}
    )
    return pad, unpadded
