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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

from toolkit.declared_options import (
    as_json,
    option,
    range_words,
    schema_of,
    struct_of,
    type_words,
    without_null,
)
from toolkit.errors import ConfigurationError, UsageError, did_you_mean
from toolkit.records import dataclass
from toolkit.vocabulary import Convention

__all__ = [
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

_BOOLEANS = dict.fromkeys(("true", "yes", "on", "1"), True) | dict.fromkeys(
    ("false", "no", "off", "0"), False
)
_NONE = ("none", "null")
_LONGEST_SHOWN = 100


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


def parse_options(options_type: type[T], pairs: Sequence[str], *, owner: str) -> T:
    """Read options from ``key=value`` texts, as typed after ``-o``.

    ``table.key=value`` sets a field of a nested dataclass or an entry of a mapping. ``owner`` says in
    errors whose options they are: ``merge strategy 'mean'``.

    Raises:
        UsageError: If a text is no pair, a key is unknown or given twice, or a value is not allowed.
    """
    values: dict[str, Any] = {}
    for key, text in option_pairs(pairs, f"options of {owner}"):
        _set(values, key, text, schema_of(options_type), owner)
    return options_from_mapping(options_type, values, owner=owner)


def options_from_mapping(options_type: type[T], mapping: Mapping[str, Any], *, owner: str) -> T:
    """Read options from JSON or TOML values; arrays fill tuples, null is None.

    Raises:
        UsageError: If a key is unknown or missing, or a value is not allowed.
    """
    try:
        return cast("T", _original(_validated(options_type, mapping, owner)))
    except ValueError as error:
        # A dataclass checks its fields against one another in __post_init__.
        raise UsageError(f"options of {owner}: {error}", hint="change one of them") from error


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
    pairs: list[tuple[str, Any]] = []
    for key, value in option_pairs(given):
        if isinstance(value, Mapping) and key in owners:
            pairs += [(f"{key}.{name}", part) for name, part in value.items()]
        else:
            pairs.append((key, value))
    found: dict[str, dict[str, Any]] = {prefix: {} for prefix in owners}
    for key, value in pairs:
        prefix, name = _routed(key, owners)
        _set(found[prefix], name, value, schema_of(owners[prefix]), prefix)
    return {
        prefix: options_from_mapping(kind, found[prefix], owner=prefix) for prefix, kind in owners.items()
    }


def describe_options(options_type: type) -> tuple[OptionInfo, ...]:
    """Describe a dataclass of options, field by field.

    Raises:
        ConfigurationError: If it is no dataclass, or a field has no default, an annotation that
            cannot be resolved at run time or is not supported, or a default that is not allowed.
    """
    for name, node in schema_of(options_type)["properties"].items():
        where = f"{options_type.__name__}.{name}"
        if "default" not in node:
            raise ConfigurationError(f"{where} has no default", hint="declare it with toolkit.options.option")
        try:
            _validated(options_type, {name: node["default"]}, "its default")
        except UsageError as error:
            raise ConfigurationError(f"{where}: its default breaks its own rules: {error.message}") from error
    return describe_fields(options_type)


def describe_fields(request_type: type) -> tuple[OptionInfo, ...]:
    """Describe the fields of a request, required ones included, without checking their defaults."""
    return tuple(_described(schema_of(request_type), ""))


def options_as_json(instance: Any) -> dict[str, Any]:
    """An options instance as JSON values; :func:`options_from_mapping` is the inverse."""
    return cast("dict[str, Any]", as_json(instance))


def json_schema(options_type: type, title: str = "") -> dict[str, Any]:
    """The JSON schema of a dataclass, with descriptions, ranges and defaults; other keys are refused."""
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return {**head, **schema_of(options_type), "title": title or options_type.__name__}


def _described(schema: Mapping[str, Any], prefix: str) -> Iterator[OptionInfo]:
    for key, declared in schema["properties"].items():
        node, _ = without_null(declared)
        if "properties" in node:
            yield from _described(node, f"{prefix}{key}.")
            continue
        leaf, _ = without_null(node.get("items", node))
        yield OptionInfo(
            prefix + key,
            type_words(declared),
            node.get("default"),
            node.get("description", ""),
            leaf.get("minimum"),
            leaf.get("maximum"),
            tuple(leaf.get("enum", ())),
        )


def option_pairs(
    given: Sequence[str] | Mapping[str, Any], what: str = "options"
) -> Iterator[tuple[str, Any]]:
    """Keys and values from ``key=value`` texts or from a mapping."""
    if isinstance(given, Mapping):
        yield from given.items()
        return
    for text in given:
        key, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"{what} are key=value, received {text!r}", hint="-o learning_rate=0.001")
        yield key.strip(), value.strip()


def _routed(key: str, owners: Mapping[str, type[Any]]) -> tuple[str, str]:
    """The prefix and the name of an option."""
    prefix, dot, name = key.partition(".")
    if dot and prefix in owners:
        return prefix, name
    known = [(owner, name) for owner, kind in owners.items() for name in schema_of(kind)["properties"]]
    first = prefix.replace("-", "_")
    having = [owner for owner, name in known if name == first]
    if len(having) == 1:
        return having[0], key
    if having:
        choices = " or ".join(f"{owner}.{key}" for owner in having)
        raise UsageError(f"option {key} belongs to {' and '.join(having)}", hint=f"write {choices}")
    full = {f"{owner}.{name}": f"{owner}.{name}" for owner, name in known}
    names = {name: f"{owner}.{name}" for owner, name in known}
    near = [table[found] for table in (full, names) for found in difflib.get_close_matches(key, table, n=1)]
    nearest = f"did you mean {near[0]}? " if near else ""
    known_words = ", ".join(full) or "none"
    raise UsageError(f"there is no option {key!r}", hint=f"{nearest}the options are {known_words}")


def _set(values: dict[str, Any], key: str, value: Any, schema: Mapping[str, Any], owner: str) -> None:
    """Put a value at its dotted key; a text is parsed by its type."""
    place: Any = values
    node, rest = without_null(schema)[0], key
    while True:
        name, dot, rest = rest.partition(".")
        properties = node.get("properties")
        name = name.strip() if properties is None else name.strip().replace("-", "_")
        declared = (properties or {}).get(name) or node.get("additionalProperties") or {}
        node, _ = without_null(declared)
        if not dot or node.get("type") != "object":
            break
        place = place.setdefault(name, {})
        if not isinstance(place, dict):
            break
    # After a key that is not a table, a dot is part of the key.
    name += dot + rest
    if not isinstance(place, dict) or name in place:
        raise UsageError(f"option {key} of {owner} is given twice", hint="give it once")
    place[name] = _from_text(value, declared) if isinstance(value, str) else value


def _from_text(text: str, declared: Mapping[str, Any]) -> Any:
    """The value that was typed; the text itself if it is not one, to be refused by the validation."""
    node, nullable = without_null(declared)
    if nullable and text.lower() in _NONE:
        return None
    kind = node.get("type")
    if kind == "array":
        return [_from_text(part.strip(), node["items"]) for part in text.split(",") if part.strip()]
    if kind == "boolean":
        return _BOOLEANS.get(text.lower(), text)
    number = {"integer": int, "number": float}.get(kind or type(node.get("enum", ("",))[0]).__name__)
    try:
        return number(text) if number is not None and text.isascii() else text
    except ValueError:
        return text


def _validated(options_type: type, mapping: Mapping[str, Any], owner: str) -> Any:
    """The msgspec struct of valid values."""
    import msgspec

    try:
        values = {key: _whole(value) for key, value in mapping.items()}
        struct = msgspec.convert(values, struct_of(options_type), dec_hook=_decoded)
        _check_values(struct, "")
    except RecursionError as error:
        raise UsageError(f"options of {owner}: nested too deep", hint="use fewer levels") from error
    except msgspec.ValidationError as error:
        raise _refusal(schema_of(options_type), mapping, str(error), owner) from error
    return struct


def _whole(value: Any) -> Any:
    """JSON writers may give a whole number a point."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return [_whole(part) for part in value] if isinstance(value, list | tuple) else value


def _decoded(kind: type, value: Any) -> Any:
    if kind is Path:
        return Path(value)
    if isinstance(value, str):
        return Convention.parse(value)
    return (
        value
        if isinstance(value, Convention)
        else options_from_mapping(Convention, value, owner="convention")
    )


def _parts(value: Any) -> Iterable[tuple[str, Any]]:
    """The values inside a value, each with its step in a path."""
    if hasattr(value, "__struct_fields__"):
        return [(f".{key}", getattr(value, key)) for key in value.__struct_fields__]
    if isinstance(value, Mapping):
        return [("", part) for part in value.values()]
    return (
        [(f"[{number}]", part) for number, part in enumerate(value)]
        if isinstance(value, list | tuple)
        else ()
    )


def _check_values(value: Any, where: str) -> None:
    """Refuse what msgspec lets pass: numbers that are not finite, and NUL in texts."""
    import msgspec

    if isinstance(value, float) and not math.isfinite(value):
        raise msgspec.ValidationError(f"not finite - at `${where}`")
    if isinstance(value, str | Path) and "\0" in str(value):
        raise msgspec.ValidationError(f"NUL - at `${where}`")
    for step, part in _parts(value):
        _check_values(part, where + step)


def _original(value: Any) -> Any:
    """The dataclass of a struct."""
    import msgspec

    if isinstance(value, msgspec.Struct):
        given = {step[1:]: _original(part) for step, part in _parts(value) if part is not msgspec.UNSET}
        return type(value).__original__(**given)  # type: ignore[attr-defined]
    if isinstance(value, list | tuple):
        return type(value)(map(_original, value))
    return {key: _original(part) for key, part in value.items()} if isinstance(value, dict) else value


def _refusal(schema: Mapping[str, Any], mapping: Mapping[str, Any], problem: str, owner: str) -> UsageError:
    """Say what was received and what is allowed, from msgspec's error."""
    problem, _, path = problem.partition(" - at `$")
    where, node, value, about = path.strip("`."), schema, cast("Any", mapping), ""
    for step in re.findall(r"[\w-]+|\.\.\.", path):
        node = without_null(node)[0]
        if step == "...":  # msgspec does not say which entry of a mapping
            tables = (part for part in (node, *node.get("anyOf", ())) if "additionalProperties" in part)
            node = next(tables)["additionalProperties"]
        elif step.isdigit():
            node, value = node["items"], value[int(step)]
        else:
            node, value = node["properties"][step], value[step]
            about = node.get("description", about)
    key = re.search("field `(.*)`", problem)
    if key is not None:
        full, known = f"{where}.{key[1]}".strip("."), without_null(node)[0]["properties"]
        if "missing" in problem:
            return UsageError(f"{owner} needs {full}", hint=known[key[1]].get("description", ""))
        nearest = did_you_mean(key[1], known)
        hint = f"its options are {', '.join(known)}" if known else "it has no options"
        return UsageError(f"{owner} has no option {full!r}", hint=f"{hint}; {nearest}" if nearest else hint)
    out_of_range = re.search("[<>]=", problem)
    allowed = range_words(without_null(node)[0]) if out_of_range else type_words(node, sentence=True)
    if problem == "NUL":
        allowed = "text without NUL"
    shown = repr(value)
    shown = shown if len(shown) <= _LONGEST_SHOWN else f"{shown[:_LONGEST_SHOWN]}…"
    return UsageError(
        f"{where or owner} must be {allowed}, received {shown}", hint=f"{owner}: {about}".rstrip(": ")
    )
