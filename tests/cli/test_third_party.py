"""A third-party plugin, used from the command line while three broken ones are installed."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from toolkit.host.catalog import Catalog
from toolkit.host.kinds import MODEL_FORMATS

INSTALLED = ("good", "broken-import", "misspelt-hook", "name-taken")


def test_its_data_set_is_found_by_name(run_toolkit: Callable[..., Any]) -> None:
    listed = run_toolkit("datasets", "list", plugins=INSTALLED)
    assert listed.status == 0
    assert "stripes" in listed.out
    shown = run_toolkit("datasets", "show", "stripes", "--output", "json", plugins=INSTALLED)
    assert shown.status == 0
    assert shown.document


@pytest.mark.train
def test_the_whole_flow_runs_with_contributions_of_the_plugin(
    run_toolkit: Callable[..., Any], tmp_path: Path
) -> None:
    def run(*arguments: str) -> Any:
        done = run_toolkit(*arguments, "--quiet", "--output", "json", plugins=INSTALLED)
        assert done.status == 0, f"{' '.join(arguments)}\n{done.out}\n{done.err}"
        return done.document

    def train(name: str, *arguments: str) -> Any:
        return run("train", "--dataset", "stripes", "--name", name, "-o", "batch_size=32", *arguments)

    first = train(
        "first", "--arch", "tiny-cnn", "--epochs", "10", "-o", "filters=6", "-o", "loader.noise=0.05"
    )
    assert first["model"] == "models/first.h5"
    assert first["test_accuracy"] > 0.6
    events = [
        json.loads(line) for line in (tmp_path / first["run"] / "events.jsonl").read_text().splitlines()
    ]
    assert [event["kind"] for event in events] == ["started", *["epoch"] * 10, "finished"]
    assert len((tmp_path / first["run"] / "accuracies.txt").read_text().splitlines()) == 10
    for seed in ("2", "3"):
        train(f"tuned-{seed}", "--from", "models/first.h5", "--epochs", "2", "--seed", seed)

    ingredients = ["models/first.h5", "models/tuned-2.h5", "models/tuned-3.h5"]
    chosen = ("--strategy", "trimmed-mean", "-o", "trim=1", "--recalibrate", "off", "--keep-worse")
    merged = run("merge", *ingredients, *chosen)
    assert merged["merged"] == "models/emnist_model.h5"
    assert merged["report"]["strategy"] == "trimmed-mean"
    read = Catalog.load({}).get(MODEL_FORMATS, "h5").read
    one, two, three = (read(tmp_path / name).tensors for name in ingredients)
    result = read(tmp_path / "models" / "emnist_model.h5").tensors
    for name in ("conv/kernel", "conv/bias", "norm/gamma", "classes/kernel"):
        middle = np.median([one.read(name), two.read(name), three.read(name)], axis=0)
        assert np.array_equal(result.read(name), middle), name

    exported = run("export", "models/emnist_model.h5", "--to", "weights-table", "-o", "digits=4")
    assert exported["facts"]["tensors"] == len(result)
    with (tmp_path / exported["path"]).open(newline="") as file:
        table = {row["tensor"]: row for row in csv.DictReader(file)}
    assert list(table) == list(result)
    assert float(table["conv/kernel"]["mean"]) == pytest.approx(result.read("conv/kernel").mean(), rel=1e-3)

    (score,) = run("evaluate", "models/emnist_model.h5", "--dataset", "stripes")["scores"]
    assert score["accuracy"] > 0.6


def test_a_name_that_two_plugins_claim_is_picked_by_its_distribution(run_toolkit: Callable[..., Any]) -> None:
    refused = run_toolkit(
        "merge", "a.h5", "b.h5", "--strategy", "mean", "--output", "json", plugins=["name-taken"]
    )
    assert refused.status == 2
    assert refused.document["error"] == {
        "code": "plugin",
        "message": "merge strategy 'mean' is claimed by modelops-toolkit 0.1.0 and name-taken 2.0",
        "hint": "use modelops-toolkit:mean or name-taken:mean",
    }
    picked = run_toolkit(
        "merge", "a.h5", "b.h5", "--strategy", "name-taken:mean", "--output", "json", plugins=["name-taken"]
    )
    assert picked.document["error"]["code"] == "not_found"


def test_what_a_plugin_prints_stays_out_of_the_document(
    run_toolkit: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "talkative.crash").write_text("say")
    done = run_toolkit("models", "find", "--output", "json", plugins=["native-crash"])
    assert [model["state"] for model in done.document["models"]] == ["unreadable"]
    assert "crashed\n" in done.err


def test_its_options_are_checked(run_toolkit: Callable[..., Any]) -> None:
    done = run_toolkit("plugins", "show", "weights-table", "--output", "json", plugins=INSTALLED)
    (contribution,) = done.document["contributions"]
    assert [option["name"] for option in contribution["options"]] == ["digits"]
