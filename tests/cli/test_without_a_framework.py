"""Everything but training runs where there is no TensorFlow: each command in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

PROGRAM = """
import sys
from toolkit.cli.main import toolkit

# As if it were not installed: whoever asks for it fails.
sys.modules["tensorflow"] = sys.modules["keras"] = sys.modules["tf2onnx"] = None
toolkit.main(sys.argv[1:], standalone_mode=False)
loaded = {name.partition(".")[0] for name, module in sys.modules.items() if module is not None}
print("imported:", *sorted(loaded & {"tensorflow", "keras", "tf2onnx", "jax", "torch"}), file=sys.stderr)
"""


def run(program: str, arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program, *arguments.split()],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory, shared: Path) -> Path:
    folder = tmp_path_factory.mktemp("without")
    image = Image.new("L", (60, 60), 255)
    image.paste(0, (25, 10, 32, 50))
    image.save(folder / "stroke.png")
    (folder / "models").mkdir()
    for name in (
        "khanhtran2000-letters.h5",
        "khanhtran2000-letters-augmented.h5",
        "khanhtran2000-byclass.h5",
    ):
        (folder / "models" / name).write_bytes((shared / "models" / name).read_bytes())
    return folder


@pytest.mark.parametrize(
    "arguments",
    [
        "--help",
        "models find",
        "models show models/khanhtran2000-letters.h5",
        "models compare models/khanhtran2000-letters.h5 models/khanhtran2000-letters-augmented.h5",
        "models verify",
        "merge models/khanhtran2000-letters.h5 models/khanhtran2000-letters-augmented.h5 --dataset none",
        "export models/khanhtran2000-letters.h5 --to onnx",
        "export models/khanhtran2000-letters.h5 --to keras",
        "predict models/khanhtran2000-letters.h5 stroke.png",
        "evaluate models/khanhtran2000-byclass.h5 --dataset glyphs",
        "datasets list",
        "plugins check",
        "doctor",
    ],
)
def test_no_framework_is_imported(workspace: Path, arguments: str) -> None:
    done = run(PROGRAM, arguments, workspace)
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1] == "imported:", done.stderr


@pytest.mark.parametrize("arguments", ["train --dataset glyphs", "demo"])
def test_what_needs_one_says_so_at_once(tmp_path: Path, arguments: str) -> None:
    done = run(PROGRAM.replace(", standalone_mode=False", ""), arguments, tmp_path)
    assert done.returncode == 2, done.stderr
    assert done.stderr.splitlines()[-1] == (
        "error: training needs tensorflow and keras, not installed in this environment"
        " (pip install 'modelops-toolkit[train]')"
    )
    assert not list(tmp_path.rglob("runs"))


@pytest.mark.parametrize(
    "arguments",
    [
        "models find",
        "models show models/khanhtran2000-letters.h5",
        "models compare models/khanhtran2000-letters.h5 models/khanhtran2000-letters-augmented.h5",
        (
            "merge models/khanhtran2000-letters.h5 models/khanhtran2000-letters-augmented.h5 "
            "--dataset none --strategy mean --out light.h5"
        ),
    ],
)
def test_what_runs_no_network_imports_no_onnx(workspace: Path, arguments: str) -> None:
    for exported in (workspace / "models").glob("*.onnx"):  # which only the package onnx can read
        exported.unlink()
    program = PROGRAM + 'assert not {"onnx", "onnxruntime", "google.protobuf"} & sys.modules.keys()\n'
    done = run(program, arguments, workspace)
    assert done.returncode == 0, done.stderr
