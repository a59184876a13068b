"""Converts between models as data and Keras networks."""

from __future__ import annotations

import copy
import io
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from toolkit.declarations import ModelFormat
from toolkit.errors import ProofError, UnsupportedError
from toolkit.model import Model
from toolkit.store.faults import storage_error
from toolkit.tensors import ArrayTensors, TensorRole
from toolkit.training.framework import load_tensorflow

if TYPE_CHECKING:
    import keras

# Only these are built: none of them runs code or opens a file.
_LAYER_NAMES = """
Activation ActivityRegularization Add AdditiveAttention AlphaDropout Attention AugMix AutoContrast
Average AveragePooling1D AveragePooling2D AveragePooling3D BatchNormalization Bidirectional CenterCrop
Concatenate Conv1D Conv1DTranspose Conv2D Conv2DTranspose Conv3D Conv3DTranspose ConvLSTM1D ConvLSTM2D
Cropping1D Cropping2D Cropping3D CutMix Dense DepthwiseConv1D DepthwiseConv2D Dot Dropout ELU
EinsumDense Elu Embedding Equalization Exp Flatten Functional GRU GaussianDropout GaussianNoise Gelu
GlobalAveragePooling1D GlobalAveragePooling2D GlobalAveragePooling3D GlobalMaxPooling1D
GlobalMaxPooling2D GlobalMaxPooling3D GroupNormalization GroupQueryAttention HardSigmoid HardSilu
Identity InputLayer LSTM LayerNormalization LeakyReLU LeakyRelu LogSoftmax Masking MaxPooling1D
MaxPooling2D MaxPooling3D Maximum Minimum MixUp Model MultiHeadAttention Multiply Normalization PReLU
Permute RMSNormalization RandAugment RandomBrightness RandomColorDegeneration RandomColorJitter
RandomContrast RandomCrop RandomElasticTransform RandomErasing RandomFlip RandomGaussianBlur
RandomGrayscale RandomHeight RandomHue RandomInvert RandomPerspective RandomPosterization RandomRotation
RandomSaturation RandomSharpness RandomShear RandomTranslation RandomWidth RandomZoom ReLU Relu Relu6
RepeatVector Rescaling Reshape Resizing Selu SeparableConv1D SeparableConv2D Sequential Sigmoid Silu
SimpleRNN Softmax Softplus Softsign Solarization SpatialDropout1D SpatialDropout2D SpatialDropout3D
SpectralNormalization Subtract Tanh TimeDistributed UnitNormalization UpSampling1D UpSampling2D
UpSampling3D ZeroPadding1D ZeroPadding2D ZeroPadding3D
"""
_PART_NAMES = """
Constant DTypePolicy GlorotNormal GlorotUniform HeNormal HeUniform Identity L1 L1L2 L2 LecunNormal
LecunUniform MaxNorm MinMaxNorm NonNeg Ones OrthogonalInitializer Orthogonal RandomNormal RandomUniform
TruncatedNormal UnitNorm VarianceScaling Zeros __keras_tensor__ __tuple__ __list__
"""
_LAYERS = frozenset(_LAYER_NAMES.split())
_PARTS = frozenset(_PART_NAMES.split())


def keras_from_model(model: Model) -> keras.Model:
    """Build a model in Keras from its description and its tensors, without running code of its file.

    UnsupportedError is raised for ``Lambda``, custom classes, and descriptions that are not Keras'.
    """
    if model.dialect != "keras":
        raise UnsupportedError(
            f"{model.name} is described in {model.dialect}, not in Keras",
            hint="fine-tune an .h5 or .keras model",
        )
    _refuse_unknown(model.description, model.name)
    load_tensorflow()
    import keras

    try:
        # Keras' own function for descriptions reads those of .keras files only.
        kind = keras.Sequential if model.description.get("class_name") == "Sequential" else keras.Model
        network = kind.from_config(copy.deepcopy(model.description["config"]))
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        first_line = str(error).strip().split("\n", 1)[0][:200]
        raise UnsupportedError(
            f"{model.name}: Keras {keras.__version__} refuses its description: {first_line}",
            hint="evaluate, predict, merge and export work without Keras",
        ) from error
    _set_weights(network, model)
    return network


def load_written(model: Model, path: Path) -> keras.Model:
    """Load a file that was written from a model, as its users will.

    UnsupportedError is raised for what :func:`keras_from_model` does not build, ProofError if Keras
    cannot load the file.
    """
    _refuse_unknown(model.description, model.name)
    load_tensorflow()
    import keras

    try:
        return keras.models.load_model(path, compile=False)
    except (TypeError, ValueError, KeyError, AttributeError, IndexError, RuntimeError, OSError) as error:
        first_line = str(error).strip().split("\n", 1)[0][:200]
        raise ProofError(
            f"{model.name}: Keras {keras.__version__} cannot load what was written from it: {first_line}",
            hint="`--to onnx` does not need Keras; -o check=false writes the file unchecked",
        ) from error


def save_keras(network: keras.Model, path: Path) -> None:
    """Write a network to a new ``.h5`` file, without the optimizer's state."""
    import h5py
    from keras.src.legacy.saving.legacy_h5_format import save_model_to_hdf5

    # In memory: on a full disk, HDF5 may end the whole process with a segmentation fault.
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        save_model_to_hdf5(network, file, include_optimizer=False)
    with path.open("xb") as target:
        target.write(content.getvalue())


def named_weights(network: keras.Model) -> Iterator[tuple[str, Any]]:
    """Every weight but the states of random generators, by tensor name: ``layer/weight``."""
    for layer, prefix in _layers(network, ""):
        for weight in layer.weights:
            if "seed_generator" not in weight.path:
                yield f"{prefix}{_direction(layer, weight)}{weight.name}", weight


def frozen_weights(network: keras.Model) -> frozenset[str]:
    """Tensor names of the weights of layers that are not trainable."""
    return frozenset(
        f"{prefix}{_direction(layer, weight)}{weight.name}"
        for layer, prefix in _layers(network, "")
        for weight in layer.weights
        if not layer.trainable
    )


def template_of(network: keras.Model, model_format: ModelFormat) -> Model:
    """A network as a model, read from what Keras writes; UnsupportedError if only Keras can run it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{network.name}.h5"
        try:
            save_keras(network, path)
        except OSError as error:
            raise storage_error(error, path) from error
        model = model_format.read(path)
        model.build_graph()
        arrays = {name: (model.tensors.read(name), spec.role) for name, spec in model.tensors.specs.items()}
    return model.with_tensors(ArrayTensors(arrays))


def _layers(network: Any, prefix: str) -> Iterator[tuple[Any, str]]:
    """Every layer that is not a network, with the prefix of its weights' names."""
    for layer in network.layers:
        name = f"{prefix}{layer.name}/"
        if hasattr(layer, "layers"):
            yield from _layers(layer, name)
        else:
            yield layer, name


def _direction(layer: Any, weight: Any) -> str:
    """Which side of a bidirectional layer a weight belongs to; empty for other layers."""
    if not hasattr(layer, "forward_layer"):
        return ""
    return "forward_" if any(weight is own for own in layer.forward_layer.weights) else "backward_"


def _set_weights(network: keras.Model, model: Model) -> None:
    wanted = dict(named_weights(network))
    held = {name for name, spec in model.tensors.specs.items() if spec.role is not TensorRole.GENERATOR_STATE}
    if wanted.keys() != held:
        differing = sorted(wanted.keys() ^ held)
        raise UnsupportedError(
            f"{model.name}: tensors and description do not match: {', '.join(differing[:5])}",
            hint="evaluate, predict, merge and export work without Keras",
        )
    for name, weight in wanted.items():
        array = model.tensors.read(name)
        if tuple(weight.shape) != array.shape:
            raise UnsupportedError(
                f"{model.name}: {name} has shape {array.shape}, its description says {tuple(weight.shape)}",
                hint="the file was not written by Keras: train or merge again",
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
                    f"{where} has a {f'{module}.{name}' if foreign else name}, which is not supported",
                    hint=f"supported layers: {', '.join(sorted(_LAYERS))}",
                )
        value = tuple(value.values())
    for inner in value if isinstance(value, list | tuple) else ():
        _refuse_unknown(inner, where)
