"""Recurrent layers over the rows of a picture, and layers applied to each row."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from keras_2_files import save_as_keras_2
from keras_networks import TOLERANCE, check, difference, fill, through_both_formats

from toolkit.errors import UnsupportedError
from toolkit_keras.read_h5 import read_h5
from toolkit_keras.read_keras import read_keras
from toolkit_keras.write_h5 import write_h5
from toolkit_keras.write_keras import write_keras

ROWS = (9, 6)

LAYERS: dict[str, Callable[[Any], list[Any]]] = {
    "lstm": lambda nn: [nn.LSTM(5)],
    "lstm of all steps": lambda nn: [nn.LSTM(5, return_sequences=True), nn.LSTM(4)],
    "lstm backwards": lambda nn: [nn.LSTM(5, go_backwards=True, use_bias=False)],
    "lstm activations": lambda nn: [nn.LSTM(5, activation="relu", recurrent_activation="hard_sigmoid")],
    "lstm dropout": lambda nn: [nn.LSTM(5, dropout=0.2, recurrent_dropout=0.2), nn.Dense(3)],
    "gru": lambda nn: [nn.GRU(5)],
    "gru, reset before": lambda nn: [nn.GRU(5, reset_after=False, return_sequences=True)],
    "gru without bias": lambda nn: [nn.GRU(5, use_bias=False)],
    "simple": lambda nn: [nn.SimpleRNN(5, activation="softsign")],
    "simple without activation": lambda nn: [nn.SimpleRNN(5, activation=None, return_sequences=True)],
    "both directions": lambda nn: [nn.Bidirectional(nn.LSTM(4)), nn.Dense(3)],
    "both directions, all steps": lambda nn: [
        nn.Bidirectional(nn.GRU(4, return_sequences=True)),
        nn.Bidirectional(nn.SimpleRNN(3)),
    ],
    "both directions, summed": lambda nn: [
        nn.Bidirectional(nn.LSTM(4, return_sequences=True), merge_mode="sum")
    ],
    "both directions, averaged": lambda nn: [nn.Bidirectional(nn.GRU(4), merge_mode="ave")],
    "both directions, multiplied": lambda nn: [nn.Bidirectional(nn.GRU(4), merge_mode="mul")],
    "dense for each step": lambda nn: [nn.TimeDistributed(nn.Dense(4, activation="relu"))],
    "normalised for each step": lambda nn: [nn.TimeDistributed(nn.BatchNormalization()), nn.Flatten()],
    "convolution for each step": lambda nn: [
        nn.Reshape((9, 3, 2, 1)),
        nn.TimeDistributed(nn.Conv2D(2, 2, padding="same")),
        nn.TimeDistributed(nn.MaxPooling2D((1, 2))),
        nn.TimeDistributed(nn.Flatten()),
        nn.LSTM(3),
    ],
}


@pytest.mark.parametrize("name", LAYERS)
def test_it_computes_what_keras_computes(keras: Any, name: str, tmp_path: Path) -> None:
    check(keras, keras.Sequential([keras.Input(ROWS), *LAYERS[name](keras.layers)]), tmp_path)


@pytest.mark.parametrize("name", ["lstm dropout", "both directions", "convolution for each step", "gru"])
def test_it_is_written_in_both_formats(keras: Any, name: str, tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input(ROWS), *LAYERS[name](keras.layers)])
    fill(model, 2)
    x = np.random.default_rng(0).normal(size=(2, *ROWS)).astype(np.float32)
    sources = through_both_formats(model, tmp_path) | {
        "Keras 2": read_h5(save_as_keras_2(model, tmp_path / "2.h5"))
    }
    for source, read in sources.items():
        write_h5(read, tmp_path / f"{source}-out.h5")
        write_keras(read, tmp_path / f"{source}-out.keras")
        for suffix in ("h5", "keras"):
            loaded = keras.models.load_model(tmp_path / f"{source}-out.{suffix}", compile=False)
            found, expected = (np.asarray(each(x, training=False)) for each in (loaded, model))
            assert np.abs(found - expected).max() < TOLERANCE, (source, suffix)


def test_a_gru_of_keras_2_resets_before(keras: Any, tmp_path: Path) -> None:
    """Keras 2.0 has no option for it; what Keras 3 no longer knows is dropped."""
    model = keras.Sequential([keras.Input(ROWS), keras.layers.GRU(4, reset_after=False, name="memory")])
    fill(model, 2)
    path = save_as_keras_2(model, tmp_path / "a.h5")
    with h5py.File(path, "a") as file:
        config = json.loads(file.attrs["model_config"])
        settings = config["config"]["layers"][0]["config"]
        del settings["reset_after"]
        settings |= {"implementation": 1, "time_major": False}
        file.attrs["model_config"] = json.dumps(config)
    read = read_h5(path)
    assert difference(model, read) < TOLERANCE
    write_keras(read, tmp_path / "a.keras")
    assert keras.models.load_model(tmp_path / "a.keras", compile=False).layers[0].reset_after is False


REFUSED: dict[str, tuple[Callable[[Any], list[Any]], str]] = {
    "activation": (lambda nn: [nn.LSTM(3, activation="gelu")], "activation 'gelu' in a recurrent layer"),
    "backwards, all steps": (
        lambda nn: [nn.GRU(3, go_backwards=True, return_sequences=True)],
        "go_backwards with return_sequences",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_onnx_cannot_express_is_refused_by_name(keras: Any, name: str, tmp_path: Path) -> None:
    layers, words = REFUSED[name]
    keras.Sequential([keras.Input(ROWS), *layers(keras.layers)]).save(tmp_path / "a.keras")
    with pytest.raises(UnsupportedError, match=words):
        read_keras(tmp_path / "a.keras").build_graph()
