"""Between models as data and Keras networks."""

from __future__ import annotations

import copy
import io
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from toolkit.errors import UnreadableInputError, UnsupportedError
from toolkit.model import Model
from toolkit.tensors import TensorRole
from toolkit.training.framework import load_tensorflow

if TYPE_CHECKING:
    import keras

# A description is built only of these: none of them runs code or opens a file that it names.
_LAYER_NAMES = """
Activation ActivityRegularization Add AlphaDropout Average AveragePooling1D AveragePooling2D
BatchNormalization Bidirectional CenterCrop Concatenate Conv1D Conv2D Conv2DTranspose Cropping2D Dense
DepthwiseConv2D Dot Dropout ELU Embedding Flatten Functional GRU GaussianDropout GaussianNoise
GlobalAveragePooling1D GlobalAveragePooling2D GlobalMaxPooling1D GlobalMaxPooling2D GroupNormalization
InputLayer LSTM LayerNormalization LeakyReLU Masking MaxPooling1D MaxPooling2D Maximum Minimum Model
MultiHeadAttention Multiply Normalization PReLU Permute RMSNormalization RandomBrightness RandomContrast
RandomCrop RandomFlip RandomRotation RandomTranslation RandomZoom ReLU RepeatVector Rescaling Reshape
Resizing SeparableConv2D Sequential SimpleRNN Softmax SpatialDropout1D SpatialDropout2D Subtract
TimeDistributed UnitNormalization UpSampling2D ZeroPadding2D
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
        UnreadableInputError: If a tensor holds NaN or infinity.
        ConfigurationError: If TensorFlow is not installed.
    """
    if model.dialect != "keras":
        raise UnsupportedError(
            f"{model.name} is described in {model.dialect}, not in Keras",
            hint="training and fine-tuning take .h5 and .keras models",
        )
    description = dict(model.description)
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
    if path.suffix != ".h5":
        network.save(os.fspath(path))
        return
    with path.open("xb") as file:
        file.write(_as_hdf5(network))


def _as_hdf5(network: keras.Model) -> bytes:
    """What Keras would write into an ``.h5`` file.

    Made in memory: where a disk is full, HDF5 is left with objects that it can neither write nor
    close, complains of each, and may end the whole process with a segmentation fault.
    """
    import h5py
    from keras.src.legacy.saving.legacy_h5_format import save_model_to_hdf5

    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        save_model_to_hdf5(network, file, include_optimizer=False)
    return content.getvalue()


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
        if not np.isfinite(array).all():
            raise UnreadableInputError(
                f"{model.name}: {name} holds values that are no numbers",
                hint="its training diverged: take another model",
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
