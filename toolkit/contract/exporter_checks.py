"""Checks of the exporter contract on a small network."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from toolkit.data import Dataset
from toolkit.declarations import Exporter, ExportRequest, ExportResult
from toolkit.errors import ToolkitError, one_line
from toolkit.graph import Binding, Graph, Node
from toolkit.model import Card, Model
from toolkit.tensors import ArrayTensors, TensorRole, weights_digest
from toolkit.vocabulary import Convention, SplitName

_CLASSES = ("a", "b", "c")
_SHAPE = (28, 28, 1)


def small_network(seed: int) -> Model:
    """A dense layer on 28×28 pixels with a softmax for three classes, filled at random; it can be run."""
    random = np.random.default_rng(seed)
    kernel = random.normal(0, 0.05, (784, len(_CLASSES))).astype(np.float32)
    tensors = {"dense/kernel": (kernel, TensorRole.KERNEL), "dense/bias": (kernel[0], TensorRole.BIAS)}
    graph = Graph(
        nodes=(
            Node("Flatten", ("input",), ("flat",), {"axis": 1}),
            Node("Gemm", ("flat", "dense/kernel", "dense/bias"), ("logits",), layer="dense"),
            Node("Softmax", ("logits",), ("scores",), {"axis": 1}),
        ),
        constants={},
        bindings=tuple(map(Binding, tensors)),
        input="input",
        output="scores",
        input_shape=_SHAPE,
        output_shape=(len(_CLASSES),),
    )
    card = Card(name=f"small-{seed}", classes=_CLASSES, convention=Convention())
    return Model(ArrayTensors(tensors), card, lambda: graph, _SHAPE, graph.output_shape, dialect="onnx")


def exporter_problems(exporter: Exporter) -> Iterator[str]:
    """Export a small network with the default options; an exporter may refuse it with a ToolkitError.

    One that takes several models gets one and two. Keras is not offered.
    """
    for count in (1, 2) if exporter.several else (1,):
        with tempfile.TemporaryDirectory() as folder:
            yield from _export_problems(exporter, count, Path(folder))


def _export_problems(exporter: Exporter, count: int, folder: Path) -> Iterator[str]:
    model, *others = (small_network(seed) for seed in range(count))
    path = folder / f"staged{exporter.suffix}"
    request = ExportRequest(
        model, path, exporter.options(), _draw("fit", 8).images, others=tuple(others), draw=_draw
    )
    digest = weights_digest(model.tensors)
    try:
        result: object = exporter.export(request)
    except ToolkitError:
        return
    except Exception as error:  # noqa: BLE001 - whatever third-party code raises is a finding
        yield f"export failed on a small network: {type(error).__name__}: {one_line(error)}"
        return
    if not isinstance(result, ExportResult):
        yield f"export returned {type(result).__name__}, expected ExportResult"
        return
    if result.path != path:
        yield f"export returned the path {result.path.name}, expected that of the request"
    if not path.is_file():
        yield "export did not write a file to the path of the request"
    extra = sorted(found.name for found in folder.iterdir() if found != path)
    if extra:
        yield f"export wrote other files beside its own: {', '.join(extra)}"
    if weights_digest(model.tensors) != digest:
        yield "export changed the tensors of its model"


def _draw(split: SplitName, most: int) -> Dataset:
    random = np.random.default_rng(len(split))
    images = random.integers(0, 256, (min(most, 64), *_SHAPE[:2]), dtype=np.uint8)
    return Dataset("noise", _CLASSES, images, random.integers(0, 3, len(images)).astype(np.int32))
