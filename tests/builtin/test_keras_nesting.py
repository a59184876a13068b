"""Nested models, saved by Keras 2 and 3: exported to both formats, today's Keras loads them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from keras_2_files import save_as_keras_2
from keras_files import read_any, run
from keras_networks import TOLERANCE, fill

from toolkit.declarations import ExportRequest
from toolkit.errors import ProofError
from toolkit.model import Model
from toolkit.operations.toolkit import Toolkit
from toolkit.tensors import OverlaidTensors
from toolkit.training.keras_bridge import load_written
from toolkit_keras import KerasOptions
from toolkit_keras import export as keras_export
from toolkit_keras.write_h5 import write_h5
from toolkit_keras.write_keras import write_keras

WRITERS = {"h5": write_h5, "keras": write_keras}
IMAGE = (8, 8, 1)


def trunk(keras: Any, name: str, *, dense: bool = True) -> Any:
    """A small Functional model with a branch, as MobileNet is a large one."""
    layers = keras.layers
    start = keras.Input(IMAGE, name=f"{name}_start")
    x = layers.Conv2D(4, 3, padding="same", use_bias=False, name=f"{name}_conv")(start)
    x = layers.BatchNormalization(name=f"{name}_norm")(x)
    y = layers.DepthwiseConv2D(3, padding="same", name=f"{name}_depth")(
        layers.ReLU(6.0, name=f"{name}_relu")(x)
    )
    x = layers.Add(name=f"{name}_add")([x, y])
    return keras.Model(start, layers.Conv2D(1, 1, name=f"{name}_last")(x) if dense else x, name=name)


def teachable_machine(keras: Any) -> Any:
    """A Sequential of Sequentials, the first of which begins with a Functional model."""
    layers = keras.layers
    features = keras.Sequential(
        [trunk(keras, "model1", dense=False), layers.GlobalAveragePooling2D(name="pool")], name="sequential_1"
    )
    head = keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(5, activation="relu", name="hidden"),
            layers.Dense(3, use_bias=False, activation="softmax", name="head"),
        ],
        name="sequential_3",
    )
    return keras.Sequential([features, head], name="sequential_4")


def functional_in_functional(keras: Any) -> Any:
    layers = keras.layers
    start = keras.Input(IMAGE, name="image")
    x = layers.Rescaling(2.0, name="scale")(start)
    x = trunk(keras, "base")(x)
    return keras.Model(start, layers.Dense(3, name="head")(layers.Flatten(name="flat")(x)), name="outer")


def three_deep(keras: Any) -> Any:
    layers = keras.layers
    start = keras.Input(IMAGE, name="middle_start")
    middle = keras.Model(start, layers.ReLU(name="middle_relu")(trunk(keras, "core")(start)), name="middle")
    outer = keras.Input(IMAGE, name="image")
    x = layers.Flatten(name="flat")(middle(outer))
    return keras.Model(outer, layers.Dense(3, name="head")(x), name="outer")


def called_twice(keras: Any) -> Any:
    layers = keras.layers
    base = trunk(keras, "base")
    start = keras.Input(IMAGE, name="image")
    once = base(start)
    x = layers.Concatenate(name="both")([once, base(layers.ReLU(name="relu")(once))])
    return keras.Model(start, layers.Dense(3, name="head")(layers.Flatten(name="flat")(x)), name="outer")


def shared_between_models(keras: Any) -> Any:
    """One Sequential called twice in a nested model that is called twice itself."""
    layers = keras.layers
    core = keras.Sequential(
        [keras.Input(IMAGE), layers.Conv2D(1, 3, padding="same", name="conv"), layers.ReLU(name="relu")],
        name="core",
    )
    start = keras.Input(IMAGE, name="middle_start")
    middle = keras.Model(start, layers.Add(name="add")([core(start), core(core(start))]), name="middle")
    outer = keras.Input(IMAGE, name="image")
    x = layers.Subtract(name="less")([middle(outer), middle(middle(outer))])
    return keras.Model(outer, layers.Dense(3, name="head")(layers.Flatten(name="flat")(x)), name="outer")


def nested_output(keras: Any) -> Any:
    layers = keras.layers
    middle = keras.Input((4,), name="middle")
    head = keras.Model(middle, layers.Dense(3, activation="softmax", name="dense")(middle), name="head")
    start = keras.Input(IMAGE, name="image")
    x = layers.Dense(4, name="hidden")(layers.Flatten(name="flat")(start))
    return keras.Model(start, head(x), name="outer")


def sequential_output(keras: Any) -> Any:
    layers = keras.layers
    head = keras.Sequential([keras.Input((4,)), layers.Dense(3, name="dense")], name="head")
    start = keras.Input(IMAGE, name="image")
    x = layers.Dense(4, name="hidden")(layers.Flatten(name="flat")(start))
    return keras.Model(start, head(x), name="outer")


def alone_in_sequential(keras: Any) -> Any:
    layers = keras.layers
    start = keras.Input(IMAGE, name="image")
    x = layers.Dense(3, name="head")(layers.Flatten(name="flat")(trunk(keras, "base")(start)))
    return keras.Sequential([keras.Input(IMAGE), keras.Model(start, x, name="inner")], name="outer")


def frozen_base(keras: Any) -> Any:
    layers = keras.layers
    base = trunk(keras, "base")
    base.trainable = False
    return keras.Sequential([base, layers.Flatten(name="flat"), layers.Dense(3, name="head")], name="outer")


NESTINGS = [
    *(teachable_machine, functional_in_functional, three_deep, called_twice, shared_between_models),
    *(nested_output, sequential_output, alone_in_sequential, frozen_base),
]


def _save(model: Any, dialect: str, folder: Path) -> Path:
    path = folder / ("source.keras" if dialect == "keras" else "source.h5")
    if dialect == "Keras 2":
        return save_as_keras_2(model, path)
    model.save(path)
    return path


@pytest.mark.parametrize("dialect", ["Keras 2", "h5", "keras"])
@pytest.mark.parametrize("build", NESTINGS, ids=lambda build: build.__name__)
def test_keras_loads_every_nesting(
    keras: Any, build: Callable[[Any], Any], dialect: str, tmp_path: Path
) -> None:
    model = build(keras)
    fill(model, 3)
    read = read_any(_save(model, dialect, tmp_path))
    x = np.random.default_rng(0).normal(size=(3, *IMAGE)).astype(np.float32)
    expected = np.asarray(model(x, training=False))
    size = max(1.0, float(np.abs(expected).max()))
    assert np.abs(run(read, x) - expected).max() / size < TOLERANCE
    for suffix, write in WRITERS.items():
        write(read, tmp_path / f"written.{suffix}")
        loaded = keras.models.load_model(tmp_path / f"written.{suffix}", compile=False)
        assert np.abs(np.asarray(loaded(x, training=False)) - expected).max() / size < TOLERANCE, suffix
        assert read_any(tmp_path / f"written.{suffix}").layers == read.layers


# --- the exporter checks it ----------------------------------------------------------------


@pytest.mark.parametrize("to", WRITERS)
def test_an_export_is_loaded_in_keras(keras: Any, to: str, tmp_path: Path) -> None:
    model = teachable_machine(keras)
    fill(model, 3)
    source = save_as_keras_2(model, tmp_path / "source.h5")
    done = Toolkit().export(model=source, to=to, out=tmp_path / f"written.{to}")
    assert f"Keras {keras.__version__} loads it, same outputs within" in done.verified
    assert done.facts["largest_difference_to_keras"] < TOLERANCE


def _request(model: Model, path: Path, *, check: bool = True) -> ExportRequest:
    return ExportRequest(
        model, path, KerasOptions(check), load_keras=lambda written: load_written(model, written)
    )


def test_an_export_that_keras_reads_otherwise_is_refused(
    keras: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = functional_in_functional(keras)
    fill(source, 3)
    source.save(tmp_path / "source.keras")
    model = read_any(tmp_path / "source.keras")

    def careless(written: Model, path: Path) -> None:
        head = written.tensors.read("head/bias") + 1
        write_h5(written.with_tensors(OverlaidTensors(written.tensors, {"head/bias": head})), path)

    monkeypatch.setitem(keras_export._WRITERS, "h5", careless)
    with pytest.raises(ProofError, match="computes outputs that differ by 1"):
        keras_export.export("h5", _request(model, tmp_path / "a.h5"))
    unchecked = keras_export.export("h5", _request(model, tmp_path / "b.h5", check=False))
    assert unchecked.verified == "read back, same weights"


def test_an_export_that_keras_cannot_load_is_refused(
    keras: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    functional_in_functional(keras).save(tmp_path / "source.keras")
    model = read_any(tmp_path / "source.keras")
    monkeypatch.setitem(keras_export._WRITERS, "h5", lambda _, path: path.write_bytes(b""))
    with pytest.raises(ProofError, match="cannot load what was written from it"):
        keras_export.export("h5", _request(model, tmp_path / "a.h5"))


def test_without_keras_an_export_is_read_back_only(
    keras: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    functional_in_functional(keras).save(tmp_path / "source.keras")
    model = read_any(tmp_path / "source.keras")
    monkeypatch.setattr(keras_export, "find_spec", lambda _: None)
    done = keras_export.export("h5", _request(model, tmp_path / "a.h5"))
    assert done.verified == "read back, same weights"
