"""Writing Keras' archive, one tensor at a time, the same bytes every time."""

from __future__ import annotations

import json
import shutil
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import h5py

from toolkit.errors import UnsupportedError
from toolkit.model import Card, Model
from toolkit_keras.architecture import kind_of
from toolkit_keras.build import CARD_MEMBER
from toolkit_keras.layer_kind import GENERATOR, numbered
from toolkit_keras.numbered_weights import layer_groups
from toolkit_keras.read_keras import CONFIG, METADATA, WEIGHTS
from toolkit_keras.write_h5 import write_tensor
from toolkit_keras.write_plan import LAYOUT_VERSION, PlannedLayer, plan_of, with_modules

_MOMENT = (1980, 1, 1, 0, 0, 0)  # the first one that a zip archive can name


def write_keras(model: Model, path: Path) -> None:
    """Write a model of Keras' as a new `.keras`; layers that only an `.h5` can hold are unsupported.

    Optimizer state and training configuration are left out. A scratch file without a name is used
    in the new file's folder.
    """
    network, layers = plan_of(model)
    for layer in layers:
        node = layer.node
        if not node.module and kind_of(node) is None:  # an `.h5` file does not tell its module
            raise UnsupportedError(
                f"layer '{node.name}' is of class {node.kind}, which is not known",
                hint="write it in the format that it was read from",
            )
    groups = dict(layer_groups(network))
    metadata = {"keras_version": LAYOUT_VERSION, "date_saved": "1980-01-01@00:00:00"}
    with (
        tempfile.TemporaryFile(dir=path.parent) as scratch,
        zipfile.ZipFile(path, "x", zipfile.ZIP_STORED, allowZip64=True) as archive,
    ):
        with h5py.File(scratch, "w", libver="earliest", track_order=False) as file:
            file.create_group("vars").attrs["name"] = network.name
            for layer in layers:
                if layer.node.name in groups:
                    _write_layer(file, "/".join(groups[layer.node.name]), model, layer)
        archive.writestr(_info(METADATA), json.dumps(metadata))
        archive.writestr(_info(CONFIG), json.dumps(with_modules(model.description)))
        scratch.seek(0)
        with archive.open(_info(WEIGHTS), "w", force_zip64=True) as member:
            shutil.copyfileobj(scratch, member, 1 << 20)
        if model.card != Card():
            archive.writestr(_info(CARD_MEMBER), model.card.embedded().to_json())


def _write_layer(file: Any, group: str, model: Model, layer: PlannedLayer) -> None:
    variables = file.create_group(f"{group}/vars")
    variables.attrs["name"] = layer.node.path[-1]
    if layer.weights is None:
        _write_unknown(file, group, model, layer)
        return
    for (place, _), name in zip(numbered(layer.weights), layer.tensors, strict=True):
        write_tensor(file, "/".join((group, *place)), model.tensors.read(name))
    for name in layer.generators:
        above = name.removeprefix(f"{layer.node.name}/").removesuffix(GENERATOR)
        write_tensor(file, f"{group}/{above}seed_generator/vars/0", model.tensors.read(name))


def _write_unknown(file: Any, group: str, model: Model, layer: PlannedLayer) -> None:
    """A layer of an unknown kind: its tensors' names are their places."""
    for name in (*layer.tensors, *layer.generators):
        place = name.removeprefix(f"{layer.node.name}/")
        if "vars" not in place.split("/")[:-1]:
            raise UnsupportedError(
                f"layer '{layer.node.name}' is of class {layer.node.kind}, "
                "whose order of weights in an archive is not known",
                hint="write it as .h5",
            )
        write_tensor(file, f"{group}/{place}", model.tensors.read(name))


def _info(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _MOMENT)
    info.create_system = 3
    info.external_attr = 0o644 << 16
    return info
