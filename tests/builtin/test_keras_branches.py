"""Branches, shared layers, nested and random networks compute what Keras computes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from keras_networks import IMAGE, check, residual, shared_layers


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
    """One branch has channels first in the graph, the other last."""
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
