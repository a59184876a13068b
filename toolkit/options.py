"""One dataclass of options, read from ``-o key=value``, from JSON, and described for people.

A plugin declares the options of a contribution as a frozen dataclass whose fields are made by
:func:`option`. The annotations are the types: ``int``, ``float``, ``str``, ``bool``, a
``Literal`` of strings or numbers, ``tuple[X, ...]`` of these, and ``X | None``.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, Union

from toolkit.errors import ConfigurationError, UsageError

T = TypeVar("T")

_METADATA = "toolkit.option"
_TRUE = ("true", "yes", "on", "1")
_FALSE = ("false", "no", "off", "0")
_NONE = ("none", "null")


@dataclass(frozen=True, slots=True)
class _Rules:
    """What :func:`option` says of a field beyond its type and default."""

    help: str = ""
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class OptionInfo:
    """One option, described.

    Attributes:
        name: The key in ``key=value`` and in JSON.
        type: For people: ``float``, ``one of mean, median``, ``floats, comma-separated``,
            ``int or none``.
        default: As a JSON value.
        help: One sentence.
        minimum: Lowest value that is taken, for numbers.
        maximum: Highest value that is taken, for numbers.
        choices: The values that there are; empty where any of the type is taken.
    """

    name: str
    type: str
    default: Any
    help: str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class _Field:
    """A field of an options dataclass with its annotation taken apart."""

    name: str
    scalar: type
    many: bool
    nullable: bool
    default: Any
    rules: _Rules

    @property
    def type_name(self) -> str:
        """The type in words."""
        if self.rules.choices:
            name = "one of " + ", ".join(str(choice) for choice in self.rules.choices)
        else:
            name = {int: "int", float: "float", str: "text", bool: "true or false"}[self.scalar]
        if self.many:
            name += ", several separated by commas" if self.rules.choices else "s, separated by commas"
        return f"{name}, or none" if self.nullable else name


def option(
    default: Any,
    *,
    help: str,  # noqa: A002 - the word that Click and dataclass readers expect
    minimum: float | None = None,
    maximum: float | None = None,
    choices: Sequence[Any] | None = None,
) -> Any:
    """Declare a field of an options dataclass.

    Args:
        default: Immutable, of the field's type.
        help: One sentence for the table of options: what it is, its unit.
        minimum: Lowest value that is taken, for numbers.
        maximum: Highest value that is taken, for numbers.
        choices: The values that there are; a ``Literal`` annotation says the same.

    Returns:
        What ``dataclasses.field`` returns.
    """
    rules = _Rules(help, minimum, maximum, tuple(choices or ()))
    return dataclasses.field(default=default, metadata={_METADATA: rules})


def parse_options(options_type: type[T], pairs: Sequence[str], *, owner: str) -> T:
    """Read options from ``key=value`` texts.

    Args:
        options_type: The dataclass.
        pairs: As typed behind ``-o``; a hyphen in a key is read as an underscore.
        owner: Whose options they are, for errors: ``merge strategy 'mean'``.

    Raises:
        UsageError: If a text is no pair, a key is unknown or given twice, or a value does not fit.
    """
    fields = _fields(options_type)
    values: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals:
            raise UsageError(f"options of {owner} are key=value, received {pair!r}", hint=_known(fields))
        field = _field_named(key.strip().replace("-", "_"), fields, owner)
        if field.name in values:
            raise UsageError(f"option {field.name} of {owner} is given twice", hint="give it once")
        values[field.name] = _checked(field, _from_text(field, text.strip(), owner), owner)
    return _made(options_type, values, owner)


def options_from_mapping(options_type: type[T], mapping: Mapping[str, Any], *, owner: str) -> T:
    """Read options from JSON values.

    Args:
        options_type: The dataclass.
        mapping: Key to value; lists stand for tuples, null for None.
        owner: Whose options they are, for errors.

    Raises:
        UsageError: If a key is unknown or a value does not fit.
    """
    fields = _fields(options_type)
    values: dict[str, Any] = {}
    for key, value in mapping.items():
        field = _field_named(key, fields, owner)
        values[field.name] = _checked(field, _from_json(field, value, owner), owner)
    return _made(options_type, values, owner)


def describe_options(options_type: type) -> tuple[OptionInfo, ...]:
    """Describe an options dataclass, field by field.

    Raises:
        ConfigurationError: If it is no dataclass, or a field has no default, an annotation that
            cannot be resolved at run time or is not supported, or a default that breaks its own
            rules.
    """
    return tuple(
        OptionInfo(
            field.name,
            field.type_name,
            _as_json(field.default),
            field.rules.help,
            field.rules.minimum,
            field.rules.maximum,
            field.rules.choices,
        )
        for field in _fields(options_type).values()
    )


def options_as_json(instance: Any) -> dict[str, Any]:
    """An options instance as JSON values, so that :func:`options_from_mapping` gives it back."""
    return {field.name: _as_json(getattr(instance, field.name)) for field in dataclasses.fields(instance)}


def _fields(options_type: type) -> dict[str, _Field]:
    received: object = options_type
    if not (isinstance(received, type) and dataclasses.is_dataclass(received)):
        raise ConfigurationError(f"options are declared by a dataclass, received {received!r}")
    try:
        annotations = typing.get_type_hints(options_type)
    except (NameError, AttributeError, SyntaxError, TypeError) as error:
        raise ConfigurationError(
            f"{options_type.__name__}: its annotations cannot be resolved at run time: {error}",
            hint="import the names outside TYPE_CHECKING, or write plain types",
        ) from error
    return {
        field.name: _field(options_type, field, annotations[field.name])
        for field in dataclasses.fields(options_type)
    }


def _field(options_type: type, field: dataclasses.Field[Any], annotation: Any) -> _Field:
    where = f"{options_type.__name__}.{field.name}"
    rules = field.metadata.get(_METADATA, _Rules())
    if field.default is not dataclasses.MISSING:
        default = field.default
    elif field.default_factory is not dataclasses.MISSING:
        default = field.default_factory()
    else:
        raise ConfigurationError(f"{where} has no default", hint="declare it with toolkit.options.option")
    if not field.init:
        raise ConfigurationError(f"{where} cannot be set: init is False", hint="leave it out of the options")

    inner, nullable = _without_none(annotation)
    many = typing.get_origin(inner) is tuple
    if many:
        parts = typing.get_args(inner)
        if len(parts) != 2 or parts[1] is not Ellipsis:
            raise _unsupported(where, annotation)
        inner = parts[0]
    if typing.get_origin(inner) is Literal:
        choices = typing.get_args(inner)
        scalars = {type(choice) for choice in choices}
        if len(scalars) != 1:
            raise _unsupported(where, annotation)
        inner = scalars.pop()
        rules = dataclasses.replace(rules, choices=choices)
    if inner not in (int, float, str, bool):
        raise _unsupported(where, annotation)
    if inner not in (int, float) and (rules.minimum, rules.maximum) != (None, None):
        raise ConfigurationError(f"{where} has a minimum or a maximum, which only numbers have")

    described = _Field(field.name, inner, many, nullable, default, rules)
    try:
        _checked(described, _from_json(described, _as_json(default), where), where)
    except UsageError as error:
        raise ConfigurationError(f"{where}: its default breaks its own rules: {error.message}") from error
    return described


def _without_none(annotation: Any) -> tuple[Any, bool]:
    if typing.get_origin(annotation) not in (Union, types.UnionType):
        return annotation, False
    others = [part for part in typing.get_args(annotation) if part is not types.NoneType]
    return (others[0], True) if len(others) == 1 else (annotation, False)


def _unsupported(where: str, annotation: Any) -> ConfigurationError:
    name = annotation.__name__ if isinstance(annotation, type) else str(annotation)
    return ConfigurationError(
        f"{where} has the type {name}, which options cannot have",
        hint="int, float, str, bool, Literal, tuple[X, ...] and X | None are supported",
    )


def _field_named(key: Any, fields: Mapping[str, _Field], owner: str) -> _Field:
    field = fields.get(key) if isinstance(key, str) else None
    if field is None:
        near = difflib.get_close_matches(str(key), fields, n=1)
        nearest = f"; did you mean {near[0]}?" if near else ""
        raise UsageError(f"{owner} has no option {key!r}", hint=_known(fields) + nearest)
    return field


def _known(fields: Mapping[str, _Field]) -> str:
    return "its options are " + ", ".join(fields) if fields else "it has no options"


def _from_text(field: _Field, text: str, owner: str) -> Any:
    if field.nullable and text.lower() in _NONE:
        return None
    if field.many:
        return tuple(
            _scalar_from_text(field, part.strip(), owner) for part in text.split(",") if part.strip()
        )
    return _scalar_from_text(field, text, owner)


def _scalar_from_text(field: _Field, text: str, owner: str) -> Any:
    if field.scalar is bool:
        if text.lower() in _TRUE + _FALSE:
            return text.lower() in _TRUE
        raise _unfit(field, text, owner)
    try:
        return field.scalar(text)
    except ValueError as error:
        raise _unfit(field, text, owner) from error


def _from_json(field: _Field, value: Any, owner: str) -> Any:
    if value is None and field.nullable:
        return None
    if field.many:
        if not isinstance(value, list | tuple):
            raise _unfit(field, value, owner)
        return tuple(_scalar_from_json(field, part, owner) for part in value)
    return _scalar_from_json(field, value, owner)


def _scalar_from_json(field: _Field, value: Any, owner: str) -> Any:
    # bool is an int to Python; in JSON it never stands for a number.
    if field.scalar is float and isinstance(value, int) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError as error:
            raise _unfit(field, value, owner) from error
    if field.scalar is int and isinstance(value, float) and value.is_integer():
        return int(value)
    if type(value) is not field.scalar:
        raise _unfit(field, value, owner)
    return value


def _checked(field: _Field, value: Any, owner: str) -> Any:
    rules = field.rules
    for part in value if field.many and value is not None else (value,):
        if part is None:
            continue
        if rules.choices and part not in rules.choices:
            raise _unfit(field, part, owner)
        if isinstance(part, float) and not math.isfinite(part):
            raise _unfit(field, part, owner)
        if rules.minimum is not None and part < rules.minimum:
            raise _unfit(field, part, owner)
        if rules.maximum is not None and part > rules.maximum:
            raise _unfit(field, part, owner)
    return value


def _unfit(field: _Field, value: Any, owner: str) -> UsageError:
    low, high = field.rules.minimum, field.rules.maximum
    if low is not None and high is not None:
        limits = f" from {low:g} to {high:g}"
    elif low is not None:
        limits = f" of {low:g} or above"
    elif high is not None:
        limits = f" of {high:g} or below"
    else:
        limits = ""
    return UsageError(
        f"option {field.name} of {owner} is {value!r}, expected {field.type_name}{limits}",
        hint=field.rules.help or "see the options with toolkit plugins show",
    )


def _made(options_type: type[T], values: Mapping[str, Any], owner: str) -> T:
    try:
        return options_type(**values)
    except ValueError as error:
        # A dataclass checks fields against one another in __post_init__, in ValueErrors.
        raise UsageError(f"options of {owner}: {error}", hint="change one of them") from error


def _as_json(value: Any) -> Any:
    return [_as_json(part) for part in value] if isinstance(value, tuple | list) else value
