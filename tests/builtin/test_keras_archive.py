"""The `.keras` archive: the places of its tensors, and what else is in it."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from keras_files import (
    CONV,
    DENSE,
    GROUPS,
    INPUT,
    SMALL,
    layer,
    run,
    sequential,
    small_arrays,
    weights_file,
    write_archive,
)

from toolkit.tensors import TensorRole
from toolkit_keras.layer_kind import snake_case
from toolkit_keras.read_keras import read_keras


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_an_archive_stored_or_packed(compression: int, tmp_path: Path) -> None:
    path = write_archive(
        tmp_path / "a.keras", SMALL, weights_file(small_arrays(), GROUPS), compression=compression
    )
    model = read_keras(path)
    for owner, weights in small_arrays().items():
        for weight, array in weights.items():
            assert np.array_equal(model.tensors.read(f"{owner}/{weight}"), array)


def test_layers_are_counted_by_class_whatever_their_names(tmp_path: Path) -> None:
    config = sequential(
        layer("InputLayer", "start", batch_shape=[None, 2]),
        layer("Dense", "zebra", units=2),
        layer("PReLU", "slope"),
        layer("Dense", "ape", units=2),
    )
    one, two = np.eye(2, dtype=np.float32), 2 * np.eye(2, dtype=np.float32)
    zero = np.zeros(2, np.float32)
    arrays = {"zebra": {"k": one, "b": zero}, "ape": {"k": two, "b": zero}, "slope": {"alpha": zero + 0.5}}
    groups = {"zebra": "dense", "ape": "dense_1", "slope": "p_re_lu"}
    model = read_keras(write_archive(tmp_path / "a.keras", config, weights_file(arrays, groups)))
    assert np.array_equal(model.tensors.read("ape/kernel"), two)
    assert np.allclose(run(model, np.array([[1, -1]], np.float32)), [[2, -1]])


def test_states_of_random_generators_are_known_for_what_they_are(tmp_path: Path) -> None:
    config = sequential(INPUT, CONV, layer("Dropout", "drop", rate=0.5), layer("Flatten", "flat"), DENSE)
    state = {"layers/dropout/seed_generator/vars/0": np.array([7, 3], np.uint32)}
    model = read_keras(
        write_archive(tmp_path / "a.keras", config, weights_file(small_arrays(), GROUPS, state))
    )
    spec = model.tensors.specs["drop/seed_generator_state"]
    assert spec.role is TensorRole.GENERATOR_STATE
    assert not spec.is_float
    assert model.tensors.read(spec.name).tolist() == [7, 3]
    run(model, np.ones((1, 4, 4, 1), np.float32))


def test_training_state_is_dropped_and_said_so(tmp_path: Path) -> None:
    optimizer = {"optimizer/vars/0": np.zeros(3, np.float32)}
    config = SMALL | {
        "compile_config": {"optimizer": "adam", "loss": {"class_name": "__lambda__", "config": {}}}
    }
    model = read_keras(
        write_archive(tmp_path / "a.keras", config, weights_file(small_arrays(), GROUPS, optimizer))
    )
    assert model.dropped == ("the optimizer's state", "the training configuration")
    assert "compile_config" not in model.description


def test_class_names_become_group_names_as_in_keras() -> None:
    assert [
        snake_case(name) for name in ("Conv2D", "DepthwiseConv2D", "PReLU", "MaxPooling2D", "LeakyReLU")
    ] == [
        *("conv2d", "depthwise_conv2d", "p_re_lu", "max_pooling2d", "leaky_re_lu"),
    ]
