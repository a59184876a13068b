"""The models of an ensemble: their classes, and their graphs behind one input."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
from onnx import NodeProto, TensorProto, compose, helper, numpy_helper

from toolkit.data.convention import apply_convention
from toolkit.errors import IncompatibleModelsError
from toolkit.graph import unused_name
from toolkit.graph.graph import OPSET
from toolkit.model import Model
from toolkit.onnx_export import (
    INPUT,
    OUTPUT,
    ProofImages,
    Reference,
    added_to,
    conversion,
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


def members_of(models: Sequence[Model], images: Mapping[str, ProofImages]) -> tuple[Member, ...]:
    """The models with their places in the ensemble; the classes are in the order of the first with a card.

    Args:
        images: Of the proof; each model is run on them in its own input format.

    Raises:
        IncompatibleModelsError: If they do not have the same classes.
        UnsupportedError: If one does not take single glyphs of 28×28, or cannot be run.
    """
    named = next((model for model in models if model.card.classes), models[0])
    orders = [_order(model, named) for model in models]
    found: list[Member] = []
    prefixes: set[str] = set()
    for model, order in zip(models, orders, strict=True):
        stem = re.sub(r"[^\w.\-]", "_", model.name.rpartition(".")[0] or model.name)
        prefix = unused_name(stem or "model", prefixes)
        prefixes.add(prefix)
        convention = model.card.convention or Convention()
        reference = graph_reference(model, _in_format_of(model, convention, images))
        found.append(Member(model, prefix, order, convention, reference))
    return tuple(found)


def _in_format_of(
    model: Model, convention: Convention, images: Mapping[str, ProofImages]
) -> dict[str, ProofImages]:
    return {
        kind: ProofImages(apply_convention(shown.pictures, convention, model.input_shape), shown.pictures)
        for kind, shown in images.items()
        if shown.pictures is not None
    }


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


def network_of(member: Member) -> tuple[str, list[NodeProto], list[TensorProto]]:
    """A member behind the ensemble's input, upright/unit/light: its output, nodes and constants.

    The output is its probabilities in the ensemble's order of classes; those of a sigmoid for each class
    are divided by their sum.
    """
    model, prefix = member.model, member.prefix
    graph, _ = simplified_graph(model)
    added = added_to(member.reference.scores, normalise=True)
    proto = with_opset(keep_promises(graph, model.classes, added=added), OPSET, model.name)
    compose.add_prefix(proto, f"{prefix}/", inplace=True)
    image, output = f"{prefix}/{INPUT}", f"{prefix}/{OUTPUT}"
    front = conversion(
        INPUT, image, member.convention, model.input_shape, pixels="unit", prefix=f"{prefix}/preprocessing"
    )
    nodes = [*front.nodes, *proto.graph.node]
    constants = [*front.constants, *proto.graph.initializer]
    if member.order != tuple(range(model.classes)):
        order = numpy_helper.from_array(np.asarray(member.order, np.int64), f"{prefix}/class order")
        constants.append(order)
        ordered = f"{output} in order"
        nodes.append(helper.make_node("Gather", [output, order.name], [ordered], name=ordered, axis=1))
        output = ordered
    return output, nodes, constants
