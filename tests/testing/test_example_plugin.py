"""The example of docs/plugins.md does what the page says, one test for each kind."""

from __future__ import annotations

import csv
import importlib
from collections.abc import Iterable
from pathlib import Path

import flask
import numpy as np
import pytest
from click.testing import CliRunner

from toolkit import Toolkit
from toolkit.cli.context import CommandLine
from toolkit.contract.strategy_checks import small_model
from toolkit.declarations import ExportRequest, RunEvent
from toolkit.engine import Network
from toolkit.errors import UnreadableInputError
from toolkit.host.catalog import Catalog
from toolkit.host.kinds import COMMANDS, EXPORTERS, KINDS, ROUTES, RUN_LISTENERS
from toolkit.testing import catalog_of, run_events

FIXTURES = (run_events,)
GOOD = Path(__file__).parents[1] / "data" / "plugins" / "good"


@pytest.fixture
def good(monkeypatch: pytest.MonkeyPatch) -> Catalog:
    monkeypatch.syspath_prepend(GOOD)
    return catalog_of(importlib.import_module("toolkit_good"))


def test_the_example_has_one_contribution_of_each_kind(good: Catalog) -> None:
    assert [contribution.kind for contribution in good.all_contributions()] == list(KINDS)


def test_the_format_reads_a_model_that_runs_and_writes_it_back(good: Catalog, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    kernel, bias = random.normal(size=(784, 3)).astype(np.float32), np.zeros(3, np.float32)
    path, copy = tmp_path / "a.linear.npz", tmp_path / "b.linear.npz"
    with path.open("wb") as file:
        np.savez(file, kernel=kernel, bias=bias)
    linear = good.format_of(path)
    model = linear.read(path)
    images = random.integers(0, 256, (5, 28, 28), dtype=np.uint8)
    logits = images.reshape(5, 784) / np.float32(255) @ kernel
    expected = np.exp(logits - logits.max(axis=1, keepdims=True))
    expected /= expected.sum(axis=1, keepdims=True)
    assert Network.of(model).probabilities(images) == pytest.approx(expected, abs=1e-4)
    assert linear.write is not None
    linear.write(model, copy)
    assert np.array_equal(linear.read(copy).tensors.read("linear/kernel"), kernel)


def test_the_format_names_what_does_not_fit(good: Catalog, tmp_path: Path) -> None:
    path = tmp_path / "a.linear.npz"
    with path.open("wb") as file:
        np.savez(file, kernel=np.zeros((10, 3)), bias=np.zeros(3))
    with pytest.raises(UnreadableInputError, match=r"kernel \(10, 3\) and bias \(3,\) do not fit"):
        good.format_of(path).read(path)


def test_the_exporter_writes_a_line_for_each_tensor(good: Catalog, tmp_path: Path) -> None:
    exporter, model = good.get(EXPORTERS, "weights-table"), small_model(0)
    result = exporter.export(ExportRequest(model, tmp_path / "weights.csv", exporter.options()))
    with result.path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["tensor"] for row in rows] == list(model.tensors.specs)
    assert rows[0]["shape"] == "3x3x1x4"
    assert result.facts["tensors"] == len(rows)


def test_the_listener_writes_the_accuracy_of_each_epoch(
    good: Catalog, run_events: Iterable[RunEvent]
) -> None:
    for event in run_events:
        good.get(RUN_LISTENERS, "accuracies").hear(event)
    assert (event.run / "accuracies.txt").read_text() == "1 0.7000\n2 0.7000\n"


def test_the_command_receives_the_toolkit(good: Catalog, tmp_path: Path) -> None:
    command_line = CommandLine(lambda: good)
    command_line.toolkit.folder = tmp_path
    command = good.get(COMMANDS, "ink").load()
    done = CliRunner().invoke(command, ["stripes"], obj=command_line, catch_exceptions=False)
    assert done.stdout.strip().endswith("%")


def test_the_route_receives_the_toolkit(good: Catalog, tmp_path: Path) -> None:
    app = flask.Flask(__name__)
    app.extensions["toolkit"] = Toolkit(tmp_path, load_catalog=lambda: good)
    app.register_blueprint(good.get(ROUTES, "good").load(), url_prefix="/plugins/good")
    assert app.test_client().get("/plugins/good/datasets").get_json() == {"datasets": ["stripes"]}
