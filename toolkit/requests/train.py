"""The request of ``toolkit train``."""

from pathlib import Path

from toolkit.options import GivenOptions, option
from toolkit.records import dataclass
from toolkit.vocabulary import Convention


@dataclass(frozen=True)
class Train:
    """Train a network, or fine-tune one.

    ``options`` are those of the training (``train.batch_size``), the architecture (``arch.width``) and
    the data set loader (``loader.test_share``). A key needs no prefix if only one of them has it.
    """

    dataset: str | None = option(
        None, help="data set, name or path; by default the one in the model's card, or the first one found"
    )
    arch: str | None = option(None, help="architecture; by default compact-cnn, or the model's own")
    epochs: int | None = option(None, help="passes over the fit images; by default 20", minimum=1)
    seed: int | None = option(None, help="random seed; by default 0", minimum=0)
    from_model: Path | None = option(None, help="model file to fine-tune")
    convention: Convention | None = option(None, help="input format of that model: upright/unit/light")
    name: str | None = option(
        None, help="name of the model in models/, without suffix; by default emnist_<data set>_model"
    )
    options: GivenOptions = option(
        (), help="options of the training, the architecture and the data set loader"
    )
    resume: str | None = option(None, help="run in runs/ to resume, or latest")
    config: Path | None = option(None, help="settings file, such as the run.toml of a run")
    force: bool = option(False, help="replace an existing model")  # noqa: FBT003
