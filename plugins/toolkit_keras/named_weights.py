"""Weights by name, as Keras' legacy HDF5 format has them: a group for each layer, with a list of names."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

from toolkit.errors import UnsupportedError
from toolkit.tensors import TensorRole
from toolkit_keras.architecture import Expected, KerasArchitecture, fits, guessed_role, legacy_order
from toolkit_keras.build import AS_TODAY, KernelForm, Placed
from toolkit_keras.file_errors import damaged_file, foreign_weights, shown
from toolkit_keras.layer_kind import Weight
from toolkit_keras.safe_hdf5 import MAX_NAMES, SafeHdf5, Stored

_ROTATED_BY_THEANO = ("Conv1D", "Conv2D", "Conv3D", "Conv2DTranspose")
"""Theano's other convolutions, depthwise ones, turn their kernels themselves."""


class _Entry(NamedTuple):
    """A stored tensor, and the parts of its name in the layer's group."""

    parts: Sequence[str]
    stored: Stored


def place_named(
    file: SafeHdf5, architecture: KerasArchitecture, root: tuple[str, ...], *, theano: bool
) -> dict[str, Sequence[Placed]]:
    """Every layer's tensors, by the layer's path; ``root`` is the group of all layers."""
    placed: dict[str, Sequence[Placed]] = {}
    for top, group in _by_top(architecture).items():
        placed |= _place(top, group, _entries(file, root, top), theano=theano)
    if _entries(file, root, "top_level_model_weights"):
        raise UnsupportedError(
            "the model has weights outside its layers",
            hint="supported: models all of whose weights belong to layers",
        )
    return placed


def place_in_order(
    file: SafeHdf5, architecture: KerasArchitecture, root: tuple[str, ...], *, theano: bool
) -> dict[str, Sequence[Placed]]:
    """The same for the weights of another architecture than the file's own, which it does not have.

    Layers may be called otherwise there, so the order decides if the names differ, as in Keras.
    """
    wanted = {
        top: group
        for top, group in _by_top(architecture).items()
        if any(layer.weights is None or layer.weights for layer in group)
    }
    held = {}
    for layer in file.names(root, "layer_names") or ():
        entries = _entries(file, root, layer)
        if any(not _is_generator(entry) for entry in entries):
            held[layer] = entries
    if len(wanted) != len(held):
        raise foreign_weights(
            f"the architecture has {len(wanted)} layers with weights ({_shortened(wanted)}), "
            f"the file has {len(held)} ({_shortened(held)})"
        )
    order = list(wanted) if wanted.keys() == held.keys() else list(held)
    placed: dict[str, Sequence[Placed]] = {}
    for (top, group), layer in zip(wanted.items(), order, strict=True):
        placed |= _place(top, group, held[layer], theano=theano)
    return placed


def is_of_theano(file: SafeHdf5, root: tuple[str, ...], backend: str) -> bool:
    """Whether the Theano backend wrote the weights.

    Keras 1 does not name the backend. Its tensors are called ``convolution2d_1_W``, and TensorFlow's
    have a number after that.
    """
    if backend:
        return backend == "theano"
    layers = file.names(root, "layer_names") or ()
    names = (
        name for layer in layers for name in file.names((*root, *layer.split("/")), "weight_names") or ()
    )
    return any(name.endswith("_W") for name in names)


def stored_shapes(file: SafeHdf5, root: tuple[str, ...]) -> dict[str, tuple[int, ...]]:
    """Shapes of the tensors of all layers, by the layer's name and the last part of their own."""
    return {
        f"{layer}/{entry.parts[-1]}": entry.stored.shape
        for layer in file.names(root, "layer_names") or ()
        for entry in _entries(file, root, layer)
        if not _is_generator(entry)
    }


def _by_top(architecture: KerasArchitecture) -> dict[str, list[Expected]]:
    """Layers by the name of the layer of the outermost model that they are or belong to."""
    groups = groupby(architecture.expected, key=lambda expected: expected.node.path[0])
    return {top: list(group) for top, group in groups}


def _is_generator(entry: _Entry) -> bool:
    return guessed_role(entry.parts[-1]) is TensorRole.GENERATOR_STATE


def _shortened(names: Mapping[str, object]) -> str:
    first = ", ".join([*names][:6]) or "none"
    return f"{first} …" if len(names) > 6 else first


def _entries(file: SafeHdf5, root: tuple[str, ...], layer: str) -> list[_Entry]:
    """Tensors in one layer's group, in the file's order."""
    group = (*root, *layer.split("/"))
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
    generators = [entry for entry in entries if _is_generator(entry)]
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
        matched = next((found for found in (named, ordered) if _fit(wanted, found)), None)
    if matched is None:
        should = _listed([(weight.name, weight.shape) for weight in weights])
        has = _listed([(entry.parts[-1], entry.stored.shape) for entry in entries])
        raise foreign_weights(f"layer '{top}' should hold {should}, the file has {has}")
    placed: dict[str, list[Placed]] = {}
    for (layer, weight), entry in zip(wanted, matched, strict=True):
        form = _form(layer, weight, entry.stored.shape, theano=theano)
        placed.setdefault(layer.node.name, []).append((weight.name, weight.role, entry.stored, form))
    for index, entry in enumerate(generators):
        above = entry.parts[:-1]  # names its layer
        owner = next((layer for layer in expected if layer.node.path[-1] in above), expected[0]).node.name
        name = entry.parts[-1] if index == 0 or len(expected) > 1 else f"{entry.parts[-1]}_{index}"
        placed.setdefault(owner, []).append((name, TensorRole.GENERATOR_STATE, entry.stored, AS_TODAY))
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
        found.append((name, guessed_role(name), entry.stored, AS_TODAY))
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


def _fit(wanted: list[tuple[Expected, Weight]], entries: list[_Entry]) -> bool:
    return len(wanted) == len(entries) and all(
        fits(weight, _form(layer, weight, entry.stored.shape, theano=False).shape(entry.stored.shape))
        for (layer, weight), entry in zip(wanted, entries, strict=True)
    )


def _form(layer: Expected, weight: Weight, shape: tuple[int, ...], *, theano: bool) -> KernelForm:
    """How a tensor of this shape is stored: the kernels of some convolutions have had other forms."""
    if layer.node.kind not in _ROTATED_BY_THEANO or weight.name != "kernel":
        return AS_TODAY
    other = KernelForm(filters_first=True).shape(shape) if len(shape) == 4 else shape
    return KernelForm(rotated=theano, filters_first=not fits(weight, shape) and fits(weight, other))


def _listed(tensors: Sequence[tuple[str, Sequence[int | None] | None]]) -> str:
    first = ", ".join(f"{name} {shown(shape)}" for name, shape in tensors[:6]) or "no tensors"
    return f"{first} and {len(tensors) - 6} more" if len(tensors) > 6 else first
