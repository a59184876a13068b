"""The direct exporter: from the graph, without a framework."""

from __future__ import annotations

import onnx

from toolkit.errors import UnsupportedError
from toolkit.graph.graph import Graph
from toolkit.model import Card, Model
from toolkit.types import ExportRequest, ExportResult
from toolkit_onnx.editing import EditableGraph
from toolkit_onnx.folding import Folding, fold_batch_normalisation
from toolkit_onnx.metadata import write_properties
from toolkit_onnx.options import DirectOptions
from toolkit_onnx.proof import digest_of, graph_source, prove
from toolkit_onnx.simplifying import end_in_softmax, keep_promises, simplify, with_opset
from toolkit_onnx.writing import as_bytes, sign


def export(request: ExportRequest) -> ExportResult:
    """Write a model as ONNX, straight from its graph, and prove it against that graph.

    Args:
        request: Its options are :class:`~toolkit_onnx.options.DirectOptions`.

    Returns:
        With the proof's figures, how many normalisations were folded, and the file's weights digest.

    Raises:
        ProofError: If the file would not do what the model does; nothing is written then.
        UnsupportedError: If the network has a layer that is not known.
    """
    options = request.options if isinstance(request.options, DirectOptions) else DirectOptions()
    model = request.model
    graph = model.build_graph()
    unfolded = graph.bind(model.tensors)
    if len(model.output_shape) != 1 or model.classes < 2:
        raise UnsupportedError(
            f"{model.name}: the network answers with shape {model.output_shape}",
            hint="networks that give one number a class, of two classes or more, can be exported",
        )
    proto, folding = exportable(unfolded, graph, model, options)
    content = signed(proto, model.card)
    facts = prove(content, model, [graph_source(unfolded, graph, model.name)], request.probe)
    request.path.write_bytes(content)
    return ExportResult(
        request.path,
        {
            **facts,
            "normalisations_folded": folding.folded,
            "normalisations_left": folding.left,
            "softmax_added": not graph.outputs_probabilities,
            "weights_digest": digest_of(content),
        },
    )


def exportable(
    unfolded: onnx.ModelProto, graph: Graph, model: Model, options: DirectOptions
) -> tuple[onnx.ModelProto, Folding]:
    """The graph as it is to be written, but for metadata."""
    editable = EditableGraph(unfolded)
    simplify(editable)
    folding = fold_batch_normalisation(editable) if options.fold else Folding(0, _normalisations(editable))
    end_in_softmax(editable, already=graph.outputs_probabilities)
    promised = keep_promises(editable, model.input_shape, model.classes)
    return with_opset(promised, options.opset, model.name), folding


def signed(proto: onnx.ModelProto, card: Card) -> bytes:
    """The file's bytes, with its card in its metadata."""
    sign(proto)
    write_properties(proto, card)
    return as_bytes(proto)


def _normalisations(graph: EditableGraph) -> int:
    return sum(node.op_type == "BatchNormalization" for node in graph.nodes)
