from __future__ import annotations

import copy
import dataclasses
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from toolkit.declarations import BuildRequest
from toolkit.errors import UnsupportedError
from toolkit.model import Model
from toolkit.tensors import ArrayTensors, TensorRole
from toolkit.training.keras_bridge import keras_from_model, named_weights, save_keras

pytestmark = pytest.mark.train


@pytest.fixture
def model(tiny: ModuleType, tmp_path: Path) -> Model:
    save_keras(tiny.build(BuildRequest(classes=4, seed=5)), tmp_path / "tiny.h5")
    return tiny.read(tmp_path / "tiny.h5")  # type: ignore[no-any-return]


def _described(model: Model, change: Any) -> Model:
    description = copy.deepcopy(dict(model.description))
    change(description)
    return dataclasses.replace(model, description=description)


def test_a_model_becomes_the_network_that_it_was(tiny: ModuleType, model: Model) -> None:
    network = keras_from_model(model)
    original = tiny.build(BuildRequest(classes=4, seed=5))
    original.set_weights(network.get_weights())
    images = tiny.strokes(9, 0).images[..., None] / 255.0
    assert np.asarray(network(images)) == pytest.approx(np.asarray(original(images)), abs=1e-6)
    for name, weight in named_weights(network):
        assert (weight.numpy() == model.tensors.read(name)).all()


def test_names_of_a_nested_networks_weights_begin_with_its_name() -> None:
    import keras
    from keras import layers

    inner = keras.Sequential([keras.Input((4,)), layers.Dense(3, name="dense")], name="inner")
    outer = keras.Sequential([keras.Input((4,)), inner, layers.Dense(2, name="last")], name="outer")
    names = [name for name, _ in named_weights(outer)]
    assert names == ["inner/dense/kernel", "inner/dense/bias", "last/kernel", "last/bias"]


def test_both_directions_of_a_layer_have_names_of_their_own(tmp_path: Path) -> None:
    import keras

    from toolkit_keras.read_keras import read_keras

    network = keras.Sequential([keras.Input((4, 3)), keras.layers.Bidirectional(keras.layers.LSTM(2))])
    network.save(tmp_path / "a.keras")
    model = read_keras(tmp_path / "a.keras")
    assert {name for name, _ in named_weights(network)} == {*model.tensors}
    x = np.random.default_rng(0).normal(size=(2, 4, 3))
    assert np.array_equal(np.asarray(keras_from_model(model)(x)), np.asarray(network(x)))


@pytest.mark.parametrize(
    ("class_name", "module", "told"),
    [
        ("Lambda", "keras.layers", "Lambda"),
        ("Dense", "evil.layers", r"evil\.layers\.Dense"),
        ("Mine", None, "Mine"),
    ],
)
def test_what_could_run_code_is_refused_by_name(
    model: Model, class_name: str, module: str | None, told: str
) -> None:
    def change(description: dict[str, Any]) -> None:
        description["config"]["layers"][3] |= {"class_name": class_name, "module": module}

    with pytest.raises(UnsupportedError, match=rf"tiny\.h5 has a {told}, .*supported layers: .*Dense"):
        keras_from_model(_described(model, change))


def test_a_description_that_keras_refuses_is_an_expected_failure(model: Model) -> None:
    def change(description: dict[str, Any]) -> None:
        description["config"]["layers"][1]["config"]["filters"] = "many"

    with pytest.raises(UnsupportedError, match=r"tiny\.h5: Keras .* refuses its description"):
        keras_from_model(_described(model, change))


def test_tensors_that_do_not_fit_are_named(model: Model) -> None:
    arrays = {name: (model.tensors.read(name), TensorRole.OTHER) for name in model.tensors}
    arrays["conv/kernel"] = (np.zeros((5, 5, 1, 7), dtype=np.float32), TensorRole.KERNEL)
    with pytest.raises(UnsupportedError, match=r"conv/kernel has shape \(5, 5, 1, 7\)"):
        keras_from_model(dataclasses.replace(model, tensors=ArrayTensors(arrays)))
    del arrays["norm/gamma"]
    with pytest.raises(UnsupportedError, match="do not match: norm/gamma"):
        keras_from_model(dataclasses.replace(model, tensors=ArrayTensors(arrays)))


def test_only_keras_models_are_built(model: Model) -> None:
    with pytest.raises(UnsupportedError, match=r"fine-tune an \.h5 or \.keras model"):
        keras_from_model(dataclasses.replace(model, dialect="onnx"))


def test_tensorflow_starts_and_saves_without_a_word(tmp_path: Path) -> None:
    program = """
import sys
from pathlib import Path
from toolkit.training.framework import load_tensorflow
assert "tensorflow" not in sys.modules
load_tensorflow()
import keras
from toolkit.training.keras_bridge import save_keras
save_keras(keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]), Path(sys.argv[1]))
"""
    arguments = [sys.executable, "-c", program, str(tmp_path / "m.h5")]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (tmp_path / "m.h5").is_file()


FULL_DISK = """
import resource, sys
from pathlib import Path
import keras
from toolkit.errors import StorageError
from toolkit.store import publish
from toolkit.training.keras_bridge import save_keras
network = keras.Sequential([keras.Input((9,)), *(keras.layers.Dense(40) for _ in range(8))])
for limit in (0, 2_000, 20_000, 60_000):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        with publish(Path(sys.argv[1])) as staging:
            save_keras(network, staging)
    except StorageError as error:
        print(limit, error.message)
"""


def test_a_full_disk_is_said_in_one_line_and_leaves_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "model.h5"
    target.write_bytes(b"the old one")
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(target)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        f"{limit} {target} was not written: File too large" for limit in (0, 2_000, 20_000, 60_000)
    ]
    assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["model.h5"]
    assert target.read_bytes() == b"the old one"
