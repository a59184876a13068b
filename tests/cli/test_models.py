"""``models`` and ``export`` as commands: what people read and what programs parse."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import toolkit_keras
import toolkit_onnx
from toolkit.cli.context import CommandLine
from toolkit.cli.main import toolkit as program
from toolkit.testing import catalog_of

OPERATIONS = Path(__file__).resolve().parents[1] / "operations"

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    spec = importlib.util.spec_from_file_location("quarters_for_commands", OPERATIONS / "quarters.py")
    assert spec is not None
    assert spec.loader is not None
    quarters = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, quarters)
    spec.loader.exec_module(quarters)
    quarters.save_reader(tmp_path / "models" / "net.h5", 1, noise=0.1, metrics={"validation_accuracy": 0.5})
    monkeypatch.chdir(tmp_path)
    catalog = catalog_of(toolkit_keras, toolkit_onnx)

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(program, list(arguments), obj=CommandLine(lambda: catalog))

    return run


def test_show_prints_one_json_document(run: Run) -> None:
    done = run("--output", "json", "models", "show", "models/net.h5")

    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    kernel = document["layers"][-1]["tensors"][0]
    assert (kernel["name"], kernel["dtype"], kernel["shape"]) == ("dense/kernel", "float32", [784, 4])
    assert document["state"] == "ok"


def test_one_size_everywhere(run: Run) -> None:
    (size,) = {
        line.split("net.h5")[1].split("MiB")[0].strip(" ,")
        for line in (
            run("models", "find").stdout + run("models", "show", "models/net.h5").stdout
        ).splitlines()
        if "net.h5" in line
    }
    assert float(size) > 0


def test_verify_ends_with_the_status_of_the_worst(run: Run, tmp_path: Path) -> None:
    assert run("models", "verify").exit_code == 0
    (tmp_path / "models" / "page.h5").write_text("<!DOCTYPE html>")
    assert run("models", "verify").exit_code == 3
    (tmp_path / "models" / "net.h5").write_bytes(b"damaged")
    assert run("models", "verify").exit_code == 5


def test_compare_prints_a_table_of_80_columns_and_json(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    (tmp_path / "page.h5").write_text("<!DOCTYPE html>")
    assert run("export", "models/net.h5", "--to", "keras").exit_code == 0
    done = run("models", "compare", "models/net.h5", "models/net.keras", "page.h5")
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["model", "net", "input", "classes", "format", "parameters", "weights"]
    assert max(map(len, lines[:4])) <= 80
    assert "same weights: models/net.h5, models/net.keras" in lines
    assert "page.h5: " in done.stdout
    document = json.loads(
        run("--output", "json", "models", "compare", "models/net.h5", "models/net.keras").stdout
    )
    assert [model["network"] for model in document["models"]] == ["A", "A"]
    assert document["models"][1]["same_weights_as"] == "models/net.h5"
    (pair,) = document["pairs"]
    assert (pair["same_weights"], pair["related"]) == (True, True)
    assert pair["by_kernel"] == {"dense/kernel": pytest.approx(1.0)}


def test_compare_names_what_is_unrelated(run: Run, tmp_path: Path) -> None:
    first = tmp_path / "models" / "net.h5"
    turned = first.with_name("turned.h5")
    arguments = ("--out", str(turned), "--conform", "transposed/unit/light")
    assert run("export", str(first), "--to", "h5", *arguments).exit_code == 0
    text = " ".join(run("models", "compare", str(first), str(turned)).stdout.split())
    assert "net A, related: models/net.h5, models/turned.h5 (cosine of kernels 1.00" in text
    assert "some rewritten for transposed images" in text


def test_an_export_prints_path_size_and_how_it_was_verified(run: Run) -> None:
    done = run("export", "models/net.h5", "--to", "onnx")

    assert done.exit_code == 0, done.output
    first, second = done.stdout.splitlines()
    assert first.startswith("models/net.onnx  ")
    assert first.endswith(" MiB")
    assert second.startswith("verified: ")
    assert "nodes: " in run("-v", "export", "models/net.h5", "--to", "onnx").stdout
    document = json.loads(run("--output", "json", "export", "models/net.h5", "--to", "onnx").stdout)
    assert document["facts"]["nodes"] > 0
    assert len(document["sha256"]) == 64


def test_an_export_is_rewritten_for_another_input_format(run: Run) -> None:
    done = run("export", "models/net.h5", "--to", "keras", "--conform", "transposed/raw/dark")
    assert done.exit_code == 0, done.output
    told = "rewritten from upright/unit/light to transposed/raw/dark, same logits within"
    assert told in " ".join(done.stdout.split())
    assert "transposed/raw/dark" in run("models", "show", "models/net.keras").stdout
    refused = run("export", "models/net.h5", "--to", "h5", "--out", "b.h5", "--conform", "sideways")
    assert refused.exit_code == 2


def test_an_export_asks_before_it_replaces(run: Run) -> None:
    arguments = ("export", "models/net.h5", "--to", "onnx", "--out", "mine.onnx")
    assert run(*arguments).exit_code == 0
    refused = run(*arguments)
    assert refused.exit_code == 2
    assert "mine.onnx: exists already" in refused.stderr
    assert "--force" in refused.stderr
    assert run(*arguments, "--force").exit_code == 0
