"""What plugins declare and what the host hands them: frozen dataclasses, no framework.

A hook yields declarations. A declaration names and describes one contribution and carries
one callable, which takes one request object. A later field with a default in a request or in
a declaration breaks no plugin.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from toolkit.errors import UsageError

if TYPE_CHECKING:
    import click
    import flask
    import keras
    import numpy as np
    from numpy.typing import NDArray

    from toolkit.data import Dataset
    from toolkit.model import Model, TensorRole

Orientation = Literal["upright", "transposed"]
Scale = Literal["unit", "raw", "standard"]
Ink = Literal["light", "dark"]
SplitName = Literal["fit", "validation", "test"]

_CONVENTION = re.compile(
    r"(?P<orientation>upright|transposed)"
    r"/(?P<scale>unit|raw|standard\((?P<mean>-?[0-9]+(?:\.[0-9]+)?),(?P<deviation>[0-9]+(?:\.[0-9]+)?)\))"
    r"/(?P<ink>light|dark)"
)


@dataclass(frozen=True, slots=True)
class Convention:
    """How a model wants its pixels.

    Attributes:
        orientation: ``upright`` as a person reads, or ``transposed`` as in EMNIST's own files.
        scale: ``unit`` is x/255 in [0, 1], ``raw`` is 0 to 255, ``standard`` is
            (x/255 - mean) / deviation.
        ink: ``light`` strokes on a dark ground, or ``dark`` strokes on a light ground.
        mean: Subtracted under ``standard``; in units of x/255.
        deviation: Divided by under ``standard``; in units of x/255, above 0.
    """

    orientation: Orientation = "upright"
    scale: Scale = "unit"
    ink: Ink = "light"
    mean: float = 0.0
    deviation: float = 1.0

    def __str__(self) -> str:
        scale = f"standard({self.mean:g},{self.deviation:g})" if self.scale == "standard" else self.scale
        return f"{self.orientation}/{scale}/{self.ink}"

    @classmethod
    def parse(cls, text: str) -> Convention:
        """The inverse of ``str``: ``transposed/unit/light``, ``upright/standard(0.1307,0.3081)/light``.

        Raises:
            UsageError: If it is none.
        """
        found = _CONVENTION.fullmatch(text.replace(" ", ""))
        if found is None or (found["deviation"] is not None and float(found["deviation"]) <= 0):
            raise UsageError(
                f"convention {text!r} is not understood",
                hint="orientation/scale/ink, such as upright/unit/light, transposed/raw/dark "
                "or upright/standard(0.1307,0.3081)/light",
            )
        orientation: Orientation = "transposed" if found["orientation"] == "transposed" else "upright"
        ink: Ink = "dark" if found["ink"] == "dark" else "light"
        if found["deviation"] is not None:
            return cls(orientation, "standard", ink, float(found["mean"]), float(found["deviation"]))
        return cls(orientation, "raw" if found["scale"] == "raw" else "unit", ink)


@dataclass(frozen=True)
class NoOptions:
    """The options of a contribution that has none."""


# --- data sets -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DatasetSource:
    """A data set that a loader found and could load.

    Attributes:
        name: What the user types, unique among one loader's sources: ``byclass``, ``glyphs``.
        loader: Name of the loader that found it.
        summary: One line for lists: layout, number of classes.
        files: The files it stands in, by part: ``train``, ``test``, ``mapping``, or a loader's
            own keys (IDX keeps images and labels apart). Empty for a data set that is computed.
        rank: Lower is picked first when the user names none; below 0 is never picked unnamed.
    """

    name: str
    loader: str
    summary: str
    files: Mapping[str, Path] = field(default_factory=dict)
    rank: int = 100


@dataclass(frozen=True, slots=True)
class LoadRequest:
    """Asks a loader for one part of a data set.

    Attributes:
        source: As the loader's ``detect`` returned it.
        part: ``train`` or ``test``; the host splits ``train`` into fit and validation.
        options: An instance of the loader's options.
    """

    source: DatasetSource
    part: Literal["train", "test"]
    options: Any = field(default_factory=NoOptions)


@dataclass(frozen=True, slots=True)
class FetchRequest:
    """Asks a loader to download a data set.

    Attributes:
        name: What to download: ``byclass``.
        folder: Where its files go; exists.
        progress: Told of bytes done.
        url: Another place to download from; empty for the loader's own.
    """

    name: str
    folder: Path
    progress: Progress
    url: str = ""


@dataclass(frozen=True, slots=True)
class MakeRequest:
    """Asks a loader to write a data set as files that other tools read.

    Attributes:
        folder: Where the files go; exists.
        format: One of the loader's formats, such as ``csv``.
        seed: 0 or above.
        options: An instance of the loader's options.
    """

    folder: Path
    format: str
    seed: int
    progress: Progress
    options: Any = field(default_factory=NoOptions)


@dataclass(frozen=True, kw_only=True)
class DatasetLoader:
    """Finds and reads data sets of one family.

    Attributes:
        detect: From a folder to the sources in it and below it. A loader that computes its
            data returns its source for every folder.
        load: Returns the images (n, 28, 28) uint8, upright, light ink, and their labels.
        fetch: Downloads one of ``fetchable`` and returns the files.
        fetchable: Names that ``fetch`` knows.
        make: Writes the data set out and returns the files; for loaders that compute theirs.
        cacheable: Whether the host may keep what ``load`` returned in its cache.
    """

    name: str
    summary: str
    detect: Callable[[Path], Sequence[DatasetSource]]
    load: Callable[[LoadRequest], Dataset]
    options: type = NoOptions
    fetch: Callable[[FetchRequest], Sequence[Path]] | None = None
    fetchable: tuple[str, ...] = ()
    make: Callable[[MakeRequest], Sequence[Path]] | None = None
    cacheable: bool = True


# --- architectures -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class BuildRequest:
    """Asks an architecture for an untrained network.

    Attributes:
        classes: Number of outputs, 2 or above.
        input_shape: Height, width, channels.
        seed: Seeds every initializer and every dropout.
        options: An instance of the architecture's options.
    """

    classes: int
    input_shape: tuple[int, int, int] = (28, 28, 1)
    seed: int = 0
    options: Any = field(default_factory=NoOptions)


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """Builds an untrained Keras network.

    Attributes:
        build: Every layer explicitly named; outputs probabilities (softmax), shape (n, classes).
        convention: The pixels that the network is to be trained on.
        rank: Lower is picked first when the user names none.
    """

    name: str
    summary: str
    build: Callable[[BuildRequest], keras.Model]
    options: type = NoOptions
    convention: Convention = Convention()
    rank: int = 100


# --- model files ---------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class ModelFormat:
    """Reads and writes model files as data, without a training framework.

    Attributes:
        suffixes: Lower case, with the dot; the longest suffix that fits a name decides.
        read: From a path to a model whose tensors are read when they are asked for. Raises
            UnreadableInputError or UnsupportedError.
        write: Writes a model to a path that does not exist yet (the host's staging path),
            one tensor at a time; None where the format is only read.
        dialects: Of the topologies that ``write`` takes (``keras``, ``onnx``); empty for any.
    """

    name: str
    summary: str
    suffixes: tuple[str, ...]
    read: Callable[[Path], Model]
    write: Callable[[Model, Path], None] | None = None
    dialects: tuple[str, ...] = ()


# --- merging -------------------------------------------------------------------------------


class Need(Enum):
    """What a merge strategy cannot work without."""

    SCORES = "validation accuracies of the ingredients"
    EVALUATOR = "validation images to score candidates on"
    BASE = "a base model"
    GRADIENTS = "gradients"
    ACTIVATIONS = "images to run through the ingredients"


@dataclass(frozen=True, slots=True)
class Ingredient:
    """A model that goes into a merge.

    Attributes:
        name: Short and unique in this merge.
        model: Conformed: its tensors bear the names and have the shapes of the first one's.
        validation_accuracy: 0 to 1, None where it is not known.
        digest: The weights digest.
        position: The place in which the user listed it, from 0: for options that give one
            value per model.
    """

    name: str
    model: Model
    validation_accuracy: float | None
    digest: str
    position: int = 0


@dataclass(frozen=True, slots=True)
class TensorGroup:
    """The same tensor of every ingredient.

    Attributes:
        name: ``layer/weight``.
        role: What the tensor is for.
        arrays: One array per ingredient, in the ingredients' order, of equal shape and float
            type, as stored: accumulate in float64 (``toolkit.model.weighted_mean`` does).
        base: The base model's, where the strategy needs a base.
    """

    name: str
    role: TensorRole
    arrays: tuple[NDArray[np.floating[Any]], ...]
    base: NDArray[np.floating[Any]] | None = None


@dataclass(frozen=True, slots=True)
class MergeStep:
    """One candidate that a strategy tried, for the report.

    Attributes:
        ingredient: Name of the ingredient that was tried.
        score: Validation accuracy of the candidate, 0 to 1.
        accepted: Whether it was kept.
    """

    ingredient: str
    score: float
    accepted: bool


@dataclass(frozen=True, slots=True)
class MergeResult:
    """How the ingredients become one model.

    Attributes:
        combine: From one tensor of every ingredient to the merged one, of the same shape, in
            float64 or in the ingredients' type. The host calls it for each float weight,
            streams, casts and writes. It must be pure: the host may call it in any order, or
            again.
        weights: One per ingredient, summing to 1: the share of each. The host averages running
            means and variances with them. All on one ingredient says that the merge is that
            ingredient: its own statistics are right and are not recalibrated.
        notes: Sentences for the report.
        steps: Candidates that were tried, in order.
    """

    combine: Callable[[TensorGroup], NDArray[np.floating[Any]]]
    weights: tuple[float, ...]
    notes: tuple[str, ...] = ()
    steps: tuple[MergeStep, ...] = ()


@dataclass(frozen=True, slots=True)
class MergeRequest:
    """Asks a strategy how to merge.

    Attributes:
        ingredients: Two or more, matched tensor by tensor, in an order that does not depend
            on how they were listed.
        classes: Number of outputs.
        options: An instance of the strategy's options.
        seed: For random choices: seed a generator from (seed, tensor name).
        evaluate: Validation accuracy, 0 to 1, of a candidate, its batch statistics
            recalibrated first when the user asked for that; None unless the strategy needs
            an evaluator.
    """

    ingredients: tuple[Ingredient, ...]
    classes: int
    options: Any = field(default_factory=NoOptions)
    seed: int = 0
    evaluate: Callable[[MergeResult], float] | None = None


@dataclass(frozen=True, kw_only=True)
class MergeStrategy:
    """A way to make one model of several.

    Attributes:
        merge: Looks at the ingredients and returns how each tensor is to be combined. A
            strategy never sees a framework.
        needs: What must be at hand; the host checks it before any work. Where that depends on
            the options, a function from an instance of them.
        exactly: The only number of ingredients that it takes; None for two or more.
    """

    name: str
    summary: str
    merge: Callable[[MergeRequest], MergeResult]
    options: type = NoOptions
    needs: frozenset[Need] | Callable[[Any], frozenset[Need]] = frozenset()
    exactly: int | None = None

    def needs_with(self, options: object) -> frozenset[Need]:
        """What must be at hand under the given options."""
        return self.needs(options) if callable(self.needs) else self.needs


# --- export --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """Asks an exporter for a file.

    Attributes:
        model: With its card, as far as one is known.
        path: Staging path to write to; does not exist yet. The host publishes it.
        options: An instance of the exporter's options.
        probe: Real images to prove the export on, (n, 28, 28) uint8, upright, light ink; may
            be empty.
        keras_model: Builds the model in Keras; imports TensorFlow when it is called.
    """

    model: Model
    path: Path
    options: Any = field(default_factory=NoOptions)
    probe: NDArray[np.uint8] | None = None
    keras_model: Callable[[], keras.Model] | None = None


@dataclass(frozen=True, slots=True)
class ExportResult:
    """What an exporter has written and shown.

    Attributes:
        path: The file.
        facts: What was checked and measured, for people and for JSON: name to value.
    """

    path: Path
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Exporter:
    """Writes a model for somebody else's program.

    Attributes:
        suffix: Of the file that it writes, with the dot.
        export: Writes to the request's path, proves what it wrote, or raises ProofError.
    """

    name: str
    summary: str
    suffix: str
    export: Callable[[ExportRequest], ExportResult]
    options: type = NoOptions


# --- runs ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RunEvent:
    """Something that happened in a training.

    Attributes:
        kind: ``started``, ``epoch`` (one is over), ``finished`` or ``failed``.
        run: The run's folder.
        epoch: Epochs done so far.
        epochs: Epochs planned.
        metrics: After an epoch: loss, accuracy, val_loss, val_accuracy, learning_rate,
            images_per_second, seconds. After the end also test_accuracy.
        details: At the start the run's configuration; after a failure ``error``.
    """

    kind: Literal["started", "epoch", "finished", "failed"]
    run: Path
    epoch: int = 0
    epochs: int = 0
    metrics: Mapping[str, float] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class RunListener:
    """Hears what happens in every training. An exception silences it for the rest of the run."""

    name: str
    summary: str
    hear: Callable[[RunEvent], None]


# --- surfaces ------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Command:
    """A command of its own beside the built-in ones; ``load`` is called when it is run."""

    name: str
    summary: str
    load: Callable[[], click.Command]


@dataclass(frozen=True, kw_only=True)
class Routes:
    """Routes of its own, mounted under ``/plugins/<name>``."""

    name: str
    summary: str
    load: Callable[[], flask.Blueprint]


# --- progress ------------------------------------------------------------------------------


class Progress(Protocol):
    """Where long work says how far it is. Drawn by the command line, ignored by the API."""

    def note(self, text: str) -> None:
        """Say one line."""

    def begin(self, task: str, total: int, unit: str) -> None:
        """Begin a task of ``total`` units; ends the one before."""

    def advance(self, done: int, detail: str = "") -> None:
        """Say how many units of the task are done in all, with a short detail."""

    def end(self) -> None:
        """End the task."""


class SilentProgress:
    """A progress that says nothing."""

    def note(self, text: str) -> None:
        """Say nothing."""

    def begin(self, task: str, total: int, unit: str) -> None:
        """Begin nothing."""

    def advance(self, done: int, detail: str = "") -> None:
        """Advance nothing."""

    def end(self) -> None:
        """End nothing."""
