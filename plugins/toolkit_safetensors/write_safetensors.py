"""Writing safetensors files, one tensor at a time, the same bytes every time."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from toolkit.errors import UnsupportedError
from toolkit.model import Card, Model
from toolkit.tensors import RecordedTensors, TensorRole
from toolkit.types import ExportRequest, ExportResult
from toolkit_safetensors.safetensors_header import ARCHITECTURE, CARD, DIALECT, DTYPES

_KINDS = {dtype: kind for kind, dtype in DTYPES.items() if kind != "BF16"}
_ALIGNMENT = 8


def write(model: Model, path: Path) -> None:
    """Write a model's tensors to a new file, with its card and its description as metadata.

    States of random generators are left out.
    """
    specs = [spec for spec in model.tensors.specs.values() if spec.role is not TensorRole.GENERATOR_STATE]
    # As the library does: the types with the largest elements first, so that every tensor is aligned.
    specs.sort(key=lambda spec: -spec.dtype.itemsize)
    header: dict[str, object] = {"__metadata__": _metadata(model)}
    end = 0
    for spec in specs:
        kind = _KINDS.get(spec.dtype.newbyteorder("<"))
        if kind is None:
            raise UnsupportedError(
                f"{spec.name} is of type {spec.dtype}, which a safetensors file cannot hold",
                hint=f"supported: {', '.join(_KINDS.values())}",
            )
        begin, end = end, end + spec.size * spec.dtype.itemsize
        header[spec.name] = {"dtype": kind, "shape": list(spec.shape), "data_offsets": [begin, end]}
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text = text.ljust(-(-len(text) // _ALIGNMENT) * _ALIGNMENT)
    with path.open("xb") as file:
        file.write(len(text).to_bytes(8, "little"))
        file.write(text)
        for spec in specs:
            dtype = spec.dtype.newbyteorder("<")
            file.write(np.ascontiguousarray(model.tensors.read(spec.name), dtype=dtype).data)


def export(request: ExportRequest) -> ExportResult:
    """Write a model; the host reads the file back and compares the digest."""
    tensors = RecordedTensors(request.model.tensors)
    proof = {"compared_with": "the model's weights", "tensors": len(tensors)}
    card = replace(request.model.card, verification=proof)
    write(replace(request.model, tensors=tensors, card=card), request.path)
    facts = {
        "tensors": len(tensors),
        "parameters": request.model.parameters,
        "weights_digest": tensors.weights_digest(),
    }
    verified = "read back, same weights"
    if not request.model.description:
        verified += f"; to read it, name the architecture: --arch {request.model.name}"
    return ExportResult(request.path, facts, verified, card)


def _metadata(model: Model) -> dict[str, str]:
    found = {"format": "np", DIALECT: model.dialect}
    if model.card != Card():
        found[CARD] = model.card.embedded().to_json()
    if model.description:
        found[ARCHITECTURE] = json.dumps(model.description, ensure_ascii=False)
    return dict(sorted(found.items()))
