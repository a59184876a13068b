"""The request of ``toolkit export``."""

from pathlib import Path

from toolkit.options import option
from toolkit.records import dataclass
from toolkit.vocabulary import Convention


@dataclass(frozen=True)
class Export:
    """Write a model for other programs."""

    model: Path = option(help="model file")
    to: str = option(help="exporter: onnx, h5, keras, …")
    out: Path | None = option(None, help="output file; by default beside the model, with another suffix")
    options: tuple[str, ...] = option((), help="key=value for the exporter")
    dataset: str | None = option(
        None,
        help="data set to verify the export on; by default the model's training data; none for no images",
    )
    convention: Convention | None = option(
        None, help="input format, if the model has no card: upright/unit/light"
    )
    conform: Convention | None = option(
        None, help="input format to rewrite the network for, with the same answers: upright/unit/light"
    )
    force: bool = option(False, help="replace an existing file")  # noqa: FBT003
