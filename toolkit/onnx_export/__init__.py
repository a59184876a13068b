"""For exporters of ONNX files: promised names, metadata, and verification."""

from __future__ import annotations

from toolkit.onnx_export.metadata import read_card, write_properties
from toolkit.onnx_export.promises import INPUT, OUTPUT, as_bytes, keep_promises, sign
from toolkit.onnx_export.proof import Predictions, Reference, graph_reference, prove, verified_by

__all__ = [
    "INPUT",
    "OUTPUT",
    "Predictions",
    "Reference",
    "as_bytes",
    "graph_reference",
    "keep_promises",
    "prove",
    "read_card",
    "sign",
    "verified_by",
    "write_properties",
]
