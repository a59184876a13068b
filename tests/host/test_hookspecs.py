"""Every hook is documented with its exact signature and used by a plugin of this repository."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import re
from pathlib import Path

import pytest

from docs.plugins_page import documented_fields
from toolkit import types
from toolkit.host.hookspecs import HOOKS as HOOKS_OF_PLUGGY
from toolkit.host.kinds import KINDS
from toolkit.host.manager import load_plugins

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "plugins.md").read_text()
NOT_SHOWN = {"Convention", "NoOptions"}
GOOD = ROOT / "tests" / "data" / "plugins" / "good"
HOOKS = {name: function for name, function in vars(HOOKS_OF_PLUGGY).items() if name.startswith("toolkit_")}


def test_the_documentation_has_exactly_the_hooks_there_are() -> None:
    documented = re.findall(r"^def (toolkit_\w+)\(\) -> Iterable\[\w+\]$", PAGE, re.MULTILINE)
    assert documented == list(HOOKS)


@pytest.mark.parametrize("name", HOOKS)
def test_a_hook_is_documented_with_its_exact_signature(name: str) -> None:
    signature = inspect.signature(HOOKS[name])
    assert not signature.parameters, "an argument breaks plugins on older hosts"
    assert f"def {name}() -> {signature.return_annotation}\n" in PAGE


@pytest.mark.parametrize("name", HOOKS)
def test_a_hook_has_a_kind_and_a_built_in_plugin_or_the_example_uses_it(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (kind,) = (kind for kind in KINDS if kind.hook == name)
    monkeypatch.syspath_prepend(ROOT / "examples" / "toolkit-sheet")
    plugins = load_plugins({})
    plugins.register(importlib.import_module("toolkit_sheet"), name="sheet", distribution="toolkit-sheet")
    owners = {contribution.owner.distribution for contribution in plugins.contributions(kind)}
    assert owners & {"modelops-toolkit", "toolkit-sheet"}


def test_every_file_of_the_example_is_on_the_page() -> None:
    shown = re.findall(r"^`toolkit_good/(\w+\.py)`:$", PAGE, re.MULTILINE)
    assert sorted(shown) == sorted(path.name for path in (GOOD / "toolkit_good").glob("*.py"))


DECLARED = [
    name
    for name in types.__all__
    if dataclasses.is_dataclass(getattr(types, name)) and name not in {"Convention", "NoOptions"}
]


@pytest.mark.parametrize("name", DECLARED)
def test_every_field_of_a_declaration_a_request_and_a_result_is_on_the_page(name: str) -> None:
    declared = getattr(types, name)
    assert f"<!-- fields: {name} -->\n| field of `{name}` |" in PAGE
    table = PAGE.partition(f"<!-- fields: {name} -->\n")[2].partition("\n\n")[0]
    for field, text in documented_fields(declared).items():
        assert text, f"{name}.{field} is not documented"
        assert f"| `{field}` |" in table


def test_the_entry_point_in_the_documentation_is_the_installed_one() -> None:
    (information,) = GOOD.glob("*.dist-info")
    assert 'good = "toolkit_good"' in PAGE
    assert "good = toolkit_good" in (information / "entry_points.txt").read_text()
    assert 'version = "1.0"' in PAGE
    assert "Version: 1.0" in (information / "METADATA").read_text()
