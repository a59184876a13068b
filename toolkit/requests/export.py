"""The request of ``toolkit export``."""

from collections.abc import Mapping
from pathlib import Path

from toolkit.options import option
from toolkit.records import dataclass
from toolkit.vocabulary import Convention


@dataclass(frozen=True)
class Export:
    """Write a model for other programs."""

    model: Path = option(help="model file")
    to: str = option(help="exporter: onnx, h5, keras, …")
    others: tuple[Path, ...] = option((), help="more model files, for an exporter that takes several")
    out: Path | None = option(None, help="output file; by default beside the model, with another suffix")
    options: tuple[str, ...] = option((), help="key=value for the exporter")
    dataset: str | None = option(
        None,
        help="data set to verify the export on, and to calibrate it; by default the model's training data; "
        "none for no images",
    )
    conform: Convention | None = option(
        None, help="input format to rewrite the network for, with the same answers: upright/unit/light"
    )
    convention: Convention | None = option(None, help="input format of all models: upright/unit/light")
    conventions: Mapping[str, Convention] = option({}, help="input format by model, as named in models")
    arch: str | None = option(
        None, help="architecture of files with weights only: a name, its JSON file, or a model file"
    )
    force: bool = option(False, help="replace an existing file")  # noqa: FBT003
