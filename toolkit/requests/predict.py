"""The request of ``toolkit predict``."""

from pathlib import Path
from typing import Literal

from toolkit.options import option
from toolkit.records import dataclass
from toolkit.vocabulary import Convention


@dataclass(frozen=True)
class Predict:
    """Predict the character in each picture."""

    model: Path = option(help="model file")
    images: tuple[Path, ...] = option(help="PNG or JPEG files, folders of them, or - for standard input")
    top: int = option(5, help="number of predictions per picture", minimum=1)
    ink: Literal["auto", "dark", "light"] = option("auto", help="whether the strokes are dark or light")
    convention: Convention | None = option(None, help="input format, if the model has no card")
    save_input: Path | None = option(None, help="folder for the 28×28 images that the network receives")
    arch: str | None = option(
        None, help="architecture of files with weights only: a name, its JSON file, or a model file"
    )
    force: bool = option(False, help="replace saved 28×28 images")  # noqa: FBT003
