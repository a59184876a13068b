"""The request of ``toolkit merge``."""

from collections.abc import Mapping
from pathlib import Path

from toolkit.options import GivenOptions, option
from toolkit.records import dataclass
from toolkit.vocabulary import Convention

WITHOUT_DATASET = "none"
"""As ``dataset``: use no images."""


@dataclass(frozen=True)
class Merge:
    """Make one model of several."""

    models: tuple[Path, ...] = option((), help="model files; by default the models that belong together")
    strategy: str | None = option(
        None, help="merge strategy; by default greedy with validation images, mean without"
    )
    options: GivenOptions = option((), help="options of the strategy")
    recalibrate: int | None = option(
        None,
        help="number of unlabelled images for the batch statistics; by default 5000 with a data set",
        minimum=0,
    )
    dataset: str | None = option(
        None, help="data set to score on; by default the models' training data; none for no images"
    )
    convention: Convention | None = option(None, help="input format of all models: upright/unit/light")
    conventions: Mapping[str, Convention] = option({}, help="input format by model, as named in models")
    out: Path | None = option(None, help="the merged model, .h5 or .keras; by default models/emnist_model.h5")
    plan: bool = option(False, help="print the recipe and every problem; write nothing")  # noqa: FBT003
    recipe: Path | None = option(None, help="recipe of an earlier merge or plan to run")
    keep_worse: bool = option(False, help="save the result even if its best ingredient is better")  # noqa: FBT003
    or_best: bool = option(False, help="save the best ingredient if it is better than the result")  # noqa: FBT003
    arch: str | None = option(
        None, help="architecture of files with weights only: a name, its JSON file, or a model file"
    )
    force: bool = option(False, help="replace existing files")  # noqa: FBT003
    seed: int = option(0, help="random seed", minimum=0)
    test: bool = option(False, help="score on the test split as well, once, at the end")  # noqa: FBT003
