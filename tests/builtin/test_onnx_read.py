"""ONNX files are read as data: what is in them, what is refused, and what damage does."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from toolkit.engine import Network
from toolkit.errors import (
    LimitReachedError,
    MissingInputError,
    ToolkitError,
    UnreadableInputError,
    UnsupportedError,
)
from toolkit.model import Card, OverlaidTensors, TensorRole, weights_digest
from toolkit.types import Convention
from toolkit_onnx.reading import from_bytes, read
from toolkit_onnx.writing import write

RNG = np.random.default_rng(0)


def array(name, *shape, kind=np.float32):
    return numpy_helper.from_array(RNG.normal(0, 0.2, shape).astype(kind), name)


def whole(name, *numbers):
    return numpy_helper.from_array(np.asarray(numbers, np.int64), name)


def make(nodes, initializers, *, shape=("n", 1, 28, 28), outputs=(("y", ("n", 5)),), opset=17, **extra):
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, axes) for name, axes in outputs],
        initializer=initializers,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8, **extra)


def small(**options):
    """Conv, batch normalisation, pooling, dense."""
    nodes = [
        helper.make_node("Conv", ["x", "c.weight", "c.bias"], ["a"], name="/c/Conv", strides=[2, 2]),
        helper.make_node(
            "BatchNormalization", ["a", "g", "b", "m", "v"], ["d"], name="/norm/BatchNormalization"
        ),
        helper.make_node("Relu", ["d"], ["e"]),
        helper.make_node("Flatten", ["e"], ["f"]),
        helper.make_node("Gemm", ["f", "onnx::Gemm_7"], ["y"], name="/fc/Gemm"),
    ]
    tensors = [array("c.weight", 3, 1, 2, 2), array("c.bias", 3), array("g", 3), array("b", 3), array("m", 3)]
    tensors += [numpy_helper.from_array(np.ones(3, np.float32), "v"), array("onnx::Gemm_7", 588, 5)]
    return make(nodes, tensors, **options)


def as_model(proto, where="made.onnx"):
    return from_bytes(proto.SerializeToString(), where)


def test_tensors_bear_layers_and_roles():
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
    assert model.topology.dialect == "onnx"
    assert (model.topology.input_shape, model.topology.output_shape) == ((1, 28, 28), (5,))


def test_layers_stand_in_order_with_attributes_and_inputs():
    layers = as_model(small()).topology.layers
    assert [(layer.name, layer.kind) for layer in layers] == [
        ("x", "Input"),
        ("c", "Conv"),
        ("norm", "BatchNormalization"),
        ("relu_2", "Relu"),
        ("flatten_3", "Flatten"),
        ("fc", "Gemm"),
    ]
    assert layers[1].attributes == {"strides": [2, 2]}
    assert [layer.inputs for layer in layers] == [(), ("x",), ("c",), ("norm",), ("relu_2",), ("flatten_3",)]


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
    by_name = {layer.name: layer.attributes for layer in model.topology.layers}
    assert by_name["clip"] == {"constants": {"1": 0.0, "2": 6.0}}
    assert by_name["flat"] == {"constants": {"1": [-1, 784]}}
    assert Network.of(model).run(np.ones((3, 1, 28, 28), np.float32)).shape == (3, 5)


def test_weights_in_constant_nodes_and_behind_identities_are_tensors():
    nodes = [
        helper.make_node("Flatten", ["x"], ["f"]),
        helper.make_node("Constant", [], ["W"], value=array("", 784, 5)),
        helper.make_node("MatMul", ["f", "W"], ["m"], name="dense"),
        helper.make_node("Identity", ["bias"], ["same"]),
        helper.make_node("Add", ["m", "same"], ["y"], name="shift"),
    ]
    model = as_model(make(nodes, [array("bias", 5)]))
    assert list(model.tensors.specs) == ["dense/kernel", "shift/bias"]


def test_two_models_of_one_wiring_have_one_topology():
    first, second = as_model(small()), as_model(small())
    assert first.topology == second.topology
    assert weights_digest(first.tensors) != weights_digest(second.tensors)


def test_merged_weights_are_written_and_read_back(tmp_path):
    first, second = as_model(small()), as_model(small())
    mean = {name: (first.tensors.read(name) + second.tensors.read(name)) / 2 for name in first.tensors}
    card = Card(name="soup", classes=tuple("abcde"), convention=Convention("transposed"))
    merged = first.with_tensors(OverlaidTensors(first.tensors, mean)).with_card(card)
    write(merged, tmp_path / "soup.onnx")
    again = read(tmp_path / "soup.onnx")
    assert again.topology == first.topology
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


def test_one_image_at_a_time_for_good_is_refused_by_name():
    nodes = [helper.make_node("Reshape", ["x", "s"], ["a"]), helper.make_node("MatMul", ["w", "a"], ["y"])]
    tensors = [whole("s", 784, 1), array("w", 5, 784)]
    proto = make(nodes, tensors, shape=(1, 1, 28, 28), outputs=(("y", (5, 1)),))
    with pytest.raises(UnsupportedError, match=r"exactly 1 image at a time"):
        as_model(proto)


def test_softmax_at_the_end_means_probabilities():
    nodes = [
        helper.make_node("Flatten", ["x"], ["f"]),
        helper.make_node("MatMul", ["f", "w"], ["m"]),
        helper.make_node("Softmax", ["m"], ["y"]),
    ]
    assert as_model(make(nodes, [array("w", 784, 5)])).build_graph().outputs_probabilities
    assert not as_model(small()).build_graph().outputs_probabilities


def test_of_several_outputs_the_scores_are_taken():
    nodes = [
        helper.make_node("Flatten", ["x"], ["f"]),
        helper.make_node("MatMul", ["f", "w"], ["y"]),
        helper.make_node("ReduceMax", ["y"], ["best"], axes=[1], keepdims=0),
    ]
    model = as_model(make(nodes, [array("w", 784, 5)], outputs=(("best", ("n",)), ("y", ("n", 5)))))
    assert model.topology.output_shape == (5,)
    assert model.dropped == ("output best",)


def test_unused_tensors_are_dropped_and_said():
    proto = small()
    proto.graph.initializer.append(array("left over", 7))
    assert as_model(proto).dropped == ("unused tensor left over",)


def test_labels_without_a_card_are_classes():
    proto = small()
    proto.metadata_props.add(key="labels", value='["a", "b", "c", "d", "é"]')
    assert as_model(proto).card.classes == ("a", "b", "c", "d", "é")


# --- what is refused, by name --------------------------------------------------------------------


def external():
    proto = small()
    tensor = proto.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")
    return proto


def control_flow():
    branch = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["z"])],
        "b",
        [],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, ["n", 1, 28, 28])],
    )
    nodes = [helper.make_node("If", ["yes"], ["y"], name="gate", then_branch=branch, else_branch=branch)]
    return make(nodes, [numpy_helper.from_array(np.asarray(True), "yes")], outputs=(("y", ("n", 1, 28, 28)),))


def functions():
    proto = small()
    proto.functions.append(
        helper.make_function(
            "", "Own", ["a"], ["b"], [helper.make_node("Relu", ["a"], ["b"])], [helper.make_opsetid("", 17)]
        )
    )
    return proto


def foreign_domain():
    proto = small()
    proto.graph.node[2].domain = "com.microsoft"
    proto.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    return proto


def two_inputs():
    proto = small()
    proto.graph.input.append(helper.make_tensor_value_info("state", TensorProto.FLOAT, ["n", 3]))
    return proto


def of_bytes():
    proto = small()
    proto.graph.input[0].type.tensor_type.elem_type = TensorProto.UINT8
    proto.graph.node.insert(0, helper.make_node("Cast", ["x"], ["x32"], to=TensorProto.FLOAT))
    proto.graph.node[1].input[0] = "x32"
    return proto


def half():
    nodes = [
        helper.make_node("Flatten", ["x"], ["f"]),
        helper.make_node("Cast", ["f"], ["h"], to=TensorProto.FLOAT16),
        helper.make_node("MatMul", ["h", "w"], ["m"]),
        helper.make_node("Cast", ["m"], ["y"], to=TensorProto.FLOAT),
    ]
    return make(nodes, [array("w", 784, 5, kind=np.float16)])


def old():
    return small(opset=6)


def moving_size():
    proto = small()
    proto.graph.input[0].type.tensor_type.shape.dim[2].dim_param = "height"
    proto.graph.output[0].type.tensor_type.shape.dim[1].dim_param = "k"
    return proto


def bomb():
    nodes = [
        helper.make_node("Flatten", ["x"], ["f"]),
        helper.make_node("MatMul", ["f", "w"], ["m"]),
        helper.make_node("ConstantOfShape", ["huge"], ["z"]),
        helper.make_node("ReduceSum", ["z"], ["s"], keepdims=0),
        helper.make_node("Add", ["m", "s"], ["y"]),
    ]
    return make(nodes, [array("w", 784, 5), whole("huge", 100_000, 100_000)])


def hidden_bomb():
    proto = bomb()
    proto.graph.initializer[1].CopyFrom(whole("huge", 1, 1))
    proto.graph.node[2].input[0] = "size"
    proto.graph.node.insert(2, helper.make_node("Cast", ["long"], ["size"], to=TensorProto.INT64))
    proto.graph.node.insert(2, helper.make_node("ReduceSum", ["x"], ["sum"], keepdims=0))
    proto.graph.node.insert(3, helper.make_node("Mul", ["sum", "sum"], ["large"]))
    proto.graph.node.insert(4, helper.make_node("Reshape", ["large", "huge"], ["table"]))
    proto.graph.node.insert(5, helper.make_node("Flatten", ["table"], ["flat"]))
    proto.graph.node.insert(6, helper.make_node("Squeeze", ["flat", "first"], ["long"]))
    proto.graph.initializer.append(whole("first", 0))
    return proto


@pytest.mark.parametrize(
    ("proto", "kind", "message"),
    [
        (external, UnsupportedError, "'c.weight' stands in another file"),
        (control_flow, UnsupportedError, "'gate' is control flow"),
        (functions, UnsupportedError, "functions of its own"),
        (foreign_domain, UnsupportedError, "'com.microsoft'"),
        (two_inputs, UnsupportedError, "2 inputs ('x', 'state')"),
        (of_bytes, UnsupportedError, "input 'x' is of type UINT8"),
        (half, UnsupportedError, "weights 'w' of MatMul are of type FLOAT16"),
        (old, UnsupportedError, "opset 6"),
        (moving_size, UnsupportedError, "'height'"),
        (bomb, LimitReachedError, "10,000,000,000 elements"),
        (hidden_bomb, UnsupportedError, "how large ConstantOfShape"),
    ],
)
def test_refused_by_name_with_what_is_supported(proto, kind, message):
    with pytest.raises(kind) as caught:
        as_model(proto())
    assert message in caught.value.message
    assert caught.value.message.startswith("made.onnx: ")
    assert caught.value.hint or kind is LimitReachedError


@pytest.mark.parametrize(
    ("operation", "attribute", "value"),
    [
        ("Conv", "strides", [0, 2]),
        ("Conv", "strides", [1 << 40, 2]),
        ("Conv", "group", 0),
        ("Conv", "dilations", [1, -1]),
        ("Conv", "kernel_shape", [0, 2]),
    ],
)
def test_numbers_that_native_code_would_divide_by(operation, attribute, value):
    """A group of 0, one flipped bit away from 1, kills the process with SIGFPE if it gets through."""
    proto = small()
    (node,) = (node for node in proto.graph.node if node.op_type == operation)
    kept = [found for found in node.attribute if found.name != attribute]
    del node.attribute[:]
    node.attribute.extend([*kept, helper.make_attribute(attribute, value)])
    with pytest.raises(UnreadableInputError, match=f"'/c/Conv' has {attribute}"):
        as_model(proto)


def test_an_empty_weight_is_refused():
    proto = small()
    proto.graph.initializer[0].dims[0] = 0
    proto.graph.initializer[0].raw_data = b""
    with pytest.raises(UnreadableInputError, match=r"'c\.weight' is empty"):
        as_model(proto)


def test_names_that_are_no_text_are_refused():
    """protobuf hands out names that are no UTF-8 as bytes."""
    content = small().SerializeToString().replace(b"/norm/BatchNormalization", b"\xff\xfe\xfd" + bytes(21))
    with pytest.raises(UnreadableInputError, match="is no text"):
        from_bytes(content, "made.onnx")


def test_a_tensor_that_declares_more_than_it_holds_is_not_allocated():
    proto = small()
    proto.graph.initializer[0].dims[0] = 1 << 60
    with pytest.raises(UnreadableInputError, match=r"'c\.weight' does not hold"):
        as_model(proto)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"\x89HDF\r\n\x1a\n" + bytes(50), "HDF5"),
        (b"PK\x03\x04" + bytes(50), "zip"),
        (b"<!DOCTYPE html><html></html>", "web page"),
        (b'{"cells": []}', "JSON"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
        (b"", "holds no network"),
        (bytes(200), "not an ONNX file"),
    ],
)
def test_other_files_named_onnx_say_what_they_are(tmp_path, content, what):
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(UnreadableInputError, match=what):
        read(path)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(MissingInputError, match=r"none\.onnx"):
        read(tmp_path / "none.onnx")


def test_a_card_that_does_not_parse_is_named():
    proto = small()
    proto.metadata_props.add(key="toolkit_card", value="{")
    with pytest.raises(UnreadableInputError, match=r"made\.onnx: not a model card"):
        as_model(proto)


def test_damage_gives_a_result_or_an_error_never_a_traceback():
    """200 truncations and 200 flipped bits; what still reads is run as well."""
    proto = small()
    proto.metadata_props.add(key="labels", value='["a", "b", "c", "d", "e"]')
    whole_file = proto.SerializeToString()
    rng = np.random.default_rng(5)
    head = len(whole_file) // 8  # most bytes are weights, whose damage only a digest shows
    damaged = [whole_file[: int(cut)] for cut in rng.integers(0, len(whole_file), 200)]
    for place in np.concatenate(
        [rng.integers(0, len(whole_file), 60), rng.integers(len(whole_file) - head, len(whole_file), 140)]
    ):
        flipped = bytearray(whole_file)
        flipped[place] ^= 1 << int(rng.integers(8))
        damaged.append(bytes(flipped))
    image = np.zeros((2, 28, 28), np.uint8)
    results = errors = 0
    messages: set[str] = set()
    for content in damaged:
        started = time.process_time()
        try:
            answers = Network.of(from_bytes(content, "damaged.onnx")).probabilities(image)
            assert answers.shape[0] == 2
            results += 1
        except ToolkitError as error:
            errors += 1
            messages.add(error.message)
        assert time.process_time() - started < 10
    assert results + errors == 400
    assert all(message.strip() for message in messages)
    assert errors > 200
    assert results > 20


# --- somebody else's network -----------------------------------------------------------------------


def test_a_real_pytorch_network_reads_letters(shared: Path):
    """Upright, dark ink; 27 outputs of which the first is unused."""
    model = read(shared / "models" / "abdo-eid-letters.onnx")
    assert model.topology.input_shape == (1, 28, 28)
    assert model.topology.classes == 27
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
