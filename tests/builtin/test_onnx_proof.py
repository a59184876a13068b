"""An export that differs from its source is not written."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import numpy_helper
from onnx_wiring import Wiring, emnist_like, kinds, request

from toolkit.errors import ProofError
from toolkit.onnx_export import (
    NetworkOutputs,
    Promised,
    finished,
    graph_reference,
    proof,
    proof_images,
    prove,
    simplified,
)
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
    done = export(request(emnist_like(relu_first=False), tmp_path))
    assert kinds(done.path).count("BatchNormalization") == 3
    assert (done.facts["normalisations_folded"], done.facts["normalisations_left"]) == (0, 3)
    assert "batch normalisation was kept, because with it folded probabilities differ by" in done.verified


def badly_scaled():
    """Features around 3,000 that differ by 0.01, normalised: folded, both sides of a difference are huge."""
    net = Wiring(21)
    x = net.add("Mul", net.conv("x", 4, stride=2), net.tensor(np.full((4, 1, 1), 0.01)))
    x = net.add("Relu", net.add("Add", x, net.tensor(np.full((4, 1, 1), 3000.0))))
    parts = [np.ones(4), np.zeros(4), np.full(4, 3000.0), np.full(4, 1e-4)]
    x = net.add("BatchNormalization", x, *map(net.tensor, parts), epsilon=1e-6)
    return net.model(net.dense(net.flat(x), 5))


def test_where_folding_breaks_the_proof_batch_normalisation_is_kept(tmp_path):
    model = badly_scaled()
    done = export(request(model, tmp_path))
    assert kinds(done.path).count("BatchNormalization") == 1
    assert done.facts["largest_probability_difference"] <= 1e-5
    assert done.facts["folding_refused"].startswith("probabilities differ by")
    assert "batch normalisation was kept" in done.verified


def test_an_export_that_fails_both_ways_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(
        direct, "finished", lambda graph, classes, promised: finished_wrongly(graph, classes, promised)
    )
    asked = request(emnist_like(relu_first=False), tmp_path)
    with pytest.raises(ProofError, match="probabilities differ by"):
        export(asked)
    assert not asked.path.exists()


def finished_wrongly(graph, classes, promised):
    for name, array in graph.constants.items():
        graph.constants[name] = array * np.float32(1.01) if array.dtype == np.float32 else array
    return finished(graph, classes, promised)


@pytest.mark.parametrize(
    ("logit", "allowed"), [(1, 1e-4), (10, 1e-4), (20, 2e-4), (500, 5e-3), (np.inf, 1e-4)]
)
def test_tolerances_grow_with_the_logits(logit, allowed):
    own = NetworkOutputs(np.zeros((1, 2), np.float32), None, logit)
    assert proof._tolerances(own) == pytest.approx((allowed / 10, allowed))


def broken(change, folder):
    """A good export that something has been done to, and what it is compared with."""
    asked = request(emnist_like(relu_first=False), folder)
    images = proof_images(asked)
    reference = graph_reference(asked.model, images)
    made, *_ = direct.exportable(asked.model, DirectOptions(), Promised())
    damaged = made.whole()
    change(damaged)
    asked.path.write_bytes(damaged.SerializeToString())
    return asked.path, asked.model, [reference], images, Promised()


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
def test_a_broken_export_is_refused(change, message, tmp_path):
    asked = broken(change, tmp_path)
    with pytest.raises(ProofError, match=message):
        prove(*asked)


def test_a_good_export_is_verified(tmp_path):
    asked = broken(lambda proto: None, tmp_path)
    facts = prove(*asked)
    assert facts["compared_with"] == "the model's graph"
    assert facts["largest_probability_difference"] < 1e-5
    assert facts["largest_logit_difference"] < 1e-4


def test_a_model_whose_outputs_are_nan_is_not_exported(tmp_path):
    model = emnist_like(relu_first=False)
    name = next(iter(model.tensors))
    nan = np.full(model.tensors.specs[name].shape, np.nan, np.float32)
    with pytest.raises(ProofError, match="nan"):
        export(request(model.with_tensors(OverlaidTensors(model.tensors, {name: nan})), tmp_path))
