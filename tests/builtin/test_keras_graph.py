"""The graph of every supported layer computes what Keras computes, through both file formats."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from toolkit.errors import UnsupportedError
from toolkit.model import Model
from toolkit_keras.read_h5 import read_h5
from toolkit_keras.read_keras import read_keras

TOLERANCE = 1e-5
IMAGE = (8, 7, 3)


@pytest.fixture(scope="session")
def keras() -> Any:
    """Keras on TensorFlow; imported once, when the first test asks for it."""
    module = pytest.importorskip("keras")
    module.utils.set_random_seed(0)
    return module


def fill(model: Any, seed: int) -> None:
    """Random weights of a size at which no activation dies, positive variances."""
    random = np.random.default_rng(seed)
    for variable in model.weights:
        shape = tuple(variable.shape)
        name = variable.name
        if "variance" in name:
            values = random.uniform(0.3, 2.0, shape)
        elif "gamma" in name:
            values = random.uniform(0.5, 1.5, shape)
        elif "kernel" in name:
            fan = max(1, int(np.prod(shape[:-1])))
            values = random.normal(0, 1.5 / np.sqrt(fan), shape)
        elif "count" in name:
            values = np.zeros(shape)
        else:
            values = random.normal(0, 0.5, shape)
        variable.assign(values.astype(np.dtype(variable.dtype)))
    for layer in model._flatten_layers():
        if layer.__class__.__name__ == "Normalization":
            layer.finalize_state()  # or it goes on with the statistics that it was built with


def run(model: Model, x: np.ndarray) -> np.ndarray:
    """The model's outputs, computed by onnxruntime alone."""
    graph = model.build_graph()
    proto = graph.bind(model.tensors)
    onnx.checker.check_model(proto, full_check=True)
    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    (result,) = session.run([graph.output], {graph.input: x})
    return np.asarray(result)


def difference(keras_model: Any, model: Model, seed: int = 7) -> float:
    """Largest difference to Keras at batch 1 and 3, relative to the outputs' size where that is above 1."""
    random = np.random.default_rng(seed)
    worst = 0.0
    for batch in (1, 3):
        x = random.normal(0, 1, (batch, *model.topology.input_shape)).astype(np.float32)
        expected = np.asarray(keras_model(x, training=False))
        result = run(model, x)
        assert result.shape == expected.shape
        assert expected.std() > 0, "the network is dead: the comparison would show nothing"
        worst = max(worst, float(np.abs(result - expected).max() / max(1.0, np.abs(expected).max())))
    return worst


def through_both_formats(keras_model: Any, folder: Path) -> dict[str, Model]:
    keras_model.save(folder / "a.h5")
    keras_model.save(folder / "a.keras")
    return {"h5": read_h5(folder / "a.h5"), "keras": read_keras(folder / "a.keras")}


def check(keras: Any, model: Any, folder: Path, record: Callable[[str, object], None] | None = None) -> None:
    fill(model, 1)
    found = {suffix: difference(model, read) for suffix, read in through_both_formats(model, folder).items()}
    if record is not None:
        record("largest_difference", max(found.values()))
    assert max(found.values()) < TOLERANCE, found


# --- one layer at a time -------------------------------------------------------------------

ONE_LAYER: dict[str, Callable[[Any], list[Any]]] = {
    "conv valid": lambda nn: [nn.Conv2D(4, 3)],
    "conv no bias": lambda nn: [nn.Conv2D(4, (2, 3), use_bias=False)],
    "conv same": lambda nn: [nn.Conv2D(4, 3, padding="same", activation="relu")],
    "conv same, even kernel": lambda nn: [nn.Conv2D(4, (4, 2), padding="same")],
    "conv same, strides": lambda nn: [nn.Conv2D(4, 3, strides=(2, 3), padding="same")],
    "conv same, strides above kernel": lambda nn: [nn.Conv2D(4, 1, strides=3, padding="same")],
    "conv valid, strides": lambda nn: [nn.Conv2D(4, (3, 2), strides=2)],
    "conv dilation": lambda nn: [nn.Conv2D(4, 3, dilation_rate=2)],
    "conv dilation same": lambda nn: [nn.Conv2D(4, 3, dilation_rate=(2, 1), padding="same")],
    "conv groups": lambda nn: [nn.Conv2D(6, 3, groups=3)],
    "depthwise": lambda nn: [nn.DepthwiseConv2D(3)],
    "depthwise multiplier": lambda nn: [
        nn.DepthwiseConv2D((3, 2), depth_multiplier=3, padding="same", activation="tanh")
    ],
    "depthwise strides": lambda nn: [nn.DepthwiseConv2D(3, strides=2, padding="same", use_bias=False)],
    "separable": lambda nn: [nn.SeparableConv2D(5, 3)],
    "separable multiplier": lambda nn: [
        nn.SeparableConv2D(
            5, 3, depth_multiplier=2, padding="same", strides=2, activation="elu", use_bias=False
        )
    ],
    "transposed valid": lambda nn: [nn.Conv2DTranspose(4, 3, strides=2)],
    "transposed same": lambda nn: [nn.Conv2DTranspose(4, 3, strides=2, padding="same")],
    "transposed, strides above kernel": lambda nn: [nn.Conv2DTranspose(4, 2, strides=3)],
    "transposed even": lambda nn: [nn.Conv2DTranspose(4, 4, strides=(2, 1), padding="same", use_bias=False)],
    "dense on images": lambda nn: [nn.Dense(5, activation="relu")],
    "dense on images, no bias": lambda nn: [nn.Dense(5, use_bias=False)],
    "batch norm": lambda nn: [nn.BatchNormalization()],
    "batch norm bare": lambda nn: [nn.BatchNormalization(scale=False, center=False, epsilon=1e-2)],
    "batch norm without scale": lambda nn: [nn.BatchNormalization(scale=False)],
    "batch norm without center": lambda nn: [nn.BatchNormalization(center=False)],
    "batch renorm": lambda nn: [nn.BatchNormalization(renorm=True)],
    "batch norm axis 1": lambda nn: [nn.BatchNormalization(axis=1)],
    "batch norm axis 2": lambda nn: [nn.Conv2D(4, 2), nn.BatchNormalization(axis=2), nn.Conv2D(4, 2)],
    "layer norm": lambda nn: [nn.LayerNormalization()],
    "layer norm bare": lambda nn: [nn.LayerNormalization(scale=False, center=False)],
    "layer norm all axes": lambda nn: [nn.LayerNormalization(axis=[1, 2, 3])],
    "layer norm rows": lambda nn: [nn.Conv2D(4, 2), nn.LayerNormalization(axis=[1, 3])],
    "max pool": lambda nn: [nn.MaxPooling2D()],
    "max pool same": lambda nn: [nn.MaxPooling2D(3, strides=2, padding="same")],
    "max pool strides": lambda nn: [nn.MaxPooling2D((2, 3), strides=(1, 2))],
    "average pool": lambda nn: [nn.AveragePooling2D(2)],
    "average pool same": lambda nn: [nn.AveragePooling2D(3, strides=2, padding="same")],
    "average pool same, uneven": lambda nn: [nn.AveragePooling2D((2, 3), strides=(2, 1), padding="same")],
    "global average": lambda nn: [nn.GlobalAveragePooling2D()],
    "global average keepdims": lambda nn: [nn.GlobalAveragePooling2D(keepdims=True)],
    "global max": lambda nn: [nn.GlobalMaxPooling2D()],
    "global max keepdims": lambda nn: [nn.GlobalMaxPooling2D(keepdims=True)],
    "zero padding": lambda nn: [nn.ZeroPadding2D(((1, 2), (0, 3)))],
    "cropping": lambda nn: [nn.Cropping2D(((1, 2), (0, 3)))],
    "up-sampling": lambda nn: [nn.UpSampling2D((2, 3))],
    "up-sampling bilinear": lambda nn: [nn.UpSampling2D((2, 3), interpolation="bilinear")],
    "rescaling": lambda nn: [nn.Rescaling(1 / 255.0, offset=-0.5)],
    "rescaling a channel each": lambda nn: [nn.Rescaling([1.0, 2.0, 3.0], offset=[0.5, 0.0, -1.0])],
    "normalization adapted": lambda nn: [nn.Normalization()],
    "normalization over rows": lambda nn: [nn.Conv2D(3, 2), nn.Normalization(axis=(1, 3))],
    "normalization of one number": lambda nn: [nn.Normalization(axis=None)],
    "normalization given": lambda nn: [nn.Normalization(mean=[0.1, 0.2, 0.3], variance=[1.0, 2.0, 3.0])],
    "normalization inverted": lambda nn: [nn.Normalization(mean=0.2, variance=2.0, invert=True)],
    "flatten": lambda nn: [nn.Flatten()],
    "flatten after conv": lambda nn: [nn.Conv2D(4, 3), nn.Flatten()],
    "reshape": lambda nn: [nn.Reshape((4, -1, 6))],
    "reshape after conv": lambda nn: [nn.Conv2D(4, 3), nn.Reshape((-1, 10))],
    "reshape flat": lambda nn: [nn.Conv2D(4, 3), nn.Reshape((-1,))],
    "permute": lambda nn: [nn.Permute((3, 1, 2))],
    "permute between convs": lambda nn: [nn.Conv2D(4, 2), nn.Permute((2, 3, 1)), nn.Conv2D(3, 2)],
    "permute then flatten": lambda nn: [nn.Conv2D(4, 2), nn.Permute((3, 2, 1)), nn.Flatten()],
    "identity": lambda nn: [nn.Identity(), nn.Dropout(0.5), nn.SpatialDropout2D(0.3), nn.GaussianNoise(0.1)],
    "more noise": lambda nn: [nn.GaussianDropout(0.3), nn.AlphaDropout(0.1), nn.ActivityRegularization(0.1)],
    "augmentation": lambda nn: [
        nn.RandomFlip(),
        nn.RandomRotation(0.1),
        nn.RandomZoom(0.1),
        nn.RandomTranslation(0.1, 0.1),
        nn.RandomContrast(0.1),
        nn.RandomPerspective(),
        nn.RandomShear(0.1, 0.1),
    ],
    "relu": lambda nn: [nn.ReLU()],
    "relu max": lambda nn: [nn.ReLU(max_value=0.8)],
    "relu slope": lambda nn: [nn.ReLU(negative_slope=0.2)],
    "relu slope and max": lambda nn: [nn.ReLU(negative_slope=0.2, max_value=0.8)],
    "relu threshold": lambda nn: [nn.ReLU(threshold=0.3)],
    "relu all": lambda nn: [nn.ReLU(max_value=1.2, negative_slope=0.1, threshold=0.4)],
    "leaky relu": lambda nn: [nn.LeakyReLU()],
    "leaky relu slope": lambda nn: [nn.LeakyReLU(negative_slope=0.05)],
    "elu": lambda nn: [nn.ELU(alpha=0.7)],
    "prelu": lambda nn: [nn.Conv2D(4, 2), nn.PReLU()],
    "prelu shared": lambda nn: [nn.Conv2D(4, 2), nn.PReLU(shared_axes=[1, 2])],
    "softmax": lambda nn: [nn.Conv2D(4, 2), nn.Softmax()],
    "softmax axis": lambda nn: [nn.Conv2D(4, 2), nn.Softmax(axis=1)],
    "activation in a layer's configuration": lambda nn: [
        nn.Conv2D(4, 2, activation=nn.LeakyReLU(negative_slope=0.15))
    ],
}


@pytest.mark.parametrize("name", ONE_LAYER)
def test_one_layer(
    keras: Any, name: str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    layers = ONE_LAYER[name](keras.layers)
    check(keras, keras.Sequential([keras.Input(IMAGE), *layers]), tmp_path, record_property)


ACTIVATIONS = [
    *(
        "celu",
        "elu",
        "exponential",
        "gelu",
        "hard_sigmoid",
        "hard_silu",
        "hard_swish",
        "hard_tanh",
        "leaky_relu",
    ),
    *("linear", "log_sigmoid", "log_softmax", "mish", "relu", "relu6", "selu", "sigmoid", "silu", "softmax"),
    *("softplus", "softsign", "swish", "tanh", "tanh_shrink"),
]


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation(
    keras: Any, name: str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input(IMAGE),
            layers.Conv2D(5, 3, activation=name),
            layers.Flatten(),
            layers.Rescaling(0.2),
            layers.Activation(name),
        ]
    )
    check(keras, model, tmp_path, record_property)


def test_augmentation_that_keras_saves_as_an_archive_only(keras: Any, tmp_path: Path) -> None:
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input(IMAGE),
            layers.RandomBrightness(0.1),
            layers.RandomColorDegeneration(0.1),
            layers.RandomPosterization(3),
            layers.RandomSharpness(0.1),
        ]
    )
    model.save(tmp_path / "a.keras")
    assert difference(model, read_keras(tmp_path / "a.keras")) == 0


def test_functions_called_on_tensors_are_known_in_both_formats(keras: Any, tmp_path: Path) -> None:
    start = keras.Input(IMAGE)
    x = keras.layers.Conv2D(4, 3)(start)
    y = x + keras.activations.relu(x, max_value=1.0) * keras.ops.sigmoid(x)
    y = keras.activations.relu(keras.ops.maximum(y - keras.ops.tanh(x), keras.ops.gelu(x)))
    check(keras, keras.Model(start, keras.layers.Dense(3)(keras.layers.Flatten()(y))), tmp_path)


def test_gelu_by_tanh_and_other_functions_called_on_tensors(keras: Any, tmp_path: Path) -> None:
    start = keras.Input(IMAGE)
    x = keras.layers.Conv2D(4, 3)(start)
    y = keras.activations.gelu(x, approximate=True) + keras.ops.relu(x)
    y = keras.ops.concatenate([y, keras.ops.silu(x), keras.ops.leaky_relu(x, 0.3)], axis=-1)
    model = keras.Model(start, keras.ops.softmax(keras.layers.Flatten()(y)))
    fill(model, 2)
    model.save(tmp_path / "a.keras")
    read = read_keras(tmp_path / "a.keras")
    assert difference(model, read) < TOLERANCE
    assert read.build_graph().outputs_probabilities


# --- between Flatten and Dense -------------------------------------------------------------

BETWEEN: dict[str, Callable[[Any], list[Any]]] = {
    "nothing": lambda _: [],
    "dropout": lambda nn: [nn.Dropout(0.4)],
    "relu": lambda nn: [nn.ReLU()],
    "batch norm": lambda nn: [nn.BatchNormalization()],
    "batch norm bare, relu, dropout": lambda nn: [
        nn.BatchNormalization(scale=False, center=False),
        nn.ReLU(),
        nn.Dropout(0.1),
    ],
    "layer norm": lambda nn: [nn.LayerNormalization()],
    "prelu": lambda nn: [nn.PReLU()],
    "prelu shared": lambda nn: [nn.PReLU(shared_axes=[1])],
    "softmax": lambda nn: [nn.Softmax()],
    "normalization": lambda nn: [nn.Normalization()],
    "rescaling": lambda nn: [nn.Rescaling(0.5, 0.1)],
    "reshape to itself": lambda nn: [nn.Reshape((-1,))],
    "reshape to an image": lambda nn: [nn.Reshape((5, 4, 6)), nn.Conv2D(3, 2), nn.Flatten()],
    "permute": lambda nn: [nn.Permute((1,))],
}


@pytest.mark.parametrize("name", BETWEEN)
def test_between_flatten_and_dense(keras: Any, name: str, tmp_path: Path) -> None:
    layers = keras.layers
    model = keras.Sequential(
        [keras.Input(IMAGE), layers.Conv2D(4, 3), layers.Flatten(), *BETWEEN[name](layers), layers.Dense(6)]
    )
    check(keras, model, tmp_path)


def test_flatten_before_dense_costs_no_transpose(keras: Any, tmp_path: Path) -> None:
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(4, 3, activation="relu"),
            layers.BatchNormalization(),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.BatchNormalization(),
            layers.Dropout(0.2),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.save(tmp_path / "a.h5")
    graph = read_h5(tmp_path / "a.h5").build_graph()
    kinds = [node.op_type for node in graph.proto.graph.node]
    assert kinds == [
        *("Reshape", "Conv", "Relu", "BatchNormalization", "MaxPool"),
        *("Flatten", "BatchNormalization", "Gemm", "Softmax"),
    ]
    assert graph.outputs_probabilities
    (described,) = graph.proto.graph.input
    assert [d.dim_param or d.dim_value for d in described.type.tensor_type.shape.dim] == ["batch", 28, 28, 1]


# --- branches, shared layers, nested models ------------------------------------------------


def residual(keras: Any) -> Any:
    layers = keras.layers
    start = keras.Input(IMAGE)
    x = layers.Conv2D(4, 3, padding="same")(start)
    y = layers.BatchNormalization()(layers.Conv2D(4, 3, padding="same", activation="relu")(x))
    x = layers.Add()([x, y])
    return keras.Model(start, layers.Dense(5)(layers.Flatten()(x)))


def three_way(keras: Any) -> Any:
    layers = keras.layers
    start = keras.Input(IMAGE)
    branches = [layers.Conv2D(2, size, padding="same")(start) for size in (1, 2, 3)]
    joined = [
        layers.Add()(branches),
        layers.Average()(branches),
        layers.Maximum()(branches),
        layers.Minimum()(branches),
        layers.Multiply()(branches),
        layers.Subtract()(branches[:2]),
    ]
    x = layers.Concatenate()(joined)
    x = layers.Concatenate(axis=1)([x, x])
    return keras.Model(start, layers.GlobalAveragePooling2D()(x))


def squeeze_and_excite(keras: Any) -> Any:
    layers = keras.layers
    start = keras.Input(IMAGE)
    x = layers.Conv2D(6, 3)(start)
    kept = layers.Dense(6, activation="sigmoid")(layers.GlobalAveragePooling2D(keepdims=True)(x))
    flat = layers.Dense(6, activation="sigmoid")(layers.GlobalMaxPooling2D()(x))
    x = layers.Multiply()([x, layers.Reshape((1, 1, 6))(flat)])
    return keras.Model(start, layers.Flatten()(layers.Multiply()([kept, x])))


def unequal_ranks(keras: Any) -> Any:
    layers = keras.layers
    start = keras.Input(IMAGE)
    x = layers.Conv2D(6, 3)(start)
    return keras.Model(start, layers.Flatten()(layers.Multiply()([x, layers.GlobalMaxPooling2D()(x)])))


def images_and_channels_last(keras: Any) -> Any:
    """One branch lies channels first in the graph, the other as Keras has it."""
    layers = keras.layers
    start = keras.Input(IMAGE)
    x = layers.Conv2D(3, 3, padding="same")(start)
    x = layers.Add()([x, layers.Dense(3)(start)])
    return keras.Model(start, layers.Dense(4)(layers.Flatten()(layers.Concatenate()([start, x]))))


def concatenated_flats(keras: Any) -> Any:
    layers = keras.layers
    start = keras.Input(IMAGE)
    one = layers.Flatten()(layers.Conv2D(3, 3)(start))
    two = layers.Dropout(0.1)(layers.Flatten()(layers.MaxPooling2D()(layers.Conv2D(2, 2)(start))))
    pooled = layers.GlobalAveragePooling2D()(start)
    x = layers.BatchNormalization()(layers.Concatenate()([one, pooled, two]))
    return keras.Model(start, layers.Dense(5, activation="softmax")(x))


def concatenated_flats_shown(keras: Any) -> Any:
    layers = keras.layers
    start = keras.Input(IMAGE)
    x = layers.Conv2D(3, 3)(start)
    return keras.Model(start, layers.Concatenate()([layers.Flatten()(x), layers.Flatten()(layers.ReLU()(x))]))


def added_flats(keras: Any) -> Any:
    layers = keras.layers
    start = keras.Input(IMAGE)
    one, two = (layers.Flatten()(layers.Conv2D(3, 3)(start)) for _ in range(2))
    three = layers.Dense(90)(layers.Flatten()(start))
    return keras.Model(start, layers.Dense(4)(layers.Add()([layers.Multiply()([one, two]), three])))


def shared_layers(keras: Any) -> Any:
    layers = keras.layers
    start = keras.Input(IMAGE)
    conv, dense = layers.Conv2D(3, 3, padding="same"), layers.Dense(6)
    norm, slope = layers.BatchNormalization(), layers.PReLU()
    x = norm(conv(conv(start)))
    flat = dense(layers.Flatten()(slope(x)))
    plain = dense(layers.Flatten()(norm(slope(start))))
    last = layers.Dense(6)
    return keras.Model(start, layers.Add()([last(flat), last(last(plain))]))


def nested(keras: Any) -> Any:
    layers = keras.layers
    inner = keras.Sequential(
        [keras.Input(IMAGE), layers.Conv2D(4, 3), layers.BatchNormalization(), layers.ReLU()], name="trunk"
    )
    start = keras.Input(inner.output_shape[1:])
    side = keras.Model(start, layers.Add()([layers.Conv2D(4, 1)(start), layers.BatchNormalization()(start)]))
    return keras.Sequential([keras.Input(IMAGE), inner, side, layers.Flatten(), layers.Dense(5)])


def nested_twice(keras: Any) -> Any:
    layers = keras.layers
    core = keras.Sequential(
        [keras.Input(IMAGE), layers.Conv2D(3, 3, padding="same"), layers.BatchNormalization()]
    )
    middle_start = keras.Input(IMAGE)
    middle = keras.Model(middle_start, layers.Dense(3)(core(middle_start)), name="middle")
    start = keras.Input(IMAGE)
    return keras.Model(start, layers.Flatten()(layers.Subtract()([middle(start), middle(middle(start))])))


def nested_output(keras: Any) -> Any:
    """A Functional model whose output is a nested Functional model's: Keras counts that call from one."""
    layers = keras.layers
    head_start = keras.Input((4,))
    head = keras.Model(head_start, layers.Dense(3, activation="softmax")(head_start), name="head")
    start = keras.Input(IMAGE)
    return keras.Model(start, head(layers.Dense(4)(layers.Flatten()(layers.Conv2D(4, 3)(start)))))


def nested_frozen(keras: Any) -> Any:
    layers = keras.layers
    frozen = layers.Conv2D(4, 3)
    frozen.trainable = False
    inner = keras.Sequential([keras.Input(IMAGE), layers.Conv2D(3, 1), frozen, layers.BatchNormalization()])
    return keras.Sequential([keras.Input(IMAGE), inner, layers.Flatten(), layers.Dense(5)])


def rows(keras: Any) -> Any:
    """Tensors with two axes: no image any more."""
    layers = keras.layers
    start = keras.Input(IMAGE)
    x = layers.Reshape((8, 21))(start)
    x = layers.BatchNormalization()(layers.Dense(6)(x))
    x = layers.BatchNormalization(axis=1)(layers.PReLU()(x))
    return keras.Model(start, layers.Softmax()(layers.Flatten()(layers.LayerNormalization()(x))))


BRANCHED = [
    *(residual, three_way, squeeze_and_excite, unequal_ranks, images_and_channels_last, concatenated_flats),
    *(
        concatenated_flats_shown,
        added_flats,
        shared_layers,
        nested,
        nested_twice,
        nested_output,
        nested_frozen,
        rows,
    ),
]


@pytest.mark.parametrize("build", BRANCHED, ids=lambda build: build.__name__)
def test_branches(keras: Any, build: Callable[[Any], Any], tmp_path: Path) -> None:
    check(keras, build(keras), tmp_path)


def random_network(keras: Any, seed: int) -> Any:
    """A network of eight layers drawn at random, ending in classes."""
    random = np.random.default_rng(seed)
    layers = keras.layers
    start = keras.Input((11, 10, int(random.integers(1, 4))))
    functions = ["relu", "tanh", "elu", "gelu", "silu", "linear"]

    def function() -> str:
        return str(random.choice(functions))

    x = start
    for _ in range(8):
        padding = str(random.choice(["same", "valid"]))
        size, stride = int(random.integers(1, 4)), int(random.integers(1, 3))
        small = min(x.shape[1:3]) < 4
        padding = "same" if small else padding
        width = int(random.integers(2, 7))
        choices = [
            layers.Conv2D(width, size, strides=stride, padding=padding, activation=function()),
            layers.SeparableConv2D(width, size, padding=padding, activation=function()),
            layers.DepthwiseConv2D(size, padding=padding, depth_multiplier=2, activation=function()),
            layers.BatchNormalization(),
            layers.PReLU(shared_axes=[1, 2]),
            layers.LayerNormalization(),
            layers.AveragePooling2D(size, strides=stride, padding=padding),
            layers.MaxPooling2D(size, strides=1, padding=padding),
            layers.ZeroPadding2D(1),
            layers.Dense(width, activation=function()),
            layers.Permute((2, 1, 3)),
        ]
        branch = random.random()
        before = x
        x = choices[int(random.integers(len(choices)))](x)
        if branch < 0.3 and x.shape == before.shape:
            x = layers.Add()([x, before])
        elif branch < 0.5 and x.shape[1:3] == before.shape[1:3]:
            x = layers.Concatenate()([before, x])
    x = layers.Flatten()(x) if random.random() < 0.7 else layers.GlobalAveragePooling2D()(x)
    if random.random() < 0.5:
        x = layers.BatchNormalization()(x)
    return keras.Model(start, layers.Dense(7, activation="softmax")(x))


@pytest.mark.parametrize("seed", range(16))
def test_random_networks(keras: Any, seed: int, tmp_path: Path) -> None:
    check(keras, random_network(keras, seed), tmp_path)


# --- channels first ------------------------------------------------------------------------


def test_channels_first_computes_what_channels_last_does(keras: Any, tmp_path: Path) -> None:
    """TensorFlow cannot run channels first on a CPU, so the same network is built both ways."""
    layers = keras.layers

    def build(data_format: str) -> Any:
        first = data_format == "channels_first"
        axis = 1 if first else -1
        return keras.Sequential(
            [
                keras.Input((3, 8, 7) if first else (8, 7, 3)),
                layers.Conv2D(4, 3, padding="same", data_format=data_format, name="conv"),
                layers.BatchNormalization(axis=axis, name="norm"),
                layers.MaxPooling2D(data_format=data_format, name="pool"),
                layers.DepthwiseConv2D(2, data_format=data_format, name="depthwise"),
                layers.ZeroPadding2D(1, data_format=data_format, name="pad"),
                layers.Flatten(data_format=data_format, name="flat"),
                layers.Dense(5, name="dense"),
            ]
        )

    last = build("channels_last")
    fill(last, 3)
    first = build("channels_first")
    first.set_weights(last.get_weights())
    first.save(tmp_path / "first.keras")
    x = np.random.default_rng(0).normal(size=(3, 8, 7, 3)).astype(np.float32)
    expected = np.asarray(last(x, training=False))
    model = read_keras(tmp_path / "first.keras")
    assert model.topology.input_shape == (3, 8, 7)
    result = run(model, np.ascontiguousarray(x.transpose(0, 3, 1, 2)))
    assert np.abs(result - expected).max() < TOLERANCE
    assert "Transpose" not in [node.op_type for node in model.build_graph().proto.graph.node][:-3]


# --- promises of the graph -----------------------------------------------------------------


def test_each_tensor_is_bound_once_and_names_are_the_same_every_time(keras: Any, tmp_path: Path) -> None:
    models = through_both_formats(shared_layers(keras), tmp_path)
    texts = []
    for model in models.values():
        graph = model.build_graph()
        bound = [binding.tensor for binding in graph.bindings]
        assert sorted(bound) == sorted(model.tensors.specs)
        assert len(set(bound)) == len(bound)
        texts.append(graph.proto.SerializeToString(deterministic=True))
        assert model.build_graph().proto.SerializeToString(deterministic=True) == texts[-1]
    assert texts[0] == texts[1]


def test_building_the_graph_reads_no_tensor(
    keras: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    residual(keras).save(tmp_path / "a.h5")
    model = read_h5(tmp_path / "a.h5")
    monkeypatch.setattr(type(model.tensors), "read", lambda *_: pytest.fail("a tensor was read"))
    model.build_graph()


def test_batch_normalisation_stays_a_node_of_its_own(keras: Any, tmp_path: Path) -> None:
    residual(keras).save(tmp_path / "a.h5")
    model = read_h5(tmp_path / "a.h5")
    (node,) = [n for n in model.build_graph().proto.graph.node if n.op_type == "BatchNormalization"]
    norm = next(layer for layer in model.topology.layers if layer.kind == "BatchNormalization")
    assert list(node.input)[1:] == [spec.name for spec in norm.tensors]


def test_mixed_precision_is_read_as_float32(keras: Any, tmp_path: Path) -> None:
    layers = keras.layers
    model = keras.Sequential(
        [keras.Input(IMAGE), layers.Conv2D(4, 3, dtype="mixed_bfloat16"), layers.Flatten(), layers.Dense(3)]
    )
    for read in through_both_formats(model, tmp_path).values():
        assert {spec.dtype for spec in read.tensors.specs.values()} == {np.dtype(np.float32)}
        x = np.random.default_rng(0).normal(size=(2, *IMAGE)).astype(np.float32)
        assert np.abs(run(read, x) - np.asarray(model(x))).max() < 0.05


# --- refusals ------------------------------------------------------------------------------


def test_an_unknown_layer_is_readable_and_refused_by_name_only_as_a_graph(keras: Any, tmp_path: Path) -> None:
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input(IMAGE),
            layers.Reshape((8, 21)),
            layers.LSTM(4, name="memory"),
            layers.Dense(3, name="head"),
        ]
    )
    for read in through_both_formats(model, tmp_path).values():
        assert read.topology.output_shape == (3,)
        memory = next(layer for layer in read.topology.layers if layer.name == "memory")
        assert memory.attributes["units"] == 4
        assert len(memory.tensors) == 3
        with pytest.raises(UnsupportedError, match=r"memory \(LSTM\)") as caught:
            read.build_graph()
        assert "Conv2D" in caught.value.hint
        assert "GlobalAveragePooling2D" in caught.value.hint


REFUSED: dict[str, tuple[Callable[[Any], list[Any]], str]] = {
    "up-sampling": (lambda nn: [nn.UpSampling2D(2, interpolation="bicubic")], "bicubic"),
    "activation": (lambda nn: [nn.Conv2D(3, 2, activation="sparsemax")], "sparsemax"),
    "rms": (lambda nn: [nn.LayerNormalization(rms_scaling=True)], "rms_scaling"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_an_unsupported_option_is_named(keras: Any, name: str, tmp_path: Path) -> None:
    layers, word = REFUSED[name]
    keras.Sequential([keras.Input(IMAGE), *layers(keras.layers)]).save(tmp_path / "a.keras")
    model = read_keras(tmp_path / "a.keras")
    with pytest.raises(UnsupportedError, match=word):
        model.build_graph()


def test_dropout_in_training_mode_is_no_identity(keras: Any, tmp_path: Path) -> None:
    start = keras.Input(IMAGE)
    x = keras.layers.Dropout(0.5, name="drop")(start, training=True)
    keras.Model(start, keras.layers.Flatten()(x)).save(tmp_path / "a.keras")
    with pytest.raises(UnsupportedError, match=r"drop.*training=True"):
        read_keras(tmp_path / "a.keras").build_graph()


def test_an_input_without_fixed_size_is_refused(keras: Any, tmp_path: Path) -> None:
    layers = keras.layers
    model = keras.Sequential(
        [keras.Input((None, None, 1)), layers.Conv2D(3, 3), layers.GlobalAveragePooling2D()]
    )
    model.save(tmp_path / "a.h5")
    read = read_h5(tmp_path / "a.h5")
    assert read.topology.input_shape == (-1, -1, 1)
    assert read.topology.output_shape == (3,)
    with pytest.raises(UnsupportedError, match="no fixed size"):
        read.build_graph()
