"""Exporters, and what they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolkit.declarations.options import NoOptions

if TYPE_CHECKING:
    import keras
    import numpy as np
    from numpy.typing import NDArray

    from toolkit.model import Model


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
