"""Reading a model file of any format, also one whose architecture is not in a form that its format reads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from toolkit.declarations import DescribeRequest, ModelFormat, WeightsRequest
from toolkit.errors import UnreadableInputError, UnsupportedError, WeightsOnlyError
from toolkit.host.catalog import Catalog
from toolkit.host.kinds import MODEL_FORMATS
from toolkit.model import Model

WithTemplate = Callable[[Model], Model]
"""Reads a file of weights with the architecture of a model."""


def read_model(
    catalog: Catalog,
    path: Path,
    find_architecture: Callable[[WeightsOnlyError, WithTemplate], Model] | None = None,
) -> Model:
    """Read a model file; what it is comes from its content.

    Args:
        find_architecture: Called for a file with weights only; returns what its second argument
            returns for a model of the right architecture, or raises. Without it, such a file is refused.

    Raises:
        UnreadableInputError: If it is no model, is damaged, or does not fit the architecture.
        WeightsOnlyError: If its architecture is not known.
    """
    return read_as(catalog, catalog.format_of(path), path, find_architecture)


def reader_of(catalog: Catalog, model_format: ModelFormat, model: Model) -> Callable[[Path], Model]:
    """Reads back what a format's writer wrote of a model, whose architecture it may not hold."""
    return lambda path: read_as(catalog, model_format, path, lambda _, read: read(model))


def read_as(
    catalog: Catalog,
    model_format: ModelFormat,
    path: Path,
    find_architecture: Callable[[WeightsOnlyError, WithTemplate], Model] | None = None,
) -> Model:
    """Read a model file of a known format; arguments and errors are those of :func:`read_model`."""
    try:
        return model_format.read(path)
    except WeightsOnlyError as error:
        read_weights = model_format.read_weights
        if read_weights is None:
            raise

        def read(template: Model) -> Model:
            return read_weights(WeightsRequest(path, template))

        if error.description is not None:
            request = DescribeRequest(error.description, path.name, error.stored, own=True)
            return read(architecture_of(catalog, request))
        if find_architecture is None:
            raise
        return find_architecture(error, read)


def architecture_of(catalog: Catalog, request: DescribeRequest) -> Model:
    """A model without weights, from a description in the form of any framework that a plugin knows.

    Raises:
        UnreadableInputError: If it is no description that is known.
        UnsupportedError: If it is one, with something that is not supported.
    """
    refusal = UnreadableInputError(
        f"{request.where}: no plugin reads descriptions of architectures", hint="see toolkit plugins list"
    )
    for model_format in catalog.all(MODEL_FORMATS).values():
        if model_format.describe is None:
            continue
        try:
            return model_format.describe(request)
        except UnsupportedError:
            raise
        except UnreadableInputError as error:
            refusal = error
    raise refusal
