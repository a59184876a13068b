"""Large weights are written, read and run without copies."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from keras_files import wide_network
from onnx_wiring import Wiring, request

from toolkit.engine import Network
from toolkit.graph.separated import read_separated, separated
from toolkit_keras.read_h5 import read_h5
from toolkit_onnx.direct import export
from toolkit_onnx.reading import read


def large_model(classes: int = 5):
    net = Wiring(7)
    return net.model(net.dense(net.add("Relu", net.dense(net.flat(net.conv("x", 4)), 40)), classes))


def test_a_file_is_written_as_protobuf_would_and_read_back(tmp_path: Path) -> None:
    model = large_model()
    made = separated(model.build_graph(), model.tensors)
    assert {array.shape for array in made.weights.values()} == {(3136, 40)}
    made.proto.producer_name = "someone"
    made.proto.metadata_props.add(key="a", value="b")
    made.write(tmp_path / "a.onnx")
    assert (tmp_path / "a.onnx").read_bytes() == made.whole().SerializeToString(deterministic=True)
    again = read_separated(tmp_path / "a.onnx")
    assert again.proto == made.proto
    for name, array in made.weights.items():
        assert np.array_equal(again.weights[name], array)
    onnx.checker.check_model(str(tmp_path / "a.onnx"), full_check=True)


def test_a_large_network_is_exported_as_a_small_one(tmp_path, monkeypatch) -> None:
    """With its weights as inputs of the session; the file and its bytes are the same."""
    from toolkit.onnx_export import proof, reference

    model = large_model()
    first = export(request(model, tmp_path)).path.read_bytes()
    for module in (proof, reference):
        monkeypatch.setattr(module, "LARGE_MODEL", 1)
    (tmp_path / "large").mkdir()
    done = export(request(model, tmp_path / "large"))
    assert done.path.read_bytes() == first
    pictures = np.random.default_rng(1).integers(0, 256, (4, 28, 28), dtype=np.uint8)
    np.testing.assert_allclose(
        Network.of(read(done.path)).probabilities(pictures),
        Network.of(model).probabilities(pictures),
        atol=1e-6,
    )


def test_a_wrong_weight_of_a_large_network_is_found(tmp_path, monkeypatch) -> None:
    from toolkit.errors import ProofError
    from toolkit.graph.separated import SeparatedModel
    from toolkit.onnx_export import proof, reference

    for module in (proof, reference):
        monkeypatch.setattr(module, "LARGE_MODEL", 1)
    right = SeparatedModel.write

    def careless(self, path):
        right(
            SeparatedModel(
                self.proto, {name: array * np.float32(1.01) for name, array in self.weights.items()}
            ),
            path,
        )

    monkeypatch.setattr(SeparatedModel, "write", careless)
    with pytest.raises(ProofError, match="probabilities differ by"):
        export(request(large_model(), tmp_path))


def test_an_export_of_a_keras_file_of_some_megabytes_is_the_same_every_time(tmp_path: Path) -> None:
    model = read_h5(wide_network(tmp_path / "wide.h5", 60, 40))
    contents = set()
    for name in "ab":
        (tmp_path / name).mkdir()
        contents.add(export(request(model, tmp_path / name)).path.read_bytes())
    assert len(contents) == 1


def test_a_file_that_protobuf_could_not_read_is_not_written(tmp_path: Path) -> None:
    from toolkit.errors import LimitReachedError
    from toolkit.graph.separated import SeparatedModel

    zeros = np.broadcast_to(np.float32(0), (1 << 15, 1 << 14))
    model = SeparatedModel(onnx.ModelProto(), {"kernel": zeros})
    with pytest.raises(LimitReachedError, match=r"2\.00 GiB|2\.0 GiB|2 GiB"):
        model.write(tmp_path / "huge.onnx")
    assert not (tmp_path / "huge.onnx").exists()
