"""Exporters, and their requests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolkit.declarations.options import Declaration, NoOptions

if TYPE_CHECKING:
    import keras
    import numpy as np
    from numpy.typing import NDArray

    from toolkit.model import Model


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """Asks for a model as a file.

    Attributes:
        model: The model, with its card if it has one.
        path: Where to write; does not exist yet. The host moves the file to its final place.
        probe: Images to verify the export on, (n, 28, 28) uint8, upright, light ink; may be empty.
        keras_model: Builds the model in Keras; imports TensorFlow when it is called.
    """

    model: Model
    path: Path
    options: Any = field(default_factory=NoOptions)
    probe: NDArray[np.uint8] | None = None
    keras_model: Callable[[], keras.Model] | None = None


@dataclass(frozen=True, slots=True)
class ExportResult:
    """A file that was written and verified.

    Attributes:
        path: The request's path.
        facts: What was checked and measured, by name.
        verified: How the file was verified, as a phrase for people.
    """

    path: Path
    facts: Mapping[str, Any] = field(default_factory=dict)
    verified: str = ""


@dataclass(frozen=True, kw_only=True)
class Exporter(Declaration):
    """Writes a model for other programs.

    Attributes:
        suffix: Suffix of the file, with the dot.
        export: Writes to the request's path and verifies it, or raises ProofError.
    """

    suffix: str
    export: Callable[[ExportRequest], ExportResult]
    options: type = NoOptions
