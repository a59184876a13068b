"""Architectures to train, formats of model files, and exporters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolkit.declarations.options import Declaration, NoOptions
from toolkit.records import dataclass
from toolkit.vocabulary import SplitName
from toolkit.vocabulary.convention import Convention

if TYPE_CHECKING:
    import keras
    import numpy as np
    from numpy.typing import NDArray

    from toolkit.data import Dataset
    from toolkit.model import Card, Model
    from toolkit.store.content import FileContent


@dataclass(frozen=True)
class BuildRequest:
    """Asks for an untrained network.

    Attributes:
        classes: Number of outputs, 2 or more.
        input_shape: Height, width, channels.
        seed: Seed of every initializer and every dropout.
    """

    classes: int
    input_shape: tuple[int, int, int] = (28, 28, 1)
    seed: int = 0
    options: Any = field(default_factory=NoOptions)


@dataclass(frozen=True, kw_only=True)
class Architecture(Declaration):
    """Builds an untrained Keras network.

    Attributes:
        build: Returns a network whose layers have explicit names and whose outputs are
            probabilities (softmax) of shape (n, classes).
        convention: Input format that the network is trained with.
        rank: The lowest is used if the user names no architecture.
    """

    build: Callable[[BuildRequest], keras.Model]
    options: type = NoOptions
    convention: Convention = field(default_factory=Convention)
    rank: int = 100


@dataclass(frozen=True)
class WeightsRequest:
    """Asks for a model from a file with weights only.

    Attributes:
        path: The file.
        template: A model of the same architecture; its weights are not read.
    """

    path: Path
    template: Model


@dataclass(frozen=True)
class DescribeRequest:
    """Asks for the architecture that a description describes.

    Attributes:
        description: A framework's configuration as JSON values, such as that of ``to_json()`` in Keras.
        where: Where it is from, for messages.
        stored: Shapes of the tensors in the file that the architecture is for, by name; may be empty.
            They tell the shapes that a description leaves open.
        own: Whether the description is a :attr:`Model.description <toolkit.model.Model.description>`.
    """

    description: Mapping[str, Any]
    where: str
    stored: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    own: bool = False


@dataclass(frozen=True, kw_only=True)
class ModelFormat(Declaration):
    """Reads and writes model files as data, without a training framework.

    Attributes:
        suffixes: Suffixes of its files, lower case, with the dot. The longest that a file's name
            ends with decides which format writes it, and which one reads it if no format recognises it.
        read: Returns a model whose tensors are read when they are used. Raises UnreadableInputError
            or UnsupportedError, and WeightsOnlyError for a file without an architecture.
        write: Writes a model, one tensor at a time, to a path that does not exist yet.
        dialects: Dialects of the models that ``write`` takes (``keras``, ``onnx``); empty for all.
        recognises: Whether a file's content is of this format, whatever its name; None if only
            the suffix tells.
        read_weights: Reads a file for which ``read`` raises WeightsOnlyError, given an architecture.
            Raises UnreadableInputError if they do not belong together.
        describe: Makes a model without weights from a description of its architecture. Raises
            UnreadableInputError if it is another framework's.
    """

    suffixes: tuple[str, ...]
    read: Callable[[Path], Model]
    write: Callable[[Model, Path], None] | None = None
    dialects: tuple[str, ...] = ()
    recognises: Callable[[FileContent], bool] | None = None
    read_weights: Callable[[WeightsRequest], Model] | None = None
    describe: Callable[[DescribeRequest], Model] | None = None


@dataclass(frozen=True)
class ExportRequest:
    """Asks for a model as a file.

    Attributes:
        model: The model, with its card if it has one; the first of several.
        path: Where to write; does not exist yet. The host moves the file to its final place.
        probe: Images to verify the export on, (n, 28, 28) uint8, upright, light ink; may be empty.
        keras_model: Builds the model in Keras; imports TensorFlow when it is called.
        load_keras: Loads a Keras file that was written from the model, in the same way.
        others: The models after the first, in the user's order; empty unless the exporter takes several.
        draw: Draws at most that many labelled images of the model's classes from a split: ``fit`` to
            calibrate on, ``validation`` to measure on; the same ones every time. Raises MissingInputError
            if no data set has the model's classes. None if no images may be used.
    """

    model: Model
    path: Path
    options: Any = field(default_factory=NoOptions)
    probe: NDArray[np.uint8] | None = None
    keras_model: Callable[[], keras.Model] | None = None
    load_keras: Callable[[Path], keras.Model] | None = None
    others: tuple[Model, ...] = ()
    draw: Callable[[SplitName, int], Dataset] | None = None


@dataclass(frozen=True)
class ExportResult:
    """A file that was written and verified.

    Attributes:
        path: The request's path.
        facts: What was checked and measured, by name.
        verified: How the file was verified, as a phrase for people.
        card: Of the file, if it is not that of the model: another convention, parents or metrics.
    """

    path: Path
    facts: Mapping[str, Any] = field(default_factory=dict)
    verified: str = ""
    card: Card | None = None


@dataclass(frozen=True, kw_only=True)
class Exporter(Declaration):
    """Writes a model for other programs.

    Attributes:
        suffix: Suffix of the file, with the dot.
        export: Writes to the request's path and verifies it, or raises ProofError.
        ending: How the name of the default output ends, such as ``.int8.onnx``; by default the suffix.
        several: Whether it takes several models at once.
        needs_convention: Whether the file depends on the models' input formats: those that neither a card
            nor the user states are found out on labelled images before the export.
        fallback: Name of the exporter to use for a network that has a layer without a graph.
    """

    suffix: str
    export: Callable[[ExportRequest], ExportResult]
    options: type = NoOptions
    ending: str = ""
    several: bool = False
    needs_convention: bool = False
    fallback: str = ""
