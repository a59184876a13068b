"""The demo: shortened by default, whole and from the command line as a long test."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from toolkit.operations import demo as demo_module
from toolkit.operations.demo import CHARACTERS, demo
from toolkit.operations.models import verify_models
from toolkit.operations.toolkit import Toolkit
from toolkit.requests.demo import Demo
from toolkit.vocabulary import SilentProgress

# Nothing of the toolkit: what somebody does who was only handed the file.
ALONE = """
import json, sys
import numpy as np
import onnxruntime
from PIL import Image

session = onnxruntime.InferenceSession(sys.argv[1])
labels = json.loads(session.get_modelmeta().custom_metadata_map["labels"])
seen = ""
for path in sys.argv[2:]:
    small = Image.open(path).resize((28, 28), Image.Resampling.BOX)
    image = (255 - np.asarray(small, np.float32))[None, ..., None] / 255
    (probabilities,) = session.run(None, {"image": image})
    seen += labels[int(probabilities[0].argmax())]
assert not [name for name in sys.modules if name.startswith("toolkit")]
print(seen)
"""


def read_alone(model: Path, pictures: list[Path]) -> str:
    done = subprocess.run(
        [sys.executable, "-c", ALONE, str(model), *map(str, pictures)],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


@pytest.mark.train
def test_the_demo_goes_all_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_module, "BASE_EPOCHS", 2)
    monkeypatch.setattr(demo_module, "FINE_TUNING_EPOCHS", 1)
    toolkit = Toolkit(tmp_path)
    somebodys = tmp_path / "demo" / "pictures" / "holiday.jpg"
    somebodys.parent.mkdir(parents=True)
    somebodys.write_bytes(b"not ours")
    done = demo(toolkit, Demo(), SilentProgress())
    assert len(done.models) == 3
    assert set(done.scores) == {path.name for path in (*done.models, done.merged, done.onnx)}
    assert done.scores[done.merged.name] == pytest.approx(done.scores[done.onnx.name], abs=1e-3)
    assert min(done.scores.values()) > 0.5
    assert "validation images" in done.verdict
    assert "test images" in done.test_verdict
    here = Toolkit(tmp_path / "demo")
    assert {item.state for item in verify_models(here)} == {"ok"}
    pictures = sorted((tmp_path / "demo" / "pictures").glob("*.png"))
    right = sum(a == b for a, b in zip(read_alone(done.onnx, pictures), CHARACTERS, strict=True))
    assert right >= len(CHARACTERS) - 2
    assert somebodys.read_bytes() == b"not ours"
    folders = {path.name for path in (tmp_path / "demo").iterdir() if path.is_dir()}
    assert folders == {".toolkit", "models", "pictures", "plots"}
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob(".toolkit")] == ["demo/.toolkit"]
    assert len(list((tmp_path / "demo" / "plots").iterdir())) == 6
    seen = [
        path for path in (tmp_path / "demo").rglob("*") if path.is_file() and ".toolkit" not in path.parts
    ]
    assert len(seen) <= 30


@pytest.mark.long
@pytest.mark.train
def test_the_whole_demo_from_the_command_line(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "toolkit", "demo", "--output", "json"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        check=True,
        timeout=600,
    )
    document = json.loads(done.stdout)
    assert len(document["models"]) == 3
    assert all((tmp_path / path).is_file() for path in (*document["models"], document["merged"]))
    pictures = sorted((tmp_path / "demo" / "pictures").glob("*.png"))
    assert read_alone(tmp_path / document["onnx"], pictures) == CHARACTERS
    assert min(document["scores"].values()) > 0.85
