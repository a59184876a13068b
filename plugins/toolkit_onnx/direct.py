"""The direct exporter: from the graph, without a framework."""

from __future__ import annotations

import onnx

from toolkit.errors import UnsupportedError
from toolkit.model import Model
from toolkit.onnx_export import (
    Added,
    added_to,
    graph_reference,
    keep_promises,
    save_proved,
    simplified_graph,
    with_opset,
)
from toolkit.types import ExportRequest, ExportResult
from toolkit_onnx import DirectOptions


def export(request: ExportRequest) -> ExportResult:
    """Write a model as ONNX, straight from its graph, and verify it against that graph."""
    options = request.options if isinstance(request.options, DirectOptions) else DirectOptions()
    model = request.model
    if len(model.output_shape) != 1 or model.classes < 2:
        raise UnsupportedError(
            f"{model.name}: the network's output has the shape {model.output_shape}",
            hint="networks with one number per class, for two classes or more, can be exported",
        )
    reference = graph_reference(model)
    added = added_to(reference.scores, normalise=options.normalise)
    proto, folded, left = exportable(model, options, added)
    return save_proved(
        request, proto, [reference], added=added, normalisations_folded=folded, normalisations_left=left
    )


def exportable(model: Model, options: DirectOptions, added: Added = "") -> tuple[onnx.ModelProto, int, int]:
    """The exported model without metadata, and the numbers of normalisations folded and left."""
    graph, folded = simplified_graph(model, fold=options.fold)
    left = sum(node.operator == "BatchNormalization" for node in graph.nodes)
    promised = keep_promises(graph, model.classes, added=added)
    return with_opset(promised, options.opset, model.name), folded, left
