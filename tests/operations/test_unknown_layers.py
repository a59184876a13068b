"""A network with a layer that has no graph is shown, compared and merged; tf2onnx exports it."""

from __future__ import annotations

import dataclasses
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

import toolkit_tf2onnx.conversion
from toolkit.errors import UnsupportedError
from toolkit.operations.toolkit import Toolkit
from toolkit.requests.merge import Merge
from toolkit.vocabulary import Progress, SilentProgress
from toolkit_onnx import DirectOptions
from toolkit_tf2onnx import ConvertOptions

REFUSAL = "no graph can be built of 1 of the model's layers: mixed (EinsumDense)"


@pytest.fixture(scope="module")
def keras() -> Any:
    return pytest.importorskip("keras")


@pytest.fixture(scope="module")
def networks(keras: Any, tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Path, Any]]:
    """Two relatives; EinsumDense is a layer of Keras' that the toolkit does not know."""
    layers = keras.layers
    made = []
    for index in range(2):
        network = keras.Sequential(
            [
                keras.Input((28, 28, 1)),
                layers.Reshape((28, 28), name="rows"),
                layers.EinsumDense("abc,cd->abd", output_shape=(28, 4), bias_axes="d", name="mixed"),
                layers.Flatten(name="flat"),
                layers.Dense(5, name="head"),
                layers.Softmax(name="softmax"),
            ],
            name="net",
        )
        random = np.random.default_rng(3)
        noise = np.random.default_rng(index)
        network.set_weights(
            [
                random.normal(0, 0.2, weight.shape) + noise.normal(0, 0.01, weight.shape)
                for weight in network.get_weights()
            ]
        )
        path = tmp_path_factory.mktemp("unknown") / f"net-{index}.h5"
        network.save(path)
        made.append((path, network))
    return made


class Notes(SilentProgress):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        self.lines.append(text)


def test_it_is_shown_compared_and_merged(networks: list[tuple[Path, Any]], tmp_path: Path) -> None:
    (first, one), (second, two) = networks
    toolkit = Toolkit()
    assert toolkit.show(model=first).not_runnable == f"{first.name}: {REFUSAL}"
    assert "True" in str(toolkit.compare(models=[first, second]))
    out = tmp_path / "merged.h5"
    merged = toolkit.merge(Merge((first, second), strategy="mean", dataset="none", out=out))
    assert any("the weights were merged without running the network" in note for note in merged.report.notes)
    from toolkit_keras.read_h5 import read_h5

    kernel = read_h5(out).tensors.read("mixed/kernel")
    mean = (one.get_weights()[0].astype(np.float64) + two.get_weights()[0]) / 2
    np.testing.assert_allclose(kernel, mean, atol=1e-7)


@pytest.mark.train
def test_the_export_goes_through_tf2onnx_and_says_so(
    networks: list[tuple[Path, Any]], tmp_path: Path
) -> None:
    if find_spec("tf2onnx") is None:
        pytest.skip("tf2onnx is not installed")
    path, network = networks[0]
    notes: Progress = Notes()
    done = Toolkit().export(model=path, to="onnx", out=tmp_path / "out.onnx", progress=notes)
    assert done.exporter == "onnx-tf2onnx"
    assert f"{path.name}: {REFUSAL}; exported through onnx-tf2onnx instead" in notes.lines  # type: ignore[attr-defined]
    session = onnxruntime.InferenceSession((tmp_path / "out.onnx").read_bytes())
    x = np.random.default_rng(0).random((3, 28, 28, 1), dtype=np.float32)
    np.testing.assert_allclose(session.run(None, {"image": x})[0], np.asarray(network(x)), atol=1e-5)


def test_without_tf2onnx_there_is_one_line(
    networks: list[tuple[Path, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(toolkit_tf2onnx.conversion, "find_spec", lambda _: None)
    with pytest.raises(UnsupportedError) as caught:
        Toolkit().export(model=networks[0][0], to="onnx", out=tmp_path / "out.onnx")
    assert REFUSAL in caught.value.message
    assert (
        "exporting through tf2onnx needs tensorflow and tf2onnx, not installed here" in caught.value.message
    )
    assert "\n" not in caught.value.message


def test_an_option_that_only_the_direct_exporter_has_is_named(
    networks: list[tuple[Path, Any]], tmp_path: Path
) -> None:
    shared = {field.name for field in dataclasses.fields(ConvertOptions)}
    fields = dataclasses.fields(DirectOptions)
    name, default = next((f.name, f.default) for f in fields if f.type == "bool" and f.name not in shared)
    given = (f"{name}={str(not default).lower()}",)
    with pytest.raises(UnsupportedError, match=f"onnx-tf2onnx, which could export it, has no option {name}"):
        Toolkit().export(model=networks[0][0], to="onnx", out=tmp_path / "out.onnx", options=given)


def test_outputs_of_an_unknown_shape_are_shown(keras: Any, tmp_path: Path) -> None:
    layers = keras.layers
    keras.Sequential(
        [keras.Input((4, 3)), layers.EinsumDense("abc,cd->abd", output_shape=(4, 2)), layers.Softmax()]
    ).save(tmp_path / "net.h5")
    toolkit = Toolkit()
    details = toolkit.show(model=tmp_path / "net.h5")
    assert (details.output_shape, details.classes) == ((), None)
    with pytest.raises(UnsupportedError, match=r"outputs have the shapes \[\(4, 2\)\]"):
        toolkit.export(model=tmp_path / "net.h5", to="onnx", out=tmp_path / "out.onnx")
