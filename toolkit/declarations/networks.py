"""Architectures to train, and formats of model files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolkit.declarations.options import Declaration, NoOptions
from toolkit.vocabulary.convention import Convention

if TYPE_CHECKING:
    import keras

    from toolkit.model import Model


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, kw_only=True)
class ModelFormat(Declaration):
    """Reads and writes model files as data, without a training framework.

    Attributes:
        suffixes: Suffixes of its files, lower case, with the dot. The longest that a file's name
            ends with decides which format reads it.
        read: Returns a model whose tensors are read when they are used. Raises UnreadableInputError
            or UnsupportedError.
        write: Writes a model, one tensor at a time, to a path that does not exist yet.
        dialects: Dialects of the models that ``write`` takes (``keras``, ``onnx``); empty for all.
    """

    suffixes: tuple[str, ...]
    read: Callable[[Path], Model]
    write: Callable[[Model, Path], None] | None = None
    dialects: tuple[str, ...] = ()
