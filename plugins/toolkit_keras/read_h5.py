"""Keras' HDF5 format, whole models, as Keras 1 to 3 write it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple, NoReturn

from toolkit.errors import UnreadableInputError, UnsupportedError
from toolkit.model import Model
from toolkit.tensors import TensorRole
from toolkit_keras.architecture import Expected, architecture_of, fits, guessed_role, legacy_order
from toolkit_keras.build import CARD_ATTRIBUTE, Placed, build_model
from toolkit_keras.byte_source import FileBytes
from toolkit_keras.configuration import load_json, refuse_code
from toolkit_keras.file_errors import damaged_file, foreign_weights, naming, shown
from toolkit_keras.layer_kind import Weight
from toolkit_keras.modernise import modernise
from toolkit_keras.safe_hdf5 import MAX_NAMES, SafeHdf5, Stored, check_global_heaps
from toolkit_keras.sniff import require_hdf5


class _Entry(NamedTuple):
    """A stored tensor, and the parts of its name in the layer's group."""

    parts: Sequence[str]
    stored: Stored


def read_h5(path: Path) -> Model:
    """Read a whole model from an ``.h5`` or ``.hdf5`` file."""
    with naming(path.name):
        source = FileBytes(path)
        require_hdf5(source)
        with SafeHdf5(source, check_global_heaps(source)) as file:
            config = file.text((), "model_config")
            if config is None:
                _refuse_without_config(file)
            raw = load_json(config, "model_config")
            refuse_code(raw)
            architecture = architecture_of(modernise(raw, _attribute(file, "keras_version")))
            theano = _attribute(file, "backend") == "theano"
            placed: dict[str, Sequence[Placed]] = {}
            for top, group in groupby(architecture.expected, key=lambda expected: expected.node.path[0]):
                placed |= _place(top, list(group), _entries(file, top), theano=theano)
            if _entries(file, "top_level_model_weights"):
                raise UnsupportedError(
                    "the model has weights outside its layers",
                    hint="supported: models all of whose weights belong to layers",
                )
            card = file.text((), CARD_ATTRIBUTE)
            dropped = ["the optimizer's state"] if file.has("optimizer_weights") else []
            if file.text((), "training_config") is not None:
                dropped.append("the training configuration")
        return build_model(path, source, architecture, placed, card, dropped)


def _attribute(file: SafeHdf5, name: str) -> str:
    return file.text((), name) or file.text(("model_weights",), name) or ""


def _refuse_without_config(file: SafeHdf5) -> NoReturn:
    members = {"layer_names", "layers", "_layer_checkpoint_dependencies"} & set(file.members())
    if members or file.names((), "layer_names"):
        raise UnsupportedError(
            "the file holds weights only, without the architecture that they belong to",
            hint="save the whole model: model.save('….keras')",
        )
    raise UnreadableInputError(
        "an HDF5 file, but no Keras model: it has no model_config",
        hint="supported: files written by Keras' model.save",
    )


def _entries(file: SafeHdf5, layer: str) -> list[_Entry]:
    """Tensors in one layer's group, in the file's order."""
    group = ("model_weights", *layer.split("/"))
    if not file.has(*group):
        return []
    names = file.names(group, "weight_names") or ()
    if len(names) > MAX_NAMES:
        raise damaged_file(f"layer '{layer}' lists {len(names)} weights")
    stored = (file.stored(*group, *name.split("/")) for name in names)
    parts = (re.sub(r":\d+\Z", "", name).split("/") for name in names)  # TensorFlow 1 wrote kernel:0
    return list(map(_Entry, parts, stored))


def _place(
    top: str, expected: Sequence[Expected], entries: list[_Entry], *, theano: bool
) -> Mapping[str, Sequence[Placed]]:
    """Assign the tensors of one group to its layers.

    A group holds one layer's tensors, or all those of a nested model. Names decide if
    they are unique; otherwise the order, as in Keras itself.
    """
    if len(expected) == 1 and expected[0].weights is None:
        return {expected[0].node.name: _unknown(entries)}
    generators = [entry for entry in entries if guessed_role(entry.parts[-1]) is TensorRole.GENERATOR_STATE]
    entries = [entry for entry in entries if entry not in generators]
    unknown = [layer for layer in expected if layer.weights is None]
    if unknown:
        raise UnsupportedError(
            f"model '{top}' contains layer '{unknown[0].node.name}' of class "
            f"{unknown[0].node.kind}, whose tensors cannot be told from those of other layers",
            hint="save it in the .keras format, or without the nested model around it",
        )
    wanted = [(layer, weight) for layer in expected for weight in layer.weights or ()]
    weights = [weight for _, weight in wanted]
    matched = None
    if len(weights) == len(entries):
        named = _by_name(wanted, entries, nested=expected[0].node.path != (top,))
        # As Keras does: what is trained first, then the rest, each in layer order.
        order = zip(legacy_order(expected), entries, strict=True)
        ordered = [entry for _, entry in sorted(order, key=itemgetter(0))]
        matched = next((found for found in (named, ordered) if _fit(weights, found)), None)
    if matched is None:
        should = _listed([(weight.name, weight.shape) for weight in weights])
        has = _listed([(entry.parts[-1], entry.stored.shape) for entry in entries])
        raise foreign_weights(f"layer '{top}' should hold {should}, the file has {has}")
    placed: dict[str, list[Placed]] = {}
    for (layer, weight), entry in zip(wanted, matched, strict=True):
        rotated = theano and weight.spatial
        placed.setdefault(layer.node.name, []).append((weight.name, weight.role, entry.stored, rotated))
    for index, entry in enumerate(generators):
        above = entry.parts[:-1]  # names its layer
        owner = next((layer for layer in expected if layer.node.path[-1] in above), expected[0]).node.name
        name = entry.parts[-1] if index == 0 or len(expected) > 1 else f"{entry.parts[-1]}_{index}"
        placed.setdefault(owner, []).append((name, TensorRole.GENERATOR_STATE, entry.stored, False))
    return placed


def _unknown(entries: list[_Entry]) -> list[Placed]:
    """Tensors of a layer of an unknown kind, under the names that the file gives them."""
    found: list[Placed] = []
    used: set[str] = set()
    for entry in entries:
        name = entry.parts[-1]
        while name in used:
            name = f"{name}_"
        used.add(name)
        found.append((name, guessed_role(name), entry.stored, False))
    return found


def _by_name(wanted: list[tuple[Expected, Weight]], entries: list[_Entry], *, nested: bool) -> list[_Entry]:
    """Entries by layer and last part of the name; fewer than wanted unless that is one to one."""
    stored: dict[tuple[str, str], _Entry] = {}
    for entry in entries:
        layer = entry.parts[-2] if nested and len(entry.parts) > 1 else ""
        stored[layer, entry.parts[-1]] = entry
    if len(stored) != len(entries):
        return []
    matched = []
    for expected, weight in wanted:
        owner = expected.node.path[-1].rpartition("/")[2] if nested else ""
        names = (weight.name, *weight.aliases)
        matched += [stored.pop((owner, name)) for name in names if (owner, name) in stored][:1]
    return [] if stored else matched


def _fit(weights: list[Weight], entries: list[_Entry]) -> bool:
    return len(weights) == len(entries) and all(
        fits(weight, entry.stored.shape) for weight, entry in zip(weights, entries, strict=True)
    )


def _listed(tensors: Sequence[tuple[str, Sequence[int | None] | None]]) -> str:
    first = ", ".join(f"{name} {shown(shape)}" for name, shape in tensors[:6]) or "no tensors"
    return f"{first} and {len(tensors) - 6} more" if len(tensors) > 6 else first
