"""A table of a model's tensors."""

from __future__ import annotations

import csv

import numpy as np

from toolkit.errors import ProofError
from toolkit.types import ExportRequest, ExportResult


def export(request: ExportRequest) -> ExportResult:
    """Write one line per tensor, and verify that all of them were written."""
    digits = request.options.digits
    specs = request.model.tensors.specs
    with request.path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["tensor", "shape", "mean", "deviation", "minimum", "maximum"])
        for name, spec in specs.items():
            array = np.asarray(request.model.tensors.read(name), dtype=np.float64)
            figures = (array.mean(), array.std(), array.min(), array.max())
            table.writerow(
                [name, "x".join(map(str, spec.shape)), *(f"{figure:.{digits}g}" for figure in figures)]
            )
    with request.path.open(newline="", encoding="utf-8") as file:
        written = [row["tensor"] for row in csv.DictReader(file)]
    if written != list(specs):
        raise ProofError(f"{request.path.name}: {len(written)} of {len(specs)} tensors were written")
    return ExportResult(request.path, {"tensors": len(written), "parameters": request.model.parameters})
