"""The float32 graph that exporters of ONNX files start from."""

from __future__ import annotations

from toolkit.graph.editing import EditableGraph
from toolkit.model import Model
from toolkit.onnx_export.folding import fold_batch_normalisation
from toolkit.onnx_export.simplifying import simplify


def simplified_graph(model: Model, *, fold: bool = True) -> tuple[EditableGraph, int]:
    """A network's graph without what does nothing at inference, and how many normalisations were folded.

    Args:
        fold: Whether batch normalisation is folded into its neighbours if that is exact.

    Raises:
        UnsupportedError: If a layer has no ONNX form.
    """
    graph = EditableGraph(model.build_graph(), model.tensors)
    simplify(graph)
    return graph, fold_batch_normalisation(graph) if fold else 0
