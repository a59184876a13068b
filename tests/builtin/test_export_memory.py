"""What an export needs of memory, each in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from keras_files import SMALL, small_arrays, wide_network, write_legacy

EXPORT = """
import json, resource, sys
from pathlib import Path
from toolkit.operations.toolkit import Toolkit

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10

toolkit, small, large, target = Toolkit(), *map(Path, sys.argv[1:])
toolkit.export(model=small, to="onnx", dataset="none")
before = peak()
toolkit.export(model=large, to="onnx", dataset="none", out=target)
print(json.dumps({"before": before, "peak": peak()}))
"""


def measured(small: Path, large: Path, target: Path) -> dict[str, int]:
    arguments = [sys.executable, "-c", EXPORT, *map(str, (small, large, target))]
    done = subprocess.run(arguments, capture_output=True, text=True, cwd=small.parent, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, int] = json.loads(done.stdout)
    return found


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return write_legacy(tmp_path / "small.h5", SMALL, small_arrays())


def test_an_export_takes_less_than_three_times_its_model(small: Path, tmp_path: Path) -> None:
    source = wide_network(tmp_path / "wide.h5", 1500, 1000)
    for model, target in (
        (source, tmp_path / "first.onnx"),
        (tmp_path / "first.onnx", tmp_path / "second.onnx"),
    ):
        found = measured(small, model, target)
        (tmp_path / "small.onnx").unlink()
        (tmp_path / "small.card.json").unlink(missing_ok=True)
        assert found["peak"] - found["before"] < 3 * model.stat().st_size


@pytest.mark.long
def test_an_export_of_300_megabytes_takes_less_than_a_gigabyte(small: Path, tmp_path: Path) -> None:
    source = wide_network(tmp_path / "wide.h5", 8400, 3600)
    assert source.stat().st_size > 300e6
    for model, target in (
        (source, tmp_path / "first.onnx"),
        (tmp_path / "first.onnx", tmp_path / "second.onnx"),
    ):
        found = measured(small, model, target)
        (tmp_path / "small.onnx").unlink()
        assert found["peak"] < 1e9, model.name
