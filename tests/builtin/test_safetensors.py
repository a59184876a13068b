"""safetensors files in and out: our own read back whole, others with an architecture."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from keras_files import INPUT, SMALL, layer, run, sequential, small_arrays, write_legacy
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save_file

from toolkit.errors import LimitReachedError, UnreadableInputError, UnsupportedError, WeightsOnlyError
from toolkit.model import Model
from toolkit.operations.open_model import open_model
from toolkit.operations.toolkit import Toolkit
from toolkit.tensors import weights_digest


@pytest.fixture
def toolkit(tmp_path: Path) -> Toolkit:
    return Toolkit(tmp_path)


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    return write_legacy(tmp_path / "whole.h5", SMALL, small_arrays())


@pytest.fixture
def exported(toolkit: Toolkit, whole: Path) -> Path:
    return toolkit.export(model=whole, to="safetensors").path


def _flat(separator: str = ".", start: str = "") -> dict[str, NDArray[Any]]:
    return {
        f"{start}{owner}{separator}{weight}": array
        for owner, weights in small_arrays().items()
        for weight, array in weights.items()
    }


def _same(model: Model, whole: Path, toolkit: Toolkit) -> bool:
    return weights_digest(model.tensors) == weights_digest(open_model(toolkit, whole).tensors)


# --- our own files -------------------------------------------------------------------------


def test_an_export_of_a_keras_model_reads_back_whole(exported: Path, whole: Path, toolkit: Toolkit) -> None:
    model, original = open_model(toolkit, exported), open_model(toolkit, whole)
    assert _same(model, whole, toolkit)
    assert model.layers == original.layers
    assert model.description == original.description
    x = np.random.default_rng(0).normal(size=(3, 4, 4, 1)).astype(np.float32)
    assert np.array_equal(run(model, x), run(original, x))


def test_the_library_reads_what_is_written(exported: Path) -> None:
    with safe_open(exported, "np") as file:
        assert sorted(file.keys()) == sorted(_flat("/"))
        for name, array in _flat("/").items():
            assert np.array_equal(file.get_tensor(name), array)
        assert json.loads(file.metadata()["toolkit_architecture"])["class_name"] == "Sequential"


def test_equal_models_give_equal_bytes(exported: Path, whole: Path, toolkit: Toolkit, tmp_path: Path) -> None:
    again = toolkit.export(model=whole, to="safetensors", out=tmp_path / "again.safetensors").path
    assert again.read_bytes().replace(b"again", b"whole") == exported.read_bytes().replace(b"again", b"whole")


def test_an_export_can_be_written_as_keras_again(exported: Path, whole: Path, toolkit: Toolkit) -> None:
    back = toolkit.export(model=exported, to="h5", out=exported.with_name("back.h5"), options=["check=no"])
    assert _same(open_model(toolkit, back.path), whole, toolkit)


def test_exports_are_merged(exported: Path, toolkit: Toolkit, whole: Path) -> None:
    out = exported.with_name("merged.safetensors")
    toolkit.merge(models=[exported, whole], strategy="mean", dataset="none", out=out)
    assert _same(open_model(toolkit, out), whole, toolkit)


def test_the_layers_of_an_unknown_kind_are_read_back(toolkit: Toolkit, tmp_path: Path) -> None:
    config = sequential(INPUT, layer("Conv9D", "odd"), layer("Flatten", "flat"))
    arrays = {"odd": {"kernel": np.ones((2, 3), np.float32), "spin": np.zeros(3, np.float32)}}
    source = write_legacy(tmp_path / "odd.h5", config, arrays)
    path = toolkit.export(model=source, to="safetensors").path
    assert _same(open_model(toolkit, path), source, toolkit)


# --- files of other programs ---------------------------------------------------------------

SPELLINGS = {
    "dots": _flat(),
    "slashes": _flat("/"),
    "with a model's name before it": _flat(".", "model."),
    "TensorFlow's": {f"{name}:0": array for name, array in _flat("/").items()},
    "PyTorch's word for a kernel": {
        name.replace("kernel", "weight"): array for name, array in _flat().items()
    },
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_tensors_are_found_by_name(spelling: str, whole: Path, toolkit: Toolkit, tmp_path: Path) -> None:
    path = tmp_path / "foreign.safetensors"
    save_file(SPELLINGS[spelling], path)
    with pytest.raises(WeightsOnlyError, match=r"weights only.*--arch"):
        open_model(toolkit, path)
    assert _same(open_model(toolkit, path, str(whole)), whole, toolkit)


def test_the_json_beside_it_is_its_architecture(whole: Path, toolkit: Toolkit, tmp_path: Path) -> None:
    path = tmp_path / "foreign.safetensors"
    save_file(_flat(), path)
    (tmp_path / "config.json").write_text(json.dumps(SMALL))
    assert _same(open_model(toolkit, path), whole, toolkit)


def _without(name: str) -> dict[str, NDArray[Any]]:
    return {key: array for key, array in _flat().items() if key != name}


MISFITS: Mapping[str, tuple[Mapping[str, NDArray[Any]], str]] = {
    "missing": (_without("dense.bias"), "no tensor for dense/bias"),
    "left over": (
        {**_flat(), "norm.running_mean": np.zeros(2, np.float32)},
        r"no place for 'norm\.running_mean'",
    ),
    "another shape": (
        {**_flat(), "dense.kernel": np.zeros((3, 8), np.float32)},
        r"dense/kernel should be 8×3, 'dense\.kernel' in the file is 3×8",
    ),
}


@pytest.mark.parametrize("name", MISFITS)
def test_what_does_not_fit_is_refused_by_name(
    name: str, whole: Path, toolkit: Toolkit, tmp_path: Path
) -> None:
    arrays, what = MISFITS[name]
    save_file(dict(arrays), tmp_path / "foreign.safetensors")
    with pytest.raises(UnreadableInputError, match=what) as caught:
        open_model(toolkit, tmp_path / "foreign.safetensors", str(whole))
    assert "\n" not in str(caught.value)


def test_a_counter_that_the_architecture_does_not_have_is_left_out(
    whole: Path, toolkit: Toolkit, tmp_path: Path
) -> None:
    path = tmp_path / "foreign.safetensors"
    save_file({**_flat(), "norm.num_batches_tracked": np.array(7)}, path)
    assert open_model(toolkit, path, str(whole)).dropped == ("unused tensor norm.num_batches_tracked",)


@pytest.mark.parametrize("kind", ["F16", "BF16"])
def test_floats_of_16_bits_become_float32(kind: str, whole: Path, toolkit: Toolkit, tmp_path: Path) -> None:
    arrays = {name: np.round(array * 4) / 4 for name, array in _flat().items()}  # exact in 16 bits
    path = tmp_path / "short.safetensors"
    if kind == "F16":
        save_file({name: array.astype(np.float16) for name, array in arrays.items()}, path)
    else:
        halves = {
            name: (array.astype("<f4").view("<u4") >> 16).astype("<u2") for name, array in arrays.items()
        }
        _write(path, {name: ("BF16", array) for name, array in halves.items()})
    model = open_model(toolkit, path, str(whole))
    for name, array in arrays.items():
        read = model.tensors.read(name.replace(".", "/"))
        assert read.dtype == np.float32
        assert np.array_equal(read, array)


def test_pytorchs_names_with_an_onnx_file_of_the_same_network(
    shared: Path, toolkit: Toolkit, tmp_path: Path
) -> None:
    source = shared / "models" / "abdo-eid-letters.onnx"
    model = open_model(toolkit, source)
    names = {name: name.replace("/kernel", ".weight").replace("/", ".") for name in model.tensors}
    path = tmp_path / "model.safetensors"
    save_file({names[name]: model.tensors.read(name) for name in model.tensors}, path)
    assert _same(open_model(toolkit, path, str(source)), source, toolkit)


def test_an_export_of_an_onnx_model_says_what_it_needs(
    shared: Path, toolkit: Toolkit, tmp_path: Path
) -> None:
    source = shared / "models" / "abdo-eid-letters.onnx"
    done = toolkit.export(model=source, to="safetensors", out=tmp_path / "a.safetensors")
    assert "--arch abdo-eid-letters.onnx" in done.verified
    with pytest.raises(WeightsOnlyError, match=r"--arch"):
        open_model(toolkit, done.path)
    assert _same(open_model(toolkit, done.path, str(source)), source, toolkit)


# --- damaged and hostile files -------------------------------------------------------------


def _write(path: Path, tensors: Mapping[str, tuple[str, NDArray[Any]]], **changes: Any) -> Path:
    header: dict[str, Any] = {}
    end = 0
    for name, (kind, array) in tensors.items():
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": [end, end + array.nbytes]}
        end += array.nbytes
    header |= changes
    return _write_header(path, header, b"".join(array.tobytes() for _, array in tensors.values()))


def _write_header(path: Path, header: Any, content: bytes) -> Path:
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + content)
    return path


ONE = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
HOSTILE: Mapping[str, tuple[Any, bytes, type[Exception], str]] = {
    "cut off": ({"a": ONE}, bytes(4), UnreadableInputError, "end at byte"),
    "too long": ({"a": ONE}, bytes(12), UnreadableInputError, "end at byte"),
    "overlap": ({"a": ONE, "b": ONE}, bytes(8), UnreadableInputError, "overlaps"),
    "gap": ({"a": ONE | {"data_offsets": [4, 12]}}, bytes(12), UnreadableInputError, "gap"),
    "negative": ({"a": ONE | {"data_offsets": [-8, 0]}}, bytes(8), UnreadableInputError, "gap"),
    "shape": ({"a": ONE | {"shape": [3]}}, bytes(8), UnreadableInputError, "does not have 8 bytes"),
    "negative shape": ({"a": ONE | {"shape": [-2]}}, bytes(8), UnreadableInputError, "no type, shape"),
    "huge": (
        {"a": ONE | {"shape": [1 << 40], "data_offsets": [0, 1 << 42]}},
        bytes(8),
        LimitReachedError,
        "declares",
    ),
    "type": ({"a": ONE | {"dtype": "F8_E4M3"}}, bytes(8), UnsupportedError, "'F8_E4M3'"),
    "no place": ({"a": {"dtype": "F32", "shape": [2]}}, bytes(8), UnreadableInputError, "no type, shape"),
    "no object": ({"a": 3}, bytes(8), UnreadableInputError, "no type, shape"),
    "metadata": ({"__metadata__": {"a": 3}, "a": ONE}, bytes(8), UnreadableInputError, "not texts"),
    "axes": (
        {"a": {"dtype": "F32", "shape": [1] * 99, "data_offsets": [0, 4]}},
        bytes(4),
        UnsupportedError,
        "99 axes",
    ),
    "many": (
        {f"a{i}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for i in range(20_001)},
        b"",
        LimitReachedError,
        "20,001 tensors",
    ),
    "architecture": (
        {"__metadata__": {"toolkit_architecture": "[]"}, "a": ONE},
        bytes(8),
        UnreadableInputError,
        "architecture is not",
    ),
    "code": (
        {
            "__metadata__": {
                "toolkit_architecture": json.dumps(
                    sequential(INPUT, layer("Lambda", "code", function=["4wEAAA==", None, None]))
                )
            },
            "a": ONE,
        },
        bytes(8),
        UnsupportedError,
        "'code' is a Lambda",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_damaged_header_is_refused(name: str, toolkit: Toolkit, tmp_path: Path) -> None:
    header, content, kind, what = HOSTILE[name]
    path = _write_header(tmp_path / "a.safetensors", header, content)
    with pytest.raises(kind, match=what) as caught:
        open_model(toolkit, path)
    assert "a.safetensors" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_embedded_card_that_cannot_be_read_costs_the_card_alone(
    exported: Path, whole: Path, toolkit: Toolkit
) -> None:
    content = exported.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    header["__metadata__"]["toolkit_card"] = "{}"
    path = _write_header(exported.with_name("other.safetensors"), header, content[8 + length :])
    model = open_model(toolkit, path)
    assert "the embedded card" in model.dropped[0]
    assert _same(model, whole, toolkit)
