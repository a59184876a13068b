"""The exporter through Keras and tf2onnx, for what the direct one does not know."""

from __future__ import annotations

import logging
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from numpy.typing import NDArray

from toolkit.engine import softmax
from toolkit.errors import ConfigurationError, ProofError, UnsupportedError
from toolkit.types import ExportRequest, ExportResult
from toolkit_onnx.direct import signed
from toolkit_onnx.editing import EditableGraph
from toolkit_onnx.options import ConvertOptions
from toolkit_onnx.proof import Answers, Source, digest_of, graph_source, prove
from toolkit_onnx.simplifying import INPUT, end_in_softmax, keep_promises, rename_values, simplify
from toolkit_onnx.tensor_roles import slot

if TYPE_CHECKING:
    import keras


def export(request: ExportRequest) -> ExportResult:
    """Write a Keras model as ONNX through ``tf2onnx.convert.from_function``, and prove it.

    The proof compares with Keras itself, and with the model's own graph where that can be built.

    Args:
        request: With ``keras_model``; its options are :class:`~toolkit_onnx.options.ConvertOptions`.

    Raises:
        ConfigurationError: If TensorFlow or tf2onnx is not installed.
        UnsupportedError: If the model is no Keras model.
        ProofError: If the file would not do what the model does; nothing is written then.
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
    converted = _convert(network, model.input_shape, options.opset, model.name)
    graph = EditableGraph(converted)
    simplify(graph)
    probabilities = _ends_in_softmax(graph)
    end_in_softmax(graph, already=probabilities)
    proto = keep_promises(graph, model.input_shape, model.classes)
    _name_by_place(proto)
    content = signed(proto, model.card)
    sources = [_keras_source(network, probabilities=probabilities)]
    try:
        own = model.build_graph()
    except UnsupportedError:
        pass  # the very layers that this exporter is there for
    else:
        sources.append(graph_source(own.bind(model.tensors), own, model.name))
    facts = prove(content, model, sources, request.probe)
    request.path.write_bytes(content)
    facts = {**facts, "softmax_added": not probabilities, "weights_digest": digest_of(content)}
    return ExportResult(request.path, facts)


def _require_packages(name: str) -> None:
    """Find out before the network is built in Keras, which takes seconds."""
    missing = [package for package in ("tensorflow", "tf2onnx") if find_spec(package) is None]
    if missing:
        raise ConfigurationError(
            f"{name}: exporting through tf2onnx needs {' and '.join(missing)}, not installed here",
            hint="pip install 'modelops-toolkit[convert]', or export with `--to onnx`",
        )


def _convert(network: keras.Model, input_shape: tuple[int, ...], opset: int, name: str) -> onnx.ModelProto:
    import tensorflow as tf
    from tf2onnx.convert import from_function

    def run(image: Any) -> dict[str, Any]:
        return {"scores": network(image, training=False)}

    signature = [tf.TensorSpec((None, *input_shape), tf.float32, name=INPUT)]
    loggers = [logging.getLogger(each) for each in ("tf2onnx", "tensorflow")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)  # what fails is raised; they would print it besides
    try:
        converted, external = from_function(tf.function(run), input_signature=signature, opset=opset)
    except (ValueError, TypeError, KeyError, RuntimeError, AttributeError, NotImplementedError) as error:
        # tf2onnx has no error of its own: what it does not know fails in any of these ways
        raise UnsupportedError(
            f"{name}: tf2onnx cannot convert it: {type(error).__name__}: {error}",
            hint="`--to onnx` does not need tf2onnx",
        ) from error
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
    if external:
        raise UnsupportedError(f"{name}: tf2onnx wants to write tensors into other files")
    _refuse_foreign_operators(converted, name)
    model: onnx.ModelProto = converted
    return model


def _refuse_foreign_operators(converted: onnx.ModelProto, name: str) -> None:
    """What tf2onnx does not know it leaves in the graph under TensorFlow's name, and goes on."""
    unknown = sorted({node.op_type for node in converted.graph.node if not onnx.defs.has(node.op_type)})
    if unknown:
        raise UnsupportedError(
            f"{name}: tf2onnx does not know TensorFlow's {', '.join(unknown)}",
            hint="`--to onnx` does not need tf2onnx",
        )


def _ends_in_softmax(graph: EditableGraph) -> bool:
    maker = graph.maker(graph.outputs[0])
    return maker is not None and maker.op_type == "Softmax"


def _keras_source(network: keras.Model, *, probabilities: bool) -> Source:
    def answer(inputs: NDArray[np.float32]) -> Answers:
        found = np.asarray(network(inputs, training=False))
        if probabilities:
            return Answers(found, None)
        return Answers(softmax(found), found)

    return Source("Keras", answer)


def _name_by_place(proto: onnx.ModelProto) -> None:
    """Replace tf2onnx's names, which count up with every conversion, by ones that tell the place."""
    kept = {proto.graph.input[0].name, proto.graph.output[0].name}
    constants = {tensor.name: tensor for tensor in proto.graph.initializer}
    renamed: dict[str, str] = {}
    for index, node in enumerate(proto.graph.node):
        node.name = f"{node.op_type.lower()}_{index}"
        for place, name in enumerate(node.input):
            if name in constants and name not in renamed:
                tensor = constants[name]
                size = int(np.prod(tensor.dims, dtype=np.int64))
                known = slot(node, place, size, is_float=tensor.data_type == onnx.TensorProto.FLOAT)
                renamed[name] = f"{node.name}/{known[0] if known else f'input_{place}'}"
        for place, name in enumerate(node.output):
            if name and name not in kept:
                renamed[name] = node.name if place == 0 else f"{node.name}/output_{place}"
    if len(set(renamed.values())) != len(renamed):
        raise ProofError("two values of the converted graph would bear one name")
    rename_values(proto, renamed)
    del proto.graph.value_info[:]
