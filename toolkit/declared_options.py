"""How options are declared, and the msgspec type and the JSON schema of a declaration."""

from __future__ import annotations

import copy
import dataclasses
import functools
import operator
import re
import typing
from abc import ABC
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, field
from enum import Enum
from pathlib import Path, PurePath
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union

from toolkit.errors import ConfigurationError
from toolkit.vocabulary import Convention

# msgspec is imported where it is used: it takes 20 ms, and `toolkit --help` imports this module.

_METADATA = "toolkit.option"
_IN_ORDER = "x-in-order"


class ConventionText(ABC):  # noqa: B024 - what msgspec takes a Convention for
    """A convention, written as text or as a table."""


ConventionText.register(Convention)


def option(
    default: Any = MISSING,
    *,
    help: str,  # noqa: A002 - the word of Click and argparse
    minimum: float | None = None,
    maximum: float | None = None,
    choices: Sequence[Any] = (),
) -> Any:
    """Declare a field of a dataclass of options.

    Args:
        default: Of the field's type; without one, the field is required.
        help: One sentence for the table of options: what it is, its unit.
        minimum: Lowest allowed value, for numbers.
        maximum: Highest allowed value, for numbers.
        choices: The allowed values; a ``Literal`` annotation says the same.
    """
    limits = {key: value for key, value in (("ge", minimum), ("le", maximum)) if value is not None}
    metadata = {_METADATA: (help, tuple(choices), limits)}
    if isinstance(default, dict | list):
        return field(default_factory=lambda: copy.deepcopy(default), metadata=metadata)
    return field(default=default, metadata=metadata)


def as_json(value: Any) -> Any:
    """A value of an options dataclass as a JSON value."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type | Convention):
        return {item.name: as_json(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if isinstance(value, tuple | list):
        return [as_json(part) for part in value]
    if isinstance(value, Mapping):
        return {str(key): as_json(part) for key, part in value.items()}
    if isinstance(value, PurePath):
        return value.as_posix()
    return value.value if isinstance(value, Enum) else str(value) if isinstance(value, Convention) else value


def _struct_of(options_type: Any) -> Any:
    """The msgspec struct that validates a dataclass: the same fields with their rules, no other key."""
    import msgspec

    if not (isinstance(options_type, type) and dataclasses.is_dataclass(options_type)):
        raise ConfigurationError(f"options are declared by a dataclass, received {options_type!r}")
    name = options_type.__name__
    try:
        annotations = typing.get_type_hints(options_type)
    except (NameError, AttributeError, SyntaxError, TypeError) as error:
        raise ConfigurationError(
            f"{name}: its annotations cannot be resolved at run time: {error}",
            hint="import the names outside TYPE_CHECKING, or write plain types",
        ) from error
    documented = _documented(options_type.__doc__ or "")
    fields: list[Any] = []
    for item in dataclasses.fields(options_type):
        if not item.init:
            raise ConfigurationError(f"{name}.{item.name} cannot be set: init is False")
        text, choices, limits = item.metadata.get(_METADATA, (documented.get(item.name), (), {}))
        kind = _validated(annotations[item.name], choices, limits, f"{name}.{item.name}")
        default = item.default if item.default_factory is MISSING else item.default_factory()
        if default is MISSING:
            fields.append((item.name, Annotated[kind, msgspec.Meta(description=text)]))
        else:
            meta = msgspec.Meta(description=text, extra_json_schema={"default": as_json(default)})
            fields.append((item.name, Annotated[kind | msgspec.UnsetType, meta], msgspec.UNSET))
    struct: Any = msgspec.defstruct(name, fields, forbid_unknown_fields=True, kw_only=True)
    struct.__original__ = options_type
    return struct


def _documented(docstring: str) -> dict[str, str]:
    """The descriptions of fields in the section "Attributes"."""
    section = docstring.partition("Attributes:\n")[2]
    found = re.findall(r"^ {8}(\w+): (.*(?:\n {12}.*)*)", section, re.MULTILINE)
    return {name: " ".join(text.replace("``", "").split()) for name, text in found}


def _validated(annotation: Any, choices: Sequence[Any], limits: Mapping[str, float], where: str) -> Any:
    """An annotation with the rules of its field, as msgspec reads them."""
    import msgspec

    def inner(part: Any) -> Any:
        return _validated(part, choices, limits, where)

    origin, parts = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation in (NoneType, Any):
        return annotation
    if annotation is Convention:
        return ConventionText
    if dataclasses.is_dataclass(annotation):
        return struct_of(annotation)
    if origin in (Union, UnionType):
        return functools.reduce(operator.or_, map(inner, parts))
    if origin is tuple and parts[1:] == (Ellipsis,):
        return tuple[inner(parts[0]), ...]  # type: ignore[misc]
    if origin in (dict, Mapping):
        return dict[parts[0], inner(parts[1])]  # type: ignore[misc,valid-type]
    if origin is Literal or choices:
        values = parts or tuple(choices)
        # msgspec sorts the values; people read them in the order of the declaration.
        return Annotated[Literal[values], msgspec.Meta(extra_json_schema={_IN_ORDER: list(values)})]
    if limits and annotation not in (int, float):
        raise ConfigurationError(f"{where} has a minimum or a maximum, which only numbers have")
    if limits:
        return Annotated[
            annotation, msgspec.Meta(**{key: annotation(value) for key, value in limits.items()})
        ]
    if annotation in (int, float, str, bool, Path):
        return annotation
    raise ConfigurationError(
        f"{where} has the type {getattr(annotation, '__name__', annotation)}, which options cannot have",
        hint="int, float, str, bool, Path, Convention, Literal, dataclasses, tuple[X, ...], "
        "Mapping[str, X] and X | None are supported",
    )


def _schema_of(options_type: Any) -> dict[str, Any]:
    """The JSON schema of a dataclass, in one piece; do not change it."""
    import msgspec

    def custom(kind: type) -> dict[str, Any]:
        if kind is Path:
            return {"type": "string", "format": "path"}
        return {"format": "convention", "anyOf": [{"type": "string"}, {"type": "object"}]}

    def inlined(node: Any) -> Any:
        if isinstance(node, list):
            return [inlined(part) for part in node]
        if not isinstance(node, dict):
            return node
        node = dict(node)
        if "$ref" in node:
            node = {**definitions[node.pop("$ref").rpartition("/")[2]], **node}
        if _IN_ORDER in node:
            node["enum"] = node.pop(_IN_ORDER)
        return {key: value if key == "default" else inlined(value) for key, value in node.items()}

    try:
        whole = msgspec.json.schema(struct_of(options_type), schema_hook=custom)
    except TypeError as error:
        raise ConfigurationError(f"{options_type.__name__}: {error}") from error
    definitions = whole.pop("$defs")
    return typing.cast("dict[str, Any]", inlined(whole))


struct_of: Callable[[Any], Any] = functools.cache(_struct_of)
schema_of: Callable[[Any], dict[str, Any]] = functools.cache(_schema_of)


def without_null(node: Mapping[str, Any]) -> tuple[Mapping[str, Any], bool]:
    """A schema without null, and whether null is allowed."""
    others = [part for part in node.get("anyOf", ()) if part != {"type": "null"}]
    return ({**node, "anyOf": (), **others[0]}, True) if len(others) == 1 else (node, False)


def type_words(declared: Mapping[str, Any], plural: str = "", *, sentence: bool = False) -> str:
    """The type of a schema in words; in a sentence, with its article and its range."""
    node, nullable = without_null(declared)
    kind = node.get("type", "")
    if "enum" in node:
        words = "one of " + ", ".join(map(str, node["enum"])) + (", several" if plural else "")
    elif kind == "array":
        words = type_words(node["items"], "s")
        words += " separated by commas" if words.endswith("several") else ", separated by commas"
    elif kind in ("object", "boolean"):
        words = "table" if kind == "object" else "true or false"
    else:
        words = node.get("format") or {"integer": "whole number", "number": "number"}.get(kind, "text")
        if words != "text":
            words = f"a {words}" if sentence else f"{words}{plural}"
        allowed = range_words(node) if sentence else ""
        if allowed:
            words += f" {allowed}" if allowed.startswith("from") else f" of {allowed}"
    return f"{words}, or none" if nullable else words


def range_words(node: Mapping[str, Any]) -> str:
    """The range of a schema in words; empty without one."""
    low, high = (
        "" if limit is None else f"{limit:,.0f}" if float(limit).is_integer() else f"{limit:g}"
        for limit in (node.get("minimum"), node.get("maximum"))
    )
    if low and high:
        return f"from {low} to {high}"
    return f"{low} or above" if low else f"{high} or below" if high else ""
