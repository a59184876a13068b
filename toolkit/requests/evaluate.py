"""The request of ``toolkit evaluate``."""

from collections.abc import Mapping
from pathlib import Path

from toolkit.options import GivenOptions, option
from toolkit.records import dataclass
from toolkit.vocabulary import Convention, SplitName


@dataclass(frozen=True)
class Evaluate:
    """Evaluate models on a data set; ``convention`` is for the models without one in ``conventions``."""

    models: tuple[Path, ...] = option(help="model files")
    dataset: str | None = option(
        None,
        help="data set, name or path; by default each model's training data, or one with its classes",
    )
    split: SplitName = option("test", help="part of the data set")
    convention: Convention | None = option(None, help="input format of all models: upright/unit/light")
    conventions: Mapping[str, Convention] = option({}, help="input format by model, as named in models")
    options: GivenOptions = option((), help="options of the data set loader")
    csv: Path | None = option(None, help="file for the table, one row per model")
    arch: str | None = option(
        None, help="architecture of files with weights only: a name, its JSON file, or a model file"
    )
    force: bool = option(False, help="replace an existing CSV file")  # noqa: FBT003
