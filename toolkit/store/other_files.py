"""Files that are no models: what each is, and how to get a model from it."""

from __future__ import annotations

import codecs
import os
import re
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from toolkit.errors import UnreadableInputError
from toolkit.records import dataclass
from toolkit.store.content import FileContent, content_of


@dataclass(frozen=True)
class OtherContent:
    """What a file is that holds no network that can be read, and how to get one."""

    what: str
    hint: str
    matches: Callable[[FileContent], bool]


def _begins(pattern: bytes) -> Callable[[FileContent], bool]:
    return lambda content: re.match(pattern, content.head) is not None


def _member(pattern: str) -> Callable[[FileContent], bool]:
    return lambda content: any(re.search(pattern, name) for name in content.members)


def _is_arrays(content: FileContent) -> bool:
    return bool(content.members) and all(name.endswith(".npy") for name in content.members)


def _is_compressed_pickle(content: FileContent) -> bool:
    if content.head[:1] != b"x":
        return False
    with suppress(zlib.error):
        return re.match(_PICKLE, zlib.decompressobj().decompress(content.head, 16)) is not None
    return False


def _is_index_of_checkpoint(content: FileContent) -> bool:
    return content.at(content.size - 8, 8) == b"\x57\xfb\x80\x8b\x24\x75\x47\xdb"


def _is_core_ml(content: FileContent) -> bool:
    fields = content.protobuf
    return fields[:1] == ((1, 0),) and any(number >= 200 and wire == 2 for number, wire in fields)


def _is_saved_model(content: FileContent) -> bool:
    return content.protobuf[:2] == ((1, 0), (2, 2)) and set(content.protobuf) == {(1, 0), (2, 2)}


def _is_text(content: FileContent) -> bool:
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(content.head)
    except UnicodeDecodeError:
        return False
    return bool(text) and all(character.isprintable() or character in "\t\r\n\f" for character in text)


_PICKLE = rb"\x80[\x02-\x05]|\(?[dl]p[01]\n|c[\w.]+\n\w+\n"
_AGAIN = "download or create it again"
_TORCH = 'in PyTorch: torch.onnx.export(model, torch.zeros(1, 1, 28, 28), "model.onnx")'
_IN_PYTHON = (
    "unpickling runs code, so no pickle is opened; in the program that wrote it, save the network as "
    ".keras or .onnx"
)
_CHECKPOINT = 'build the network in Keras, then: model.load_weights("…"); model.save("model.keras")'
_TENSORFLOW_JS = (
    "pip install tensorflowjs; tensorflowjs_converter --input_format=tfjs_layers_model "
    "--output_format=keras model.json model.h5"
)
_SAVED_MODEL = "pip install tf2onnx; python -m tf2onnx.convert --saved-model FOLDER --output model.onnx"
_UNPACK = "unpack it, and name the model file in it"

OTHERS = (
    OtherContent("empty", _AGAIN, lambda content: not content.size),
    OtherContent(
        "a Git LFS pointer: the file itself was not downloaded",
        "run git lfs pull",
        _begins(rb"version https://git-lfs"),
    ),
    OtherContent(
        "a PyTorch program (TorchScript)",
        'in PyTorch: torch.onnx.export(torch.jit.load("…"), torch.zeros(1, 1, 28, 28), "model.onnx")',
        _member(r"(^|/)constants\.pkl$"),
    ),
    OtherContent("a PyTorch file (a pickle in a zip archive)", _TORCH, _member(r"(^|/)data\.pkl$")),
    OtherContent("a PyTorch file (a pickle)", _TORCH, _begins(rb"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19")),
    OtherContent(
        "a pickle that joblib wrote",
        _IN_PYTHON,
        lambda content: bool(re.match(_PICKLE, content.head)) and b"joblib" in content.head,
    ),
    OtherContent("a Python pickle", _IN_PYTHON, _begins(_PICKLE)),
    OtherContent("a compressed Python pickle", _IN_PYTHON, _is_compressed_pickle),
    OtherContent(
        "a TensorFlow Lite model",
        "pip install tf2onnx; python -m tf2onnx.convert --tflite model.tflite --output model.onnx",
        lambda content: content.head[4:8] == b"TFL3",
    ),
    OtherContent(
        "an onnxruntime model (ORT format)",
        "use the .onnx file that it was made from",
        lambda content: content.head[4:8] == b"ORTM",
    ),
    OtherContent("the index of a TensorFlow checkpoint", _CHECKPOINT, _is_index_of_checkpoint),
    OtherContent(
        "the values of a TensorFlow checkpoint",
        _CHECKPOINT,
        lambda content: re.search(r"\.data-\d{5}-of-\d{5}$", content.name) is not None,
    ),
    OtherContent("the list of TensorFlow checkpoints", _CHECKPOINT, _begins(rb"model_checkpoint_path:")),
    OtherContent(
        "the protobuf of a TensorFlow SavedModel",
        _SAVED_MODEL,
        _is_saved_model,
    ),
    OtherContent(
        "a frozen TensorFlow graph",
        "pip install tf2onnx; python -m tf2onnx.convert --graphdef model.pb --output model.onnx "
        "--inputs … --outputs …",
        lambda content: content.head[:1] == b"\n" and b"\x12\x0bPlaceholder" in content.head,
    ),
    OtherContent("a Core ML model", "use the model that it was converted from", _is_core_ml),
    OtherContent("a GGUF model", "supported: networks that recognise characters", _begins(rb"GGUF")),
    OtherContent(
        "NumPy arrays",
        "load them into the network in Keras or PyTorch, and save the network",
        lambda content: _begins(rb"\x93NUMPY")(content) or _is_arrays(content),
    ),
    OtherContent(
        "a MATLAB file", "export the network from MATLAB: exportONNXNetwork", _begins(rb"MATLAB \d")
    ),
    OtherContent("an office document", "name a model file", _member(r"^\[Content_Types\]\.xml$")),
    OtherContent(
        "a zip archive with a model file in it",
        _UNPACK,
        _member(r"(?i)\.(h5|hdf5|keras|onnx|safetensors|tflite|pth?|pb)$"),
    ),
    OtherContent("a zip archive", "name a model file", _begins(rb"PK(\x03\x04|\x05\x06)")),
    OtherContent("an HDF5 file", "rename it to end in .h5", _begins(rb"\x89HDF\r\n\x1a\n")),
    OtherContent("a PNG picture", "name a model file", _begins(rb"\x89PNG")),
    OtherContent("a JPEG picture", "name a model file", _begins(rb"\xff\xd8\xff")),
    OtherContent("a GIF picture", "name a model file", _begins(rb"GIF8")),
    OtherContent("a PDF document", "name a model file", _begins(rb"%PDF")),
    OtherContent("a gzip file", "unpack it: gunzip", _begins(rb"\x1f\x8b")),
    OtherContent("a compressed file", "unpack it", _begins(rb"BZh\d|\xfd7zXZ\0|\x28\xb5\x2f\xfd")),
    OtherContent(
        "an archive",
        _UNPACK,
        lambda content: (
            content.at(257, 5) == b"ustar" or bool(re.match(rb"7z\xbc\xaf\x27\x1c|Rar!", content.head))
        ),
    ),
    OtherContent("a program", "name a model file", _begins(rb"\x7fELF|MZ.{30}")),
    OtherContent("a SQLite database", "name a model file", _begins(rb"SQLite format 3")),
    OtherContent("a file of zeros", _AGAIN, lambda content: not content.head.strip(b"\0")),
    OtherContent(
        "a web page",
        "download the file itself (on GitHub: Raw)",
        _begins(rb"(?is)(\xef\xbb\xbf)?\s*(<html|<!doctype html|<\?xml[^>]*>\s*<!doctype html)"),
    ),
    OtherContent(
        "an OpenVINO description",
        "use the model that it was converted from",
        _begins(rb"(?s)\s*(<\?xml[^>]*>)?\s*<net\s"),
    ),
    OtherContent(
        "an XML file", "name a model file", _begins(rb"(?i)(\xef\xbb\xbf)?\s*<(\?xml|!doctype|svg)")
    ),
    OtherContent(
        "a Jupyter notebook",
        'run it, and save its network: model.save("model.keras")',
        _begins(rb'(?s)\s*\{.*("cells"|"nbformat"|"cell_type")'),
    ),
    OtherContent(
        "a TensorFlow.js model",
        _TENSORFLOW_JS,
        _begins(rb'(?s)\s*\{.*("modelTopology"|"weightsManifest"|"tfjs[-_])'),
    ),
    OtherContent(
        "a network's architecture without weights",
        "name the file with the weights, and this one with --arch",
        _begins(rb'(?s)\s*"?\{.*\\?"class_name\\?"'),
    ),
    OtherContent("a JSON file", "name a model file", _begins(rb"\s*[\[{]\s*([\"\[{}\]\d]|\Z)")),
    OtherContent("a text file", "name a model file", _is_text),
)
"""The first that matches says what a file is."""

FOLDERS = (
    (
        "saved_model.pb",
        "the folder of a TensorFlow SavedModel",
        _SAVED_MODEL,
    ),
    ("Manifest.json", "a Core ML package", "use the model that it was converted from"),
    ("model.json", "the folder of a TensorFlow.js model", _TENSORFLOW_JS),
    ("checkpoint", "a folder of TensorFlow checkpoints", _CHECKPOINT),
    ("config.json", "the folder of an unpacked model", "name the file with the weights in it"),
)
"""A file in a folder that tells what the folder is, what that is, and what to do."""


def other_content(content: FileContent) -> OtherContent | None:
    """What a file is that no model format has recognised; None if it is not known."""
    return next((other for other in OTHERS if other.matches(content)), None)


def not_a_model(content: FileContent, wanted: str = "a model file") -> UnreadableInputError:
    """The error for a file that is not what was wanted: says what it is and what to do."""
    other = other_content(content)
    if other is None:
        return UnreadableInputError(f"not {wanted}: wrong file signature", hint=_AGAIN)
    return UnreadableInputError(f"not {wanted}: it is {other.what}", hint=other.hint)


def require_content(path: Path, recognises: Callable[[FileContent], bool], wanted: str) -> None:
    """Check that a file is what is ``wanted``; the error says what it is instead.

    Raises:
        UnreadableInputError: If it is not recognised.
    """
    with content_of(path) as content:
        if not recognises(content):
            raise not_a_model(content, wanted)


def refuse_folder(path: Path) -> None:
    """Refuse a path that is a folder, with what the folder is.

    Raises:
        UnreadableInputError: If it is a folder.
    """
    if not os.path.isdir(path):  # noqa: PTH112 - raises nothing
        return
    for member, what, hint in FOLDERS:
        if os.path.exists(path / member):  # noqa: PTH110
            raise UnreadableInputError(f"{path}: {what}, not a model file", hint=hint)
    raise UnreadableInputError(f"{path}: a folder, not a model file", hint="name a file in it")
