"""The public Python API: one object, one call for each verb."""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import grimp
import pytest

import toolkit.requests
from toolkit import Toolkit
from toolkit.errors import UsageError
from toolkit.operations.verb import Verb
from toolkit.requests.datasets import ListDatasets, MakeDataset

VERBS = {name: verb for name, verb in vars(Toolkit).items() if isinstance(verb, Verb)}


def test_a_verb_takes_its_request_or_the_requests_fields(tmp_path: Path) -> None:
    tool = Toolkit(tmp_path)
    assert tool.list_datasets() == tool.list_datasets(ListDatasets())
    written = tool.make_dataset(
        name="glyphs", out=str(tmp_path / "made"), options={"train_per_class": 4, "test_per_class": 2}
    )
    again = tool.make_dataset(
        MakeDataset("glyphs", out=tmp_path / "again", options=("train_per_class=4", "test_per_class=2"))
    )
    assert [path.name for path in written.files] == [path.name for path in again.files]


def test_a_field_that_does_not_exist_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"has no option 'nam' .*did you mean name\?"):
        Toolkit(tmp_path).show_dataset(nam="glyphs")


def test_a_request_is_checked_like_its_fields(tmp_path: Path) -> None:
    for given in ({"name": "glyphs", "seed": -1}, {"name": "glyphs", "seed": "x"}, {"name": 3}):
        with pytest.raises(UsageError) as of_fields:
            Toolkit(tmp_path).make_dataset(**given)
        with pytest.raises(UsageError) as of_request:
            Toolkit(tmp_path).make_dataset(MakeDataset(**given))  # type: ignore[arg-type]
        assert str(of_request.value) == str(of_fields.value)


def test_a_request_and_fields_together_are_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="give MakeDataset or its fields"):
        Toolkit(tmp_path).make_dataset(MakeDataset("glyphs"), seed=3)


def test_progress_is_reported_to_the_caller(tmp_path: Path) -> None:
    class Notes:
        def __init__(self) -> None:
            self.begun: list[str] = []

        def note(self, text: str) -> None: ...
        def begin(self, task: str, total: int, unit: str) -> None:
            self.begun.append(task)

        def advance(self, done: int, detail: str = "") -> None: ...
        def end(self) -> None: ...

    notes = Notes()
    Toolkit(tmp_path).make_dataset(
        name="glyphs", out=tmp_path, options={"train_per_class": 4, "test_per_class": 2}, progress=notes
    )
    assert notes.begun


def requests() -> list[tuple[str, str]]:
    found = []
    for module in pkgutil.iter_modules(toolkit.requests.__path__):
        for name, value in vars(importlib.import_module(f"toolkit.requests.{module.name}")).items():
            if dataclasses.is_dataclass(value) and value.__module__ == f"toolkit.requests.{module.name}":
                found.append((module.name, name))
    return found


@pytest.mark.parametrize(("module", "request_name"), requests())
def test_every_request_has_its_verb(module: str, request_name: str) -> None:
    (verb,) = [verb for verb in VERBS.values() if (verb.module, verb.request) == (module, request_name)]
    assert callable(getattr(importlib.import_module(f"toolkit.operations.{module}"), verb.function))


def test_the_class_is_cheap_to_import_and_to_make() -> None:
    script = (
        "import sys; from toolkit import Toolkit; Toolkit()\n"
        "heavy = {'numpy', 'h5py', 'onnx', 'onnxruntime', 'pandas', 'msgspec', 'tensorflow', 'flask'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_verb_knows_its_toolkit(tmp_path: Path) -> None:
    tool = Toolkit(tmp_path)
    assert tool.list_datasets.resources is tool


def test_no_modules_import_one_another() -> None:
    graph = grimp.build_graph("toolkit", cache_dir=None)
    circles = [module for module in graph.modules if module in imported_by(graph, module)]
    assert circles == []


def imported_by(graph: grimp.ImportGraph, module: str) -> set[str]:
    """What a module imports, and what that imports."""
    found: set[str] = set()
    waiting = [module]
    while waiting:
        new = graph.find_modules_directly_imported_by(waiting.pop()) - found
        found |= new
        waiting += new
    return found
