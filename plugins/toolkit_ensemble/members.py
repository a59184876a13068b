"""The models of an ensemble: their classes, and their graphs behind one input."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, compose, helper, numpy_helper

from toolkit.engine import require_character_network
from toolkit.errors import IncompatibleModelsError
from toolkit.graph import unused_name
from toolkit.graph.graph import OPSET
from toolkit.model import Model
from toolkit.onnx_export import (
    INPUT,
    OUTPUT,
    Reference,
    added_to,
    graph_reference,
    keep_promises,
    simplified_graph,
    with_opset,
)
from toolkit.records import dataclass
from toolkit.types import Convention


@dataclass(frozen=True)
class Member:
    """One model of an ensemble.

    Attributes:
        prefix: Before the names of its nodes and values; unique.
        order: Its output for each class of the ensemble.
        convention: Its input format; upright/unit/light if its card does not say.
        reference: Its own graph, which the ensemble is compared with.
    """

    model: Model
    prefix: str
    order: tuple[int, ...]
    convention: Convention
    reference: Reference


def members_of(models: Sequence[Model]) -> tuple[Member, ...]:
    """The models with their places in the ensemble; the classes are in the order of the first.

    Raises:
        IncompatibleModelsError: If they do not have the same classes.
        UnsupportedError: If one does not take single glyphs of 28×28, or cannot be run.
    """
    named = next((model for model in models if model.card.classes), models[0])
    found: list[Member] = []
    prefixes: set[str] = set()
    for model in models:
        require_character_network(model)
        stem = re.sub(r"[^\w.\-]", "_", model.name.rpartition(".")[0] or model.name)
        prefix = unused_name(stem or "model", prefixes)
        prefixes.add(prefix)
        convention = model.card.convention or Convention()
        found.append(Member(model, prefix, _order(model, named), convention, graph_reference(model)))
    return tuple(found)


def _order(model: Model, named: Model) -> tuple[int, ...]:
    if model.classes != named.classes:
        raise IncompatibleModelsError(
            f"{model.name} has {model.classes} classes, {named.name} has {named.classes}",
            hint="an ensemble takes models of the same classes",
        )
    own, wanted = model.card.classes, named.card.classes
    if not own or own == wanted:
        return tuple(range(model.classes))
    place = {character: index for index, character in enumerate(own)}
    missing = [character for character in wanted if character not in place]
    if missing or len(place) != len(own):
        what = f"does not have {', '.join(missing[:10])}" if missing else "has two classes of one name"
        raise IncompatibleModelsError(
            f"{model.name} {what}: its classes are not those of {named.name}",
            hint="an ensemble takes models of the same classes",
        )
    return tuple(place[character] for character in wanted)


def network_of(member: Member, shape: tuple[int, ...]) -> tuple[str, list[NodeProto], list[TensorProto]]:
    """A member behind the ensemble's input, upright/unit/light (batch, *shape): output, nodes, constants.

    The output is its probabilities in the ensemble's order of classes; those of a sigmoid for each class
    are divided by their sum.
    """
    model = member.model
    graph, _ = simplified_graph(model)
    added = added_to(member.reference.scores, normalise=True)
    proto = with_opset(keep_promises(graph, model.classes, added=added), OPSET, model.name)
    compose.add_prefix(proto, f"{member.prefix}/", inplace=True)
    constants = list(proto.graph.initializer)
    nodes = list(_preprocessing(member, shape, constants))
    image = nodes[-1].output[0] if nodes else INPUT
    for node in proto.graph.node:
        for place, name in enumerate(node.input):
            if name == f"{member.prefix}/{INPUT}":
                node.input[place] = image
        nodes.append(node)
    output = f"{member.prefix}/{OUTPUT}"
    if member.order != tuple(range(model.classes)):
        order = _constant(constants, f"{member.prefix}/class order", np.asarray(member.order, np.int64))
        ordered = f"{member.prefix}/{OUTPUT} in order"
        nodes.append(helper.make_node("Gather", [output, order], [ordered], name=ordered, axis=1))
        output = ordered
    return output, nodes, constants


def _preprocessing(
    member: Member, shape: tuple[int, ...], constants: list[TensorProto]
) -> Iterator[NodeProto]:
    """From upright/unit/light images to a member's input format; nothing if it is the same."""
    convention, value = member.convention, INPUT
    factor, shift = (-1.0, 1.0) if convention.ink == "dark" else (1.0, 0.0)
    if convention.scale == "raw":
        factor, shift = 255 * factor, 255 * shift
    elif convention.scale == "standard":
        factor, shift = factor / convention.deviation, (shift - convention.mean) / convention.deviation

    def step(operator: str, what: str, *arrays: NDArray[Any], **attributes: Any) -> NodeProto:
        nonlocal value
        made = f"{member.prefix}/{what}"
        names = [_constant(constants, f"{made}/{index}", array) for index, array in enumerate(arrays)]
        node = helper.make_node(operator, [value, *names], [made], name=made, **attributes)
        value = made
        return node

    own = member.model.input_shape
    if convention.orientation == "transposed":
        yield step("Reshape", "rows", np.asarray([0, 28, 28], np.int64))
        yield step("Transpose", "transposed", perm=[0, 2, 1])
    if factor != 1:
        yield step("Mul", "scaled", np.asarray(factor, np.float32))
    if shift != 0:
        yield step("Add", "shifted", np.asarray(shift, np.float32))
    if convention.orientation == "transposed" or own != shape:
        yield step("Reshape", "shaped", np.asarray([0, *own], np.int64))


def _constant(constants: list[TensorProto], name: str, array: NDArray[Any]) -> str:
    constants.append(numpy_helper.from_array(array, name))
    return name
