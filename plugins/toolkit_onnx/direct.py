"""The direct exporter: from the graph, without a framework."""

from __future__ import annotations

import onnx

from toolkit.errors import UnsupportedError
from toolkit.graph.editing import EditableGraph
from toolkit.model import Model
from toolkit.onnx_export import as_bytes, graph_reference, keep_promises, prove, sign, verified_by
from toolkit.types import ExportRequest, ExportResult
from toolkit_onnx.folding import Folding, fold_batch_normalisation
from toolkit_onnx.options import DirectOptions
from toolkit_onnx.simplifying import simplify, with_opset


def export(request: ExportRequest) -> ExportResult:
    """Write a model as ONNX, straight from its graph, and verify it against that graph.

    Args:
        request: Its options are :class:`~toolkit_onnx.options.DirectOptions`.

    Returns:
        With the figures of the verification, and how many normalisations were folded.

    Raises:
        ProofError: If the file does not do what the model does; nothing is written then.
        UnsupportedError: If the network has a layer without an ONNX form.
    """
    options = request.options if isinstance(request.options, DirectOptions) else DirectOptions()
    model = request.model
    graph = model.build_graph()
    if len(model.output_shape) != 1 or model.classes < 2:
        raise UnsupportedError(
            f"{model.name}: the network's output has the shape {model.output_shape}",
            hint="networks with one number per class, for two classes or more, can be exported",
        )
    proto, folding = exportable(model, options)
    sign(proto, model.card)
    content = as_bytes(proto)
    facts = prove(content, model, [graph_reference(model)], request.probe)
    request.path.write_bytes(content)
    return ExportResult(
        request.path,
        {
            **facts,
            "normalisations_folded": folding.folded,
            "normalisations_left": folding.left,
            "softmax_added": not graph.outputs_probabilities,
        },
        verified_by(facts),
    )


def exportable(model: Model, options: DirectOptions) -> tuple[onnx.ModelProto, Folding]:
    """The model in the form that is written, without its metadata."""
    graph = model.build_graph()
    editable = EditableGraph(graph, model.tensors)
    simplify(editable)
    folding = fold_batch_normalisation(editable) if options.fold else Folding(0, _normalisations(editable))
    promised = keep_promises(editable, model.classes, probabilities=graph.outputs_probabilities)
    return with_opset(promised, options.opset, model.name), folding


def _normalisations(graph: EditableGraph) -> int:
    return sum(node.operator == "BatchNormalization" for node in graph.nodes)
