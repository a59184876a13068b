"""How options are declared, and what each field of a declaration may hold."""

from __future__ import annotations

import copy
import dataclasses
import difflib
import functools
import math
import re
import sys
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass
from pathlib import Path, PurePath
from types import NoneType, UnionType
from typing import Any, Literal, NamedTuple, Union

from toolkit.errors import ConfigurationError, UsageError
from toolkit.vocabulary import Convention

_METADATA = "toolkit.option"
_LONGEST_SHOWN = 100
_LEAVES: dict[Any, tuple[str, dict[str, Any]]] = {
    int: ("whole number", {"type": "integer"}),
    float: ("number", {"type": "number"}),
    str: ("text", {"type": "string"}),
    bool: ("true or false", {"type": "boolean"}),
    Path: ("path", {"type": "string", "format": "path"}),
    Convention: ("convention", {"format": "convention", "anyOf": [{"type": "string"}, {"type": "object"}]}),
    Any: ("text", {}),
}
"""The types of single values, in words and in a JSON schema."""


@dataclass(frozen=True)
class OptionType:
    """What a field may hold.

    Attributes:
        type: A type of ``_LEAVES``, or ``tuple`` or ``dict``.
        part: Of the parts of a tuple or a mapping.
        table: The dataclass that is written as a table.
        other: A mapping that may be given instead.
        default: As a JSON value.
    """

    type: Any = Any
    part: OptionType | None = None
    table: Any = None
    other: OptionType | None = None
    nullable: bool = False
    choices: tuple[Any, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    help: str = ""
    required: bool = False
    default: Any = None

    def words(self, plural: str = "", *, sentence: bool = False) -> str:
        """The type in words; in a sentence, with its article and its range."""
        if self.choices:
            words = "one of " + ", ".join(map(str, self.choices)) + (", several" if plural else "")
        elif self.type is tuple and self.part is not None:
            words = self.part.words("s")
            words += " separated by commas" if words.endswith("several") else ", separated by commas"
        elif self.type is dict:
            words = "a table" if sentence else "table"
        else:
            words = _LEAVES[self.type][0]
            if words not in ("text", "true or false"):
                words = f"a {words}" if sentence else f"{words}{plural}"
            if sentence and self.range:
                words += f" {self.range}" if self.range.startswith("from") else f" of {self.range}"
        return f"{words}, or none" if self.nullable else words

    @property
    def range(self) -> str:
        """The range in words; empty without one."""
        low, high = (
            "" if limit is None else f"{limit:,.0f}" if float(limit).is_integer() else f"{limit:g}"
            for limit in (self.minimum, self.maximum)
        )
        if low and high:
            return f"from {low} to {high}"
        return f"{low} or above" if low else f"{high} or below" if high else ""

    def schema(self) -> dict[str, Any]:
        """The JSON schema."""
        others = [self.other.schema()] if self.other else []
        if self.nullable or others:
            single = dataclasses.replace(self, nullable=False, other=None)
            return {"anyOf": [single.schema(), *others, *([{"type": "null"}] if self.nullable else [])]}
        if self.choices:
            return {"enum": list(self.choices)}
        if self.type is dict:
            return (
                table_schema(self.table)
                if self.part is None
                else {"type": "object", "additionalProperties": self.part.schema()}
            )
        if self.part is not None:
            return {"type": "array", "items": self.part.schema()}
        limits = {"minimum": self.minimum, "maximum": self.maximum}
        return _LEAVES[self.type][1] | {key: limit for key, limit in limits.items() if limit is not None}


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
    rules = OptionType(help=help, choices=tuple(choices), minimum=minimum, maximum=maximum)
    metadata = {_METADATA: rules}
    if isinstance(default, dict | list):
        return dataclasses.field(default_factory=lambda: copy.deepcopy(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def _types_of(options_type: Any) -> dict[str, OptionType]:
    """The type of each field of a dataclass."""
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
    found = {}
    for item in dataclasses.fields(options_type):
        where = f"{name}.{item.name}"
        if not item.init:
            raise ConfigurationError(f"{where} cannot be set: init is False")
        rules = item.metadata.get(_METADATA, OptionType(help=documented.get(item.name, "")))
        default = item.default if item.default_factory is MISSING else item.default_factory()
        required = default is MISSING
        found[item.name] = dataclasses.replace(
            _type_of(annotations[item.name], rules, where),
            help=rules.help,
            required=required,
            default=None if required else as_json(default),
        )
    return found


types_of: Callable[[Any], dict[str, OptionType]] = functools.cache(_types_of)


def _documented(docstring: str) -> dict[str, str]:
    """The descriptions of fields in the section "Attributes"."""
    section = docstring.partition("Attributes:\n")[2]
    found = re.findall(r"^ {8}(\w+): (.*(?:\n {12}.*)*)", section, re.MULTILINE)
    return {name: " ".join(text.replace("``", "").split()) for name, text in found}


def _type_of(annotation: Any, rules: OptionType, where: str) -> OptionType:
    """The type of an annotation with the rules of its field."""
    origin, parts = typing.get_origin(annotation), typing.get_args(annotation)
    choices = parts if origin is Literal else rules.choices
    if origin in (Union, UnionType):
        first, *others = [_type_of(part, rules, where) for part in parts if part is not NoneType]
        if not others or [other.type for other in others] == [dict]:
            return dataclasses.replace(first, nullable=NoneType in parts, other=others[0] if others else None)
    elif origin is tuple and parts[1:] == (Ellipsis,):
        return OptionType(tuple, _type_of(parts[0], rules, where))
    elif origin in (dict, Mapping) and parts[0] is str:
        return OptionType(dict, _type_of(parts[1], rules, where))
    elif annotation is Convention:
        return OptionType(Convention, table=Convention)
    elif dataclasses.is_dataclass(annotation):
        return OptionType(dict, table=annotation)
    elif choices and {type(choice) for choice in choices} in ({int}, {str}):
        return dataclasses.replace(rules, type=type(choices[0]), choices=choices)
    elif annotation in _LEAVES and not choices:
        if (rules.minimum, rules.maximum) != (None, None) and annotation not in (int, float):
            raise ConfigurationError(f"{where} has a minimum or a maximum, which only numbers have")
        return dataclasses.replace(rules, type=annotation)
    named = getattr(annotation, "__name__", annotation)
    raise ConfigurationError(
        f"{where} has the type {named}{' and choices' if choices else ''}, which options cannot have",
        hint="int, float, str, bool, Path, Convention, Literal and choices of texts or whole numbers, "
        "dataclasses, tuple[X, ...], Mapping[str, X] and X | None are supported",
    )


def table_schema(options_type: Any) -> dict[str, Any]:
    """The JSON schema of a dataclass."""
    properties = {}
    for name, kind in types_of(options_type).items():
        default = {} if kind.required else {"default": kind.default}
        properties[name] = {"description": kind.help, **default, **kind.schema()}
    return {
        "title": options_type.__name__,
        "type": "object",
        "properties": properties,
        "required": [name for name, kind in types_of(options_type).items() if kind.required],
        "additionalProperties": False,
    }


class Place(NamedTuple):
    """Where a value is, for errors, and the help of its field."""

    owner: str
    path: str = ""
    help: str = ""

    def below(self, step: str, text: str = "") -> Place:
        """The place of a part."""
        return Place(self.owner, f"{self.path}{step}".lstrip("."), text or self.help)


def converted(value: Any, kind: OptionType, place: Place) -> Any:
    """A JSON value, or one that is ready, as the value of a field."""
    if kind.other is not None and isinstance(value, Mapping):
        kind = kind.other
    if (value is None and kind.nullable) or (kind.table and isinstance(value, kind.table)):
        return value
    if isinstance(value, str) and kind.type is Convention:
        return Convention.parse(value)
    if isinstance(value, str | Path) and kind.type is Path:
        return Path(value)
    if isinstance(value, Mapping) and kind.table:
        return _filled(kind.table, value, place)
    part_of = kind.part or kind
    if isinstance(value, Mapping) and kind.type in (dict, Any):
        return {key: converted(part, part_of, place.below(f".{key}")) for key, part in value.items()}
    if isinstance(value, list | tuple) and kind.type in (tuple, Any):
        parts = [converted(part, part_of, place.below(f"[{index}]")) for index, part in enumerate(value)]
        return type(value)(parts) if kind.type is Any else tuple(parts)
    return _single(value, kind, place)


def _single(value: Any, kind: OptionType, place: Place) -> Any:
    # JSON has one kind of number, and writers may give a whole one a point.
    given = value
    if isinstance(value, float) and kind.type is int and value.is_integer():
        value = int(value)
    elif type(value) is int and kind.type is float and abs(value) <= sys.float_info.max:
        value = float(value)
    fits = kind.type is Any or (
        isinstance(value, kind.type) and isinstance(value, bool) == (kind.type is bool)
    )
    allowed = kind.range if fits else ""
    if fits and isinstance(value, int | float):
        low = -math.inf if kind.minimum is None else kind.minimum
        high = math.inf if kind.maximum is None else kind.maximum
        fits = low <= value <= high and abs(value) != math.inf
    if fits and (not kind.choices or value in kind.choices):
        return value
    shown = repr(given)
    shown = shown if len(shown) <= _LONGEST_SHOWN else f"{shown[:_LONGEST_SHOWN]}…"
    allowed = allowed or ("a finite number" if kind.type is Any else kind.words(sentence=True))
    raise UsageError(
        f"{place.path or place.owner} must be {allowed}, received {shown}",
        hint=f"{place.owner}: {place.help}".rstrip(": "),
    )


def _filled(options_type: Any, mapping: Mapping[str, Any], place: Place) -> Any:
    """An instance of a dataclass; what is not given has its default."""
    types = types_of(options_type)
    for key in map(str, mapping):
        if key not in types:
            near = difflib.get_close_matches(key, types, n=1)
            hint = f"its options are {', '.join(types)}" if types else "it has no options"
            raise UsageError(
                f"{place.owner} has no option {place.below(f'.{key}').path!r}",
                hint=f"{hint}; did you mean {near[0]}?" if near else hint,
            )
    for name, kind in types.items():
        if kind.required and name not in mapping:
            raise UsageError(f"{place.owner} needs {place.below(f'.{name}').path}", hint=kind.help)
    values = {
        name: converted(value, types[name], place.below(f".{name}", types[name].help))
        for name, value in mapping.items()
    }
    return options_type(**values)


def as_json(value: Any) -> Any:
    """A value of an options dataclass as a JSON value."""
    if isinstance(value, Convention):
        return str(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: as_json(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if isinstance(value, tuple | list):
        return [as_json(part) for part in value]
    if isinstance(value, Mapping):
        return {str(key): as_json(part) for key, part in value.items()}
    return value.as_posix() if isinstance(value, PurePath) else value
