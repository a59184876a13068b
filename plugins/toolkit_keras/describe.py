"""From a configuration alone to a model without weights."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import UnreadableInputError, UnsupportedError, naming
from toolkit.model import Model
from toolkit.tensors import Tensors, TensorSpec
from toolkit.types import DescribeRequest
from toolkit_keras.architecture import Expected, architecture_of, guessed_role
from toolkit_keras.build import model_of
from toolkit_keras.configuration import MODEL_CLASSES, refuse_code
from toolkit_keras.modernise import modernise


class NoTensors(Tensors):
    """The tensors that an architecture has: names, shapes and roles without values."""

    def __init__(self, specs: dict[str, TensorSpec]) -> None:
        self.specs = specs

    def read(self, name: str) -> NDArray[Any]:
        """There is nothing to read."""
        raise UnsupportedError(f"{name} has no values: this is an architecture without weights")


def describe(request: DescribeRequest) -> Model:
    """A model without weights from Keras' configuration: ``to_json()``'s, or an archive's ``config.json``."""
    with naming(request.where):
        description = dict(request.description)
        if "class_name" not in description or "config" not in description:
            raise UnreadableInputError(
                "not the configuration of a Keras model: it has no class_name and config",
                hint='write one in Keras: open("model.json", "w").write(model.to_json())',
            )
        refuse_code({key: value for key, value in description.items() if key != "compile_config"})
        if not request.own:
            description = modernise(description, _version(description))
        architecture = architecture_of(description)
        specs: dict[str, tuple[TensorSpec, ...]] = {}
        owned = _by_layer(request.stored, architecture.expected)
        for expected in architecture.expected:
            found = _specs(expected, owned.get(expected.node.name, {}))
            if found:
                specs[expected.node.name] = found
        tensors = NoTensors({spec.name: spec for layer in specs.values() for spec in layer})
        return model_of(architecture, tensors, specs, request.where)


def _version(description: dict[str, Any]) -> str:
    """The version of Keras that wrote a configuration, as far as it tells.

    ``to_json()`` of Keras 1 and 2 names it. The archives of Keras 2 have no version in ``config.json``,
    and the keys of Keras 2.
    """
    stated = description.get("keras_version")
    if isinstance(stated, str):
        return stated
    old = "module" not in description or '"batch_input_shape"' in json.dumps(description)
    return "2" if old and description.get("class_name") in MODEL_CLASSES else "3"


def _by_layer(
    stored: Mapping[str, tuple[int, ...]], layers: Iterable[Expected]
) -> dict[str, dict[str, tuple[int, ...]]]:
    """Shapes of stored tensors by the layer whose name is the longest that theirs begin with."""
    found: dict[str, dict[str, tuple[int, ...]]] = {expected.node.name: {} for expected in layers}
    for name, shape in stored.items():
        parts = name.split("/")
        owners = ("/".join(parts[:length]) for length in range(len(parts) - 1, 0, -1))
        owner = next((owner for owner in owners if owner in found), None)
        if owner is not None:
            found[owner][name] = shape
    return found


def _specs(expected: Expected, stored: Mapping[str, tuple[int, ...]]) -> tuple[TensorSpec, ...]:
    layer = expected.node.name
    if expected.weights is None:  # of an unknown kind: it has what is stored for it
        names = list(stored)
        roles = [guessed_role(name.rpartition("/")[2]) for name in names]
        shapes = [stored[name] for name in names]
    else:
        names = [f"{layer}/{weight.name}" for weight in expected.weights]
        roles = [weight.role for weight in expected.weights]
        shapes = [
            stored[name]
            if name in stored and (weight.shape is None or None in weight.shape)
            else tuple(-1 if size is None else size for size in weight.shape or ())
            for name, weight in zip(names, expected.weights, strict=True)
        ]
    float32 = np.dtype(np.float32)
    return tuple(
        TensorSpec(name, shape, float32, role) for name, shape, role in zip(names, shapes, roles, strict=True)
    )
