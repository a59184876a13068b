"""ONNX files that are refused, by name, and what damage does."""

from __future__ import annotations

import time

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx_files import array, as_model, from_bytes, make, small, whole

from toolkit.engine import Network
from toolkit.errors import (
    LimitReachedError,
    MissingInputError,
    ToolkitError,
    UnreadableInputError,
    UnsupportedError,
)
from toolkit_onnx.reading import read


def test_one_image_at_a_time_for_good_is_refused_by_name():
    nodes = [helper.make_node("Reshape", ["x", "s"], ["a"]), helper.make_node("MatMul", ["w", "a"], ["y"])]
    tensors = [whole("s", 784, 1), array("w", 5, 784)]
    proto = make(nodes, tensors, shape=(1, 1, 28, 28), outputs=(("y", (5, 1)),))
    with pytest.raises(UnsupportedError, match=r"exactly 1 image at a time"):
        as_model(proto)


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
        (external, UnsupportedError, "'c.weight' is stored in another file"),
        (control_flow, UnsupportedError, "'gate' is control flow"),
        (functions, UnsupportedError, "defines functions"),
        (foreign_domain, UnsupportedError, "'com.microsoft'"),
        (two_inputs, UnsupportedError, "2 inputs ('x', 'state')"),
        (of_bytes, UnsupportedError, "input 'x' is of type UINT8"),
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
    assert "made.onnx: " in caught.value.message
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
    with pytest.raises(UnreadableInputError, match="is not text"):
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
        (b'{"cells": []}', "notebook"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
        (b"", "it is empty"),
        (bytes(200), "a file of zeros"),
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


def test_a_folder_or_a_device_is_not_read_as_a_file(tmp_path):
    with pytest.raises(UnreadableInputError, match="a folder, not a file"):
        read(tmp_path)


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
