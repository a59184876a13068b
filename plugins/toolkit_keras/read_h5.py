"""Keras' HDF5 files: whole models as Keras 1 to 3 write them, and files of weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from toolkit.errors import UnreadableInputError, UnsupportedError, WeightsOnlyError, naming
from toolkit.model import Model
from toolkit.store.byte_source import ByteSource, FileBytes
from toolkit.store.other_files import require_content
from toolkit.types import WeightsRequest
from toolkit_keras import named_weights, numbered_weights
from toolkit_keras.architecture import architecture_of
from toolkit_keras.build import CARD_ATTRIBUTE, Placed, build_model
from toolkit_keras.configuration import load_json, refuse_code
from toolkit_keras.keras_content import is_hdf5
from toolkit_keras.modernise import modernise
from toolkit_keras.safe_hdf5 import SafeHdf5, check_global_heaps

_LAYERS = "model_weights"


def read_h5(path: Path) -> Model:
    """Read a whole model from an HDF5 file."""
    with _opened(path) as (source, file):
        config = file.text((), "model_config")
        if config is None:
            _refuse_without_config(file)
        raw = load_json(config, "model_config")
        refuse_code(raw)
        architecture = architecture_of(modernise(raw, _attribute(file, "keras_version")))
        theano = named_weights.is_of_theano(file, (_LAYERS,), _attribute(file, "backend"))
        placed = named_weights.place_named(file, architecture, (_LAYERS,), theano=theano)
        card = file.text((), CARD_ATTRIBUTE)
        dropped = ["the optimizer's state"] if file.has("optimizer_weights") else []
        if file.text((), "training_config") is not None:
            dropped.append("the training configuration")
        return build_model(path, source, architecture, placed, card, dropped)


def read_h5_weights(request: WeightsRequest) -> Model:
    """Read an HDF5 file with weights only, for the architecture of a model of Keras'."""
    if request.template.dialect != "keras":
        raise UnsupportedError(
            f"{request.path.name}: the architecture is described in {request.template.dialect}, not in Keras",
            hint="name a Keras model, the JSON of one, or an architecture",
        )
    with _opened(request.path) as (source, file):
        architecture = architecture_of(request.template.description)
        placed: Mapping[str, Sequence[Placed]]
        if _is_numbered(file):
            numbered = numbered_weights.place_numbered(file, architecture)
            numbered_weights.refuse_left_over(file, numbered)
            placed = numbered
        else:
            root = _root(file)
            theano = named_weights.is_of_theano(file, root, _attribute(file, "backend"))
            placed = named_weights.place_in_order(file, architecture, root, theano=theano)
        return build_model(request.path, source, architecture, placed, file.text((), CARD_ATTRIBUTE), [])


@contextmanager
def _opened(path: Path) -> Iterator[tuple[ByteSource, SafeHdf5]]:
    with naming(path.name):
        source = FileBytes(path)
        require_content(path, is_hdf5, "an HDF5 file")
        with SafeHdf5(source, check_global_heaps(source)) as file:
            yield source, file


def _attribute(file: SafeHdf5, name: str) -> str:
    return file.text((), name) or (file.text((_LAYERS,), name) if file.has(_LAYERS) else None) or ""


def _root(file: SafeHdf5) -> tuple[str, ...]:
    return (_LAYERS,) if file.has(_LAYERS) else ()


def _is_numbered(file: SafeHdf5) -> bool:
    return any(file.has(root) for root in numbered_weights.ROOTS)


def _refuse_without_config(file: SafeHdf5) -> NoReturn:
    stored: Mapping[str, tuple[int, ...]]
    if _is_numbered(file):
        stored = numbered_weights.stored_shapes(file)
    elif file.names(_root(file), "layer_names"):
        stored = named_weights.stored_shapes(file, _root(file))
    elif any(file.has(member, "vars") for member in file.members()):
        raise UnsupportedError(
            "the file holds the weights of a model of a custom class, whose layers only its code knows",
            hint='in Keras: model.load_weights("…"); model.export("model.onnx", format="onnx")',
        )
    else:
        raise UnreadableInputError(
            "an HDF5 file, but no Keras model: it has no model_config",
            hint="supported: files written by Keras' model.save and save_weights",
        )
    raise WeightsOnlyError(
        "the file holds weights only, without the architecture that they belong to",
        hint="save the whole model: model.save('….keras')",
        stored=stored,
    )
