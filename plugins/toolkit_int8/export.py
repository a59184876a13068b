"""From a float32 network to an ONNX file with 8-bit integers that is measured before it is written."""

from __future__ import annotations

import dataclasses

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from toolkit.data import Dataset
from toolkit.data.convention import apply_convention
from toolkit.engine import (
    SERVED_BATCHES,
    Evaluation,
    Network,
    Session,
    evaluate,
    require_character_network,
    seconds_per_run,
)
from toolkit.errors import ProofError, UnsupportedError, UsageError
from toolkit.graph.editing import EditableGraph
from toolkit.graph.onnx_form import complaint, from_node, from_onnx
from toolkit.model import Card, Model
from toolkit.onnx_export import Added, added_to, keep_promises, signed, simplified_graph, with_opset
from toolkit.records import dataclass
from toolkit.tensors import ArrayTensors
from toolkit.types import Convention, ExportRequest, ExportResult, Scores
from toolkit.vocabulary import percent
from toolkit_int8 import Int8Options
from toolkit_int8.calibration import activation_ranges
from toolkit_int8.places import convolve_normalisations, quantised_values, refuse_quantised
from toolkit_int8.quantising import quantise

OPSET = 17


@dataclass(frozen=True)
class _Finished:
    """A network with the promised names: as a model to evaluate, as the bytes of its file, and its scores."""

    model: Model
    content: bytes
    scores: Scores


def export(request: ExportRequest) -> ExportResult:
    """Write a model as ONNX with static quantisation (QDQ: uint8 activations, int8 weights per channel).

    Both the float32 export and the quantised one are run on the same images in the same process; what is
    slower, or loses more accuracy than the budget, is not written.

    Raises:
        ProofError: If more accuracy is lost than the budget allows.
        UnsupportedError: If it is slower than float32 here, or the network cannot be quantised.
        UsageError: If no images may be used.
    """
    options = request.options if isinstance(request.options, Int8Options) else Int8Options()
    model = request.model
    require_character_network(model)
    if request.draw is None:
        raise UsageError(
            f"{model.name}: onnx-int8 needs images to calibrate and to measure on",
            hint="name a data set with --dataset, or export with `--to onnx`",
        )
    convention = model.card.convention or Convention()
    calibration, validation = (
        request.draw("fit", options.images),
        request.draw("validation", options.validation),
    )
    inputs = apply_convention(np.asarray(calibration.images), convention, model.input_shape)
    simplified, _ = simplified_graph(model)
    refuse_quantised(simplified, model.name)
    scores = Network.of(model).scores
    added = added_to(scores)
    scores = "probabilities" if added else scores
    float32 = _finished(simplified, model, scores, added)
    graph = _editable(float32.content)  # in an opset that has quantisation per channel
    convolve_normalisations(graph)
    values = quantised_values(graph)
    ranges = activation_ranges(graph, list(dict.fromkeys(values.values())), inputs, options, model.name)
    layers = quantise(graph, values, ranges, weight_bits=7 if options.reduce_range else 8)
    if not layers:
        raise UnsupportedError(
            f"{model.name}: no convolution and no dense layer to quantise", hint="export with `--to onnx`"
        )
    int8 = _finished(graph, model, scores)
    if objection := complaint(int8.content):
        raise ProofError(f"{model.name}: the ONNX checker does not accept the export: {objection}")
    calibrated = {
        "compared_with": "the float32 network",
        "calibration_dataset": calibration.name,
        "calibration_images": len(calibration),
        "calibration_method": options.method,
        "validation_dataset": validation.name,
        "validation_images": len(validation),
    }
    accuracies = _measured(float32, int8, validation, convention, options)
    times = _timed(float32, int8, inputs, model.name)
    card = _card(model.card, validation, accuracies["accuracy"])
    # Without what was measured: it differs between machines, and equal models give equal bytes.
    inside = dataclasses.replace(card, metrics={}, verification=calibrated)
    content = signed(onnx.load_model_from_string(int8.content), inside, int8.scores)
    request.path.write_bytes(content)
    facts = {
        "convention": str(convention),
        "convention_assumed": model.card.convention is None,
        "integer_layers": layers,
        "bytes_float32": len(float32.content),
        "bytes": len(content),
    }
    speeds = (
        f"{times[f'speedup_batch_{size}']:.2f} times as fast at batch {size}" for size in SERVED_BATCHES
    )
    return ExportResult(
        request.path,
        {**calibrated, **accuracies, **times, **facts},
        f"accuracy {percent(accuracies['accuracy'])}, float32 {percent(accuracies['accuracy_float32'])}, "
        f"on {len(validation):,} validation images of {validation.name}; {', '.join(speeds)}; "
        f"{len(float32.content) / len(content):.1f} times smaller",
        dataclasses.replace(card, verification={**calibrated, **accuracies, **times}),
    )


def _finished(graph: EditableGraph, model: Model, scores: Scores, added: Added = "") -> _Finished:
    proto = with_opset(keep_promises(graph, model.classes, added=added), OPSET, model.name)
    content = signed(proto, model.card, scores)
    described = _editable(content).finished()
    runnable = dataclasses.replace(model, tensors=ArrayTensors({}), describe_graph=lambda: described)
    return _Finished(runnable, content, scores)


def _editable(content: bytes) -> EditableGraph:
    proto = onnx.load_model_from_string(content)
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in proto.graph.initializer}
    nodes, ends = [*map(from_node, proto.graph.node)], [*proto.graph.input, *proto.graph.output]
    return EditableGraph(
        dataclasses.replace(from_onnx(proto, nodes, ends), constants=constants), ArrayTensors({})
    )


def _measured(
    float32: _Finished, int8: _Finished, images: Dataset, convention: Convention, options: Int8Options
) -> dict[str, float]:
    """Both accuracies; refuses a loss above the budget."""
    full, reduced = (_evaluated(one, images, convention) for one in (float32, int8))
    lost = full.accuracy - reduced.accuracy
    if 100 * lost > options.budget + 1e-9:
        raise ProofError(
            f"{float32.model.name}: accuracy {percent(reduced.accuracy)} in int8, {percent(full.accuracy)} "
            f"in float32, on {len(images):,} images of {images.name}: {100 * lost:.2f} points lost, "
            f"{options.budget:g} allowed; nothing was written",
            hint="try -o method=percentile, -o method=entropy, more images or -o reduce_range=true; "
            "or allow more with -o budget=…",
        )
    return {
        "accuracy": reduced.accuracy,
        "accuracy_float32": full.accuracy,
        "log_loss": reduced.log_loss,
        "log_loss_float32": full.log_loss,
    }


def _evaluated(one: _Finished, images: Dataset, convention: Convention) -> Evaluation:
    return evaluate(Network.of(one.model), images, convention)


def _timed(float32: _Finished, int8: _Finished, inputs: NDArray[np.float32], name: str) -> dict[str, float]:
    """Milliseconds per run on one thread at each batch size; refuses what is slower."""
    sessions = [Session(one.content, name) for one in (float32, int8)]
    facts = {}
    for size in SERVED_BATCHES:
        before, after = seconds_per_run(sessions, np.resize(inputs, (size, *inputs.shape[1:])))
        facts[f"milliseconds_batch_{size}_float32"] = round(1000 * before, 4)
        facts[f"milliseconds_batch_{size}"] = round(1000 * after, 4)
        facts[f"speedup_batch_{size}"] = round(before / after, 3)
        if after > before:
            raise UnsupportedError(
                f"{name}: int8 is slower than float32 on this processor: {1000 * after:.3f} ms against "
                f"{1000 * before:.3f} ms at batch {size}; nothing was written",
                hint="export with `--to onnx`",
            )
    return facts


def _card(card: Card, images: Dataset, accuracy: float) -> Card:
    """The model's card with the accuracy that was measured; its other figures are of another network."""
    if images.name != card.dataset:
        return dataclasses.replace(card, metrics={})
    metrics = {"validation_accuracy": accuracy, "validation_images": float(len(images))}
    return dataclasses.replace(card, metrics=metrics)
