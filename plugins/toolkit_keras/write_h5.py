"""Writing Keras' HDF5 format, one tensor at a time, the same bytes every time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from h5py import h5d, h5p, h5s, h5t
from numpy.typing import NDArray

from toolkit.errors import UnsupportedError
from toolkit.model import Card, Model
from toolkit.tensors import Tensors
from toolkit_keras.architecture import is_operation, legacy_order
from toolkit_keras.build import CARD_ATTRIBUTE
from toolkit_keras.write_plan import LAYOUT_VERSION, PlannedLayer, plan_of

ATTRIBUTE_LIMIT = 64_512
"""Bytes of a list of names in one attribute; Keras splits longer ones."""


def write_h5(model: Model, path: Path) -> None:
    """Write a model of Keras' as a new `.h5`; layers that only an archive can hold are unsupported.

    Optimizer state and training configuration are left out; so are the states of random
    generators, for which this format has no place.
    """
    network, layers = plan_of(model)
    for layer in layers:
        if layer.weights is None and any("/vars/" in name for name in layer.tensors):
            raise UnsupportedError(
                f"layer '{layer.node.name}' is of class {layer.node.kind}, "
                "whose order of weights in an .h5 file is not known",
                hint="write it as .keras",
            )
    # As Keras lists them: functions are no layers, and a Sequential hides its input.
    names = [
        layer.path[-1]
        for layer in network.layers
        if not is_operation(layer) and not (network.sequential and layer.kind == "InputLayer")
    ]
    # Through a file of Python's: HDF5's own driver loses errors of the disk while it closes.
    with path.open("xb+") as raw, h5py.File(raw, "w", libver="earliest", track_order=False) as file:
        file.attrs["backend"] = "tensorflow"
        file.attrs["keras_version"] = LAYOUT_VERSION
        file.attrs["model_config"] = json.dumps(model.description)
        if model.card != Card():
            file.attrs[CARD_ATTRIBUTE] = model.card.embedded().to_json()
        weights = file.create_group("model_weights")
        weights.attrs["backend"] = "tensorflow"
        weights.attrs["keras_version"] = LAYOUT_VERSION
        write_names(weights, "layer_names", names)
        groups = {name: list(group) for name, group in groupby(layers, key=lambda item: item.node.path[0])}
        for name in sorted(names):
            _write_layer(weights.create_group(name), model.tensors, groups.get(name, []))
        write_names(weights.create_group("top_level_model_weights"), "weight_names", [])


def _write_layer(group: Any, tensors: Tensors, layers: Sequence[PlannedLayer]) -> None:
    names = [name for layer in layers for name in layer.tensors]
    if all(layer.weights is not None for layer in layers):
        names = [names[position] for position in legacy_order(layers)]
    write_names(group, "weight_names", names)
    for name in names:
        write_tensor(group, name, tensors.read(name))


def write_tensor(group: Any, name: str, array: NDArray[Any]) -> None:
    """Write one tensor as one piece, in little-endian order."""
    stored = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).reshape(array.shape)
    kind, space = h5t.py_create(stored.dtype, logical=True), h5s.create_simple(stored.shape)
    made = h5d.create(group.id, name.encode(), kind, space, *_PROPERTIES)
    if stored.size:
        made.write(h5s.ALL, h5s.ALL, stored)


def _properties() -> tuple[h5p.PropDCID, h5p.PropLCID]:
    of_tensor, of_link = h5p.create(h5p.DATASET_CREATE), h5p.create(h5p.LINK_CREATE)
    of_tensor.set_obj_track_times(False)
    of_link.set_create_intermediate_group(True)
    of_link.set_char_encoding(h5t.CSET_UTF8)
    return of_tensor, of_link


_PROPERTIES = _properties()


def write_names(group: Any, attribute: str, names: Sequence[str]) -> None:
    """Write a list of names as an attribute, split as Keras splits it."""
    encoded = np.asarray([name.encode() for name in names])
    parts = [encoded]
    while any(part.nbytes > ATTRIBUTE_LIMIT for part in parts):
        parts = np.array_split(encoded, len(parts) + 1)
    for index, part in enumerate(parts):
        group.attrs[attribute if len(parts) == 1 else f"{attribute}{index}"] = part
