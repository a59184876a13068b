"""For exporters of ONNX files: simplified graphs, promised names, metadata, and verification."""

from __future__ import annotations

from toolkit.onnx_export.metadata import read_card
from toolkit.onnx_export.promises import INPUT, OUTPUT, Added, added_to, keep_promises, signed
from toolkit.onnx_export.proof import prove, save_proved
from toolkit.onnx_export.reference import NetworkOutputs, Reference, graph_reference
from toolkit.onnx_export.simplified import simplified_graph
from toolkit.onnx_export.simplifying import with_opset

__all__ = [
    "INPUT",
    "OUTPUT",
    "Added",
    "NetworkOutputs",
    "Reference",
    "added_to",
    "graph_reference",
    "keep_promises",
    "prove",
    "read_card",
    "save_proved",
    "signed",
    "simplified_graph",
    "with_opset",
]
