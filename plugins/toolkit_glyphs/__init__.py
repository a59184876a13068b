"""The built-in data set: characters drawn from the fonts that matplotlib and Pillow contain."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from toolkit import hookimpl
from toolkit.options import option
from toolkit.records import dataclass
from toolkit.types import DatasetLoader, DatasetSource, lazy


@dataclass(frozen=True)
class GlyphOptions:
    """Options of ``glyphs``."""

    train_per_class: int = option(
        240, help="images of each character in the train part", minimum=1, maximum=10_000
    )
    test_per_class: int = option(
        60, help="images of each character in the test part", minimum=1, maximum=10_000
    )
    seed: int = option(0, help="random seed", minimum=0)


@hookimpl
def toolkit_dataset_loaders() -> Iterable[DatasetLoader]:
    """Yield the loader ``glyphs``."""
    yield DatasetLoader(
        name="glyphs",
        summary="Characters drawn from fonts, always available; `make` writes them as EMNIST's CSV.",
        detect=_detect,
        load=lazy("toolkit_glyphs.parts:load_part"),
        options=GlyphOptions,
        make=lazy("toolkit_glyphs.parts:make_files"),
    )


def _detect(folder: Path) -> Sequence[DatasetSource]:  # noqa: ARG001 - found in every folder
    summary = "62 characters drawn from fonts, computed; 28×28, EMNIST's classes and look"
    return (DatasetSource("glyphs", "glyphs", summary, rank=-1),)
