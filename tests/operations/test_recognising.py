"""Evaluating and exporting, on networks that need no training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from quarters import save_reader

from toolkit.errors import MissingInputError, UsageError
from toolkit.operations.evaluate import evaluate
from toolkit.operations.export import export
from toolkit.operations.models import verify_models
from toolkit.operations.open_model import open_model
from toolkit.operations.toolkit import Toolkit
from toolkit.requests.evaluate import Evaluate
from toolkit.requests.export import Export
from toolkit.requests.models import VerifyModels
from toolkit.vocabulary import Convention, SilentProgress

QUIET = SilentProgress()


@pytest.fixture
def reader(tmp_path: Path) -> Path:
    return save_reader(tmp_path / "models" / "reader.h5", 1, noise=0.01, dataset="quarters")


def test_an_export_is_proved_on_real_images_and_has_a_card(toolkit: Toolkit, reader: Path) -> None:
    exported = export(toolkit, Export(reader, "onnx"))
    assert exported.path == reader.with_suffix(".onnx")
    assert [item.state for item in verify_models(toolkit, VerifyModels((exported.path,)))] == ["ok"]
    data = toolkit.data.open("quarters", "test")
    session = onnxruntime.InferenceSession(exported.path.read_bytes())
    images = (data.images[:50] / np.float32(255)).astype(np.float32)[..., np.newaxis]
    (probabilities,) = session.run(None, {session.get_inputs()[0].name: images})
    assert (probabilities.argmax(axis=1) == data.labels[:50]).mean() > 0.4
    scores = evaluate(toolkit, Evaluate(models=(reader, exported.path)), QUIET)
    assert scores[0].accuracy == scores[1].accuracy


def test_an_export_never_replaces_its_source(toolkit: Toolkit, reader: Path) -> None:
    before = reader.read_bytes()
    with pytest.raises(UsageError, match="its own source"):
        export(toolkit, Export(reader, "h5"))
    with pytest.raises(UsageError, match=r"writes \.onnx files"):
        export(toolkit, Export(reader, "onnx", out=reader.with_name("x.h5")))
    with pytest.raises(UsageError, match="nonsense"):
        export(toolkit, Export(reader, "onnx", options=("nonsense=1",)))
    assert reader.read_bytes() == before


def test_a_failed_export_leaves_the_old_file(toolkit: Toolkit, reader: Path, tmp_path: Path) -> None:
    export(toolkit, Export(reader, "onnx"))
    target = reader.with_suffix(".onnx")
    before = target.read_bytes()
    with pytest.raises(MissingInputError, match="no-such-data"):
        export(toolkit, Export(reader, "onnx", dataset="no-such-data"))
    assert target.read_bytes() == before
    assert not list(tmp_path.rglob("*.staging*"))


def test_an_export_replaces_its_own_output_and_no_other(
    toolkit: Toolkit, reader: Path, tmp_path: Path
) -> None:
    default, other = reader.with_suffix(".onnx"), tmp_path / "other.onnx"
    export(toolkit, Export(reader, "onnx"))
    export(toolkit, Export(reader, "onnx"))
    export(toolkit, Export(reader, "onnx", out=other))
    with pytest.raises(UsageError, match=r"other\.onnx: exists already .*--force"):
        export(toolkit, Export(reader, "onnx", out=other))
    export(toolkit, Export(reader, "onnx", out=other, force=True))

    default.with_suffix(".onnx.card.json").unlink(missing_ok=True)
    default.write_bytes(b"the user's own")
    for card in default.parent.glob("*.card.json"):
        card.unlink()
    with pytest.raises(UsageError, match="not written by this toolkit"):
        export(toolkit, Export(reader, "onnx"))
    assert default.read_bytes() == b"the user's own"


def test_an_export_can_be_told_the_input_format(toolkit: Toolkit, tmp_path: Path) -> None:
    bare = save_reader(tmp_path / "bare.h5", 1, noise=0.01)
    wanted = Convention("transposed", "raw", "dark")

    exported = export(toolkit, Export(bare, "onnx", convention=wanted))

    assert open_model(toolkit, exported.path).card.convention == wanted
