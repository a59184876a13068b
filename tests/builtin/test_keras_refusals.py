"""Files that are no model, code, and custom classes: refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from keras_files import (
    CONV,
    DENSE,
    GROUPS,
    INPUT,
    SMALL,
    layer,
    sequential,
    small_arrays,
    weights_file,
    write_archive,
    write_legacy,
)

from toolkit.errors import MissingInputError, UnreadableInputError, UnsupportedError
from toolkit_keras.read_h5 import read_h5
from toolkit_keras.read_keras import read_keras


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match=r"none\.h5"):
        read_h5(tmp_path / "none.h5")


def test_an_hdf5_file_of_something_else(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["data"] = np.zeros(3)
    with pytest.raises(UnreadableInputError, match="no Keras model"):
        read_h5(tmp_path / "a.h5")


LAMBDAS = {
    "Keras 2": layer("Lambda", "code", function=["4wEAAA==", None, None], function_type="lambda"),
    "Keras 3": layer(
        "Lambda", "code", function={"class_name": "__lambda__", "config": {"value": "4wEAAA=="}}
    ),
    "inside an activation": layer(
        "Dense", "code", units=3, activation={"class_name": "__lambda__", "config": {"value": "4wEAAA=="}}
    ),
}


@pytest.mark.parametrize("name", LAMBDAS)
def test_code_is_refused_by_name_and_never_run(name: str, tmp_path: Path) -> None:
    path = write_legacy(tmp_path / "a.h5", sequential(INPUT, LAMBDAS[name]), {})
    with pytest.raises(UnsupportedError, match="'code' is a Lambda"):
        read_h5(path)
    archive = write_archive(tmp_path / "a.keras", sequential(INPUT, LAMBDAS[name]), weights_file({}, {}))
    with pytest.raises(UnsupportedError, match="'code' is a Lambda"):
        read_keras(archive)


def test_a_class_of_its_own_is_refused_by_name(tmp_path: Path) -> None:
    path = write_legacy(tmp_path / "a.h5", {"class_name": "MyNet", "config": {}}, {})
    with pytest.raises(UnsupportedError, match=r"MyNet.*Sequential and Functional"):
        read_h5(path)


def test_a_custom_layer_with_a_known_name_is_not_taken_for_keras_own(tmp_path: Path) -> None:
    config = sequential(
        INPUT, {**layer("Dropout", "mine"), "module": "my_package.layers"}, layer("Flatten", "flat")
    )
    model = read_keras(write_archive(tmp_path / "a.keras", config, weights_file({}, {"mine": "dropout"})))
    with pytest.raises(UnsupportedError, match=r"mine \(Dropout\)"):
        model.build_graph()


@pytest.mark.parametrize(
    ("activation", "name"),
    [
        ({"module": "builtins", "class_name": "function", "config": "swish"}, "custom swish"),
        ({"module": "my_package", "class_name": "LeakyReLU", "config": {"alpha": 0.1}}, "custom LeakyReLU"),
    ],
)
def test_a_custom_function_with_a_known_name_is_not_taken_for_keras_own(
    activation: dict[str, Any], name: str, tmp_path: Path
) -> None:
    dense = layer("Dense", "dense", units=3, activation=activation)
    config = sequential(INPUT, CONV, layer("Flatten", "flat"), dense)
    model = read_h5(write_legacy(tmp_path / "a.h5", config, small_arrays(), version="3.15.1"))
    with pytest.raises(UnsupportedError, match=f"'dense': activation '{name}'") as refused:
        model.build_graph()
    assert "hard_sigmoid_of_keras_2" not in (refused.value.hint or "")


def test_a_custom_layer_that_says_nothing_of_itself_is_refused_by_name(tmp_path: Path) -> None:
    config = sequential(INPUT, {"class_name": "mine>Block", "config": {"trainable": True}})
    with pytest.raises(UnsupportedError, match="'mine>Block', a class that is not part of Keras"):
        read_h5(write_legacy(tmp_path / "a.h5", config, {}))


def test_pixels_that_are_no_floats_are_refused_by_name(tmp_path: Path) -> None:
    start = layer("InputLayer", "start", batch_shape=[None, 4, 4, 1], dtype="uint8")
    config = sequential(start, CONV, layer("Flatten", "flat"), DENSE)
    model = read_h5(write_legacy(tmp_path / "a.h5", config, small_arrays()))
    with pytest.raises(UnsupportedError, match="'start': an input of type uint8"):
        model.build_graph()


def test_a_function_of_tensorflow_is_refused_by_name(tmp_path: Path) -> None:
    start = {**layer("InputLayer", "start", batch_input_shape=[None, 4]), "inbound_nodes": []}
    divide = {
        **layer("TFOpLambda", "divide", trainable=True, function="math.truediv"),
        "name": "divide",
        "inbound_nodes": [["start", 0, 0, {"y": 255.0}]],  # one list less than every other layer has
    }
    inner = {
        "name": "net",
        "layers": [start, divide],
        "input_layers": [["start", 0, 0]],
        "output_layers": [["divide", 0, 0]],
    }
    path = write_legacy(tmp_path / "a.h5", {"class_name": "Functional", "config": inner}, {})
    with pytest.raises(UnsupportedError, match=r"divide \(TFOpLambda\)"):
        read_h5(path).build_graph()


def test_quantised_layers_are_refused_by_name(tmp_path: Path) -> None:
    config = sequential(INPUT, layer("Dense", "packed", units=3, dtype="int8_from_float32"))
    with pytest.raises(UnsupportedError, match="'packed' is quantised"):
        read_h5(write_legacy(tmp_path / "a.h5", config, {}))


def test_weights_that_do_not_fit_the_architecture_are_refused(tmp_path: Path) -> None:
    arrays = small_arrays()
    arrays["dense"]["kernel"] = np.zeros((9, 3), np.float32)
    with pytest.raises(
        UnreadableInputError, match=r"'dense' should hold kernel 8×3.*the file has kernel 9×3"
    ):
        read_h5(write_legacy(tmp_path / "a.h5", SMALL, arrays))
    with pytest.raises(UnreadableInputError, match=r"dense/kernel should be 8×3.*9×3"):
        read_keras(write_archive(tmp_path / "a.keras", SMALL, weights_file(arrays, GROUPS)))
    del arrays["dense"]
    with pytest.raises(UnreadableInputError, match="no tensors"):
        read_h5(write_legacy(tmp_path / "b.h5", SMALL, arrays))
    with pytest.raises(UnreadableInputError, match="should hold 2 tensors"):
        read_keras(write_archive(tmp_path / "b.keras", SMALL, weights_file(arrays, GROUPS)))
