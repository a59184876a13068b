"""How options are declared, and what a declaration says: types and rules, words, a JSON schema."""

from __future__ import annotations

import copy
import dataclasses
import functools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, field
from pathlib import Path, PurePath
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from toolkit.errors import ConfigurationError
from toolkit.records import dataclass
from toolkit.vocabulary import Convention

_METADATA = "toolkit.option"
_COUNTABLE = {int: "whole number", float: "number", Path: "path", Convention: "convention"}
_WORDS = {**_COUNTABLE, bool: "true or false", dict: "table"}
_SCHEMAS: dict[Any, dict[str, Any]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    Path: {"type": "string", "format": "path"},
    Convention: {"format": "convention", "anyOf": [{"type": "string"}, {"type": "object"}]},
    Any: {},
}


@dataclass(frozen=True)
class Accepted:
    """What a field of a dataclass of options accepts, or a part of it.

    Attributes:
        type: ``tuple``, ``dict`` and ``Union`` have parts; the others are a dataclass or one value.
        parts: What a tuple or a mapping holds, or the members of a union.
        annotation: The type hint of a field.
        required: Whether the field has no default.
        default: As a JSON value.
    """

    type: Any
    parts: tuple[Accepted, ...] = ()
    nullable: bool = False
    choices: tuple[Any, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    help: str = ""
    annotation: Any = None
    required: bool = True
    default: Any = None

    @property
    def is_table(self) -> bool:
        """Whether its own options have dotted names."""
        return self.type is dict or (dataclasses.is_dataclass(self.type) and self.type is not Convention)

    @property
    def members(self) -> tuple[Accepted, ...]:
        """The members of a union; otherwise itself alone."""
        return self.parts if self.type is Union else (self,)

    def each(self, kind: type) -> Accepted:
        """What it holds as a ``tuple`` or a ``dict``; an empty type if it is neither."""
        if self.type is Any:
            return self
        return next((part.parts[0] for part in (self, *self.parts) if part.type is kind), Accepted(None))

    def field(self, name: str) -> Accepted:
        """What it has by this name, as a dataclass or a mapping."""
        if dataclasses.is_dataclass(self.type):
            return fields_of(self.type).get(name, Accepted(None))
        return self.each(dict)


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
    metadata = {_METADATA: (help, {"minimum": minimum, "maximum": maximum, "choices": tuple(choices)})}
    if isinstance(default, dict | list):
        return field(default_factory=lambda: copy.deepcopy(default), metadata=metadata)
    return field(default=default, metadata=metadata)


def _fields_of(options_type: Any) -> dict[str, Accepted]:
    """What each field of a dataclass of options accepts."""
    if not (isinstance(options_type, type) and dataclasses.is_dataclass(options_type)):
        raise ConfigurationError(f"options are declared by a dataclass, received {options_type!r}")
    name = options_type.__name__
    try:
        annotations = get_type_hints(options_type)
    except (NameError, AttributeError, SyntaxError, TypeError) as error:
        raise ConfigurationError(
            f"{name}: its annotations cannot be resolved at run time: {error}",
            hint="import the names outside TYPE_CHECKING, or write plain types",
        ) from error
    documented = _documented(options_type.__doc__ or "")
    found = {}
    for item in dataclasses.fields(options_type):
        if not item.init:
            raise ConfigurationError(f"{name}.{item.name} cannot be set: init is False")
        text, rules = item.metadata.get(_METADATA, (documented.get(item.name, ""), {}))
        default = item.default if item.default_factory is MISSING else item.default_factory()
        hint, shown = annotations[item.name], None if default is MISSING else as_json(default)
        about = {"help": text, "annotation": hint, "required": default is MISSING, "default": shown}
        found[item.name] = _accepted(hint, f"{name}.{item.name}", rules, **about)
    return found


fields_of: Callable[[Any], dict[str, Accepted]] = functools.cache(_fields_of)


def _documented(docstring: str) -> dict[str, str]:
    """The descriptions of fields in the section "Attributes"."""
    section = docstring.partition("Attributes:\n")[2]
    found = re.findall(r"^ {8}(\w+): (.*(?:\n {12}.*)*)", section, re.MULTILINE)
    return {name: " ".join(text.replace("``", "").split()) for name, text in found}


def _accepted(hint: Any, where: str, rules: Mapping[str, Any], **about: Any) -> Accepted:
    """A type hint with the rules of its field, which are for what a tuple or a mapping holds, too."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        members = [part for part in parts if part is not NoneType]
        about["nullable"] = len(members) < len(parts)
        if len(members) == 1:
            return _accepted(members[0], where, rules, **about)
        return Accepted(Union, tuple(_accepted(part, where, rules) for part in members), **about)
    if origin is tuple and parts[1:] == (Ellipsis,):
        return Accepted(tuple, (_accepted(parts[0], where, rules),), **about)
    if origin in (dict, Mapping):
        return Accepted(dict, (_accepted(parts[1], where, rules),), **about)
    choices = parts if origin is Literal else rules.get("choices")
    if choices and {type(choice) for choice in choices} in ({str}, {int}):
        return Accepted(type(choices[0]), choices=choices, **about)
    if choices or not (hint in _SCHEMAS or dataclasses.is_dataclass(hint)):
        raise ConfigurationError(
            f"{where} has the type {getattr(hint, '__name__', hint)}, which options cannot have",
            hint="int, float, str, bool, Path, Convention, Literal, dataclasses, tuple[X, ...], "
            "Mapping[str, X] and X | None are supported",
        )
    value = Accepted(hint, **rules, **about)
    if hint not in (int, float) and (value.minimum, value.maximum) != (None, None):
        raise ConfigurationError(f"{where} has a minimum or a maximum, which only numbers have")
    return value


def as_json(value: Any) -> Any:
    """A value of an options dataclass as a JSON value."""
    if value is None or isinstance(value, (str, int, float)):
        return value
    if isinstance(value, Convention):
        return str(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: as_json(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if isinstance(value, tuple | list):
        return [as_json(part) for part in value]
    if isinstance(value, Mapping):
        return {str(key): as_json(part) for key, part in value.items()}
    return value.as_posix() if isinstance(value, PurePath) else value


def schema_of(value: Accepted) -> dict[str, Any]:
    """The JSON schema of a value."""
    node: dict[str, Any]
    if value.type is Union:
        node = {"anyOf": [schema_of(part) for part in value.parts]}
    elif value.type is tuple:
        node = {"type": "array", "items": schema_of(value.parts[0])}
    elif value.type is dict:
        node = {"type": "object", "additionalProperties": schema_of(value.parts[0])}
    elif value.is_table:
        fields = fields_of(value.type)
        node = {
            "title": value.type.__name__,
            "type": "object",
            "properties": {name: schema_of(part) for name, part in fields.items()},
            "required": [name for name, part in fields.items() if part.required],
            "additionalProperties": False,
        }
    else:
        limits = {"minimum": value.minimum, "maximum": value.maximum, "enum": list(value.choices) or None}
        node = _SCHEMAS[value.type] | {key: limit for key, limit in limits.items() if limit is not None}
    about = {"description": value.help} if value.help else {}
    default = {} if value.required else {"default": value.default}
    return about | default | ({"anyOf": [node, {"type": "null"}]} if value.nullable else node)


def type_words(value: Accepted, plural: str = "", *, sentence: bool = False) -> str:
    """The type of a value in words; in a sentence, with its article and its range."""
    words = _WORDS.get(value.type, "table" if value.is_table else "text")
    if value.choices:
        words = "one of " + ", ".join(map(str, value.choices)) + (", several" if plural else "")
    elif value.type is tuple:
        words = type_words(value.parts[0], "s")
        words += " separated by commas" if words.endswith("several") else ", separated by commas"
    elif value.type in _COUNTABLE:
        words = f"a {words}" if sentence else f"{words}{plural}"
        allowed = range_words(value.minimum, value.maximum) if sentence else ""
        if allowed:
            words += f" {allowed}" if allowed.startswith("from") else f" of {allowed}"
    return f"{words}, or none" if value.nullable else words


def range_words(minimum: float | None, maximum: float | None) -> str:
    """The range of a number in words; empty without one."""
    low, high = (
        "" if limit is None else f"{limit:,.0f}" if float(limit).is_integer() else f"{limit:g}"
        for limit in (minimum, maximum)
    )
    if low and high:
        return f"from {low} to {high}"
    return f"{low} or above" if low else f"{high} or below" if high else ""
