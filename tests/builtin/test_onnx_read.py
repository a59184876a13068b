"""ONNX files are read as data: what is in them, and that it runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from onnx_files import RNG, array, as_model, make, small, whole

from toolkit.engine import Network
from toolkit.graph.head import head_of
from toolkit.model import Card
from toolkit.model.correspondence import signature
from toolkit.tensors import OverlaidTensors, TensorRole, weights_digest
from toolkit.vocabulary import Convention
from toolkit_onnx.reading import read
from toolkit_onnx.writing import write


def test_tensors_have_layers_and_roles():
    model = as_model(small())
    assert {name: spec.role for name, spec in model.tensors.specs.items()} == {
        "c/weight": TensorRole.KERNEL,
        "c/bias": TensorRole.BIAS,
        "norm/gamma": TensorRole.SCALE,
        "norm/beta": TensorRole.SHIFT,
        "norm/moving_mean": TensorRole.RUNNING_MEAN,
        "norm/moving_variance": TensorRole.RUNNING_VARIANCE,
        "fc/kernel": TensorRole.KERNEL,
    }
    assert model.tensors.specs["fc/kernel"].shape == (588, 5)
    assert model.dialect == "onnx"
    assert (model.input_shape, model.output_shape) == ((1, 28, 28), (5,))


def test_layers_come_in_order_with_attributes_and_inputs():
    model = as_model(small())
    layers, nodes = model.layers, model.build_graph().nodes
    assert [(layer.name, layer.kind) for layer in layers] == [
        ("x", "Input"),
        ("c", "Conv"),
        ("norm", "BatchNormalization"),
        ("relu_2", "Relu"),
        ("flatten_3", "Flatten"),
        ("fc", "Gemm"),
    ]
    assert [node.layer for node in nodes] == [layer.name for layer in layers[1:]]
    assert nodes[0].attributes == {"strides": (2, 2)}
    assert [node.inputs[0] for node in nodes] == ["x", "a", "d", "e", "f"]


def test_the_graph_is_the_files_own():
    proto = small()
    model = as_model(proto)
    inputs = RNG.random((4, 1, 28, 28), dtype=np.float32)
    from onnx.reference import ReferenceEvaluator

    (expected,) = ReferenceEvaluator(proto).run(None, {"x": inputs})
    np.testing.assert_allclose(Network.of(model).run(inputs), expected, atol=1e-5)


def test_constants_that_are_no_weights_belong_to_the_layer():
    nodes = [
        helper.make_node("Constant", [], ["six"], value=numpy_helper.from_array(np.float32(6))),
        helper.make_node("Constant", [], ["zero"], value_float=0.0),
        helper.make_node("Constant", [], ["shape"], value_ints=[-1, 784]),
        helper.make_node("Clip", ["x", "zero", "six"], ["a"], name="clip"),
        helper.make_node("Reshape", ["a", "shape"], ["b"], name="flat"),
        helper.make_node("MatMul", ["b", "W"], ["y"], name="dense"),
    ]
    model = as_model(make(nodes, [array("W", 784, 5)]))
    assert list(model.tensors.specs) == ["dense/kernel"]
    graph = model.build_graph()
    assert {name: array.tolist() for name, array in graph.constants.items()} == {
        "six": 6.0,
        "zero": 0.0,
        "b/shape": [0, 784],
    }
    assert Network.of(model).run(np.ones((3, 1, 28, 28), np.float32)).shape == (3, 5)


def test_weights_in_constant_nodes_and_after_identities_are_tensors():
    nodes = [
        helper.make_node("Flatten", ["x"], ["f"]),
        helper.make_node("Constant", [], ["W"], value=array("", 784, 5)),
        helper.make_node("MatMul", ["f", "W"], ["m"], name="dense"),
        helper.make_node("Identity", ["bias"], ["same"]),
        helper.make_node("Add", ["m", "same"], ["y"], name="shift"),
    ]
    model = as_model(make(nodes, [array("bias", 5)]))
    assert list(model.tensors.specs) == ["dense/kernel", "shift/bias"]


def test_two_models_of_one_network_have_one_signature():
    first, second = as_model(small()), as_model(small())
    assert signature(first) == signature(second)
    assert weights_digest(first.tensors) != weights_digest(second.tensors)


def test_merged_weights_are_written_and_read_back(tmp_path):
    first, second = as_model(small()), as_model(small())
    mean = {name: (first.tensors.read(name) + second.tensors.read(name)) / 2 for name in first.tensors}
    card = Card(name="soup", classes=tuple("abcde"), convention=Convention("transposed"))
    merged = first.with_tensors(OverlaidTensors(first.tensors, mean)).with_card(card)
    write(merged, tmp_path / "soup.onnx")
    again = read(tmp_path / "soup.onnx")
    assert signature(again) == signature(first)
    assert again.card == card
    assert weights_digest(again.tensors) == weights_digest(merged.tensors)


def test_one_image_at_a_time_is_set_free():
    nodes = [
        helper.make_node("Conv", ["x", "k"], ["a"], strides=[2, 2]),
        helper.make_node("Reshape", ["a", "shape"], ["f"]),
        helper.make_node("Gemm", ["f", "w"], ["y"]),
    ]
    tensors = [array("k", 3, 1, 2, 2), whole("shape", 1, 588), array("w", 588, 5)]
    model = as_model(make(nodes, tensors, shape=(1, 1, 28, 28), outputs=(("y", (1, 5)),)))
    network = Network.of(model)
    inputs = RNG.random((3, 1, 28, 28), dtype=np.float32)
    together = network.run(inputs)
    alone = np.concatenate([network.run(image[np.newaxis]) for image in inputs])
    np.testing.assert_allclose(together, alone, atol=1e-6)


@pytest.mark.parametrize("ir_version", [3, 8])
def test_a_batch_is_set_free_where_only_its_size_tells_that_it_can_be(ir_version):
    nodes = [
        helper.make_node("Conv", ["x", "k"], ["a"], strides=[2, 2]),
        helper.make_node("Reshape", ["a", "shape"], ["f"]),  # PyTorch's x.view(-1, 588)
        helper.make_node("Gemm", ["f", "w", "b"], ["y"]),
    ]
    tensors = [array("k", 3, 1, 2, 2), whole("shape", -1, 588), array("w", 588, 5), array("b", 5)]
    proto = make(nodes, tensors, shape=(1, 1, 28, 28), outputs=(("y", (1, 5)),), opset=8)
    proto.ir_version = ir_version
    for tensor in tensors if ir_version == 3 else ():  # once every initializer had to be an input too
        proto.graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
    network = Network.of(as_model(proto))
    inputs = RNG.random((3, 1, 28, 28), dtype=np.float32)
    alone = np.concatenate([network.run(image[np.newaxis]) for image in inputs])
    np.testing.assert_allclose(network.run(inputs), alone, atol=1e-6)


def test_a_foreign_domain_that_no_operator_is_of_does_not_matter():
    proto = small()
    proto.opset_import.append(helper.make_opsetid("pkg.onnxscript.torch_lib", 1))
    assert Network.of(as_model(proto)).run(np.zeros((1, 1, 28, 28), np.float32)).shape == (1, 5)


def test_the_other_name_of_onnx_own_domain_is_understood():
    nodes = [
        helper.make_node("Resize", ["x", "", "scales"], ["r"], mode="nearest"),
        helper.make_node("GlobalAveragePool", ["r"], ["p"]),
        helper.make_node("Conv", ["p", "k"], ["c"]),
        helper.make_node("Flatten", ["c"], ["y"]),
    ]
    nodes[0].attribute.append(helper.make_attribute("axes", [], attr_type=onnx.AttributeProto.INTS))
    scales = numpy_helper.from_array(np.ones(4, np.float32), "scales")
    proto = make(nodes, [scales, array("k", 5, 1, 1, 1)], opset=18)
    proto.opset_import[0].domain = "ai.onnx"
    assert Network.of(as_model(proto)).run(np.zeros((2, 1, 28, 28), np.float32)).shape == (2, 5)


def test_shapes_are_inferred_without_the_weights(monkeypatch):
    sizes = []
    infer = onnx.shape_inference.infer_shapes

    def measured(model, **options):
        sizes.append(model.ByteSize())
        return infer(model, **options)

    monkeypatch.setattr(onnx.shape_inference, "infer_shapes", measured)
    proto = small()
    as_model(proto).build_graph()
    assert sizes
    assert max(sizes) < proto.ByteSize() / 4


def test_softmax_at_the_end_means_probabilities():
    nodes = [
        helper.make_node("Flatten", ["x"], ["f"]),
        helper.make_node("MatMul", ["f", "w"], ["m"]),
        helper.make_node("Softmax", ["m"], ["y"]),
    ]
    assert head_of(as_model(make(nodes, [array("w", 784, 5)])).build_graph()).scores == "probabilities"
    assert head_of(as_model(small()).build_graph()).scores == "logits"


def test_of_several_outputs_the_scores_are_taken():
    nodes = [
        helper.make_node("Flatten", ["x"], ["f"]),
        helper.make_node("MatMul", ["f", "w"], ["y"]),
        helper.make_node("ReduceMax", ["y"], ["best"], axes=[1], keepdims=0),
    ]
    model = as_model(make(nodes, [array("w", 784, 5)], outputs=(("best", ("n",)), ("y", ("n", 5)))))
    assert model.output_shape == (5,)
    assert model.dropped == ("output best",)


def test_unused_tensors_are_dropped_and_said():
    proto = small()
    proto.graph.initializer.append(array("left over", 7))
    assert as_model(proto).dropped == ("unused tensor left over",)


def test_labels_without_a_card_are_classes():
    proto = small()
    proto.metadata_props.add(key="labels", value='["a", "b", "c", "d", "é"]')
    assert as_model(proto).card.classes == ("a", "b", "c", "d", "é")


# --- a public network -----------------------------------------------------------------------


def test_a_real_pytorch_network_reads_letters(shared: Path):
    """Upright, dark ink; 27 outputs of which the first is unused."""
    model = read(shared / "models" / "abdo-eid-letters.onnx")
    assert model.input_shape == (1, 28, 28)
    assert model.classes == 27
    assert list(model.tensors.specs)[:2] == ["conv1/kernel", "conv1/bias"]
    with (shared / "data" / "emnist" / "emnist-byclass-test.csv").open() as lines:
        rows = np.asarray([line.split(",") for _, line in zip(range(3000), lines, strict=False)], np.int64)
    capitals = rows[(rows[:, 0] >= 10) & (rows[:, 0] < 36)]
    images = np.ascontiguousarray(capitals[:, 1:].astype(np.uint8).reshape(-1, 28, 28).transpose(0, 2, 1))
    network = Network.of(model)
    right = network.probabilities(images, Convention(ink="dark")).argmax(axis=1) == capitals[:, 0] - 9
    assert right.mean() > 0.9
    wrong_way = network.probabilities(images, Convention("transposed", ink="dark")).argmax(axis=1)
    assert (wrong_way == capitals[:, 0] - 9).mean() < 0.7
