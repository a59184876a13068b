"""What a file is comes from its content: which format reads it, or what it is instead."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np
import onnx
import pytest

from toolkit import hookimpl
from toolkit.declarations import ModelFormat
from toolkit.errors import UnreadableInputError, UnsupportedError
from toolkit.host.catalog import Catalog
from toolkit.host.manager import PluginManager
from toolkit.operations.open_model import open_model
from toolkit.operations.toolkit import Toolkit
from toolkit.store.content import FileContent

SUFFIXES = (".h5", ".keras", ".onnx", ".safetensors", ".pt", ".weird", "")


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return Catalog.load({})


def _zip(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, b"x")
    return buffer.getvalue()


def _saved(save: Callable[[io.BytesIO], Any]) -> bytes:
    buffer = io.BytesIO()
    save(buffer)
    return buffer.getvalue()


def _hdf5(user_block: int = 0) -> bytes:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", userblock_size=user_block) as file:
        file["a"] = np.zeros(3)
    content = buffer.getvalue()
    return b"written by a program".ljust(user_block, b"\0") + content[user_block:] if user_block else content


def _onnx() -> bytes:
    node = onnx.helper.make_node("Relu", ["x"], ["y"])
    value = [onnx.helper.make_tensor_value_info(name, 1, [1]) for name in "xy"]
    graph = onnx.helper.make_graph([node], "g", value[:1], value[1:])
    model: bytes = onnx.helper.make_model(graph).SerializeToString()
    return model


MODELS = {
    "HDF5": (_hdf5(), "h5"),
    "HDF5 after a user block": (_hdf5(2048), "h5"),
    "archive": (_zip("metadata.json", "config.json", "model.weights.h5"), "keras"),
    "archive that was cut off": (_zip("metadata.json", "config.json")[:60], "keras"),
    "ONNX": (_onnx(), "onnx"),
    "ONNX that was cut off": (_onnx()[:-9], "onnx"),
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_model_is_read_as_what_it_is_whatever_its_name(
    name: str, suffix: str, tmp_path: Path, catalog: Catalog
) -> None:
    content, model_format = MODELS[name]
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content)
    assert catalog.format_of(path).name == model_format


NOTEBOOK = {"cells": [{"cell_type": "code", "source": "import keras"}], "nbformat": 4}
_TORCH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03."
_CONVERT = "python -m tf2onnx.convert"
OTHERS = {
    "empty": (b"", "it is empty", "download"),
    "zeros": (bytes(5000), "a file of zeros", "download"),
    "pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "Git LFS pointer", "git lfs"),
    "pickle": (pickle.dumps({"a": 1}), "a Python pickle", "unpickling runs code"),
    "old pickle": (pickle.dumps({"a": 1}, protocol=0), "a Python pickle", "unpickling runs code"),
    "joblib": (b"\x80\x04\x95\0\0\0\0\0\0\0\0\x8c\x13joblib.numpy_pickle", "joblib", "unpickling"),
    "compressed": (zlib.compress(pickle.dumps([1])), "compressed Python pickle", "unpickling"),
    "PyTorch": (_zip("archive/data.pkl", "archive/version"), "a PyTorch file", "torch.onnx.export"),
    "TorchScript": (_zip("m/data.pkl", "m/constants.pkl", "m/code/a.py"), "TorchScript", "torch.jit.load"),
    "old PyTorch": (_TORCH, "a PyTorch file", "torch.onnx.export"),
    "TensorFlow Lite": (b"\x1c\0\0\0TFL3\x14\0", "TensorFlow Lite", f"{_CONVERT} --tflite"),
    "ORT": (b"\x20\0\0\0ORTM\0\0", "ORT format", r"\.onnx"),
    "SavedModel": (b"\x08\x01\x12\x03abc", "SavedModel", f"{_CONVERT} --saved-model"),
    "frozen graph": (b"\n\x18\n\x01x\x12\x0bPlaceholder*\x06abcdef", "frozen", f"{_CONVERT} --graphdef"),
    "checkpoint": (b"x" * 99 + b"\x57\xfb\x80\x8b\x24\x75\x47\xdb", "index of a", "load_weights"),
    "checkpoints": (b'model_checkpoint_path: "cp-1"', "list of TensorFlow", "load_weights"),
    "Core ML": (b"\x08\x04\x12\x02ab\xa2\x1f\x01a", "Core ML", "converted from"),
    "TensorFlow.js": (
        b'{"format": "layers-model", "modelTopology": {"class_name": "Model"}}',
        "js",
        "converter",
    ),
    "npy": (_saved(lambda file: np.save(file, np.zeros(3))), "NumPy arrays", "save the network"),
    "npz": (_saved(lambda file: np.savez(file, a=np.zeros(3))), "NumPy arrays", "save the network"),
    "notebook": (json.dumps(NOTEBOOK).encode(), "Jupyter notebook", "run it"),
    "web page": (b"\n\n<!DOCTYPE html>\n<html></html>", "a web page", "Raw"),
    "picture": (b"\x89PNG\r\n\x1a\n", "a PNG picture", ""),
    "photo": (b"\xff\xd8\xff\xe0", "a JPEG picture", ""),
    "document": (b"%PDF-1.4", "a PDF document", ""),
    "gzip": (b"\x1f\x8b\x08\0", "a gzip file", "gunzip"),
    "tar": (b"model.h5".ljust(257, b"\0") + b"ustar\x0000", "an archive", "unpack"),
    "zip": (_zip("a.txt"), "a zip archive", ""),
    "zip of a model": (_zip("folder/model.h5"), "a zip archive with a model file in it", "unpack"),
    "architecture": (b'{"class_name": "Sequential", "config": {}}', "architecture without", "--arch"),
    "JSON": (b'{"a": 1}', "a JSON file", ""),
    "XML": (b"<?xml version='1.0'?><a/>", "an XML file", ""),
    "text": ("Hello, wörld\n".encode(), "a text file", ""),
    "MATLAB": (b"MATLAB 5.0 MAT-file, Platform: GLNXA64", "MATLAB", "exportONNXNetwork"),
}


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_is_no_model_is_called_by_its_name(
    name: str, suffix: str, tmp_path: Path, catalog: Catalog
) -> None:
    content, what, hint = OTHERS[name]
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content)
    with pytest.raises(UnreadableInputError, match=what) as caught:
        catalog.format_of(path)
    assert caught.match(hint)
    assert "\n" not in str(caught.value)


def test_the_values_of_a_checkpoint_are_told_by_their_name(tmp_path: Path, catalog: Catalog) -> None:
    path = tmp_path / "cp.ckpt.data-00000-of-00001"
    path.write_bytes(b"\x01\x83\xf5\0" * 9)
    with pytest.raises(UnreadableInputError, match="values of a TensorFlow checkpoint"):
        catalog.format_of(path)


def test_an_unknown_content_is_left_to_the_reader_of_its_suffix(tmp_path: Path, catalog: Catalog) -> None:
    path = tmp_path / "a.onnx"
    path.write_bytes(b"\xde\xad\xbe\xef")
    assert catalog.format_of(path).name == "onnx"
    with pytest.raises(UnsupportedError, match="no model format has this suffix"):
        catalog.format_of(path.rename(tmp_path / "a.weird"))


FOLDERS = {
    "saved_model.pb": "the folder of a TensorFlow SavedModel",
    "model.json": "the folder of a TensorFlow.js model",
    "Manifest.json": "a Core ML package",
    "anything": "a folder, not a model file",
}


@pytest.mark.parametrize("member", FOLDERS)
def test_a_folder_is_called_by_its_name(member: str, tmp_path: Path) -> None:
    (tmp_path / "model.h5").mkdir()
    (tmp_path / "model.h5" / member).touch()
    with pytest.raises(UnreadableInputError, match=FOLDERS[member]):
        open_model(Toolkit(tmp_path), tmp_path / "model.h5")


# --- formats of other plugins --------------------------------------------------------------


def _catalog(*formats: ModelFormat) -> Catalog:
    def toolkit_model_formats() -> Iterable[ModelFormat]:
        return formats

    manager = PluginManager()
    manager.register(
        SimpleNamespace(toolkit_model_formats=hookimpl(toolkit_model_formats)), name="a", distribution="a"
    )
    return Catalog(manager)


def _format(name: str, suffix: str, magic: bytes | None = None) -> ModelFormat:
    def recognises(content: FileContent) -> bool:
        return content.head.startswith(magic or b"")

    def read(_: Path) -> Any:
        raise UnreadableInputError("no model")

    known = recognises if magic is not None else None
    return ModelFormat(name=name, summary=name, suffixes=(suffix,), read=read, recognises=known)


def test_a_plugin_says_how_its_files_are_recognised(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"MINE1234")
    assert _catalog(_format("mine", ".mine", b"MINE")).format_of(path).name == "mine"


def test_a_longer_suffix_precedes_a_content_that_several_formats_have(tmp_path: Path) -> None:
    found = _catalog(_format("plain", ".h5", b"HDF"), _format("special", ".special.h5"))
    path = tmp_path / "a.special.h5"
    path.write_bytes(b"HDF")
    assert found.format_of(path).name == "special"
    assert found.format_of(path.rename(tmp_path / "a.h5")).name == "plain"
