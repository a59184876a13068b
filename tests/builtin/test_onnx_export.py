"""An exported file does what its source does, has the promised names, and is the same every time."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx_files import from_bytes
from onnx_wiring import CARD, Wiring, emnist_like, kinds, request

from toolkit.engine import Network
from toolkit.errors import UnsupportedError
from toolkit.model import Card
from toolkit.tensors import OverlaidTensors
from toolkit.vocabulary import Convention
from toolkit_onnx.direct import export
from toolkit_onnx.reading import read


def test_names_axes_and_metadata_are_as_promised(tmp_path):
    done = export(request(emnist_like(relu_first=False), tmp_path))
    session = onnxruntime.InferenceSession(done.path.read_bytes())
    (image,), (probabilities,) = session.get_inputs(), session.get_outputs()
    assert (image.name, image.type, image.shape) == ("image", "tensor(float)", ["batch", 1, 28, 28])
    assert (probabilities.name, probabilities.shape) == ("probabilities", ["batch", 5])
    metadata = session.get_modelmeta().custom_metadata_map
    assert metadata.pop("scores") == "probabilities"
    assert json.loads(metadata.pop("labels")) == ["a", "b", "c", "d", "é"]
    card = json.loads(metadata.pop("toolkit_card"))
    assert card["parents"] == [{"name": "a.h5", "digest": "0" * 64, "weight": 0.5}]
    assert card["metrics"] == {"validation_accuracy": 0.5}
    assert card["weights_digest"] == ""  # known once the file is written
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
    assert done.facts["added"] == "softmax"
    inputs = np.random.default_rng(0).random((4, 1, 28, 28), dtype=np.float32)
    (found,) = onnxruntime.InferenceSession(done.path.read_bytes()).run(None, {"image": inputs})
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-6)


def test_a_graph_that_uses_the_promised_names_for_other_values(tmp_path):
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


def test_nodes_that_a_newer_opset_adds_have_names_of_their_own(tmp_path):
    """Softmax before opset 13 flattened its input; if the rank is unknown, three nodes replace it."""
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
    with pytest.raises(UnsupportedError, match=r"network's output has the shape \(1,\)"):
        export(request(model, tmp_path))


def test_a_network_that_paints_is_refused(tmp_path):
    net = Wiring(11)
    proto = net.conv("x", 1)
    with pytest.raises(UnsupportedError, match="one number per class"):
        export(request(net.model(proto, softmax=False, card=Card()), tmp_path))


def test_a_photograph_network_is_exported_and_verified_on_noise(tmp_path):
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
from toolkit.declarations import ExportRequest
from toolkit_onnx.direct import export
from toolkit_onnx.reading import read
export(ExportRequest(read(Path({source!r})), Path({target!r})))
assert not any(name.partition(".")[0] in ("tensorflow", "keras", "tf2onnx") for name in sys.modules)
"""


def test_two_processes_write_the_same_bytes(tmp_path):
    source = export(request(emnist_like(relu_first=True), tmp_path, keep_batch_norm=True)).path
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
def test_public_networks_are_verified_and_have_no_transposition(name, shared, tmp_path):
    from toolkit_keras.read_h5 import read_h5
    from toolkit_keras.read_keras import read_keras

    path = shared / "models" / name
    model = read_h5(path) if path.suffix == ".h5" else read_keras(path)
    done = export(request(model, tmp_path))
    assert "Transpose" not in kinds(done.path)
    assert done.facts["nodes"] <= 20
