"""Architectures to train, and formats of model files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolkit.declarations.options import NoOptions
from toolkit.vocabulary.convention import Convention

if TYPE_CHECKING:
    import keras

    from toolkit.model import Model


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
    convention: Convention = field(default_factory=Convention)
    rank: int = 100


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
