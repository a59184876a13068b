"""Reading `.h5` and `.keras` files with h5py alone: what is in a model, cards, laziness."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from keras_files import GROUPS, SMALL, read_any, run, small_arrays, weights_file, write_archive, write_legacy
from numpy.typing import NDArray

from toolkit.errors import UnreadableInputError, UnsupportedError
from toolkit.model import Card
from toolkit.model.correspondence import signature
from toolkit.tensors import TensorRole
from toolkit.vocabulary import Convention
from toolkit_keras.read_h5 import read_h5
from toolkit_keras.read_keras import read_keras

# --- other people's networks ---------------------------------------------------------------

SHARED = {
    "excal21-a-z97.h5": (26, 138_680),
    "excal21-a-z98.h5": (26, 138_680),
    "kayode004-byclass.h5": (62, 231_742),
    "khanhtran2000-byclass.h5": (62, 333_950),
    "khanhtran2000-letters.h5": (26, 329_306),
    "khanhtran2000-letters-augmented.h5": (26, 329_306),
    "moonflower2022-mnist.h5": (10, 34_826),
    "moonflower2022-mnist.keras": (10, 34_826),
    "msbrdmr-byclass.h5": (62, 231_742),
}


@pytest.mark.parametrize("name", SHARED)
def test_a_shared_model_is_read_and_run(name: str, shared: Path) -> None:
    model = read_any(shared / "models" / name)
    classes, parameters = SHARED[name]
    assert model.input_shape == (28, 28, 1)
    assert model.classes == classes
    assert model.parameters == parameters
    assert "the optimizer's state" in model.dropped
    outputs = run(model, np.random.default_rng(0).random((3, 28, 28, 1), dtype=np.float32))
    assert outputs.shape == (3, classes)
    assert np.allclose(outputs.sum(axis=1), 1.0, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "transposed", "at_least"),
    [("khanhtran2000-byclass.h5", False, 0.84), ("msbrdmr-byclass.h5", True, 0.82)],
)
def test_a_shared_model_recognises_characters(
    name: str, transposed: bool, at_least: float, shared: Path
) -> None:
    file = shared / "data" / "emnist" / "emnist-byclass-test.csv"
    rows = np.loadtxt(file, dtype=np.uint8, delimiter=",", max_rows=2000)
    images = rows[:, 1:].reshape(-1, 28, 28)
    if not transposed:
        images = images.transpose(0, 2, 1)
    outputs = run(read_any(shared / "models" / name), images[..., None].astype(np.float32) / 255)
    accuracy = (outputs.argmax(axis=1) == rows[:, 0]).mean()
    assert accuracy > at_least


def test_weights_alone_are_refused_by_name(shared: Path) -> None:
    with pytest.raises(UnsupportedError, match="weights only"):
        read_h5(shared / "models" / "khanhtran2000-byclass-weights-only.h5")


def test_two_trainings_of_one_network_have_one_graph_whatever_their_format(shared: Path) -> None:
    one, two = (read_any(shared / "models" / f"moonflower2022-mnist.{suffix}") for suffix in ("h5", "keras"))
    assert one.layers == two.layers
    assert signature(one) == signature(two)
    assert list(one.tensors) == [
        *("conv2d/kernel", "conv2d/bias", "conv2d_1/kernel", "conv2d_1/bias", "dense/kernel", "dense/bias"),
    ]


# --- what is in a model --------------------------------------------------------------------


def test_tensors_have_names_shapes_and_roles(small: Path) -> None:
    model = read_h5(small)
    specs = model.tensors.specs
    assert [(spec.name, spec.shape, spec.role) for spec in specs.values()] == [
        ("conv/kernel", (3, 3, 1, 2), TensorRole.KERNEL),
        ("conv/bias", (2,), TensorRole.BIAS),
        ("dense/kernel", (8, 3), TensorRole.KERNEL),
        ("dense/bias", (3,), TensorRole.BIAS),
    ]
    for owner, weights in small_arrays().items():
        for weight, array in weights.items():
            read = model.tensors.read(f"{owner}/{weight}")
            assert np.array_equal(read, array)
            assert read.flags.writeable
            assert read.flags.c_contiguous


def test_the_graph_says_what_matters_at_inference_and_no_more(small: Path) -> None:
    model = read_h5(small)
    assert model.dialect == "keras"
    assert (model.input_shape, model.output_shape) == ((4, 4, 1), (3,))
    assert [(entry.name, entry.kind) for entry in model.layers] == [
        ("start", "InputLayer"),
        ("conv", "Conv2D"),
        ("flat", "Flatten"),
        ("dense", "Dense"),
    ]
    nodes = model.build_graph().nodes
    assert [(node.operator, node.layer) for node in nodes] == [
        ("Reshape", "conv"),
        ("Conv", "conv"),
        ("Relu", "conv"),
        ("Flatten", "flat"),
        ("Gemm", "dense"),
        ("Softmax", "dense"),
    ]
    assert nodes[1].inputs[1:] == ("conv/kernel", "conv/bias")
    assert nodes[1].attributes == {
        "kernel_shape": (3, 3),
        "strides": (1, 1),
        "dilations": (1, 1),
        "pads": (0, 0, 0, 0),
        "group": 1,
    }


def test_nothing_is_read_before_it_is_asked_for(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from toolkit.store.byte_source import ByteSource

    read: list[str] = []
    original = ByteSource.read_array

    def counted(self: ByteSource, offset: int, shape: tuple[int, ...], dtype: Any, what: str) -> NDArray[Any]:
        read.append(what)
        return original(self, offset, shape, dtype, what)

    monkeypatch.setattr(ByteSource, "read_array", counted)
    model = read_h5(small)
    model.build_graph()
    assert read == []
    model.tensors.read("conv/bias")
    assert read == ["conv/bias"]


def test_many_threads_read_at_once(small: Path, tmp_path: Path) -> None:
    packed = tmp_path / "packed.h5"
    with h5py.File(small) as source, h5py.File(packed, "w") as target:
        for key, value in source.attrs.items():
            target.attrs[key] = value
        source.copy("model_weights", target)
        kernel = target["model_weights/dense/dense/kernel:0"][()]
        del target["model_weights/dense/dense/kernel:0"]
        target["model_weights/dense/dense"].create_dataset(
            "kernel:0", data=kernel, chunks=(4, 3), compression="gzip", shuffle=True, fletcher32=True
        )
    for path in (small, packed):
        model = read_h5(path)
        names = [*model.tensors] * 40
        with ThreadPoolExecutor(8) as pool:
            arrays = list(pool.map(model.tensors.read, names))
        for name, array in zip(names, arrays, strict=True):
            owner, weight = name.split("/")
            assert np.array_equal(array, small_arrays()[owner][weight])


def test_a_file_that_changes_under_an_open_model_is_noticed(small: Path) -> None:
    model = read_h5(small)
    write_legacy(small, SMALL, small_arrays(seed=1))
    with pytest.raises(UnreadableInputError, match="has changed"):
        model.tensors.read("conv/kernel")


def test_a_file_that_is_replaced_whole_is_noticed_too(small: Path, tmp_path: Path) -> None:
    model = read_h5(small)
    write_legacy(tmp_path / "new.h5", SMALL, small_arrays(seed=1)).replace(small)
    with pytest.raises(UnreadableInputError, match="has changed"):
        model.tensors.read("conv/kernel")


def test_big_endian_and_half_precision_are_read(tmp_path: Path) -> None:
    arrays = small_arrays()
    arrays["conv"]["kernel"] = arrays["conv"]["kernel"].astype(">f4")
    arrays["dense"]["kernel"] = arrays["dense"]["kernel"].astype(np.float16)
    model = read_h5(write_legacy(tmp_path / "a.h5", SMALL, arrays))
    assert model.tensors.specs["conv/kernel"].dtype == np.dtype("<f4")
    assert model.tensors.specs["dense/kernel"].dtype == np.dtype("<f2")
    assert np.array_equal(model.tensors.read("conv/kernel"), arrays["conv"]["kernel"])
    assert run(model, np.ones((2, 4, 4, 1), np.float32)).shape == (2, 3)


def test_bfloat16_is_widened_exactly(tmp_path: Path) -> None:
    arrays = small_arrays()
    halves = (arrays["dense"]["kernel"].view(np.uint32) >> 16).astype(np.uint16)
    arrays["dense"]["kernel"] = halves.view("V2")
    model = read_h5(write_legacy(tmp_path / "a.h5", SMALL, arrays))
    assert model.tensors.specs["dense/kernel"].dtype == np.dtype(np.float32)
    assert np.array_equal(model.tensors.read("dense/kernel").view(np.uint32), halves.astype(np.uint32) << 16)


# --- cards ---------------------------------------------------------------------------------

CARD = Card(
    name="net",
    classes=("a", "b", "c"),
    convention=Convention("transposed"),
    metrics={"validation_accuracy": 0.9},
)


def test_an_embedded_card_is_read(small: Path, tmp_path: Path) -> None:
    with h5py.File(small, "a") as file:
        file.attrs["toolkit_card"] = CARD.to_json()
    assert read_h5(small).card == CARD
    weights = weights_file(small_arrays(), GROUPS)
    path = write_archive(tmp_path / "a.keras", SMALL, weights, members={"toolkit_card.json": CARD.to_json()})
    assert read_keras(path).card == CARD


def test_a_broken_card_does_not_cost_the_network(small: Path) -> None:
    with h5py.File(small, "a") as file:
        file.attrs["toolkit_card"] = "{"
    model = read_h5(small)
    assert model.card == Card()
    assert "card" in model.dropped[-1]


# --- what it costs -------------------------------------------------------------------------


def test_declaring_imports_nothing_heavy_and_reading_no_framework(small: Path) -> None:
    program = (
        "import sys\n"
        "import toolkit_keras\n"
        "list(toolkit_keras.toolkit_model_formats()), list(toolkit_keras.toolkit_exporters())\n"
        "heavy = {'numpy', 'h5py', 'onnx', 'onnxruntime', 'tensorflow', 'keras'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        "from pathlib import Path\n"
        "(form,) = [form for form in toolkit_keras.toolkit_model_formats() if '.h5' in form.suffixes]\n"
        f"model = form.read(Path({str(small)!r}))\n"
        "assert len(model.tensors) == 4\n"
        "assert not {'onnx', 'onnxruntime', 'tensorflow', 'keras'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)
