"""The examples run."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_an_app_of_ones_own_lists_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    client = load("own_flask_app").app.test_client()
    answer = client.get("/find_models").get_json()
    assert answer == {
        "status": "success", "all_models": 0, "emnist_models": 0, "models": {"all": {}, "emnist": {}}
    }  # fmt: skip
    assert client.get("/").text == "models: /find_models"
