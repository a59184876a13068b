"""Loads one part of a variant from CSV or IDX files."""

from __future__ import annotations

from toolkit.data.dataset import Dataset
from toolkit.errors import MissingInputError
from toolkit.types import LoadRequest
from toolkit_emnist.csv_reader import read_csv
from toolkit_emnist.idx_reader import read_idx
from toolkit_emnist.mapping import mapping_of


def load(request: LoadRequest) -> Dataset:
    """Read a part of a variant; its classes are those of the mapping, whether or not they occur."""
    source, part = request.source, request.part
    files = source.files
    mapping = mapping_of(source.name, files.get("mapping"))
    if part in files:
        images, labels = read_csv(files[part], mapping)
    elif f"{part}-images" in files:
        images, labels = read_idx(files[f"{part}-images"], files[f"{part}-labels"], mapping)
    else:
        there = ", ".join(path.name for path in files.values()) or "nothing"
        raise MissingInputError(
            f"emnist-{source.name}-{part}.csv: {source.name} has no {part} file; there is {there}",
            hint=f"copy it to the same folder, or run `toolkit datasets get {source.name}`",
        )
    return Dataset(source.name, mapping.classes, images, labels)
