"""The parts of ``plugins.md`` that are made from the code: the example's files, and tables of fields."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

PAGE = Path(__file__).parent / "plugins.md"
EXAMPLE = Path(__file__).parents[1] / "tests" / "data" / "plugins" / "good"

_FILE = re.compile(r"^`(toolkit_good/\w+\.py)`:\n\n```py\n.*?^```$", re.MULTILINE | re.DOTALL)
_FIELDS = re.compile(r"^<!-- fields: (\w+) -->\n(?:\|.*\n)*", re.MULTILINE)
_OPTIONS = {"type": "Dataclass of its options.", "Any": "An instance of the options."}
"""What is said of ``options``, by type: a declaration's, and a request's."""

_DOCUMENTED = re.compile(r"^    (\w+): (.*(?:\n     .*)*)", re.MULTILINE)


def plugins_page() -> str:
    """The page with the example's files and the tables of fields as they are now."""
    from toolkit import types

    def file_of(match: re.Match[str]) -> str:
        return f"`{match[1]}`:\n\n```py\n{(EXAMPLE / match[1]).read_text().rstrip()}\n```"

    def fields_of(match: re.Match[str]) -> str:
        return f"<!-- fields: {match[1]} -->\n" + "".join(
            f"{row}\n" for row in _rows(getattr(types, match[1]))
        )

    return _FIELDS.sub(fields_of, _FILE.sub(file_of, PAGE.read_text()))


def documented_fields(declared: type) -> dict[str, str]:
    """What a dataclass's docstring, and those of its bases, say of each field."""
    from toolkit.declarations.options import Declaration

    said: dict[str, str] = {}
    for field in dataclasses.fields(declared):
        if field.name == "options":
            said["options"] = _OPTIONS[str(field.type)]
    for one in (*reversed(declared.__mro__), Declaration, declared):
        attributes = (one.__doc__ or "").partition("    Attributes:\n")[2].partition("\n\n")[0]
        text = re.sub(r"^    |:\w+:(?=`)", "", attributes, flags=re.MULTILINE)
        said.update(
            {name: " ".join(words.split()).replace("``", "`") for name, words in _DOCUMENTED.findall(text)}
        )
    return {field.name: said.get(field.name, "") for field in dataclasses.fields(declared)}


def _rows(declared: type) -> list[str]:
    rows = [f"| field of `{declared.__name__}` | type | default | |", "|---|---|---|---|"]
    said = documented_fields(declared)
    for field in dataclasses.fields(declared):
        kind = str(field.type).replace("|", "\\|")
        text = said[field.name].replace("|", "\\|")
        rows.append(f"| `{field.name}` | `{kind}` | {_default(field)} | {text} |")
    return rows


def _default(field: dataclasses.Field[object]) -> str:
    if field.default_factory is not dataclasses.MISSING:
        made = field.default_factory()
        return f"`{made!r}`" if isinstance(made, dict) else f"`{type(made).__name__}()`"
    if field.default is dataclasses.MISSING:
        return ""
    shown = field.default.__name__ if isinstance(field.default, type) else repr(field.default)
    return f"`{shown}`"
