"""Frozen dataclasses as options and requests: one declaration for every way to fill them.

A dataclass whose fields are declared with :func:`option` is read from ``-o key=value``, from JSON and
from TOML, and described as a table and as a JSON schema. msgspec validates the values.

Fields have the types ``int``, ``float``, ``str``, ``bool``, ``Path``, ``Convention``, a ``Literal`` of
strings or integers, another such dataclass, ``tuple[X, ...]`` and ``Mapping[str, X]`` of these, and
``X | None``.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any, TypeVar, Union, cast

from toolkit.declared_options import Accepted, as_json, fields_of, option, range_words, schema_of, type_words
from toolkit.errors import ConfigurationError, UsageError, did_you_mean, shown
from toolkit.records import dataclass
from toolkit.vocabulary import Convention

__all__ = [
    "GivenOptions",
    "OptionInfo",
    "describe_fields",
    "describe_options",
    "json_schema",
    "option",
    "option_pairs",
    "options_as_json",
    "options_from_mapping",
    "parse_options",
    "route_options",
]

T = TypeVar("T")
GivenOptions = tuple[str, ...] | Mapping[str, Any]
"""In a request, the options of plugins: ``key=value`` texts, or a mapping of JSON values."""

_YES, _NO = ("true", "yes", "on", "1"), ("false", "no", "off", "0")
_NONE = ("none", "null")
_NUMBER = re.compile(r"-?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?")
_TEXTS = frozenset((str, Path, Any))


@dataclass(frozen=True)
class OptionInfo:
    """One option, described.

    Attributes:
        name: The key in ``key=value`` and in JSON; dotted for a field of a nested dataclass.
        type: In words: ``number``, ``one of mean, median``, ``whole number, or none``.
        default: As a JSON value.
        choices: The allowed values; empty if any value of the type is allowed.
    """

    name: str
    type: str
    default: Any
    help: str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[Any, ...] = ()


def parse_options(options_type: type[T], pairs: Sequence[str | tuple[str, str]], *, owner: str) -> T:
    """Read options from ``key=value`` texts, as typed after ``-o``, or from pairs of a key and a text.

    ``table.key=value`` sets a field of a nested dataclass or an entry of a mapping. ``owner`` says in
    errors whose options they are: ``merge strategy 'mean'``.

    Raises:
        UsageError: If a text is no pair, a key is unknown or given twice, or a value is not allowed.
    """
    values: dict[str, Any] = {}
    for key, text in option_pairs(pairs, f"options of {owner}"):
        _set(values, key, text, Accepted(options_type), f"option {key} of {owner}")
    return options_from_mapping(options_type, values, owner=owner)


def options_from_mapping(options_type: type[T], mapping: Mapping[str, Any], *, owner: str) -> T:
    """Read options from JSON or TOML values; arrays fill tuples, null is None.

    Raises:
        UsageError: If a key is unknown or missing, or a value is not allowed.
    """
    return cast("T", _converted(mapping, Accepted(options_type), owner))


def route_options(
    given: Sequence[str] | Mapping[str, Any], owners: Mapping[str, type[Any]]
) -> dict[str, Any]:
    """Give each option to the plugin or the part of the toolkit that has it.

    Args:
        given: ``key=value`` texts, or keys and values from JSON or TOML. A key is ``arch.width``, or
            ``width`` if only one owner has a ``width``. In a mapping, ``arch`` may hold a table.
        owners: The options dataclass of each prefix: ``{"arch": ArchOptions, "train": TrainingOptions}``.

    Returns:
        An instance of each dataclass, by prefix.
    """
    found: dict[str, dict[str, Any]] = {prefix: {} for prefix in owners}
    for key, value in option_pairs(given):
        table = value if isinstance(value, Mapping) and key in owners else {"": value}
        for below, part in table.items():
            prefix, name = _routed(f"{key}.{below}" if below else key, owners)
            _set(found[prefix], name, part, Accepted(owners[prefix]), f"option {name} of {prefix}")
    return {
        prefix: options_from_mapping(kind, found[prefix], owner=prefix) for prefix, kind in owners.items()
    }


def describe_options(options_type: type) -> tuple[OptionInfo, ...]:
    """Describe a dataclass of options, field by field.

    Raises:
        ConfigurationError: If it is no dataclass, or a field has no default, an annotation that
            cannot be resolved at run time or is not supported, or a default that is not allowed.
    """
    for name, field in fields_of(options_type).items():
        where = f"{options_type.__name__}.{name}"
        if field.required:
            raise ConfigurationError(f"{where} has no default", hint="declare it with toolkit.options.option")
        try:
            _converted(field.default, field, name)
        except UsageError as error:
            raise ConfigurationError(f"{where}: its default breaks its own rules: {error.message}") from error
        except TypeError as error:  # msgspec's, for a union whose members it cannot tell apart
            raise ConfigurationError(f"{options_type.__name__}: {error}") from error
    return describe_fields(options_type)


def describe_fields(request_type: type) -> tuple[OptionInfo, ...]:
    """Describe the fields of a request, required ones included, without checking their defaults."""
    return tuple(_described(request_type, ""))


def options_as_json(instance: Any) -> dict[str, Any]:
    """An options instance as JSON values; :func:`options_from_mapping` is the inverse."""
    return cast("dict[str, Any]", as_json(instance))


def json_schema(options_type: type, title: str = "") -> dict[str, Any]:
    """The JSON schema of a dataclass, with descriptions, ranges and defaults; other keys are refused."""
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return {**head, **schema_of(Accepted(options_type)), "title": title or options_type.__name__}


def _described(options_type: Any, prefix: str) -> Iterator[OptionInfo]:
    for name, field in fields_of(options_type).items():
        if field.is_table and is_dataclass(field.type):
            yield from _described(field.type, f"{prefix}{name}.")
            continue
        one = field.parts[0] if field.type is tuple else field
        rules = (one.minimum, one.maximum, one.choices)
        yield OptionInfo(prefix + name, type_words(field), field.default, field.help, *rules)


def option_pairs(
    given: Sequence[str | tuple[str, str]] | Mapping[str, Any], what: str = "options"
) -> Iterator[tuple[str, Any]]:
    """Keys and values from ``key=value`` texts, from pairs or from a mapping."""
    if isinstance(given, Mapping):
        yield from given.items()
        return
    for item in given:
        if isinstance(item, tuple):
            yield item
            continue
        key, equals, value = item.partition("=")
        if not equals:
            raise UsageError(f"{what} are key=value, received {shown(item)}", hint="-o learning_rate=0.001")
        yield key.strip(), value.strip(" ")


def _routed(key: str, owners: Mapping[str, type[Any]]) -> tuple[str, str]:
    """The prefix and the name of an option."""
    prefix, dot, name = key.partition(".")
    if dot and prefix in owners:
        return prefix, name
    known = [(owner, name) for owner, kind in owners.items() for name in fields_of(kind)]
    first = prefix.replace("-", "_")
    having = [owner for owner, name in known if name == first]
    if len(having) == 1:
        return having[0], key
    if having:
        choices = " or ".join(f"{owner}.{key}" for owner in having)
        raise UsageError(f"option {key} belongs to {' and '.join(having)}", hint=f"write {choices}")
    full = [f"{owner}.{name}" for owner, name in known]
    names = {name: address for (_, name), address in zip(known, full, strict=True)}
    near = [*difflib.get_close_matches(key, full), *difflib.get_close_matches(key, names)]
    nearest = f"did you mean {names.get(near[0], near[0])}? " if near else ""
    hint = f"{nearest}the options are {', '.join(full)}" if full else "there are no options"
    raise UsageError(f"there is no option {shown(key)}", hint=hint)


def _set(values: dict[str, Any], key: str, value: Any, declared: Accepted, what: str) -> None:
    """Put a value at its dotted key; a text is parsed by its type."""
    name, dot, rest = key.partition(".")
    name = name.strip().replace("-", "_") if is_dataclass(declared.type) else name.strip()
    declared = declared.field(name)
    place = values.setdefault(name, {}) if dot and declared.is_table else None
    whole = name + dot + rest  # after a key that is not a table, a dot is part of the key
    if isinstance(place, dict):
        _set(place, rest, value, declared, what)
    elif place is not None or whole in values:
        raise UsageError(f"{what} is given twice", hint="give it once")
    else:
        values[whole] = _from_text(value, declared) if isinstance(value, str) else value


def _from_text(text: str, declared: Accepted) -> Any:
    """The value that was typed; the text itself if it is not one, to be refused by the validation."""
    if declared.nullable and text.lower() in _NONE:
        return None
    if declared.type is tuple:
        return [_from_text(part.strip(), declared.parts[0]) for part in text.split(",") if part.strip()]
    if declared.type is bool and text.lower() in _YES + _NO:
        return text.lower() in _YES
    try:
        return declared.type(text) if declared.type in (int, float) and _NUMBER.fullmatch(text) else text
    except ValueError:
        return text


def _converted(given: Any, declared: Accepted, owner: str) -> Any:
    import msgspec

    try:
        return msgspec.convert(_checked(given, declared, ""), declared.annotation or declared.type)
    except RecursionError as error:
        raise UsageError(f"options of {owner}: nested too deep", hint="use fewer levels") from error
    except msgspec.ValidationError as error:
        if error.__cause__ is None:
            raise _refusal(declared, given, str(error), owner) from error
        if not isinstance(error.__cause__, ValueError):
            raise error.__cause__ from None
        # A dataclass checks its fields against one another in __post_init__.
        raise UsageError(f"options of {owner}: {error.__cause__}", hint="change one of them") from error


def _checked(value: Any, declared: Accepted, where: str) -> Any:
    """A value as msgspec converts it; what msgspec cannot check is refused in the form of its errors."""
    import msgspec

    kind, problem = declared.type, ""
    if isinstance(value, (str, Path)):
        if kind is Convention:
            return Convention.parse(str(value))
        if "\0" in str(value) and kind in (str, Path, Any, Union) and not declared.choices:
            problem = "NUL"
        elif kind is Path:
            return Path(value)
        elif isinstance(value, str) and _TEXTS.isdisjoint(part.type for part in declared.members):
            value = value.encode(errors="replace").decode()  # msgspec fails on what is not UTF-8
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        if kind is int and value % 1 == 0:
            value = int(value)  # JSON writers may give a whole number a point
        low, high = declared.minimum, declared.maximum
        inside = (low is None or low <= value) and (high is None or value <= high)
        if not inside and (kind is float or isinstance(value, int)):
            problem = "out of range"
        elif isinstance(value, float) and not math.isfinite(value):
            problem = "not finite"
    elif isinstance(value, (list, tuple)):
        each = declared.each(tuple)
        return [_checked(part, each, f"{where}[{number}]") for number, part in enumerate(value)]
    elif isinstance(value, Mapping) and is_dataclass(kind):
        fields = fields_of(kind)
        if unknown := [key for key in value if key not in fields]:
            raise msgspec.ValidationError(f"unknown field `{unknown[0]}` - at `${where}`")
        return {key: _checked(part, fields[key], f"{where}.{key}") for key, part in value.items()}
    elif isinstance(value, Mapping):
        each = declared.each(dict)
        return {key: _checked(part, each, f"{where}[...]") for key, part in value.items()}
    if declared.choices and value not in (*declared.choices, None):
        problem = "not a choice"
    if problem:
        raise msgspec.ValidationError(f"{problem} - at `${where}`")
    return value


def _refusal(declared: Accepted, value: Any, problem: str, owner: str) -> UsageError:
    """Say what was received and what is allowed, from msgspec's error."""
    problem, _, path = problem.rpartition(" - at `$") if " - at `$" in problem else (problem, "", "")
    where, about, known_entry = "", declared.help, True
    for step in re.findall(r"\.\w+|\[.+?\]", path):
        name = step.strip(".[]")
        inner = declared.field(name) if step.startswith(".") else declared.each(tuple if name else dict)
        if step.startswith("[") and inner.type in (Any, None):
            break  # the parts of any value have no rules of their own
        where, declared, about = where + step, inner, inner.help or about
        known_entry = known_entry and name != ""  # msgspec does not say which entry of a mapping
        if known_entry:
            value = value[int(name) if name.isdigit() else name]
    where = where.strip(".")
    key = re.search("(?s)field `(.*)`", problem)
    if key is not None:
        full, known = f"{where}.{key[1]}".lstrip("."), fields_of(declared.type)
        if key[1] in known:
            return UsageError(f"{owner} needs {full}", hint=known[key[1]].help)
        nearest = did_you_mean(key[1], known)
        hint = f"its options are {', '.join(known)}" if known else "it has no options"
        return UsageError(
            f"{owner} has no option {shown(full)}", hint=f"{hint}; {nearest}" if nearest else hint
        )
    special = {"NUL": "text without NUL", "out of range": range_words(declared.minimum, declared.maximum)}
    allowed = special.get(problem) or type_words(declared, sentence=True)
    return UsageError(
        f"{where or owner} must be {allowed}, received {shown(value)}", hint=f"{owner}: {about}".rstrip(": ")
    )
