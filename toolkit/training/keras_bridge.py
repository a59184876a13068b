"""Between models as data and Keras networks."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from toolkit.errors import UnsupportedError
from toolkit.model import Model, TensorRole
from toolkit.training.framework import load_tensorflow

if TYPE_CHECKING:
    import keras

# A description is built only of these: none of them runs code or opens a file that it names.
_LAYER_NAMES = """
Activation Add Average AveragePooling2D BatchNormalization CenterCrop Concatenate Conv2D Conv2DTranspose
Cropping2D Dense DepthwiseConv2D Dropout ELU Flatten Functional GaussianDropout GaussianNoise
GlobalAveragePooling2D GlobalMaxPooling2D GroupNormalization InputLayer LayerNormalization LeakyReLU
MaxPooling2D Maximum Minimum Model Multiply PReLU Permute RandomContrast RandomRotation
RandomTranslation RandomZoom ReLU Rescaling Reshape SeparableConv2D Sequential Softmax SpatialDropout2D
Subtract UpSampling2D ZeroPadding2D
"""
_PART_NAMES = """
Constant DTypePolicy GlorotNormal GlorotUniform HeNormal HeUniform Identity L1 L1L2 L2 LecunNormal
LecunUniform MaxNorm MinMaxNorm NonNeg Ones OrthogonalInitializer Orthogonal RandomNormal RandomUniform
TruncatedNormal UnitNorm VarianceScaling Zeros __keras_tensor__ __tuple__ __list__
"""
_LAYERS = frozenset(_LAYER_NAMES.split())
_PARTS = frozenset(_PART_NAMES.split())


def keras_from_model(model: Model) -> keras.Model:
    """Build a model in Keras, from its description and its tensors.

    Nothing of the file is run: layers that could (``Lambda``, custom classes) are refused by name.

    Args:
        model: Of the Keras dialect.

    Returns:
        A network whose layers and weights bear the model's names; its random generators are fresh.

    Raises:
        UnsupportedError: If it is no Keras model, has a layer or a part that is not known, or
            tensors that do not fit its description.
        ConfigurationError: If TensorFlow is not installed.
    """
    topology = model.topology
    if topology.dialect != "keras":
        raise UnsupportedError(
            f"{model.name} is described in {topology.dialect}, not in Keras",
            hint="training and fine-tuning take .h5 and .keras models",
        )
    description = dict(topology.description)
    _refuse_unknown(description, model.name)
    load_tensorflow()
    import keras

    try:
        # Keras' own entry for descriptions takes those of .keras files only; this takes .h5's as well.
        kind = keras.Sequential if description.get("class_name") == "Sequential" else keras.Model
        network = kind.from_config(copy.deepcopy(description["config"]))
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise UnsupportedError(
            f"{model.name}: Keras {keras.__version__} refuses its description: {_first_line(error)}",
            hint="evaluate, predict, merge and export work without Keras",
        ) from error
    _set_weights(network, model)
    return network


def save_keras(network: keras.Model, path: Path) -> None:
    """Write a network to a staging path, without the optimizer's state.

    Keras overwrites in place, so the path must not be the final one: see
    :func:`toolkit.store.publish`.

    Args:
        network: To write.
        path: Does not exist yet; its suffix chooses Keras' format.

    Raises:
        StorageError: Through ``publish``, if the disk refuses.
    """
    import logging

    # Keras calls .h5 a legacy format, in a line for each file.
    chatter = logging.getLogger("absl")
    level = chatter.level
    chatter.setLevel(logging.ERROR)
    try:
        network.save(os.fspath(path), include_optimizer=False)
    finally:
        chatter.setLevel(level)


def named_weights(network: keras.Model) -> Iterator[tuple[str, Any]]:
    """Every weight with its name as in :class:`toolkit.model.Tensors`: ``layer/weight``.

    A nested network's weights bear its name before theirs. Random generators' states are left out.
    """
    return _weights_of(network, "")


def _weights_of(network: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    for layer in network.layers:
        if hasattr(layer, "layers"):
            yield from _weights_of(layer, f"{prefix}{layer.name}/")
            continue
        for weight in layer.weights:
            if "seed_generator" not in weight.path:
                yield f"{prefix}{layer.name}/{weight.name}", weight


def _set_weights(network: keras.Model, model: Model) -> None:
    wanted = dict(named_weights(network))
    held = {name for name, spec in model.tensors.specs.items() if spec.role is not TensorRole.GENERATOR_STATE}
    if wanted.keys() != held:
        differing = sorted(wanted.keys() ^ held)
        raise UnsupportedError(
            f"{model.name}: tensors and description differ in {', '.join(differing[:5])}",
            hint="evaluate, predict, merge and export work without Keras",
        )
    for name, weight in wanted.items():
        array = model.tensors.read(name)
        if tuple(weight.shape) != array.shape:
            raise UnsupportedError(
                f"{model.name}: {name} has shape {array.shape}, its description wants {tuple(weight.shape)}",
                hint="the file is not what Keras wrote: train or merge it anew",
            )
        weight.assign(np.asarray(array, dtype=np.float32))


def _refuse_unknown(value: Any, where: str) -> None:
    if isinstance(value, Mapping):
        name = value.get("class_name")
        if isinstance(name, str):
            module = value.get("module")
            foreign = isinstance(module, str) and module.split(".")[0] not in ("keras", "builtins")
            if foreign or name not in _LAYERS | _PARTS:
                raise UnsupportedError(
                    f"{where} has a {f'{module}.{name}' if foreign else name}, which is not built",
                    hint=f"supported layers: {', '.join(sorted(_LAYERS))}",
                )
        for inner in value.values():
            _refuse_unknown(inner, where)
    elif isinstance(value, list | tuple):
        for inner in value:
            _refuse_unknown(inner, where)


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0][:200]
