"""Writing `.h5` and `.keras`: Keras loads it, the bytes are the same every time, memory stays small."""

from __future__ import annotations

import hashlib
import json
import time
import tracemalloc
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

import toolkit_keras
from toolkit.declarations import ExportRequest
from toolkit.errors import ProofError, UnreadableInputError, UnsupportedError
from toolkit.graph import Graph
from toolkit.graph.onnx_form import to_onnx
from toolkit.model import Card, Layer, Model
from toolkit.model.correspondence import signature
from toolkit.model.saving import save_written
from toolkit.tensors import ArrayTensors, OverlaidTensors, Tensors, weights_digest
from toolkit.vocabulary import Convention
from toolkit_keras import export as keras_export
from toolkit_keras.read_h5 import read_h5
from toolkit_keras.read_keras import read_keras
from toolkit_keras.write_h5 import ATTRIBUTE_LIMIT, write_h5
from toolkit_keras.write_keras import write_keras

WRITERS: dict[str, tuple[Callable[[Model, Path], None], Callable[[Path], Model]]] = {
    "h5": (write_h5, read_h5),
    "keras": (write_keras, read_keras),
}
CARD = Card(
    name="net", classes=("a", "b", "c"), convention=Convention("transposed"), metrics={"test_accuracy": 0.8}
)


@pytest.fixture(scope="session")
def keras() -> Any:
    """Keras on TensorFlow; imported once, when the first test asks for it."""
    module = pytest.importorskip("keras")
    module.utils.set_random_seed(1)
    return module


def network(keras: Any) -> Any:
    """Branches, a shared layer, a nested model with a frozen layer, dropout, batch statistics."""
    layers = keras.layers
    frozen = layers.Conv2D(4, 3, padding="same", name="frozen")
    frozen.trainable = False
    trunk = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(4, 3, padding="same", name="conv"),
            frozen,
            layers.BatchNormalization(),
        ],
        name="trunk",
    )
    start = keras.Input((8, 8, 1), name="start")
    x = layers.Dropout(0.2, name="drop")(trunk(start))
    y = layers.PReLU(name="slope")(layers.SeparableConv2D(4, 3, padding="same", name="separable")(x))
    x = layers.Flatten(name="flat")(layers.Add(name="add")([x, y]))
    dense = layers.Dense(6, activation="relu", name="dense")
    again = dense(layers.Dense(256, name="wide")(dense(x)))
    return keras.Model(start, layers.Dense(3, activation="softmax", name="head")(again), name="network")


def shaken(model: Any, seed: int = 0) -> Any:
    """The same network with statistics and weights that no initializer gives."""
    random = np.random.default_rng(seed)
    for variable in model.weights:
        values = random.normal(0, 0.4, variable.shape)
        variable.assign(np.abs(values) + 0.3 if "variance" in variable.name else values)
    return model


@pytest.fixture
def trained(keras: Any, tmp_path: Path) -> Path:
    """A compiled network with optimizer state, as a training leaves it."""
    model = shaken(network(keras))
    model.compile("adam", "sparse_categorical_crossentropy")
    model.optimizer.build(model.trainable_variables)
    model.save(tmp_path / "trained.keras")
    return tmp_path / "trained.keras"


@pytest.mark.parametrize("suffix", WRITERS)
@pytest.mark.parametrize("source", ["h5", "keras"])
def test_keras_loads_what_is_written(keras: Any, source: str, suffix: str, tmp_path: Path) -> None:
    model = shaken(network(keras))
    model.save(tmp_path / f"source.{source}")
    read = WRITERS[source][1](tmp_path / f"source.{source}")
    write, read_back = WRITERS[suffix]
    target = tmp_path / f"written.{suffix}"
    write(read.with_card(CARD), target)
    loaded = keras.models.load_model(target)
    x = np.random.default_rng(1).normal(size=(3, 8, 8, 1)).astype(np.float32)
    assert np.array_equal(np.asarray(loaded(x, training=False)), np.asarray(model(x, training=False)))
    assert [layer.trainable for layer in loaded.layers] == [layer.trainable for layer in model.layers]
    assert not loaded.compiled
    written = read_back(target)
    assert written.card == CARD
    assert weights_digest(written.tensors) == weights_digest(read.tensors)
    assert written.layers == read.layers
    assert signature(written) == signature(read)
    assert written.dropped == ()


@pytest.mark.parametrize("suffix", WRITERS)
@pytest.mark.parametrize("source", ["h5", "keras"])
def test_keras_loads_sums_written_as_functions(keras: Any, source: str, suffix: str, tmp_path: Path) -> None:
    start = keras.Input((8, 8, 1))
    x = keras.layers.Conv2D(4, 3, padding="same")(start)
    x = x + keras.layers.Conv2D(4, 3, padding="same")(x)
    model = shaken(keras.Model(start, keras.layers.Dense(3)(keras.layers.Flatten()(x))))
    model.save(tmp_path / f"source.{source}")  # of which Keras 3.15 cannot load the .h5
    write = WRITERS[suffix][0]
    write(WRITERS[source][1](tmp_path / f"source.{source}"), tmp_path / f"written.{suffix}")
    loaded = keras.models.load_model(tmp_path / f"written.{suffix}")
    x = np.random.default_rng(1).normal(size=(3, 8, 8, 1)).astype(np.float32)
    assert np.array_equal(np.asarray(loaded(x)), np.asarray(model(x)))


@pytest.mark.parametrize("suffix", WRITERS)
def test_the_same_model_gives_the_same_bytes(trained: Path, suffix: str, tmp_path: Path) -> None:
    model = read_keras(trained).with_card(CARD)
    digests = set()
    for index in range(2):
        target = tmp_path / f"{index}.{suffix}"
        WRITERS[suffix][0](model, target)
        digests.add(hashlib.sha256(target.read_bytes()).hexdigest())
        if index == 0:
            time.sleep(1.1)  # a clock of seconds moves on
    again = tmp_path / f"again.{suffix}"
    WRITERS[suffix][0](WRITERS[suffix][1](tmp_path / f"0.{suffix}"), again)
    digests.add(hashlib.sha256(again.read_bytes()).hexdigest())
    assert len(digests) == 1


def test_optimizer_and_training_configuration_are_left_out(trained: Path, tmp_path: Path) -> None:
    model = read_keras(trained)
    assert model.dropped == ("the optimizer's state", "the training configuration")
    write_keras(model, tmp_path / "a.keras")
    write_h5(model, tmp_path / "a.h5")
    with zipfile.ZipFile(tmp_path / "a.keras") as archive:
        assert archive.namelist() == ["metadata.json", "config.json", "model.weights.h5"]
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
        assert "compile_config" not in json.loads(archive.read("config.json"))
    with h5py.File(tmp_path / "a.h5") as file:
        assert set(file) == {"model_weights"}
        assert "training_config" not in file.attrs


def test_the_configuration_is_that_of_the_base(trained: Path, tmp_path: Path) -> None:
    model = read_keras(trained)
    for suffix, (write, read) in WRITERS.items():
        write(model, tmp_path / f"a.{suffix}")
        assert read(tmp_path / f"a.{suffix}").description == model.description


def test_merged_tensors_are_written_under_the_base_configuration(
    keras: Any, trained: Path, tmp_path: Path
) -> None:
    base = read_keras(trained)
    changed = {name: base.tensors.read(name) * 2 for name in base.tensors if "head" in name}
    write_h5(base.with_tensors(OverlaidTensors(base.tensors, changed)), tmp_path / "a.h5")
    loaded = keras.models.load_model(tmp_path / "a.h5")
    assert np.array_equal(loaded.get_layer("head").get_weights()[0], changed["head/kernel"])


@pytest.mark.parametrize("suffix", WRITERS)
def test_an_older_dialect_is_written_so_that_todays_keras_loads_it(
    keras: Any, shared: Path, suffix: str, tmp_path: Path
) -> None:
    """Keras 3 refuses the original: a Sequential of tf.keras 2.2 without InputLayer."""
    model = read_h5(shared / "models" / "khanhtran2000-letters.h5")
    target = tmp_path / f"a.{suffix}"
    WRITERS[suffix][0](model, target)
    loaded = keras.models.load_model(target)
    x = np.random.default_rng(0).random((3, 28, 28, 1), dtype=np.float32)
    graph = model.build_graph()
    session = onnxruntime.InferenceSession(
        to_onnx(graph, model.tensors).SerializeToString(), providers=["CPUExecutionProvider"]
    )
    (result,) = session.run(None, {graph.input: x})
    assert np.abs(np.asarray(loaded(x, training=False)) - result).max() < 1e-5


def test_long_lists_of_names_are_split_as_keras_splits_them(keras: Any, tmp_path: Path) -> None:
    layers = keras.layers
    name = "a_layer_with_a_name_of_some_length_" * 25
    row = [layers.ReLU(name=f"{name}{index}") for index in range(76)]
    model = keras.Sequential([keras.Input((4,)), *row, layers.Dense(2)])
    model.save(tmp_path / "source.keras")
    write_h5(read_keras(tmp_path / "source.keras"), tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5") as file:
        attributes = dict(file["model_weights"].attrs)
    assert "layer_names" not in attributes
    assert max(np.asarray(value).astype("S").nbytes for value in attributes.values()) <= ATTRIBUTE_LIMIT
    x = np.random.default_rng(0).random((2, 4), dtype=np.float32)
    assert np.array_equal(np.asarray(keras.models.load_model(tmp_path / "a.h5")(x)), np.asarray(model(x)))
    assert len(read_h5(tmp_path / "a.h5").layers) == 78


class CountedTensors(Tensors):
    """Large tensors that exist one at a time, when they are read."""

    def __init__(self, below: Tensors) -> None:
        self._below = below
        self.read_names: list[str] = []

    @property
    def specs(self) -> Any:
        return self._below.specs

    def read(self, name: str) -> NDArray[Any]:
        self.read_names.append(name)
        return np.zeros(self.specs[name].shape, np.float32)


@pytest.mark.parametrize("suffix", WRITERS)
def test_one_tensor_is_in_memory_at_a_time(suffix: str, tmp_path: Path) -> None:
    size, count = 1024, 12
    entries: list[dict[str, Any]] = [
        {"class_name": "InputLayer", "config": {"name": "start", "batch_shape": [None, size]}}
    ]
    specs = {}
    for index in range(count):
        entries.append(
            {"class_name": "Dense", "config": {"name": f"d{index}", "units": size, "use_bias": False}}
        )
        specs[f"d{index}/kernel"] = np.broadcast_to(np.float32(0), (size, size))
    model = in_memory(entries, specs)
    tensors = CountedTensors(model.tensors)
    tracemalloc.start()
    WRITERS[suffix][0](model.with_tensors(tensors), tmp_path / f"a.{suffix}")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    largest = size * size * 4
    assert (tmp_path / f"a.{suffix}").stat().st_size > count * largest
    assert peak < 3 * largest
    assert sorted(tensors.read_names) == sorted(specs)


def in_memory(entries: list[dict[str, Any]], arrays: dict[str, NDArray[Any]]) -> Model:
    """A model of arrays, wired by a Sequential's configuration."""
    from toolkit.tensors import TensorRole

    tensors = ArrayTensors({name: (array, TensorRole.KERNEL) for name, array in arrays.items()})
    description = {"class_name": "Sequential", "config": {"name": "net", "layers": entries}}
    layers = tuple(
        Layer(
            entry["config"]["name"],
            entry["class_name"],
            tuple(
                spec for spec in tensors.specs.values() if spec.name.startswith(entry["config"]["name"] + "/")
            ),
        )
        for entry in entries
    )

    def no_graph() -> Graph:
        pytest.fail("no graph is needed to write")

    return Model(tensors, Card(), no_graph, (4,), (4,), "keras", description, layers)


START = {"class_name": "InputLayer", "config": {"name": "start", "batch_shape": [None, 4]}}
DENSE: dict[str, Any] = {"class_name": "Dense", "config": {"name": "d", "units": 4, "use_bias": False}}


@pytest.mark.parametrize("suffix", WRITERS)
def test_tensors_of_another_network_are_refused(suffix: str, tmp_path: Path) -> None:
    write = WRITERS[suffix][0]
    target = tmp_path / f"a.{suffix}"
    with pytest.raises(UnreadableInputError, match=r"d/kernel should be \(4, 4\), received \(5, 4\)"):
        write(in_memory([START, DENSE], {"d/kernel": np.zeros((5, 4), np.float32)}), target)
    with pytest.raises(UnreadableInputError, match="no tensor d/kernel"):
        write(in_memory([START, DENSE], {}), target)
    arrays = {"d/kernel": np.zeros((4, 4), np.float32), "e/kernel": np.zeros(1, np.float32)}
    with pytest.raises(UnreadableInputError, match="e/kernel belongs to no layer"):
        write(in_memory([START, DENSE], arrays), target)
    assert not target.exists()


@pytest.mark.parametrize("suffix", WRITERS)
def test_a_model_that_is_no_keras_model_is_refused(suffix: str, tmp_path: Path) -> None:
    model = in_memory([START, DENSE], {"d/kernel": np.zeros((4, 4), np.float32)})
    foreign = replace(model, dialect="onnx", card=Card(name="foreign"))
    with pytest.raises(UnsupportedError, match="foreign is an ONNX model"):
        WRITERS[suffix][0](foreign, tmp_path / f"a.{suffix}")


@pytest.mark.parametrize("suffix", WRITERS)
def test_a_function_that_keras_3_has_no_word_for_is_refused(suffix: str, tmp_path: Path) -> None:
    dense = {"class_name": "Dense", "config": {**DENSE["config"], "activation": "hard_sigmoid_of_keras_2"}}
    model = in_memory([START, dense], {"d/kernel": np.zeros((4, 4), np.float32)})
    with pytest.raises(UnsupportedError, match="Keras 2's hard_sigmoid"):
        WRITERS[suffix][0](model, tmp_path / f"a.{suffix}")


def test_layers_of_an_unknown_kind_stay_in_their_format(keras: Any, tmp_path: Path) -> None:
    layers = keras.layers
    mixed = layers.EinsumDense("abc,cd->abd", output_shape=(6, 5), bias_axes="d", name="mixed")
    model = keras.Sequential([keras.Input((6, 4)), mixed, layers.Dense(2)])
    x = np.random.default_rng(0).random((2, 6, 4), dtype=np.float32)
    for suffix, other in (("h5", "keras"), ("keras", "h5")):
        model.save(tmp_path / f"source.{suffix}")
        read = WRITERS[suffix][1](tmp_path / f"source.{suffix}")
        WRITERS[suffix][0](read, tmp_path / f"same.{suffix}")
        loaded = keras.models.load_model(tmp_path / f"same.{suffix}")
        assert np.array_equal(np.asarray(loaded(x)), np.asarray(model(x)))
        with pytest.raises(UnsupportedError, match="'mixed' is of class EinsumDense"):
            WRITERS[other][0](read, tmp_path / f"other.{other}")


def test_states_of_random_generators_are_copied_where_there_is_a_place_for_them(
    trained: Path, tmp_path: Path
) -> None:
    with zipfile.ZipFile(trained) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    (tmp_path / "w.h5").write_bytes(members["model.weights.h5"])
    with h5py.File(tmp_path / "w.h5", "a") as file:
        file["layers/dropout/seed_generator/vars/0"] = np.array([4, 2], np.uint32)
    with zipfile.ZipFile(trained, "w") as archive:
        for name, content in members.items():
            archive.writestr(
                name, (tmp_path / "w.h5").read_bytes() if name == "model.weights.h5" else content
            )
    model = read_keras(trained)
    write_keras(model, tmp_path / "a.keras")
    assert read_keras(tmp_path / "a.keras").tensors.read("drop/seed_generator_state").tolist() == [4, 2]
    write_h5(model, tmp_path / "a.h5")
    assert weights_digest(read_h5(tmp_path / "a.h5").tensors) == weights_digest(model.tensors)


def test_nothing_that_stands_there_is_overwritten(trained: Path, tmp_path: Path) -> None:
    model = read_keras(trained)
    for suffix, (write, _) in WRITERS.items():
        target = tmp_path / f"mine.{suffix}"
        target.write_text("mine")
        with pytest.raises(FileExistsError):
            write(model, target)
        assert target.read_text() == "mine"


def test_writing_leaves_no_scratch_file(trained: Path, tmp_path: Path) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    write_keras(read_keras(trained), folder / "a.keras")
    assert [path.name for path in folder.iterdir()] == ["a.keras"]


# --- exporters -----------------------------------------------------------------------------


def exporter(name: str) -> Any:
    return next(found for found in toolkit_keras.toolkit_exporters() if found.name == name)


@pytest.mark.parametrize("name", ["h5", "keras"])
def test_an_export_states_the_digest_to_read_back(name: str, trained: Path, tmp_path: Path) -> None:
    model = read_keras(trained)
    result = exporter(name).export(ExportRequest(model, tmp_path / f"out.{name}"))
    assert result.path == tmp_path / f"out.{name}"
    assert result.facts["weights_digest"] == weights_digest(model.tensors)
    assert result.facts["parameters"] == model.parameters


def test_an_export_that_is_not_what_its_source_is_fails(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = read_keras(trained)

    def careless(source: Model, path: Path) -> None:
        bias = source.tensors.read("head/bias") + 1
        write_h5(source.with_tensors(OverlaidTensors(source.tensors, {"head/bias": bias})), path)

    def write(staging: Path) -> str:
        return str(exporter("h5").export(ExportRequest(model, staging)).facts["weights_digest"])

    monkeypatch.setitem(keras_export._WRITERS, "h5", careless)
    with pytest.raises(ProofError, match="weights read back differently"):
        save_written(tmp_path / "out.h5", Card(), write=write, read=read_h5)
    assert not (tmp_path / "out.h5").exists()


def test_the_formats_are_declared_with_their_suffixes() -> None:
    formats = {form.name: form for form in toolkit_keras.toolkit_model_formats()}
    assert formats["h5"].suffixes == (".h5", ".hdf5")
    assert formats["keras"].suffixes == (".keras",)
    assert all(form.write is not None for form in formats.values())
