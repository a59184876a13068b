"""The request of ``toolkit models adopt``."""

from pathlib import Path

from toolkit.options import option
from toolkit.records import dataclass
from toolkit.vocabulary import Convention


@dataclass(frozen=True)
class Adopt:
    """Find out a network's input format and classes, and write its card."""

    model: Path = option(help="model file")
    dataset: str | None = option(
        None,
        help="labelled images to try, name or path; by default the data sets with the model's classes, "
        "without one the drawn glyphs",
    )
    convention: Convention | None = option(
        None, help="input format, if it is known: upright/unit/light; only the class order is searched for"
    )
    arch: str | None = option(
        None, help="architecture of a file with weights only: a name, its JSON file, or a model file"
    )
    force: bool = option(False, help="replace an existing card")  # noqa: FBT003
