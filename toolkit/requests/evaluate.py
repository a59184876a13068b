"""The request of ``toolkit evaluate``."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from toolkit.options import option
from toolkit.records import dataclass
from toolkit.vocabulary import Convention, SplitName


@dataclass(frozen=True)
class Evaluate:
    """Evaluate models on a data set.

    ``conventions`` are by model, as named in ``models``; ``convention`` is for all others. ``options``
    are those of the data set loader.
    """

    models: tuple[Path, ...] = option(help="model files")
    dataset: str | None = option(
        None, help="data set, name or path; by default the one that the first model was trained on"
    )
    split: SplitName = option("test", help="part of the data set")
    convention: Convention | None = option(None, help="input format of all models: upright/unit/light")
    conventions: Mapping[str, Convention] = option({}, help="input format by model, as named in models")
    options: tuple[str, ...] | Mapping[str, Any] = option((), help="options of the data set loader")
    csv: Path | None = option(None, help="file for the table, one row per model")
    force: bool = option(False, help="replace an existing CSV file")  # noqa: FBT003
