"""An exported file does what its source does, bears the promised names, and is the same every time."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from toolkit.engine import Network
from toolkit.errors import ProofError, UnsupportedError
from toolkit.model import Card, OverlaidTensors, Parent
from toolkit.types import Convention, ExportRequest
from toolkit_onnx import direct
from toolkit_onnx.direct import export
from toolkit_onnx.options import DirectOptions
from toolkit_onnx.proof import graph_source, prove
from toolkit_onnx.reading import from_bytes, read

CARD = Card(
    name="five",
    classes=("a", "b", "c", "d", "é"),
    convention=Convention("transposed", "standard", "dark", 0.25, 0.5),
    metrics={"validation_accuracy": 0.5},
    parents=(Parent("a.h5", "0" * 64, 0.5),),
)


class Wiring:
    """A graph that grows; a value's shape is known without the batch."""

    def __init__(self, seed: int, shape: tuple[int, ...] = (1, 28, 28)) -> None:
        self.rng = np.random.default_rng(seed)
        self.shapes = {"x": shape}
        self.nodes, self.tensors = [], []

    def tensor(self, array) -> str:
        name = f"t{len(self.tensors)}"
        kind = np.int64 if np.asarray(array).dtype.kind == "i" else np.float32
        self.tensors.append(numpy_helper.from_array(np.asarray(array, kind), name))
        return name

    def add(self, operation, *inputs, shape=None, **attributes) -> str:
        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(operation, list(inputs), [name], **attributes))
        self.shapes[name] = shape or self.shapes[inputs[0]]
        return name

    def norm(self, x, *, positive=False):
        n, rng = self.shapes[x][0], self.rng
        gamma = rng.uniform(0.5, 1.5, n) * (1 if positive else rng.choice([-1, 1], n))
        parts = [gamma, rng.normal(0, 0.5, n), rng.normal(0, 0.5, n), rng.uniform(0.3, 2, n)]
        return self.add("BatchNormalization", x, *map(self.tensor, parts), epsilon=1e-3)

    def conv(self, x, outputs, *, kernel=3, pad=1, stride=1, group=1, bias=True):
        channels, height, width = self.shapes[x]
        fan = channels // group * kernel**2
        weights = [self.tensor(self.rng.normal(0, fan**-0.5, (outputs, channels // group, kernel, kernel)))]
        weights += [self.tensor(self.rng.normal(0, 0.3, outputs))] if bias else []
        size = [(length + 2 * pad - kernel) // stride + 1 for length in (height, width)]
        options = {"pads": [pad] * 4, "strides": [stride] * 2, "group": group}
        return self.add("Conv", x, *weights, shape=(outputs, *size), **options)

    def transposed_conv(self, x, outputs):
        channels, height, width = self.shapes[x]
        kernel = self.tensor(self.rng.normal(0, (channels * 4) ** -0.5, (channels, outputs, 2, 2)))
        return self.add("ConvTranspose", x, kernel, shape=(outputs, height * 2, width * 2), strides=[2, 2])

    def pool(self, x, kind="MaxPool", **options):
        channels, height, width = self.shapes[x]
        return self.add(
            kind, x, shape=(channels, height // 2, width // 2), kernel_shape=[2, 2], strides=[2, 2], **options
        )

    def flat(self, x, *, reshape=False):
        size = int(np.prod(self.shapes[x]))
        if reshape:
            return self.add("Reshape", x, self.tensor(np.array([-1, size])), shape=(size,))
        return self.add("Flatten", x, shape=(size,))

    def dense(self, x, outputs, *, kind="Gemm"):
        (inputs,) = self.shapes[x]
        kernel = self.rng.normal(0, inputs**-0.5, (inputs, outputs))
        bias = self.tensor(self.rng.normal(0, 0.3, outputs))
        if kind == "MatMul":
            product = self.add("MatMul", x, self.tensor(kernel), shape=(outputs,))
            return self.add("Add", product, bias)
        if kind == "turned":
            return self.add(
                "Gemm", x, self.tensor(kernel.T), bias, shape=(outputs,), transB=1, alpha=0.5, beta=2.0
            )
        return self.add("Gemm", x, self.tensor(kernel), bias, shape=(outputs,))

    def model(self, x, *, softmax=True, card=CARD, opset=17):
        x = self.add("Softmax", x, axis=-1) if softmax else x
        graph = helper.make_graph(
            self.nodes,
            "random",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", *self.shapes["x"]])],
            [helper.make_tensor_value_info(x, TensorProto.FLOAT, ["n", *self.shapes[x]])],
            initializer=self.tensors,
        )
        proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
        return from_bytes(proto.SerializeToString(), "random").with_card(card)


def random_network(seed: int):
    """Blocks in any order: padded and not, grouped, pooled, added, concatenated, normalised anywhere."""
    net = Wiring(seed)
    rng = net.rng
    x = net.norm("x") if rng.random() < 0.3 else "x"
    for _ in range(int(rng.integers(2, 6))):
        kind = rng.choice(["conv", "valid", "depthwise", "up", "add", "concat", "pool", "average"])
        channels, height, _width = net.shapes[x]
        if kind == "conv":
            x = net.conv(x, int(rng.choice([4, 6, 8])), bias=bool(rng.random() < 0.5))
        elif kind == "valid" and height > 4:
            x = net.conv(x, 4, pad=0, group=2 if channels % 2 == 0 else 1)
        elif kind == "depthwise":
            x = net.conv(x, channels * 2, group=channels, pad=int(rng.integers(2)) if height > 4 else 1)
        elif kind == "up" and height < 15:
            x = net.transposed_conv(x, 4)
        elif kind == "add":
            x = net.add("Add", net.norm(net.conv(x, channels)), x)
        elif kind == "concat":
            left, right = net.norm(net.conv(x, 3, kernel=1, pad=0)), net.conv(x, 2)
            x = net.add("Concat", left, right, axis=1, shape=(5, *net.shapes[left][1:]))
        elif kind == "pool" and height > 4:
            x = net.pool(net.norm(x, positive=bool(rng.random() < 0.7)))
        elif kind == "average" and height > 4:
            x = net.pool(net.norm(x), "AveragePool")
        if rng.random() < 0.6:
            x = net.norm(x)
        if rng.random() < 0.7:
            x = net.add("Relu", x)
        if rng.random() < 0.5:
            x = net.norm(x, positive=bool(rng.random() < 0.5))
    if rng.random() < 0.3:
        x = net.add("GlobalAveragePool", x, shape=(net.shapes[x][0], 1, 1))
    x = net.flat(net.pool(x) if net.shapes[x][1] > 4 else x, reshape=bool(rng.random() < 0.5))
    for width in (16, 12):
        x = net.dense(x, width, kind=str(rng.choice(["Gemm", "MatMul", "turned"])))
        if rng.random() < 0.5:
            x = net.norm(x)
        x = net.add("Relu", x)
        if rng.random() < 0.5:
            x = net.norm(x)
    return net.model(
        net.dense(x, 5, kind=str(rng.choice(["Gemm", "MatMul", "turned"]))), softmax=bool(rng.random() < 0.7)
    )


def request(model, folder: Path, **options) -> ExportRequest:
    real = np.random.default_rng(1).integers(0, 256, (5, 28, 28), dtype=np.uint8)
    return ExportRequest(model, folder / "out.onnx", DirectOptions(**options), real)


@pytest.mark.parametrize("seed", range(40))
def test_folding_changes_no_answer(seed, tmp_path):
    model = random_network(seed)
    folded = export(request(model, tmp_path))
    normalisations = sum(layer.kind == "BatchNormalization" for layer in model.topology.layers)
    facts = folded.facts
    assert facts["normalisations_folded"] + facts["normalisations_left"] == normalisations
    inputs = np.random.default_rng(seed).normal(0.3, 0.4, (7, 1, 28, 28)).astype(np.float32)
    (found,) = onnxruntime.InferenceSession(folded.path.read_bytes()).run(None, {"image": inputs})
    expected = Network.of(model).run(inputs)
    if not model.build_graph().outputs_probabilities:
        expected = np.exp(expected - expected.max(axis=1, keepdims=True))
        expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def kinds(path: Path) -> list[str]:
    return [node.op_type for node in onnx.load(path).graph.node]


def emnist_like(*, relu_first: bool, positive: bool = True):
    """The two usual orders: conv, norm, relu, and conv, relu, norm."""
    net = Wiring(3)
    x = "x"
    for channels in (4, 6):
        x = net.conv(x, channels)
        x = net.norm(net.add("Relu", x), positive=positive) if relu_first else net.add("Relu", net.norm(x))
        x = net.pool(x)
    x = net.add("Dropout", net.add("Identity", net.flat(x)))
    x = net.norm(net.add("Relu", net.dense(x, 16, kind="MatMul")))
    return net.model(net.dense(x, 5))


def test_behind_a_linear_layer_every_normalisation_is_folded(tmp_path):
    done = export(request(emnist_like(relu_first=False), tmp_path))
    assert (done.facts["normalisations_folded"], done.facts["normalisations_left"]) == (3, 0)
    conv, dense = ["Conv", "Relu", "MaxPool"], ["Flatten", "Gemm", "Relu", "Gemm", "Softmax"]
    assert kinds(done.path) == [*conv, *conv, *dense]
    assert done.facts["nodes"] == 11


def test_behind_a_nonlinearity_it_goes_forward_where_that_is_exact(tmp_path):
    """Through pooling and flattening into a dense layer; not into a padded convolution."""
    done = export(request(emnist_like(relu_first=True), tmp_path))
    assert (done.facts["normalisations_folded"], done.facts["normalisations_left"]) == (2, 1)


def test_a_negative_scale_does_not_go_through_maximum_pooling(tmp_path):
    done = export(request(emnist_like(relu_first=True, positive=False), tmp_path))
    assert (done.facts["normalisations_folded"], done.facts["normalisations_left"]) == (1, 2)


def test_a_normalisation_that_is_seen_twice_stays(tmp_path):
    net = Wiring(4)
    x = net.conv("x", 4)
    x = net.add("Add", net.norm(x), x)
    done = export(request(net.model(net.dense(net.flat(x), 5)), tmp_path))
    assert done.facts["normalisations_left"] == 1


def test_weights_that_two_layers_share_are_folded_for_one_only(tmp_path):
    net = Wiring(5)
    kernel = net.tensor(net.rng.normal(0, 0.3, (4, 1, 3, 3)))
    left = net.norm(net.add("Conv", "x", kernel, shape=(4, 26, 26)))
    right = net.add("Conv", "x", kernel, shape=(4, 26, 26))
    done = export(request(net.model(net.dense(net.flat(net.add("Add", left, right)), 5)), tmp_path))
    assert done.facts["normalisations_folded"] == 1


def test_folding_can_be_switched_off(tmp_path):
    model = emnist_like(relu_first=False)
    done = export(request(model, tmp_path, fold=False))
    assert kinds(done.path).count("BatchNormalization") == 3
    assert "Dropout" not in kinds(done.path)
    again = read(done.path)
    roles = sorted(spec.role.name for spec in again.tensors.specs.values())
    assert roles == sorted(spec.role.name for spec in model.tensors.specs.values())


def test_a_grey_picture_is_never_transposed(tmp_path):
    net = Wiring(6, (28, 28, 1))
    x = net.add("Transpose", "x", perm=[0, 3, 1, 2], shape=(1, 28, 28))
    done = export(request(net.model(net.dense(net.flat(net.conv(x, 3, stride=2)), 5)), tmp_path))
    assert kinds(done.path)[:2] == ["Reshape", "Conv"]


@pytest.mark.parametrize("reshape", [False, True])
@pytest.mark.parametrize("kind", ["Gemm", "MatMul", "turned"])
def test_channels_last_needs_no_transposition_either(kind, reshape, tmp_path):
    """Dense layers on every pixel, activations and Flatten, as Keras and tf2onnx lay them."""
    net = Wiring(12)
    x = net.pool(net.conv("x", 4))
    x = net.add("Transpose", x, perm=[0, 2, 3, 1], shape=(14, 14, 4))
    for inputs, width in ((4, 6), (6, 3)):
        product = net.add(
            "MatMul", x, net.tensor(net.rng.normal(0, 0.5, (inputs, width))), shape=(14, 14, width)
        )
        x = net.add("LeakyRelu", net.add("Add", product, net.tensor(net.rng.normal(0, 1, width))), alpha=0.2)
    x = net.add("Transpose", x, perm=[0, 3, 1, 2], shape=(3, 14, 14))
    x = net.add("Transpose", net.pool(net.conv(x, 5)), perm=[0, 2, 3, 1], shape=(7, 7, 5))
    x = net.flat(net.add("Sigmoid", x), reshape=reshape)
    done = export(request(net.model(net.dense(x, 5, kind=kind)), tmp_path))
    found = kinds(done.path)
    assert "Transpose" not in found
    assert found.count("Conv") == 4
    assert done.facts["nodes"] == 12


def test_a_transposition_that_something_else_sees_stays(tmp_path):
    net = Wiring(13)
    x = net.add("Transpose", net.conv("x", 4), perm=[0, 2, 3, 1], shape=(28, 28, 4))
    both = net.add("Concat", net.flat(x), net.flat(net.add("Relu", x)), axis=1, shape=(6272,))
    done = export(request(net.model(net.dense(both, 5)), tmp_path))
    assert "Transpose" in kinds(done.path)


def test_names_axes_and_metadata_are_as_promised(tmp_path):
    done = export(request(emnist_like(relu_first=False), tmp_path))
    session = onnxruntime.InferenceSession(done.path.read_bytes())
    (image,), (probabilities,) = session.get_inputs(), session.get_outputs()
    assert (image.name, image.type, image.shape) == ("image", "tensor(float)", ["batch", 1, 28, 28])
    assert (probabilities.name, probabilities.shape) == ("probabilities", ["batch", 5])
    metadata = session.get_modelmeta().custom_metadata_map
    assert json.loads(metadata.pop("labels")) == ["a", "b", "c", "d", "é"]
    card = json.loads(metadata.pop("toolkit_card"))
    assert card["metrics"] == {"validation_accuracy": 0.5}
    assert card["weights_digest"] == done.facts["weights_digest"]
    assert metadata == {
        "Image.BitmapPixelFormat": "Gray8",
        "convention.orientation": "transposed",
        "convention.scale": "standard",
        "convention.ink": "dark",
        "convention.mean": "0.25",
        "convention.deviation": "0.5",
    }
    proto = onnx.load(done.path)
    assert proto.producer_name == "modelops-toolkit"
    assert (proto.opset_import[0].version, proto.ir_version) == (17, 8)
    assert all(node.name for node in proto.graph.node)


@pytest.mark.parametrize(
    ("convention", "pixel_range"),
    [
        (Convention(), "Normalized_0_1"),
        (Convention(scale="raw"), "NominalRange_0_255"),
        (Convention(scale="standard", mean=0.5, deviation=0.5), "Normalized_1_1"),
    ],
)
def test_pixel_ranges_that_onnx_has_a_name_for(convention, pixel_range, tmp_path):
    net = Wiring(7)
    model = net.model(net.dense(net.flat("x"), 5), card=Card(convention=convention))
    metadata = {
        entry.key: entry.value for entry in onnx.load(export(request(model, tmp_path)).path).metadata_props
    }
    assert metadata["Image.NominalPixelRange"] == pixel_range
    assert "labels" not in metadata


def test_logits_become_probabilities(tmp_path):
    net = Wiring(8)
    done = export(request(net.model(net.dense(net.flat("x"), 5), softmax=False), tmp_path))
    assert done.facts["softmax_added"]
    inputs = np.random.default_rng(0).random((4, 1, 28, 28), dtype=np.float32)
    (found,) = onnxruntime.InferenceSession(done.path.read_bytes()).run(None, {"image": inputs})
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-6)


def test_a_graph_that_uses_the_promised_names_otherwise(tmp_path):
    nodes = [
        helper.make_node("Flatten", ["probabilities"], ["image"]),
        helper.make_node("Gemm", ["image", "w"], ["scores"]),
    ]
    weight = numpy_helper.from_array(
        np.random.default_rng(0).normal(0, 0.1, (784, 5)).astype(np.float32), "w"
    )
    graph = helper.make_graph(
        nodes,
        "names",
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["n", 1, 28, 28])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", 5])],
        [weight],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    export(request(from_bytes(proto.SerializeToString(), "names"), tmp_path))


@pytest.mark.parametrize("opset", [15, 16, 17, 18, 20, 21])
def test_other_opsets(opset, tmp_path):
    done = export(request(emnist_like(relu_first=True), tmp_path, opset=opset))
    assert done.facts["opset"] == opset


def test_nodes_that_a_newer_opset_puts_in_bear_names_of_their_own(tmp_path):
    """Softmax before opset 13 flattened its input; where the rank is unknown, three nodes stand for it."""
    net = Wiring(12)
    x = net.flat(net.conv("x", 2, stride=2))
    tail = net.add("Shape", x, shape=(2,))
    x = net.add("Reshape", x, tail, shape=net.shapes[x])
    done = export(request(net.model(net.dense(x, 5), softmax=False, card=Card(), opset=11), tmp_path))
    assert done.facts["opset"] == 17
    names = [node.name for node in onnx.load(done.path).graph.node]
    assert len(names) == len(set(names))


def test_rounding_of_large_scores_does_not_fail_an_export(tmp_path):
    """On raw pixels scores reach the hundreds, where float32 itself is coarser than 1e-4."""
    net = Wiring(13)
    x = net.add("Relu", net.norm(net.conv(net.norm(net.conv("x", 8)), 8)))
    model = net.model(net.dense(net.flat(x), 5), card=Card(convention=Convention(scale="raw")))
    largest = 300
    kernel = next(name for name in reversed([*model.tensors]) if name.endswith("kernel"))
    scaled = {kernel: model.tensors.read(kernel) * np.float32(largest / 50)}
    done = export(request(model.with_tensors(OverlaidTensors(model.tensors, scaled)), tmp_path))
    assert done.facts["largest_logit_difference"] > 1e-4


def test_a_network_with_a_single_answer_is_refused(tmp_path):
    net = Wiring(14)
    model = net.model(net.dense(net.flat("x"), 1), softmax=False, card=Card())
    with pytest.raises(UnsupportedError, match=r"answers with shape \(1,\)"):
        export(request(model, tmp_path))


def test_a_photograph_network_is_exported_and_proved_on_noise(tmp_path):
    net = Wiring(9, (3, 32, 32))
    x = net.norm(net.conv("x", 4))
    done = export(request(net.model(net.dense(net.flat(net.pool(x)), 5), card=Card()), tmp_path))
    assert (done.facts["random_images"], done.facts["real_images"]) == (12, 0)


def test_an_exported_file_is_a_model_again(tmp_path):
    done = export(request(emnist_like(relu_first=True), tmp_path))
    model = read(done.path)
    assert model.card.classes == CARD.classes
    assert model.card.convention == CARD.convention
    (tmp_path / "again").mkdir()
    again = export(request(model, tmp_path / "again"))
    assert again.path.read_bytes() == done.path.read_bytes()


SCRIPT = """
import sys
from pathlib import Path
sys.path[:0] = {path!r}
from toolkit.types import ExportRequest
from toolkit_onnx.direct import export
from toolkit_onnx.reading import read
export(ExportRequest(read(Path({source!r})), Path({target!r})))
assert not any(name.partition(".")[0] in ("tensorflow", "keras", "tf2onnx") for name in sys.modules)
"""


def test_two_processes_write_the_same_bytes(tmp_path):
    source = export(request(emnist_like(relu_first=True), tmp_path, fold=False)).path
    digests = set()
    for seed in ("1", "2"):
        target = tmp_path / f"{seed}.onnx"
        script = SCRIPT.format(path=sys.path, source=str(source), target=str(target))
        done = subprocess.run(
            [sys.executable, "-c", script],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        digests.add(hashlib.sha256(target.read_bytes()).hexdigest())
    assert len(digests) == 1


def test_onnxruntime_alone_runs_the_file(tmp_path):
    model = emnist_like(relu_first=True)
    export(request(model, tmp_path))
    inputs = np.random.default_rng(0).random((3, 1, 28, 28), dtype=np.float32)
    np.save(tmp_path / "in.npy", inputs)
    script = (
        "import numpy, onnxruntime, sys\n"
        "session = onnxruntime.InferenceSession('out.onnx')\n"
        "(answers,) = session.run(['probabilities'], {'image': numpy.load('in.npy')})\n"
        "numpy.save('out.npy', answers)\n"
        "assert not any(name.startswith('toolkit') for name in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd=tmp_path)
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), Network.of(model).run(inputs), atol=1e-5)


# --- the proof refuses ---------------------------------------------------------------------------------


def test_a_wrong_folding_is_not_written(tmp_path, monkeypatch):
    """With the epsilon forgotten, as a careless converter would."""
    right = direct.fold_batch_normalisation

    def careless(graph):
        for node in graph.nodes:
            if node.op_type == "BatchNormalization":
                del node.attribute[:]
        return right(graph)

    monkeypatch.setattr(direct, "fold_batch_normalisation", careless)
    asked = request(emnist_like(relu_first=False), tmp_path)
    with pytest.raises(ProofError, match="probabilities differ by"):
        export(asked)
    assert not asked.path.exists()


def broken(change):
    """A good export that something has been done to, and what it is compared with."""
    model = emnist_like(relu_first=False)
    graph = model.build_graph()
    unfolded = graph.bind(model.tensors)
    proto, _ = direct.exportable(unfolded, graph, model, DirectOptions())
    content, _ = direct.signed(proto, model.card)
    damaged = onnx.load_model_from_string(content)
    change(damaged)
    return damaged.SerializeToString(), model, [graph_source(unfolded, graph, "model")]


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
        (fix_batch, "was promised"),
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


def test_a_good_export_is_proved():
    content, model, sources = broken(lambda proto: None)
    facts = prove(content, model, sources, None)
    assert facts["compared_with"] == "graph"
    assert facts["largest_probability_difference"] < 1e-5
    assert facts["largest_logit_difference"] < 1e-4


def test_a_model_that_answers_no_numbers_is_not_exported(tmp_path):
    model = emnist_like(relu_first=False)
    name = next(iter(model.tensors))
    nan = np.full(model.tensors.specs[name].shape, np.nan, np.float32)
    with pytest.raises(ProofError, match="nan"):
        export(request(model.with_tensors(OverlaidTensors(model.tensors, {name: nan})), tmp_path))


def test_a_network_that_paints_is_refused(tmp_path):
    net = Wiring(11)
    proto = net.conv("x", 1)
    with pytest.raises(UnsupportedError, match="one number a class"):
        export(request(net.model(proto, softmax=False, card=Card()), tmp_path))


# --- other people's networks -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "excal21-a-z97.h5",
        "kayode004-byclass.h5",
        "khanhtran2000-byclass.h5",
        "khanhtran2000-letters.h5",
        "moonflower2022-mnist.keras",
        "msbrdmr-byclass.h5",
    ],
)
def test_networks_of_the_wild_are_proved_and_have_no_transposition(name, shared, tmp_path):
    from toolkit_keras.read_h5 import read_h5
    from toolkit_keras.read_keras import read_keras

    path = shared / "models" / name
    model = read_h5(path) if path.suffix == ".h5" else read_keras(path)
    done = export(request(model, tmp_path))
    assert "Transpose" not in kinds(done.path)
    assert done.facts["nodes"] <= 20
