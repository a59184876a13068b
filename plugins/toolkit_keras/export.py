"""Exporting to Keras' formats: written, read back, and loaded in Keras if it is installed."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import numpy as np

from toolkit.engine import Session
from toolkit.errors import ProofError, UnsupportedError
from toolkit.graph.onnx_form import to_onnx
from toolkit.tensors import RecordedTensors
from toolkit.types import ExportRequest, ExportResult
from toolkit_keras import KerasOptions
from toolkit_keras.write_h5 import write_h5
from toolkit_keras.write_keras import write_keras

TOLERANCE = 1e-4
"""Of the largest output. Rounding stays below 1e-5; layers or weights in another order are far above."""

_IMAGES = 4
_WRITERS = {"h5": write_h5, "keras": write_keras}


def export(name: str, request: ExportRequest) -> ExportResult:
    """Write a model as ``h5`` or ``keras``; the host reads the file back and compares the digest.

    Raises:
        ProofError: If Keras is installed and cannot load the file, or computes something else.
    """
    options = request.options if isinstance(request.options, KerasOptions) else KerasOptions()
    tensors = RecordedTensors(request.model.tensors)
    verification: dict[str, Any] = {"compared_with": "the model's weights", "tensors": len(tensors)}
    card = replace(request.model.card, verification=verification)
    _WRITERS[name](replace(request.model, tensors=tensors, card=card), request.path)
    facts: dict[str, Any] = {
        "tensors": len(tensors),
        "parameters": request.model.parameters,
        "weights_digest": tensors.weights_digest(),
    }
    verified = "read back, same weights"
    if options.check and request.load_keras is not None and find_spec("tensorflow") and find_spec("keras"):
        try:
            found = _check_in_keras(request)
        except UnsupportedError as error:
            verified += f"; not loaded in Keras: {error.message}"
        else:
            facts |= found
            card = replace(card, verification=verification | found)
            verified += f"; Keras {found['keras']} loads it, {found['compared']}"
    return ExportResult(request.path, facts, verified, card)


def _check_in_keras(request: ExportRequest) -> dict[str, Any]:
    """What Keras computes with the file against what the model's graph does, on random inputs."""
    assert request.load_keras is not None
    model, network = request.model, request.load_keras(request.path)
    import keras

    graph = model.describe_graph()
    if graph.refusal is not None:
        return {"keras": keras.__version__, "compared": "no outputs compared (it has layers without a graph)"}
    inputs = np.random.default_rng(0).random((_IMAGES, *model.input_shape), dtype=np.float32)
    (expected,) = Session(to_onnx(graph, model.tensors), model.name).run({graph.input: inputs})
    found = np.asarray(network(inputs, training=False))
    if found.shape != expected.shape:
        raise _differs(f"outputs of the shape {found.shape}, not {expected.shape}")
    difference = float(np.abs(found.astype(np.float64) - expected).max(initial=0.0))
    if not difference <= TOLERANCE * max(1.0, float(np.abs(expected).max(initial=0.0))):
        raise _differs(f"outputs that differ by {difference:.2g}")
    return {
        "keras": keras.__version__,
        "compared": f"same outputs within {difference:.1e}",
        "largest_difference_to_keras": difference,
    }


def _differs(what: str) -> ProofError:
    return ProofError(
        f"Keras loads the export and computes {what}; nothing was written",
        hint="use `--to onnx`, and please report it",
    )
