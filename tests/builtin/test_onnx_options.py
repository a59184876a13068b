"""Options of the direct exporter: names, preprocessing in the graph, batch normalisation kept."""

from __future__ import annotations

import json

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx_wiring import CARD, Wiring, kinds, request

from toolkit.data.convention import apply_convention
from toolkit.engine import Network
from toolkit.errors import ProofError, UnsupportedError, UsageError
from toolkit.model import Card
from toolkit.onnx_export import proof
from toolkit.vocabulary import CHARACTER_SHAPES, Convention
from toolkit_onnx.direct import export
from toolkit_onnx.reading import read

CONVENTIONS = [
    Convention(),
    Convention("transposed", "raw", "light"),
    Convention("transposed", "unit", "dark"),
    Convention("upright", "standard", "dark", 0.1736, 0.3317),
]


def network(shape=(1, 28, 28), *, card=CARD, end="Softmax", classes=5, opset=17):
    net = Wiring(31, shape)
    x = net.dense("x" if shape == (784,) else net.flat("x"), classes)
    return net.model(net.add(end, x) if end else x, softmax=False, card=card, opset=opset)


@pytest.fixture
def pictures():
    return np.random.default_rng(3).integers(0, 256, (9, 28, 28), dtype=np.uint8)


@pytest.mark.parametrize("convention", CONVENTIONS, ids=str)
@pytest.mark.parametrize("shape", CHARACTER_SHAPES, ids=str)
def test_preprocessing_in_the_graph_is_that_of_the_toolkit(shape, convention, pictures, tmp_path):
    model = network(shape, card=Card(classes=tuple("abcde"), convention=convention))
    done = export(request(model, tmp_path, with_preprocessing=True))
    session = onnxruntime.InferenceSession(done.path.read_bytes())
    (image,) = session.get_inputs()
    assert (image.name, image.type, image.shape) == ("image", "tensor(uint8)", ["batch", 28, 28])
    names = [value.name for value in session.get_outputs()]
    assert names == ["probabilities", "logits", "label", "top5_values", "top5_indices"]
    found = dict(zip(names, session.run(None, {"image": pictures}), strict=True))
    inputs = apply_convention(pictures, convention, shape)
    expected = Network.of(model).run(inputs)
    np.testing.assert_allclose(found["probabilities"], expected, atol=1e-6)
    np.testing.assert_allclose(
        np.exp(found["logits"] - found["logits"].max(1, keepdims=True)).argmax(1), expected.argmax(1)
    )
    assert np.array_equal(found["label"], expected.argmax(axis=1))
    assert np.array_equal(found["top5_indices"], np.argsort(-found["probabilities"], axis=1, kind="stable"))
    assert np.array_equal(found["top5_values"], -np.sort(-found["probabilities"], axis=1))


@pytest.mark.parametrize("opset", [15, 18, 21])
def test_preprocessing_at_other_opsets_and_with_more_classes_than_five(opset, tmp_path):
    card = Card(classes=tuple("abcdefghij"), convention=Convention())
    done = export(
        request(network(card=card, classes=10, end=""), tmp_path, with_preprocessing=True, opset=opset)
    )
    session = onnxruntime.InferenceSession(done.path.read_bytes())
    assert {value.name: value.shape for value in session.get_outputs()} == {
        "probabilities": ["batch", 10],
        "logits": ["batch", 10],
        "label": ["batch"],
        "top5_values": ["batch", 5],
        "top5_indices": ["batch", 5],
    }


def test_without_known_logits_there_is_no_such_output(tmp_path):
    net = Wiring(2)
    x = net.add("Softmax", net.conv("x", 5, stride=4), axis=1)
    model = net.model(net.flat(net.add("GlobalAveragePool", x, shape=(5, 1, 1))), softmax=False)
    done = export(request(model, tmp_path, with_preprocessing=True))
    names = [value.name for value in onnx.load(done.path).graph.output]
    assert names == ["probabilities", "label", "top5_values", "top5_indices"]


def test_the_properties_describe_the_pictures_and_the_card_the_network(tmp_path):
    done = export(request(network(), tmp_path, with_preprocessing=True))
    known = {entry.key: entry.value for entry in onnx.load(done.path).metadata_props}
    assert {key: known[key] for key in known if key.startswith(("convention", "Image"))} == {
        "Image.BitmapPixelFormat": "Gray8",
        "Image.NominalPixelRange": "NominalRange_0_255",
        "convention.orientation": "upright",
        "convention.scale": "raw",
        "convention.ink": "light",
    }
    assert json.loads(known["toolkit_card"])["convention"] == str(CARD.convention)


def test_a_file_with_preprocessing_is_the_network_again(pictures, tmp_path):
    model = network()
    done = export(request(model, tmp_path, with_preprocessing=True))
    again = read(done.path)
    assert again.card.convention == CARD.convention
    assert again.input_shape == model.input_shape
    np.testing.assert_allclose(
        Network.of(again).probabilities(pictures), Network.of(model).probabilities(pictures), atol=1e-6
    )
    assert again.dropped == ()


def test_a_wrong_property_makes_no_network_of_something_else(tmp_path):
    done = export(request(network(), tmp_path, with_preprocessing=True))
    proto = onnx.load(done.path)
    for entry in proto.metadata_props:
        if entry.key == "preprocessed":
            entry.value = "nowhere"
    done.path.write_bytes(proto.SerializeToString())
    with pytest.raises(UnsupportedError, match=r"uint8|UINT8"):
        read(done.path)


def test_preprocessing_for_other_than_characters_is_refused(tmp_path):
    net = Wiring(9, (3, 32, 32))
    model = net.model(net.dense(net.flat("x"), 5), card=Card())
    with pytest.raises(UnsupportedError, match="3×32×32, not 28×28 pictures"):
        export(request(model, tmp_path, with_preprocessing=True))


def test_wrong_preprocessing_is_not_written(tmp_path, monkeypatch):
    """Compared with the toolkit's own conversion of the same pictures."""
    from toolkit_onnx import direct

    right = direct.take_pictures
    monkeypatch.setattr(
        direct,
        "take_pictures",
        lambda proto, convention, *rest: right(proto, Convention(scale=convention.scale), *rest),
    )
    asked = request(network(card=Card(convention=CONVENTIONS[1])), tmp_path, with_preprocessing=True)
    with pytest.raises(ProofError, match="differ"):
        export(asked)
    assert not asked.path.exists()


def test_a_label_that_is_not_that_of_the_probabilities_is_refused():
    found = {
        "probabilities": np.array([[0.2, 0.8]], np.float32),
        "label": np.array([0]),
        "top5_values": np.array([[0.8, 0.2]], np.float32),
        "top5_indices": np.array([[1, 0]]),
    }
    with pytest.raises(ProofError, match="label"):
        proof._check_best(found, "probabilities")


def test_input_and_output_have_the_names_that_are_asked_for(tmp_path):
    done = export(request(network(), tmp_path, input_name="x:0", output_name="scores"))
    session = onnxruntime.InferenceSession(done.path.read_bytes())
    assert [value.name for value in session.get_inputs()] == ["x:0"]
    assert [value.name for value in session.get_outputs()] == ["scores"]
    assert read(done.path).output_shape == (5,)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"input_name": "a", "output_name": "a"}, "both called"),
        ({"input_name": ""}, "cannot be the input's name"),
        ({"output_name": "a\nb"}, "cannot be the output's name"),
        ({"output_name": "label", "with_preprocessing": True}, "cannot be the output's name"),
    ],
)
def test_impossible_names_are_refused(options, message, tmp_path):
    with pytest.raises(UsageError, match=message):
        export(request(network(), tmp_path, **options))


def test_batch_normalisation_is_kept_on_request(tmp_path):
    net = Wiring(5)
    model = net.model(net.dense(net.flat(net.norm(net.conv("x", 4))), 5))
    assert "BatchNormalization" in kinds(export(request(model, tmp_path, keep_batch_norm=True)).path)


def test_the_proof_is_in_the_card_of_the_file_and_in_the_card_beside_it(tmp_path):
    done = export(request(network(), tmp_path))
    assert done.card is not None
    beside = done.card.verification
    assert beside["compared_with"] == "the model's graph"
    assert beside["largest_probability_difference"] == done.facts["largest_probability_difference"]
    inside = read(done.path).card.verification
    assert inside == {key: value for key, value in beside.items() if not key.startswith("largest")}
    assert (inside["random_images"], inside["real_images"]) == (12, 5)
    assert inside["tolerance"] == 1e-5
