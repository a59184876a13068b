"""An export that differs from its source is not written."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from onnx_wiring import emnist_like, request

from toolkit.errors import ProofError
from toolkit.onnx_export import graph_reference, prove, signed, simplified
from toolkit.tensors import OverlaidTensors
from toolkit_onnx import DirectOptions, direct
from toolkit_onnx.direct import export


def test_a_wrong_folding_is_not_written(tmp_path, monkeypatch):
    """With the epsilon forgotten, as a careless converter would."""
    right = simplified.fold_batch_normalisation

    def careless(graph):
        for node in graph.nodes:
            if node.operator == "BatchNormalization":
                node.attributes.clear()
        return right(graph)

    monkeypatch.setattr(simplified, "fold_batch_normalisation", careless)
    asked = request(emnist_like(relu_first=False), tmp_path)
    with pytest.raises(ProofError, match="probabilities differ by"):
        export(asked)
    assert not asked.path.exists()


def broken(change):
    """A good export that something has been done to, and what it is compared with."""
    model = emnist_like(relu_first=False)
    made, *_ = direct.exportable(model, DirectOptions())
    damaged = onnx.load_from_string(signed(made, model.card))
    change(damaged)
    return damaged.SerializeToString(), model, [graph_reference(model)]


def rename_input(proto):
    proto.graph.input[0].name = proto.graph.node[0].input[0] = "pixels"


def rename_output(proto):
    proto.graph.output[0].name = proto.graph.node[-1].output[0] = "scores"


def rename_axis(proto):
    proto.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "unk__12"
    proto.graph.output[0].type.tensor_type.shape.dim[0].dim_param = "unk__12"


def fix_batch(proto):
    proto.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    proto.graph.output[0].type.tensor_type.shape.dim[0].dim_value = 1


def invalid_node(proto):
    proto.graph.node[1].op_type = "Gelu"


def no_softmax(proto):
    proto.graph.node[-1].op_type = "Identity"
    del proto.graph.node[-1].attribute[:]


def swap_classes(proto):
    for tensor in proto.graph.initializer:
        if list(tensor.dims) == [16, 5]:
            values = numpy_helper.to_array(tensor)[:, ::-1]
            tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(values), tensor.name))


def nudge_one_weight(proto):
    tensor = proto.graph.initializer[0]
    values = numpy_helper.to_array(tensor).copy()
    values.flat[4] += 0.01
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))


def not_a_number(proto):
    tensor = proto.graph.initializer[0]
    tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * np.float32("nan"), tensor.name))


def other_labels(proto):
    del proto.metadata_props[:]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (rename_input, "inputs are pixels"),
        (rename_output, "outputs are scores"),
        (rename_axis, "'unk__12'"),
        (fix_batch, "is expected"),
        (invalid_node, "checker does not accept"),
        (no_softmax, "probabilities differ"),
        (swap_classes, "probabilities differ"),
        (nudge_one_weight, "probabilities differ"),
        (not_a_number, "probabilities differ by nan"),
        (other_labels, "other classes"),
    ],
)
def test_a_broken_export_is_refused(change, message):
    content, model, sources = broken(change)
    with pytest.raises(ProofError, match=message):
        prove(content, model, sources, None)


def test_a_good_export_is_verified():
    content, model, sources = broken(lambda proto: None)
    facts = prove(content, model, sources, None)
    assert facts["compared_with"] == "the model's graph"
    assert facts["largest_probability_difference"] < 1e-5
    assert facts["largest_logit_difference"] < 1e-4


def test_a_model_whose_outputs_are_nan_is_not_exported(tmp_path):
    model = emnist_like(relu_first=False)
    name = next(iter(model.tensors))
    nan = np.full(model.tensors.specs[name].shape, np.nan, np.float32)
    with pytest.raises(ProofError, match="nan"):
        export(request(model.with_tensors(OverlaidTensors(model.tensors, {name: nan})), tmp_path))
