"""No two different things have one name."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_every_public_class_has_a_name_of_its_own() -> None:
    names = Counter(
        node.name
        for folder in ("toolkit", "plugins")
        for path in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    assert [name for name, count in names.items() if count > 1] == []


# Each is one thing in several layers; the verbs have a module in each of requests, operations and cli.
IN_SEVERAL_LAYERS = {"convention", "graph", "options", "plugins", "progress", "doctor"}


def test_modules_of_different_things_have_different_names() -> None:
    names = Counter(
        path.stem
        for folder in ("toolkit", "plugins")
        for path in (ROOT / folder).rglob("*.py")
        if not path.stem.startswith("__")
    )
    verbs = {path.stem for path in (ROOT / "toolkit" / "requests").glob("*.py")}
    shared = {name for name, count in names.items() if count > 1}
    assert shared - verbs - IN_SEVERAL_LAYERS == set()
