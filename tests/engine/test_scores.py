"""What a network's outputs are: probabilities, sigmoids or logits, whatever its layers are called."""

from __future__ import annotations

import numpy as np
import pytest

from toolkit.engine import Network, softmax
from toolkit.graph.head import head_of
from toolkit.tensors import OverlaidTensors, TensorRole

CLASSES = 5


def number(net, value) -> str:
    return net.constant(f"number {len(net.constants)}", np.float32(value))


def logits(net, name="d") -> str:
    return net.dense(net.add("Flatten", "image"), name, 784, CLASSES)


def feature_map(net, stride=28) -> str:
    """(n, 5, 28 // stride, 28 // stride): one position, or several."""
    return net.conv("image", "c", 1, CLASSES, kernel=28 if stride == 28 else 3, pad=0, stride=stride)


def plain(net):
    return net.add("Softmax", logits(net), axis=1)


def convolution_then_flatten(net):
    return net.add("Flatten", net.add("Softmax", feature_map(net), axis=1))


def averaged_over_positions(net):
    return net.add("Flatten", net.add("GlobalAveragePool", net.add("Softmax", feature_map(net, 5), axis=1)))


def mean_of_two(net):
    parts = [net.add("Softmax", logits(net, name), axis=1) for name in "ab"]
    return net.add("Mean", *parts)


def weighted_sum_of_two(net):
    parts = [net.add("Softmax", logits(net, name), axis=1) for name in "ab"]
    scaled = [net.add("Mul", part, number(net, share)) for part, share in zip(parts, (0.3, 0.7), strict=True)]
    return net.add("Add", *scaled)


def half_of_the_sum_of_two(net):
    parts = [net.add("Softmax", logits(net, name), axis=1) for name in "ab"]
    return net.add("Div", net.add("Add", *parts), number(net, 2))


def written_out(net):
    power = net.add("Exp", net.add("Sub", logits(net), net.add("ReduceMax", logits(net, "e"), axes=[1])))
    return net.add("Div", power, net.add("ReduceSum", power, net.constant("axis", np.array([1]))))


def times_the_reciprocal(net):
    power = net.add("Exp", net.add("Mul", logits(net), number(net, 0.01)))
    total = net.add("ReduceSum", power, net.constant("axis", np.array([1])))
    return net.add("Mul", net.add("Reciprocal", total), power)


def exp_of_log_softmax(net):
    return net.add("Exp", net.add("LogSoftmax", logits(net), axis=1))


def rounded(net):
    hundreds = net.add("Round", net.add("Mul", plain(net), number(net, 100)))
    return net.add("Identity", net.add("Div", hundreds, number(net, 100)))


def cast_to_half_and_back(net):
    return net.add("Cast", net.add("Cast", plain(net), to=10), to=1)


def normalised_sigmoids(net):
    return net.add("LpNormalization", net.add("Sigmoid", logits(net)), axis=1, p=1)


def merged_by_a_matrix(net):
    groups = net.constant("groups", np.eye(CLASSES, dtype=np.float32)[[0, 1, 1, 3, 4]])
    return net.add("MatMul", plain(net), groups)


def quantised(net):
    """As static quantisation leaves a softmax: its outputs are multiples of 1/255."""
    scale, zero = number(net, 1 / 255), net.constant("zero", np.uint8(0))
    return net.add("DequantizeLinear", net.add("QuantizeLinear", plain(net), scale, zero), scale, zero)


def saturated(net):
    return net.add("Softmax", net.add("Mul", logits(net), number(net, 1e6)), axis=1)


def zero_weights(net):
    x = net.tensor("z", np.zeros((784, CLASSES)), TensorRole.KERNEL)
    return net.add("Softmax", net.add("MatMul", net.add("Flatten", "image"), x), axis=1)


@pytest.mark.parametrize(
    "end",
    [
        *(plain, convolution_then_flatten, averaged_over_positions, mean_of_two, weighted_sum_of_two),
        *(half_of_the_sum_of_two, times_the_reciprocal, exp_of_log_softmax, rounded),
        *(quantised, cast_to_half_and_back, normalised_sigmoids, merged_by_a_matrix, saturated, zero_weights),
    ],
)
def test_probabilities_are_taken_as_they_are(build, images, end):
    net = build()
    network = Network.of(net.model(end(net), CLASSES))
    assert network.scores == "probabilities"
    inputs = (images / np.float32(255)).reshape(-1, 1, 28, 28).astype(np.float32)
    assert np.array_equal(network.probabilities(images), network.run(inputs))


def test_a_softmax_that_overflows_is_known_from_the_graph(build):
    net = build()
    model = net.model(written_out(net), CLASSES)
    assert head_of(model.build_graph()).scores == "probabilities"
    assert Network.of(model).scores == "probabilities"


def sigmoid(net):
    return net.add("Sigmoid", logits(net))


def hard_sigmoid(net):
    return net.add("HardSigmoid", net.add("Mul", logits(net), number(net, 0.05)), alpha=0.2, beta=0.5)


def hard_sigmoid_written_out(net):
    line = net.add("Add", net.add("Mul", logits(net), number(net, 0.2)), number(net, 0.5))
    return net.add("Clip", line, number(net, 0), number(net, 1))


def hard_sigmoid_of_relu6(net):
    line = net.add("Add", logits(net), number(net, 3))
    return net.add("Div", net.add("Clip", line, number(net, 0), number(net, 6)), number(net, 6))


def sigmoid_written_out(net):
    power = net.add("Exp", net.add("Neg", logits(net)))
    return net.add("Div", number(net, 1), net.add("Add", power, number(net, 1)))


def saturated_sigmoid(net):
    """One and the same output is 1 for every input, all others are 0."""
    net.tensor("s", [40, -40, -40, -40, -40], TensorRole.BIAS)
    small = net.add("Mul", logits(net), number(net, 1e-6))
    return net.add("Sigmoid", net.add("Add", net.add("Mul", small, number(net, 1)), "s"))


def zero_sigmoid_of_two(net):
    return net.add("Sigmoid", net.add("Mul", logits(net), number(net, 0)))


def one_sigmoid_for_each_class(net):
    x = net.add("Flatten", "image")
    return net.add(
        "Concat", *(net.add("Sigmoid", net.dense(x, f"{n}", 784, 1)) for n in range(CLASSES)), axis=1
    )


def softmax_map_with_many_positions(net):
    x = net.add("Softmax", feature_map(net, 5), axis=1)
    return net.add("Reshape", net.add("Slice", net.add("Flatten", x), *slice_of(net)), shape_of(net))


def slice_of(net):
    parts = {"starts": [0], "ends": [CLASSES], "axes": [1]}
    return [net.constant(name, np.array(value)) for name, value in parts.items()]


def shape_of(net):
    return net.constant("shape", np.array([0, CLASSES]))


@pytest.mark.parametrize(
    "end",
    [
        *(sigmoid, hard_sigmoid, hard_sigmoid_written_out, hard_sigmoid_of_relu6, sigmoid_written_out),
        one_sigmoid_for_each_class,
        *(saturated_sigmoid, zero_sigmoid_of_two, softmax_map_with_many_positions),
    ],
)
def test_a_sigmoid_for_each_class_stays_as_it_is(build, images, end):
    net = build()
    network = Network.of(net.model(end(net), CLASSES))
    assert network.scores == "sigmoid"
    inputs = (images / np.float32(255)).reshape(-1, 1, 28, 28).astype(np.float32)
    assert np.array_equal(network.probabilities(images), network.run(inputs))


def relu(net):
    return net.add("Relu", logits(net))


def small_relu(net):
    return net.add("Relu", net.add("Mul", logits(net), number(net, 1e-6)))


def clip(net):
    return net.add("Clip", logits(net), number(net, 0), number(net, 1))


def log_softmax(net):
    return net.add("LogSoftmax", logits(net), axis=1)


def tanh(net):
    return net.add("Tanh", logits(net))


def zero_logits(net):
    x = net.tensor("z", np.zeros((784, CLASSES)), TensorRole.KERNEL)
    return net.add("MatMul", net.add("Flatten", "image"), x)


def one_hot_bias(net):
    """A constant output that happens to look like probabilities."""
    x = net.add("MatMul", net.add("Flatten", "image"), zero_kernel(net))
    return net.add("Add", x, net.tensor("b", [0, 1, 0, 0, 0], TensorRole.BIAS))


def zero_kernel(net):
    return net.tensor("z", np.zeros((784, CLASSES)), TensorRole.KERNEL)


@pytest.mark.parametrize(
    "end", [logits, relu, small_relu, clip, log_softmax, tanh, zero_logits, one_hot_bias]
)
def test_logits_get_a_softmax(build, images, end):
    net = build()
    network = Network.of(net.model(end(net), CLASSES))
    assert network.scores == "logits"
    inputs = (images / np.float32(255)).reshape(-1, 1, 28, 28).astype(np.float32)
    assert np.array_equal(network.probabilities(images), softmax(network.run(inputs)))


def test_log_probabilities_give_the_probabilities_back(build, images):
    net, other = build(), build()
    found = Network.of(net.model(log_softmax(net), CLASSES)).probabilities(images)
    expected = Network.of(other.model(plain(other), CLASSES)).probabilities(images)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_damaged_weights_leave_the_decision_to_the_graph(build):
    net = build()
    model = net.model(plain(net), CLASSES)
    nan = np.full((784, CLASSES), np.nan, np.float32)
    damaged = model.with_tensors(OverlaidTensors(model.tensors, {"d/kernel": nan}))
    assert Network.of(damaged).scores == "probabilities"
