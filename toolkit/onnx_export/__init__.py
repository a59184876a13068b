"""For exporters of ONNX files: simplified graphs, promised names, metadata, and verification."""

from __future__ import annotations

from toolkit.onnx_export.metadata import read_card
from toolkit.onnx_export.preprocessing import conversion, take_pictures, without_preprocessing
from toolkit.onnx_export.promises import (
    INPUT,
    OUTPUT,
    Added,
    Promised,
    added_to,
    finished,
    keep_promises,
    sign,
    signed,
)
from toolkit.onnx_export.proof import prove, save_proved
from toolkit.onnx_export.reference import (
    NetworkOutputs,
    ProofImages,
    Reference,
    graph_reference,
    proof_images,
    record,
    session_of,
)
from toolkit.onnx_export.simplified import simplified_graph
from toolkit.onnx_export.simplifying import with_opset

__all__ = [
    "INPUT",
    "OUTPUT",
    "Added",
    "NetworkOutputs",
    "Promised",
    "ProofImages",
    "Reference",
    "added_to",
    "conversion",
    "finished",
    "graph_reference",
    "keep_promises",
    "proof_images",
    "prove",
    "read_card",
    "record",
    "save_proved",
    "session_of",
    "sign",
    "signed",
    "simplified_graph",
    "take_pictures",
    "with_opset",
    "without_preprocessing",
]
