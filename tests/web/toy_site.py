"""Little models in a format that needs no framework, in a workspace with a server."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import flask
import numpy as np
from flask.testing import FlaskClient
from PIL import Image, ImageDraw

from toolkit import hookimpl
from toolkit.declarations import MergeRequest, MergeResult, MergeStrategy, ModelFormat, Routes, tensorwise
from toolkit.errors import UnreadableInputError
from toolkit.graph import Binding, Graph, Node
from toolkit.host.catalog import Catalog
from toolkit.host.manager import PluginManager
from toolkit.model import Card, Layer, Model
from toolkit.model.card_file import publish_model
from toolkit.operations.toolkit import Toolkit
from toolkit.store import Workspace
from toolkit.tensors import ArrayTensors, TensorRole, weights_digest
from toolkit.vocabulary import Convention

CLASSES = ("L", "R", "?")


def toy_graph() -> Graph:
    nodes = (
        Node("Flatten", ("input",), ("flat",), {"axis": 1}),
        Node("MatMul", ("flat", "dense/kernel"), ("logits",), layer="dense"),
        Node("Softmax", ("logits",), ("output",), {"axis": -1}),
    )
    bindings = (Binding("dense/kernel"),)
    return Graph(nodes, {}, bindings, "input", "output", (28, 28, 1), (3,))


def toy_model(kernel: np.ndarray[Any, Any], card: Card, path: Path | None = None) -> Model:
    tensors = ArrayTensors({"dense/kernel": (kernel, TensorRole.KERNEL)})
    layers = (Layer("flatten", "Flatten"), Layer("dense", "Dense", (tensors.specs["dense/kernel"],)))
    return Model(tensors, card, toy_graph, (28, 28, 1), (3,), "keras", {}, layers, path)


def left_or_right(sharpness: float = 0.05) -> np.ndarray[Any, Any]:
    """A kernel that tells on which side the ink is."""
    kernel = np.zeros((28, 28, 3), np.float32)
    kernel[:, :14, 0] = sharpness
    kernel[:, 14:, 1] = sharpness
    return kernel.reshape(784, 3)


def read_toy(path: Path) -> Model:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return toy_model(arrays["kernel"], Card(), path)
    except (ValueError, KeyError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise UnreadableInputError(f"{path}: no toy model", hint="make another") from error


def write_toy(model: Model, path: Path) -> None:
    with path.open("xb") as file:
        np.savez(file, kernel=model.tensors.read("dense/kernel"))


def mean(request: MergeRequest) -> MergeResult:
    return MergeResult(
        tensorwise(request.ingredients, lambda arrays, _: np.mean(arrays, axis=0, dtype=np.float64))
    )


@hookimpl
def toolkit_model_formats() -> Iterable[ModelFormat]:
    yield ModelFormat(name="toy", summary="A toy", suffixes=(".h5",), read=read_toy, write=write_toy)


@hookimpl
def toolkit_merge_strategies() -> Iterable[MergeStrategy]:
    yield MergeStrategy(name="mean", summary="The mean", merge=mean)


def routes_plugin(*routes: Routes) -> SimpleNamespace:
    def toolkit_routes() -> Sequence[Routes]:
        return routes

    return SimpleNamespace(toolkit_routes=hookimpl(toolkit_routes))


def make_toolkit(root: Path, *plugins: Any) -> Toolkit:
    manager = PluginManager()
    toys = SimpleNamespace(
        toolkit_model_formats=toolkit_model_formats, toolkit_merge_strategies=toolkit_merge_strategies
    )
    for number, plugin in enumerate((toys, *plugins)):
        manager.register(plugin, name=f"plugin{number}", distribution=f"dist{number}", version="1")
    return Toolkit(Workspace(root), lambda: Catalog(manager))


def add_model(folder: Path, name: str, kernel: np.ndarray[Any, Any] | None = None) -> Path:
    model = toy_model(left_or_right() if kernel is None else kernel, Card())
    card = Card(Path(name).stem, CLASSES, Convention(), weights_digest=weights_digest(model.tensors))
    publish_model(folder / name, lambda staging: write_toy(model, staging), card)
    return folder / name


def picture(kind: str = "PNG") -> bytes:
    """A thick stroke."""
    image = Image.new("L", (200, 200), 255)
    ImageDraw.Draw(image).line([(60, 20), (60, 180), (140, 180)], fill=0, width=24)
    content = io.BytesIO()
    image.save(content, format=kind)
    return content.getvalue()


@dataclass(frozen=True)
class Site:
    """A workspace and its app."""

    root: Path
    toolkit: Toolkit
    app: flask.Flask

    @property
    def models(self) -> Path:
        return self.root / "models"

    @property
    def client(self) -> FlaskClient:
        return self.app.test_client()
