from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import toolkit_cnn
from toolkit.declarations import Architecture, BuildRequest

ARCHITECTURES = {architecture.name: architecture for architecture in toolkit_cnn.toolkit_architectures()}


def _build(name: str, classes: int = 62, seed: int = 0, **options: Any) -> Any:
    architecture: Architecture = ARCHITECTURES[name]
    return architecture.build(
        BuildRequest(classes=classes, seed=seed, options=architecture.options(**options))
    )


def _multiplications(network: Any) -> int:
    """Multiply-accumulates for one image, convolutions and dense layers."""
    total = 0
    for layer in network.layers:
        if hasattr(layer, "kernel"):
            positions = int(np.prod(layer.output.shape[1:-1]))
            total += int(np.prod(layer.kernel.shape)) * positions
    return total


def test_declaring_imports_no_framework() -> None:
    program = "import toolkit_cnn, sys; list(toolkit_cnn.toolkit_architectures()); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert {"tensorflow", "keras", "numpy"}.isdisjoint(done.stdout.split())


@pytest.mark.train
def test_emnist_cnn_is_the_original_network() -> None:
    network = _build("emnist-cnn")
    assert network.count_params() == 879_390
    kinds = [type(layer).__name__ for layer in network.layers]
    block = ["Conv2D", "BatchNormalization", "Conv2D", "MaxPooling2D", "Dropout"]
    assert kinds == [
        "InputLayer",
        *block,
        *block,
        *["Conv2D", "BatchNormalization", "MaxPooling2D", "Dropout", "Flatten"],
        *["Dense", "BatchNormalization", "Dropout", "Dense", "Dropout", "Dense"],
    ]
    rates = [layer.rate for layer in network.layers if type(layer).__name__ == "Dropout"]
    assert rates == [0.2, 0.2, 0.3, 0.3, 0.3]
    for layer in network.layers:
        if type(layer).__name__ == "Conv2D":
            assert (layer.kernel_size, layer.padding) == ((3, 3), "same")
            assert layer.activation.__name__ == "relu"


@pytest.mark.train
def test_compact_cnn_is_smaller_and_does_less_work_per_image() -> None:
    compact, original = _build("compact-cnn"), _build("emnist-cnn")
    assert compact.count_params() == 410_974
    assert _multiplications(compact) < 0.3 * _multiplications(original)


@pytest.mark.train
@pytest.mark.parametrize("name", sorted(ARCHITECTURES))
@pytest.mark.parametrize("classes", [2, 62])
def test_every_layer_is_named_and_the_output_is_probabilities(name: str, classes: int) -> None:
    network = _build(name, classes)
    assert [layer.name for layer in network.layers] == [layer.name for layer in _build(name, classes).layers]
    images = np.random.default_rng(0).random((3, 28, 28, 1), dtype=np.float32)
    rows = np.asarray(network(images))
    assert rows.shape == (3, classes)
    assert rows.sum(axis=1) == pytest.approx(1, abs=1e-5)


@pytest.mark.train
@pytest.mark.parametrize("name", sorted(ARCHITECTURES))
def test_the_seed_decides_the_weights(name: str) -> None:
    first, same, other = (
        [np.asarray(weight) for weight in _build(name, seed=seed).get_weights()] for seed in (1, 1, 2)
    )
    assert all((a == b).all() for a, b in zip(first, same, strict=True))
    assert any((a != b).any() for a, b in zip(first, other, strict=True))
    kernels = [weight for weight in first if weight.ndim == 4]
    assert all(abs(kernel.mean()) < 0.1 for kernel in kernels)


@pytest.mark.train
def test_compact_cnn_takes_its_options() -> None:
    small = _build("compact-cnn", width=8, features=32, dropout=0.0)
    assert small.get_layer("stem").filters == 8
    assert small.get_layer("conv4").filters == 32
    assert small.get_layer("features").units == 32
    assert small.count_params() < 40_000


@pytest.mark.train
def test_emnist_cnn_can_do_without_dropout() -> None:
    network = _build("emnist-cnn", dropout_scale=0.0)
    assert {layer.rate for layer in network.layers if type(layer).__name__ == "Dropout"} == {0.0}
