"""EMNIST's six variants, as CSV and as IDX: found, read, downloaded."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from toolkit import hookimpl
from toolkit.errors import MissingInputError
from toolkit.types import DatasetLoader, LoadRequest, lazy

if TYPE_CHECKING:
    from toolkit.data import Dataset

VARIANTS = ("byclass", "bymerge", "balanced", "letters", "digits", "mnist")


@hookimpl
def toolkit_dataset_loaders() -> Iterable[DatasetLoader]:
    """Yield the loader ``emnist``."""
    yield DatasetLoader(
        name="emnist",
        summary="EMNIST as CSV, .csv.gz or IDX: byclass, bymerge, balanced, letters, digits, mnist.",
        detect=lazy("toolkit_emnist.detection:detect"),
        load=_load,
        fetch=lazy("toolkit_emnist.fetching:fetch"),
        fetchable=VARIANTS,
    )


def _load(request: LoadRequest) -> Dataset:
    """Read a part of a variant; its classes are those of the mapping, whether or not they occur."""
    from toolkit.data import Dataset
    from toolkit_emnist.csv_reader import read_csv
    from toolkit_emnist.idx_reader import read_idx
    from toolkit_emnist.mapping import mapping_of

    name, part, files = request.source.name, request.part, request.source.files
    mapping = mapping_of(name, files.get("mapping"))
    if part in files:
        images, labels = read_csv(files[part], mapping)
    elif f"{part}-images" in files:
        images, labels = read_idx(files[f"{part}-images"], files[f"{part}-labels"], mapping)
    else:
        there = ", ".join(path.name for path in files.values()) or "nothing"
        raise MissingInputError(
            f"emnist-{name}-{part}.csv: {name} has no {part} file; there is {there}",
            hint=f"copy it to the same folder, or run `toolkit datasets get {name}`",
        )
    return Dataset(name, mapping.classes, images, labels)
