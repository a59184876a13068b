"""Batch statistics equal a brute-force computation, on whatever the network is wired like."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

from toolkit.data.convention import apply_convention
from toolkit.engine import batch_statistics
from toolkit.errors import UnreadableInputError, UnsupportedError, UsageError
from toolkit.graph import Rearrangement, Take
from toolkit.graph.onnx_form import to_onnx
from toolkit.tensors import OverlaidTensors, TensorRole
from toolkit.vocabulary import Convention


def brute_force(model, images, convention=None):
    """Each normalisation measured over all images at once, in NumPy, earlier ones updated before."""
    inputs = apply_convention(images, convention or Convention(), model.input_shape)
    graph = model.build_graph()
    proto = to_onnx(graph, model.tensors)
    found = {}
    for node in list(proto.graph.node):
        if node.op_type != "BatchNormalization":
            continue
        probe = onnx.ModelProto()
        probe.CopyFrom(proto)
        del probe.graph.output[:]
        probe.graph.output.append(onnx.ValueInfoProto(name=node.input[0]))
        (values,) = ReferenceEvaluator(probe).run([node.input[0]], {graph.input: inputs})
        values = np.moveaxis(values, 1, -1).reshape(-1, values.shape[1]).astype(np.float64)
        for name, value in ((node.input[3], values.mean(axis=0)), (node.input[4], values.var(axis=0))):
            found[name] = value
            for initializer in proto.graph.initializer:
                if initializer.name == name:
                    initializer.CopyFrom(onnx.numpy_helper.from_array(value.astype(np.float32), name))
    return found


def assert_equal_to(found, expected, relative=1e-5):
    """Within a share of the largest value: single entries near 0 have no digits of their own."""
    assert np.abs(found - expected).max() <= relative * np.abs(expected).max()


def sequential(build):
    net = build(1)
    x = net.norm(net.add("Relu", net.conv("image", "c1", 1, 4)), "n1", 4)
    x = net.add("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    x = net.add("Relu", net.norm(net.conv(x, "c2", 4, 6), "n2", 6))
    x = net.add("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    x = net.norm(net.add("Relu", net.conv(x, "c3", 6, 8)), "n3", 8)
    x = net.add("Flatten", x)
    x = net.norm(net.add("Relu", net.dense(x, "d1", 392, 16)), "n4", 16)
    return net.model(net.dense(x, "d2", 16, 5), 5)


def residual(build):
    net = build(2)
    stem = net.add("Relu", net.norm(net.conv("image", "stem", 1, 4, stride=2), "n0", 4))
    left = net.add("Relu", net.norm(net.conv(stem, "left", 4, 4), "n1", 4))
    left = net.norm(net.conv(left, "left2", 4, 4), "n2", 4)
    x = net.add("Relu", net.add("Add", left, stem))
    shortcut = net.norm(net.conv(x, "shortcut", 4, 6, kernel=1, pad=0), "n3", 6)
    right = net.norm(net.conv(x, "right", 4, 6), "n4", 6)
    x = net.add("Flatten", net.add("GlobalAveragePool", net.add("Add", right, shortcut)))
    return net.model(net.dense(net.norm(x, "n5", 6), "head", 6, 5), 5)


def concatenating(build):
    net = build(3)
    x = net.norm("image", "n0", 1)
    branches = [
        net.norm(net.conv(x, f"b{size}", 1, 3, kernel=size, pad=size // 2, stride=2), f"n{size}", 3)
        for size in (1, 3, 5)
    ]
    x = net.add("Concat", *branches, net.add("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2]), axis=1)
    x = net.norm(x, "n6", 10)
    x = net.add("Flatten", net.add("AveragePool", x, kernel_shape=[7, 7], strides=[7, 7]))
    return net.model(net.dense(net.norm(x, "n7", 40), "head", 40, 5), 5)


def flat(build):
    net = build(4, input_shape=(784,))
    x = net.norm("image", "n0", 784)
    x = net.norm(net.add("Relu", net.dense(x, "d1", 784, 12)), "n1", 12)
    return net.model(net.dense(x, "d2", 12, 5), 5)


NETWORKS = [sequential, residual, concatenating, flat]


@pytest.mark.parametrize("network", NETWORKS)
def test_equals_brute_force(build, images, network):
    model = network(build)
    expected = brute_force(model, images)
    found = batch_statistics(model, images)
    assert found.keys() == expected.keys()
    assert found.keys() == {name for name, spec in model.tensors.specs.items() if spec.role.is_statistic}
    for name, value in expected.items():
        assert found[name].dtype == np.float32
        assert_equal_to(found[name], value)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("cache_bytes", [0, 400_000])
def test_does_not_depend_on_what_is_kept(build, images, network, cache_bytes):
    model = network(build)
    everything = batch_statistics(model, images)
    little = batch_statistics(model, images, cache_bytes=cache_bytes)
    for name, value in everything.items():
        assert_equal_to(little[name], value, 3e-6)


@pytest.mark.parametrize("batch", [1, 7, 89, 90, 500])
def test_does_not_depend_on_the_batch_size(build, images, batch, monkeypatch):
    model = residual(build)
    usual = batch_statistics(model, images)
    monkeypatch.setattr("toolkit.engine.normalisation._BATCH", batch)
    for name, value in batch_statistics(model, images).items():
        assert_equal_to(value, usual[name], 3e-6)


def test_twice_gives_the_same_bits(build, images):
    model = sequential(build)
    once, twice = (batch_statistics(model, images, threads=2) for _ in range(2))
    assert all(np.array_equal(once[name], twice[name]) for name in once)


def test_measures_with_the_convention_of_the_network(build, images):
    model = sequential(build)
    convention = Convention("transposed", "standard", "dark", 0.17, 0.33)
    expected = brute_force(model, images, convention)
    for name, value in batch_statistics(model, images, convention).items():
        assert_equal_to(value, expected[name])
    plain = batch_statistics(model, images)
    assert not np.allclose(plain["n1/moving_mean"], expected["n1/moving_mean"], rtol=0.1)


def test_gives_back_the_arrangement_of_the_file(build, images):
    """A normalisation after a flattened map has its features in another order in the file."""
    order = np.random.default_rng(0).permutation(196)
    net = build(5)
    x = net.add("Flatten", net.add("MaxPool", "image", kernel_shape=[2, 2], strides=[2, 2]))
    x = net.norm(x, "n", 196, rearrangement=Rearrangement((Take(tuple(order.tolist())),)))
    model = net.model(net.dense(x, "d", 196, 5), 5)
    found = batch_statistics(model, images)
    values = (
        apply_convention(images, Convention(), (28, 28))
        .reshape(-1, 14, 2, 14, 2)
        .max(axis=(2, 4))
        .reshape(-1, 196)
    )
    np.testing.assert_allclose(found["n/moving_mean"][order], values.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(found["n/moving_variance"][order], values.var(axis=0), rtol=1e-5, atol=1e-9)


def test_later_layers_see_statistics_as_they_will_be_stored(build, images):
    """float16 statistics are rounded before the next layer is measured."""
    net = build(6)
    x = net.norm(net.conv("image", "c1", 1, 3, stride=2), "n1", 3, dtype=np.float16)
    x = net.norm(net.conv(x, "c2", 3, 4, stride=2), "n2", 4)
    model = net.model(net.dense(net.add("Flatten", x), "d", 196, 5), 5)
    found = batch_statistics(model, images)
    stored = model.with_tensors(OverlaidTensors(model.tensors, found))
    again = brute_force(stored, images)
    # The last normalisation was measured in exactly the network that is stored.
    first = {
        name: value.astype(np.float16).astype(np.float32) for name, value in found.items() if "n1" in name
    }
    assert all(np.array_equal(stored.tensors.read(name), value) for name, value in first.items())
    np.testing.assert_allclose(found["n2/moving_variance"], again["n2/moving_variance"], rtol=2e-3)


def test_measuring_again_changes_nothing(build, images):
    model = sequential(build)
    found = batch_statistics(model, images)
    recalibrated = model.with_tensors(OverlaidTensors(model.tensors, found))
    again = batch_statistics(recalibrated, images)
    for name, value in found.items():
        assert_equal_to(again[name], value, 3e-6)


def test_one_normalisation_used_twice_side_by_side_pools_both(build, images):
    net = build(8)
    x = net.conv("image", "c", 1, 3, stride=2)
    y = net.add("Neg", x)
    first = net.norm(x, "n", 3)
    second = net.add("BatchNormalization", y, "n/gamma", "n/beta", "n/moving_mean", "n/moving_variance")
    x = net.add("Flatten", net.add("Add", first, second))
    found = batch_statistics(net.model(net.dense(x, "d", 588, 5), 5), images)
    np.testing.assert_allclose(found["n/moving_mean"], 0, atol=1e-6)


def test_one_normalisation_used_twice_in_a_row_is_refused(build, images):
    net = build(9)
    x = net.norm(net.conv("image", "c", 1, 3, stride=2), "n", 3)
    x = net.add("BatchNormalization", x, "n/gamma", "n/beta", "n/moving_mean", "n/moving_variance")
    model = net.model(net.dense(net.add("Flatten", x), "d", 588, 5), 5)
    with pytest.raises(UnsupportedError, match="n/moving_mean"):
        batch_statistics(model, images)


def test_a_network_without_normalisation_has_no_statistics(build, images):
    net = build(10)
    model = net.model(net.dense(net.add("Flatten", "image"), "d", 784, 5), 5)
    assert batch_statistics(model, images) == {}


def test_wants_an_image(build, images):
    with pytest.raises(UsageError, match="no image"):
        batch_statistics(sequential(build), images[:0])


def test_values_that_are_no_numbers_are_named(build, images):
    model = sequential(build)
    kernel = model.tensors.read("c2/kernel").copy()
    kernel[0, 0, 0, 0] = np.nan
    with pytest.raises(UnreadableInputError, match="n2/moving"):
        batch_statistics(model.with_tensors(OverlaidTensors(model.tensors, {"c2/kernel": kernel})), images)


def test_progress_counts_every_pass(build, images):
    heard = []

    class Listening:
        def note(self, text):
            pass

        def begin(self, task, total, unit):
            heard.append((total, unit))

        def advance(self, done, detail=""):
            heard.append(done)

        def end(self):
            heard.append("end")

    batch_statistics(sequential(build), images, progress=Listening())
    assert heard[0] == (4 * 90, "images")
    assert heard[-2:] == [4 * 90, "end"]
    assert heard[1:-1] == sorted(heard[1:-1])


def test_running_statistics_are_the_only_result(build, images):
    model = residual(build)
    roles = {model.tensors.specs[name].role for name in batch_statistics(model, images)}
    assert roles == {TensorRole.RUNNING_MEAN, TensorRole.RUNNING_VARIANCE}
