"""Checks of declarations, and of what their callables return, against the table of kinds."""

from __future__ import annotations

import collections.abc
import dataclasses
import functools
import re
import sys
import types
from typing import Any, TypeVar, Union, get_args, get_origin

from toolkit.errors import ConfigurationError
from toolkit.host.kinds import Kind
from toolkit.options import describe_options

D = TypeVar("D")

NAME_PATTERN = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
"""Names of contributions: they are typed, and used in URLs and file names."""

# Annotations that are imported for type checkers only, as addresses.
_SLOW_TO_IMPORT = {"Dataset": "toolkit.data.Dataset", "Model": "toolkit.model.Model"}
_FIELDS_ARE_CHECKED = ("toolkit.declarations.", "toolkit.data.")
_SEQUENCES = {collections.abc.Sequence: (list, tuple), tuple: (tuple,), frozenset: (frozenset,)}


class BadDeclarationError(Exception):
    """A declaration that cannot be used; the text says which and why."""


def check_declaration(kind: Kind[D], declaration: object) -> D:
    """Check a declaration that a hook yielded, and return it."""
    if not isinstance(declaration, kind.declaration):
        raise BadDeclarationError(f"{kind.hook} yielded {mismatch(declaration, kind.declaration)}")
    values: Any = declaration
    name, summary = values.name, values.summary
    if not isinstance(name, str) or NAME_PATTERN.fullmatch(name) is None:
        raise BadDeclarationError(
            f"{kind.hook} yielded the name {name!r}, expected lower-case letters, digits, '.', '_' and '-'"
        )
    if isinstance(summary, str) and summary.strip() and "\n" not in summary:
        problem = _field_problem(kind, declaration) or kind.rule(declaration)
    else:
        problem = f"summary is {summary!r}, expected one line of text"
    if problem:
        raise BadDeclarationError(f"{kind.word} {name!r}: {problem}")
    return declaration


def _field_problem(kind: Kind[Any], declaration: object) -> str:
    declared: Any = kind.declaration
    for field, hint in _hints(declared).items():
        value, call = getattr(declaration, field), kind.calls.get(field)
        if field == "options":
            try:
                describe_options(value)
            except ConfigurationError as error:
                return str(error)
        elif call is None or not (call.optional and value is None):
            problem = mismatch(value, hint if call is None else collections.abc.Callable)
            if problem:
                return f"{field} is {problem}"
    return ""


def result_problem(kind: Kind[Any], field: str, result: object) -> str:
    """What is wrong with the result of a declaration's callable; empty if nothing is."""
    problem = mismatch(result, kind.calls[field].returns)
    return f"{field} returned {problem}" if problem else ""


def mismatch(value: object, expected: Any) -> str:
    """Compare a value and its fields with a type hint or the address of a class.

    Returns ``str 'low', expected int``; empty if the value fits, or if the hint is not understood.
    """
    origin, parts = get_origin(expected) or expected, get_args(expected)
    if origin in (Union, types.UnionType):
        fits = any(not mismatch(value, part) for part in parts)
    else:
        fits = _has_type(value, origin)
    if not fits:
        return f"{_shown(value)}, expected {_words(expected)}"
    if origin in _SEQUENCES and parts and (origin is not tuple or parts[1:] == (...,)):
        odd = [problem for item in value if (problem := mismatch(item, parts[0]))]  # type: ignore[attr-defined]
        return f"{type(value).__name__} with {odd[0]}" if odd else ""
    if origin is collections.abc.Mapping:
        odd = [p for pair in value.items() for p in map(mismatch, pair, parts) if p]  # type: ignore[attr-defined]
        return f"{type(value).__name__} with {odd[0]}" if odd else ""
    declared: Any = type(value)
    if dataclasses.is_dataclass(value) and declared.__module__.startswith(_FIELDS_ARE_CHECKED):
        for field, hint in _hints(declared).items():
            problem = mismatch(getattr(value, field), hint)
            if problem:
                return f"{type(value).__name__} whose {field} is {problem}"
    return ""


def _has_type(value: object, expected: Any) -> bool:
    if isinstance(expected, str):
        # An instance exists only if the module of its class has been imported.
        module, _, name = expected.rpartition(".")
        expected = getattr(sys.modules.get(module), name, types.EllipsisType)
    if expected is collections.abc.Callable:
        return callable(value)
    if expected in (int, float) and isinstance(value, bool):
        return False
    expected = (int, float) if expected is float else _SEQUENCES.get(expected, expected)
    return expected is Any or not isinstance(expected, type | tuple) or isinstance(value, expected)


@functools.cache
def _hints(declared: Any) -> dict[str, Any]:
    """The type of each field of a dataclass; ``Any`` if its names are not imported."""
    names = {**_SLOW_TO_IMPORT, **vars(sys.modules[declared.__module__])}
    hints = {}
    for field in dataclasses.fields(declared):
        try:
            hints[field.name] = eval(str(field.type), names)  # noqa: S307 - annotations of our own code
        except (NameError, TypeError):
            hints[field.name] = Any
    return hints


def _words(expected: Any) -> str:
    """A type hint without the modules of its names."""
    text = expected.__name__ if isinstance(expected, type) and not get_args(expected) else str(expected)
    return text if isinstance(expected, str) else re.sub(r"\b(\w+\.)+(?=\w)", "", text)


def _shown(value: object) -> str:
    name, text = type(value).__name__, repr(value)
    return f"{name} {text}" if len(text) <= 40 and value is not None else name
