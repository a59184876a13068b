"""The snippet in docs/onnx.md runs an exported file with onnxruntime alone."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx_files import from_bytes

from toolkit.declarations import ExportRequest
from toolkit.engine import Network
from toolkit.model import Card
from toolkit.vocabulary import Convention
from toolkit_onnx.checking import MAX_NODES, MAX_VALUE
from toolkit_onnx.direct import export

PAGE = Path(__file__).resolve().parents[2] / "docs" / "onnx.md"
LABELS = tuple("abcdefg")


@pytest.mark.parametrize(
    "convention",
    [
        Convention(),
        Convention("transposed", "raw", "dark"),
        Convention("transposed", "standard", "light", 0.1307, 0.3081),
    ],
    ids=str,
)
def test_the_snippet_recognises_what_the_toolkit_recognises(tmp_path, convention):
    rng = np.random.default_rng(0)
    nodes = [helper.make_node("Flatten", ["x"], ["f"]), helper.make_node("MatMul", ["f", "w"], ["y"])]
    scale = 255 if convention.scale == "raw" else 1
    weight = numpy_helper.from_array((rng.normal(0, 0.1, (784, 7)) / scale).astype(np.float32), "w")
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 28, 28, 1])]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 7])]
    graph = helper.make_graph(nodes, "net", inputs, outputs, [weight])
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    card = Card(classes=LABELS, convention=convention)
    model = from_bytes(proto.SerializeToString(), "net").with_card(card)
    export(ExportRequest(model, tmp_path / "emnist_model.onnx"))
    glyph = rng.integers(0, 256, (28, 28), dtype=np.uint8)
    np.save(tmp_path / "glyph.npy", glyph)

    (snippet,) = re.findall(r"```py\n(.*?)```", PAGE.read_text(), re.DOTALL)
    alone = snippet + "\nimport sys\nassert not any(name.startswith('toolkit') for name in sys.modules)\n"
    done = subprocess.run(
        [sys.executable, "-c", alone], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = [line.split() for line in done.stdout.splitlines()]
    (expected,) = Network.of(model).probabilities(glyph[np.newaxis])
    best = np.argsort(-expected)[:5]
    assert [character for character, _ in found] == [LABELS[index] for index in best]
    np.testing.assert_allclose([float(value) for _, value in found], expected[best], atol=1e-3)


def test_the_limits_on_the_page_are_those_of_the_code():
    text = " ".join(PAGE.read_text().split())
    assert f"more than {MAX_NODES:,} nodes, or {MAX_VALUE:,} elements" in text
