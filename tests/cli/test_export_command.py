"""``toolkit export`` in a process of its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest

LETTERS = "khanhtran2000-letters.h5"


@pytest.fixture
def letters(shared: Path, tmp_path: Path) -> str:
    (tmp_path / LETTERS).write_bytes((shared / "models" / LETTERS).read_bytes())
    return LETTERS


def properties(path: Path) -> dict[str, str]:
    return {entry.key: entry.value for entry in onnx.load(path).metadata_props}


def test_flags_are_options_of_the_exporter(
    run_toolkit: Callable[..., Any], letters: str, tmp_path: Path
) -> None:
    flags = "--opset", "18", "--keep-batch-norm", "--with-preprocessing", "--out", "flags.onnx"
    done = run_toolkit("export", letters, "--to", "onnx", *flags, "--convention", "transposed/raw/light")
    assert done.status == 0, done.err
    model = onnx.load(tmp_path / "flags.onnx")
    assert model.opset_import[0].version == 18
    assert model.graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.UINT8
    stated = ("opset=18", "keep_batch_norm=true", "with_preprocessing=true")
    options = ["--out", "options.onnx", *(part for text in stated for part in ("-o", text))]
    same = run_toolkit("export", letters, "--to", "onnx", *options, "--convention", "transposed/raw/light")
    assert same.status == 0, same.err
    assert (tmp_path / "flags.onnx").read_bytes() == (tmp_path / "options.onnx").read_bytes()
    card = json.loads((tmp_path / "flags.card.json").read_text())
    assert card["verification"]["compared_with"] == "the model's graph"
    assert card["verification"]["largest_probability_difference"] < 1e-5
    shown = run_toolkit("models", "show", "flags.onnx", "--output", "json")
    assert shown.document["card"]["convention"] == "transposed/raw/light"


def test_a_flag_that_an_exporter_does_not_have_is_one_line(
    run_toolkit: Callable[..., Any], letters: str
) -> None:
    done = run_toolkit("export", letters, "--to", "keras", "--opset", "17")
    assert done.status == 2
    assert "exporter keras has no option 'opset'" in done.err
    assert len(done.err.strip().splitlines()) <= 2


def test_the_proof_of_a_keras_file_is_in_its_cards(
    run_toolkit: Callable[..., Any], letters: str, tmp_path: Path
) -> None:
    done = run_toolkit("export", letters, "--to", "keras", "-o", "check=false")
    assert done.status == 0, done.err
    beside = json.loads((tmp_path / "khanhtran2000-letters.card.json").read_text())["verification"]
    assert beside == {"compared_with": "the model's weights", "tensors": beside["tensors"]}
    (tmp_path / "khanhtran2000-letters.card.json").unlink()
    shown = run_toolkit("models", "show", "khanhtran2000-letters.keras", "--output", "json")
    assert shown.document["card"]["verification"] == beside


def test_an_export_of_an_export_has_its_own_proof(
    run_toolkit: Callable[..., Any], letters: str, tmp_path: Path
) -> None:
    for source, name in ((letters, "first.onnx"), ("first.onnx", "second.onnx")):
        done = run_toolkit("export", source, "--to", "onnx", "--out", name)
        assert done.status == 0, done.err
    first, second = (properties(tmp_path / name) for name in ("first.onnx", "second.onnx"))
    assert (
        json.loads(first["toolkit_card"])["verification"]
        == json.loads(second["toolkit_card"])["verification"]
    )
