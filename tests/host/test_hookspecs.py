"""Every hook is documented with its exact signature and used by a built-in plugin."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from toolkit.host.hookspecs import HOOKS as HOOKS_OF_PLUGGY
from toolkit.host.kinds import KINDS
from toolkit.host.manager import load_plugins

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "plugins.md").read_text()
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
def test_a_hook_has_a_kind_and_a_built_in_plugin_uses_it(name: str) -> None:
    (kind,) = (kind for kind in KINDS if kind.hook == name)
    owners = {contribution.owner.distribution for contribution in load_plugins({}).contributions(kind)}
    assert "modelops-toolkit" in owners


def test_the_example_in_the_documentation_is_the_plugin_that_is_tested() -> None:
    shown = dict(
        re.findall(r"^`toolkit_good/(\w+\.py)`:\n\n```py\n(.*?)\n```$", PAGE, re.MULTILINE | re.DOTALL)
    )
    real = {path.name: path.read_text().rstrip() for path in (GOOD / "toolkit_good").glob("*.py")}
    assert shown == real


def test_the_entry_point_in_the_documentation_is_the_installed_one() -> None:
    (information,) = GOOD.glob("*.dist-info")
    assert 'good = "toolkit_good"' in PAGE
    assert "good = toolkit_good" in (information / "entry_points.txt").read_text()
    assert 'version = "1.0"' in PAGE
    assert "Version: 1.0" in (information / "METADATA").read_text()
