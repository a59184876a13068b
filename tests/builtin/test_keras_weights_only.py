"""Files with weights only, together with an architecture: named, beside the file, or in its card."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from keras_files import GROUPS, SMALL, layer, sequential, small_arrays, weights_file, write_legacy

from toolkit.errors import (
    ConfigurationError,
    LimitReachedError,
    MissingInputError,
    UnreadableInputError,
    UnsupportedError,
    WeightsOnlyError,
)
from toolkit.model import Card
from toolkit.model.card_file import write_card
from toolkit.operations.open_model import open_model
from toolkit.operations.toolkit import Toolkit
from toolkit.tensors import weights_digest


@pytest.fixture
def toolkit(tmp_path: Path) -> Toolkit:
    return Toolkit(tmp_path)


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    (tmp_path / "elsewhere").mkdir()
    return write_legacy(tmp_path / "elsewhere" / "whole.h5", SMALL, small_arrays())


def legacy_weights(path: Path, arrays: Any = None, **names: str) -> Path:
    """What ``save_weights`` of Keras 2 writes; ``names`` are those of layers in the file."""
    with h5py.File(path, "w") as file:
        arrays = small_arrays() if arrays is None else arrays
        file.attrs["layer_names"] = [names.get(owner, owner).encode() for owner in ("flat", *arrays)]
        file.attrs["backend"] = "tensorflow"
        file.create_group(names.get("flat", "flat")).attrs["weight_names"] = np.empty(0)
        for owner, weights in arrays.items():
            group = file.create_group(names.get(owner, owner))
            group.attrs["weight_names"] = [f"{owner}/{weight}:0".encode() for weight in weights]
            for weight, array in weights.items():
                group[f"{owner}/{weight}:0"] = array
    return path


def numbered_weights(path: Path, root: str = "layers") -> Path:
    """What ``save_weights`` of Keras 3, or of 2.13 with another root, writes."""
    content = weights_file(small_arrays(), GROUPS)
    if root != "layers":
        with h5py.File(io.BytesIO(content), "r") as source, h5py.File(path, "w") as file:
            source.copy("layers", file, root)
        return path
    path.write_bytes(content)
    return path


KINDS = {
    "legacy": lambda folder: legacy_weights(folder / "a.h5"),
    "legacy, other names": lambda folder: legacy_weights(folder / "a.h5", conv="conv2d_7", dense="dense_9"),
    "numbered": lambda folder: numbered_weights(folder / "a.weights.h5"),
    "numbered by 2.13": lambda folder: numbered_weights(
        folder / "a.weights.h5", "_layer_checkpoint_dependencies"
    ),
}


@pytest.fixture(params=KINDS)
def weights(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path: Path = KINDS[request.param](tmp_path)
    return path


def test_the_weights_are_those_of_the_whole_model(weights: Path, whole: Path, toolkit: Toolkit) -> None:
    model = open_model(toolkit, weights, str(whole))
    assert weights_digest(model.tensors) == weights_digest(open_model(toolkit, whole).tensors)
    assert model.path == weights
    assert model.build_graph().output_shape == (3,)


def test_without_an_architecture_one_line_says_how_to_name_it(weights: Path, toolkit: Toolkit) -> None:
    with pytest.raises(WeightsOnlyError, match=r"weights only.*--arch.*as a(\.weights)?\.json") as caught:
        open_model(toolkit, weights)
    assert "\n" not in str(caught.value)


BESIDE = ("a.json", "a.config.json", "model.json", "config.json", "architecture.json")


@pytest.mark.parametrize("name", BESIDE)
def test_the_json_beside_the_file_is_found(name: str, weights: Path, toolkit: Toolkit, whole: Path) -> None:
    (weights.parent / name).write_text(json.dumps(SMALL | {"keras_version": "2.4.0"}))
    model = open_model(toolkit, weights)
    assert weights_digest(model.tensors) == weights_digest(open_model(toolkit, whole).tensors)
    assert model.card.architecture == name


def test_a_text_of_json_in_json_is_an_architecture_too(weights: Path, toolkit: Toolkit) -> None:
    (weights.parent / "elsewhere.json").write_text(json.dumps(json.dumps(SMALL)))
    assert open_model(toolkit, weights, str(weights.parent / "elsewhere.json")).classes == 3


def test_a_json_file_beside_it_that_is_something_else_is_skipped(weights: Path, toolkit: Toolkit) -> None:
    (weights.parent / "a.json").write_text('{"loss": [1.0, 0.5]}')
    with pytest.raises(WeightsOnlyError):
        open_model(toolkit, weights)


def test_of_the_folders_json_files_the_one_that_fits_is_used(weights: Path, toolkit: Toolkit) -> None:
    wide = sequential(*SMALL["config"]["layers"][:-1], layer("Dense", "dense", units=7))
    (weights.parent / "model.json").write_text(json.dumps(wide))
    (weights.parent / "config.json").write_text(json.dumps(SMALL))
    assert open_model(toolkit, weights).classes == 3
    (weights.parent / "architecture.json").write_text(json.dumps(SMALL))
    with pytest.raises(WeightsOnlyError, match="2 JSON files in its folder fit"):
        open_model(toolkit, weights)


def test_a_wrong_architecture_is_told_by_layer_and_shape(weights: Path, toolkit: Toolkit) -> None:
    wide = sequential(*SMALL["config"]["layers"][:-1], layer("Dense", "dense", units=7))
    (weights.parent / "a.json").write_text(json.dumps(wide))
    with pytest.raises(UnreadableInputError, match=r"dense.*8×7.*8×3"):
        open_model(toolkit, weights)
    fewer = sequential(*SMALL["config"]["layers"][:-1])
    (weights.parent / "a.json").write_text(json.dumps(fewer))
    with pytest.raises(UnreadableInputError, match=r"1 layers with weights|no layer for (layers/dense|_)"):
        open_model(toolkit, weights)


def test_an_architecture_with_code_is_refused_by_name(weights: Path, toolkit: Toolkit) -> None:
    code = sequential(
        SMALL["config"]["layers"][0], layer("Lambda", "code", function=["4wEAAA==", None, None])
    )
    (weights.parent / "a.json").write_text(json.dumps(code))
    with pytest.raises(UnsupportedError, match="'code' is a Lambda"):
        open_model(toolkit, weights)


def test_a_name_that_is_nothing_lists_the_architectures(weights: Path, toolkit: Toolkit) -> None:
    with pytest.raises(MissingInputError, match=r"neither an architecture nor a file.*compact-cnn"):
        open_model(toolkit, weights, "compact-cn")


def test_weights_are_no_architecture_of_other_weights(weights: Path, toolkit: Toolkit) -> None:
    with pytest.raises(UnreadableInputError, match="cannot be the architecture of another file"):
        open_model(toolkit, weights, str(weights))


def test_the_card_says_which_architecture(weights: Path, toolkit: Toolkit, whole: Path) -> None:
    (weights.parent / "net.h5").write_bytes(whole.read_bytes())
    write_card(weights, Card(architecture="net.h5"))
    assert open_model(toolkit, weights).classes == 3


def test_kernels_of_the_theano_backend_are_turned(tmp_path: Path, toolkit: Toolkit, whole: Path) -> None:
    turned = small_arrays()
    turned["conv"]["kernel"] = turned["conv"]["kernel"][::-1, ::-1]
    path = legacy_weights(tmp_path / "a.h5", turned)
    with h5py.File(path, "a") as file:
        file.attrs["backend"] = "theano"
    model = open_model(toolkit, path, str(whole))
    assert weights_digest(model.tensors) == weights_digest(open_model(toolkit, whole).tensors)


def test_a_file_without_layers_is_no_model(tmp_path: Path, toolkit: Toolkit) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["data"] = np.zeros(3)
    with pytest.raises(UnreadableInputError, match="no Keras model"):
        open_model(toolkit, tmp_path / "a.h5")


def test_weights_of_a_custom_class_are_refused_by_name(tmp_path: Path, toolkit: Toolkit) -> None:
    with h5py.File(tmp_path / "a.weights.h5", "w") as file:
        file["conv1/vars/0"] = np.zeros(3)
        file.create_group("vars")
    with pytest.raises(UnsupportedError, match=r"custom class.*model\.export"):
        open_model(toolkit, tmp_path / "a.weights.h5")


def test_groups_that_hold_themselves_end(tmp_path: Path, toolkit: Toolkit) -> None:
    with h5py.File(tmp_path / "a.weights.h5", "w") as file:
        group = file.create_group("layers/dense")
        for name in "abc":
            group[name] = group
    with pytest.raises(LimitReachedError, match="more than 20,000 groups"):
        open_model(toolkit, tmp_path / "a.weights.h5")


def test_an_architecture_by_name_needs_a_framework(
    weights: Path, toolkit: Toolkit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(ConfigurationError, match=r"building the architecture compact-cnn needs tensorflow"):
        open_model(toolkit, weights, "compact-cnn")


def test_a_list_of_models_goes_on_after_a_file_of_weights(
    weights: Path, toolkit: Toolkit, whole: Path
) -> None:
    found = {model.path.name: model for model in toolkit.find(folders=[weights.parent])}
    assert found["whole.h5"].state == "no card"
    assert found[weights.name].state == "unreadable"
    assert "weights only" in found[weights.name].problem


# --- an architecture of a plugin -----------------------------------------------------------


@pytest.mark.train
@pytest.mark.parametrize("name", ["a.h5", "a.weights.h5"])
def test_an_architecture_by_name_has_as_many_classes_as_the_weights(
    name: str, tmp_path: Path, toolkit: Toolkit
) -> None:
    from toolkit.declarations import BuildRequest
    from toolkit.host.kinds import ARCHITECTURES
    from toolkit.training.keras_bridge import save_keras

    declared = toolkit.catalog.get(ARCHITECTURES, "compact-cnn")
    network = declared.build(BuildRequest(classes=26, seed=3, options=declared.options()))
    save_keras(network, tmp_path / "whole.h5")
    path = tmp_path / "weights" / name
    path.parent.mkdir()
    if name == "a.h5":
        from keras.src.legacy.saving.legacy_h5_format import save_weights_to_hdf5_group

        with h5py.File(path, "w") as file:
            save_weights_to_hdf5_group(file, network)
    else:
        network.save_weights(path)
    model = open_model(toolkit, path, "compact-cnn")
    assert model.classes == 26
    assert model.card.architecture == "compact-cnn"
    assert weights_digest(model.tensors) == weights_digest(open_model(toolkit, tmp_path / "whole.h5").tensors)
    with pytest.raises(UnreadableInputError, match="do not belong to this architecture"):
        open_model(toolkit, path, "emnist-cnn")


# --- a real one, in every verb -------------------------------------------------------------

WHOLE, WEIGHTS = "khanhtran2000-byclass.h5", "khanhtran2000-byclass-weights-only.h5"


def test_real_weights_in_every_verb(shared: Path, tmp_path: Path) -> None:
    toolkit, models = Toolkit(tmp_path), shared / "models"
    arch = str(models / WHOLE)
    shown = toolkit.show(model=models / WEIGHTS, arch=arch)
    assert (shown.input_shape, shown.output_shape) == ((28, 28, 1), (62,))
    pair = toolkit.compare(models=[models / WHOLE, models / WEIGHTS], arch=arch)
    assert pair
    exported = toolkit.export(model=models / WEIGHTS, to="onnx", out=tmp_path / "a.onnx", arch=arch)
    assert open_model(toolkit, exported.path).classes == 62
    merged = toolkit.merge(
        models=[models / WHOLE, models / WEIGHTS],
        arch=arch,
        dataset="none",
        strategy="mean",
        out=tmp_path / "m.h5",
    )
    assert open_model(toolkit, tmp_path / "m.h5").classes == 62
    assert merged.recipe.arch.endswith(WHOLE)
    again = toolkit.merge(recipe=tmp_path / "m.recipe.toml", out=tmp_path / "again.h5")
    assert again.report is not None
    assert merged.report is not None
    assert again.report.weights_digest == merged.report.weights_digest


# --- what Keras itself writes --------------------------------------------------------------


def _nested(keras: Any) -> Any:
    """A frozen model in a model, a layer that is used twice, and several layers of one class."""
    layers = keras.layers
    trunk = keras.Sequential(
        [
            keras.Input((8, 7, 3)),
            layers.Conv2D(4, 3, name="deep"),
            layers.BatchNormalization(),
            layers.Dropout(0.2),
            keras.Sequential([keras.Input((6, 5, 4)), layers.Conv2D(4, 1), layers.PReLU()], name="inner"),
        ],
        name="trunk",
    )
    trunk.trainable = False
    start = keras.Input((8, 7, 3))
    h = layers.Conv2D(3, 1)(start)
    h = trunk(h)
    shared = layers.Conv2D(4, 1)
    h = layers.Add()([shared(h), shared(shared(h))])
    h = layers.BatchNormalization()(h)
    h = layers.GlobalAveragePooling2D()(h)
    return keras.Model(start, layers.Dense(3, activation="softmax")(h))


def _unknown(keras: Any) -> Any:
    """Layers without a graph among others."""
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((8, 7, 3)),
            layers.Dense(2),
            layers.Reshape((8, 14)),
            layers.Bidirectional(layers.LSTM(3)),
            layers.Dense(3),
        ]
    )


@pytest.mark.train
@pytest.mark.parametrize("build", [_nested, _unknown])
def test_weights_that_keras_saves_with_the_json_that_it_writes(
    build: Any, tmp_path: Path, toolkit: Toolkit
) -> None:
    from keras_networks import fill

    from toolkit.training.framework import load_tensorflow

    load_tensorflow()
    import keras
    from keras.src.legacy.saving.legacy_h5_format import save_weights_to_hdf5_group

    network = build(keras)
    fill(network, 3)
    network.save(tmp_path / "whole.keras")
    network.save_weights(tmp_path / "numbered.weights.h5")
    with h5py.File(tmp_path / "named.h5", "w") as file:
        save_weights_to_hdf5_group(file, network)
    network.save(tmp_path / "legacy.h5")
    (tmp_path / "model.json").write_text(network.to_json())
    for weights, whole in (("numbered.weights.h5", "whole.keras"), ("named.h5", "legacy.h5")):
        model, original = open_model(toolkit, tmp_path / weights), open_model(toolkit, tmp_path / whole)
        assert weights_digest(model.tensors) == weights_digest(original.tensors), weights
        assert [item.name for item in model.layers] == [item.name for item in original.layers]
    # An exported file has the tensors' names in place of their numbers and their order.
    done = toolkit.export(model=tmp_path / "whole.keras", to="safetensors")
    written, original = open_model(toolkit, done.path), open_model(toolkit, tmp_path / "whole.keras")
    assert weights_digest(written.tensors) == weights_digest(original.tensors)
