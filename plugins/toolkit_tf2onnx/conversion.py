"""ONNX through Keras and tf2onnx, for layers that the toolkit's own graph does not support."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from toolkit.errors import ConfigurationError, ProofError, UnsupportedError
from toolkit.graph import Graph
from toolkit.graph.editing import EditableGraph
from toolkit.graph.head import head_of
from toolkit.graph.onnx_form import from_node, from_onnx
from toolkit.onnx_export import (
    INPUT,
    NetworkOutputs,
    Promised,
    ProofImages,
    Reference,
    added_to,
    finished,
    graph_reference,
    proof_images,
    record,
    save_proved,
    sign,
)
from toolkit.tensors import ArrayTensors
from toolkit.types import ExportRequest, ExportResult
from toolkit_tf2onnx import ConvertOptions

if TYPE_CHECKING:
    import keras


def export(request: ExportRequest) -> ExportResult:
    """Write a Keras model as ONNX through ``tf2onnx.convert.from_function``, and verify it.

    The file is compared with Keras itself, and with the model's own graph if that can be run.
    """
    options = request.options if isinstance(request.options, ConvertOptions) else ConvertOptions()
    model = request.model
    if request.keras_model is None or model.dialect != "keras":
        raise UnsupportedError(
            f"{model.name}: a {model.dialect} network cannot be built in Keras",
            hint="`--to onnx` exports it without Keras",
        )
    _require_packages(model.name)
    network = request.keras_model()
    model = replace(model, output_shape=_output_shape(network, model.name))
    request = replace(request, model=model)
    converted = _convert(network, model.input_shape, options.opset, model.name)
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in converted.graph.initializer}
    opsets = {entry.domain: entry.version for entry in converted.opset_import if not entry.domain}
    nodes, ends = [*map(from_node, converted.graph.node)], [*converted.graph.input, *converted.graph.output]
    plain = replace(from_onnx(converted, nodes, ends), constants=constants, opsets=opsets)
    images = proof_images(request)
    reference = _keras_reference(network, plain, images)
    added = added_to(reference.scores, normalise=options.normalise)
    promised = Promised(scores=reference.scores, added=added)
    graph = EditableGraph(plain, ArrayTensors({}))
    _name_by_place(graph)
    made = finished(graph, model.classes, promised)
    sign(made.proto, model.card, promised.exported_scores)
    references = [reference]
    with suppress(UnsupportedError):  # a layer that only this exporter supports
        references.append(graph_reference(model, images))
    return save_proved(request, made.write, references, images, promised)


def _require_packages(name: str) -> None:
    """Find out before the network is built in Keras, which takes seconds."""
    missing = [package for package in ("tensorflow", "tf2onnx") if find_spec(package) is None]
    if missing:
        raise ConfigurationError(
            f"{name}: exporting through tf2onnx needs {' and '.join(missing)}, not installed here",
            hint="pip install 'modelops-toolkit[convert]', or export with `--to onnx`",
        )


def _output_shape(network: keras.Model, name: str) -> tuple[int, ...]:
    """What Keras knows and the configuration alone may not tell."""
    shapes = [tuple(output.shape[1:]) for output in network.outputs]
    if len(shapes) != 1 or len(shapes[0]) != 1 or not shapes[0][0]:
        raise UnsupportedError(
            f"{name}: the network's outputs have the shapes {shapes}",
            hint="networks with one number per class can be exported",
        )
    return shapes[0]


def _convert(network: keras.Model, input_shape: tuple[int, ...], opset: int, name: str) -> onnx.ModelProto:
    import tensorflow as tf
    from tf2onnx.convert import from_function

    def run(image: Any) -> dict[str, Any]:
        return {"scores": network(image, training=False)}

    signature = [tf.TensorSpec((None, *input_shape), tf.float32, name=INPUT)]
    loggers = [logging.getLogger(each) for each in ("tf2onnx", "tensorflow")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)  # what fails is raised; they would also print it
    try:
        converted, external = from_function(tf.function(run), input_signature=signature, opset=opset)
    except (ValueError, TypeError, KeyError, RuntimeError, AttributeError, NotImplementedError) as error:
        # tf2onnx has no error of its own: what it does not support fails in any of these ways
        raise UnsupportedError(
            f"{name}: tf2onnx cannot convert it: {type(error).__name__}: {error}",
            hint="`--to onnx` does not need tf2onnx",
        ) from error
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
    if external:
        raise UnsupportedError(f"{name}: tf2onnx would write tensors into other files")
    # tf2onnx leaves operations that it does not support in the graph, under TensorFlow's names.
    unknown = sorted({node.op_type for node in converted.graph.node if not onnx.defs.has(node.op_type)})
    if unknown:
        raise UnsupportedError(
            f"{name}: tf2onnx does not support TensorFlow's {', '.join(unknown)}",
            hint="`--to onnx` does not need tf2onnx",
        )
    model: onnx.ModelProto = converted
    return model


def _keras_reference(network: keras.Model, graph: Graph, images: Mapping[str, ProofImages]) -> Reference:
    is_logits = head_of(graph).scores == "logits"

    def run(inputs: NDArray[np.float32]) -> NetworkOutputs:
        found = np.asarray(network(inputs, training=False))
        largest = float(np.abs(found).max(initial=0.0)) if is_logits else 0.0
        return NetworkOutputs(found, found if is_logits else None, largest)

    return record("Keras", graph, run, images)


def _name_by_place(graph: EditableGraph) -> None:
    """Replace tf2onnx's names, which count up with every conversion, by ones that tell the place."""
    renamed: dict[str, str] = {}
    for index, node in enumerate(graph.nodes):
        node.name = f"{node.operator.lower()}_{index}"
        for place, name in enumerate(node.inputs):
            if name in graph.constants:
                renamed.setdefault(name, f"{node.name}/input_{place}")
        for place, name in enumerate(node.outputs):
            if name and name != graph.output:
                renamed[name] = node.name if place == 0 else f"{node.name}/output_{place}"
    if len(set(renamed.values())) != len(renamed):
        raise ProofError("two values of the converted graph have one name", hint="report this")
    graph.rename(renamed)
