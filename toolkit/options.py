"""Frozen dataclasses as options and requests: one declaration for every way to fill them.

A dataclass whose fields are declared with :func:`option` is read from ``-o key=value``, from JSON and
from TOML, and described as a table and as a JSON schema.

Fields have the types ``int``, ``float``, ``str``, ``bool``, ``Path``, ``Convention``, a ``Literal`` of
strings or integers, another such dataclass, ``tuple[X, ...]`` and ``Mapping[str, X]`` of these, and
``X | None``.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from toolkit.declared_options import OptionType, Place, as_json, converted, option, table_schema, types_of
from toolkit.errors import ConfigurationError, UsageError

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


@dataclass(frozen=True, slots=True)
class OptionInfo:
    """One option, described.

    Attributes:
        name: The key in ``key=value`` and in JSON; dotted for a field of a nested dataclass.
        type: In words: ``number``, ``one of mean, median``, ``whole number, or none``.
        default: As a JSON value.
        help: One sentence.
        minimum: Lowest allowed value, for numbers.
        maximum: Highest allowed value, for numbers.
        choices: The allowed values; empty if any value of the type is allowed.
        required: Whether it has no default.
    """

    name: str
    type: str
    default: Any
    help: str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[Any, ...] = ()
    required: bool = False


def parse_options(options_type: type[T], pairs: Sequence[str], *, owner: str) -> T:
    """Read options from ``key=value`` texts.

    Args:
        options_type: The dataclass.
        pairs: As typed after ``-o``; ``table.key=value`` sets a field of a nested dataclass or an entry
            of a mapping.
        owner: Whose options they are, for errors: ``merge strategy 'mean'``.

    Raises:
        UsageError: If a text is no pair, a key is unknown or given twice, or a value is not allowed.
    """
    values: dict[str, Any] = {}
    for key, text in option_pairs(pairs, f"options of {owner}"):
        _set(values, key, text, options_type, owner)
    return options_from_mapping(options_type, values, owner=owner)


def options_from_mapping(options_type: type[T], mapping: Mapping[str, Any], *, owner: str) -> T:
    """Read options from JSON or TOML values; arrays fill tuples, null is None.

    Raises:
        UsageError: If a key is unknown or missing, or a value is not allowed.
    """
    try:
        found: T = converted(mapping, OptionType(dict, table=options_type), Place(owner))
    except ValueError as error:
        # A dataclass checks its fields against one another in __post_init__.
        raise UsageError(f"options of {owner}: {error}", hint="change one of them") from error
    except RecursionError as error:
        raise UsageError(f"options of {owner}: nested too deep", hint="use fewer levels") from error
    return found


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

    Raises:
        UsageError: If a prefix or a key is unknown, a key without a prefix has several owners, or a
            value is not allowed.
    """
    found: dict[str, dict[str, Any]] = {prefix: {} for prefix in owners}
    for key, value in option_pairs(given):
        table: Mapping[str, Any] = {key: value}
        if isinstance(value, Mapping) and key in owners:
            table = {f"{key}.{name}": part for name, part in value.items()}
        for full, part in table.items():
            prefix, name = _routed(full, owners)
            _set(found[prefix], name, part, owners[prefix], prefix)
    return {
        prefix: options_from_mapping(kind, found[prefix], owner=prefix) for prefix, kind in owners.items()
    }


def describe_options(options_type: type) -> tuple[OptionInfo, ...]:
    """Describe a dataclass of options, field by field.

    Raises:
        ConfigurationError: If it is no dataclass, or a field has no default, an annotation that
            cannot be resolved at run time or is not supported, or a default that is not allowed.
    """
    for name, kind in types_of(options_type).items():
        where = f"{options_type.__name__}.{name}"
        if kind.required:
            raise ConfigurationError(f"{where} has no default", hint="declare it with toolkit.options.option")
        try:
            converted(kind.default, kind, Place("its default", name))
        except UsageError as error:
            raise ConfigurationError(f"{where}: its default breaks its own rules: {error.message}") from error
    return describe_fields(options_type)


def describe_fields(request_type: type, prefix: str = "") -> tuple[OptionInfo, ...]:
    """Describe the fields of a request, required ones included, without checking their defaults."""
    found: list[OptionInfo] = []
    for name, kind in types_of(request_type).items():
        if kind.type is dict and kind.table:
            found += describe_fields(kind.table, f"{prefix}{name}.")
            continue
        one = kind.part if kind.type is tuple and kind.part else kind
        limits = (one.minimum, one.maximum, one.choices)
        found.append(OptionInfo(prefix + name, kind.words(), kind.default, kind.help, *limits, kind.required))
    return tuple(found)


def options_as_json(instance: Any) -> dict[str, Any]:
    """An options instance as JSON values; :func:`options_from_mapping` is the inverse."""
    return cast("dict[str, Any]", as_json(instance))


def json_schema(options_type: type, title: str = "") -> dict[str, Any]:
    """The JSON schema of a dataclass, with descriptions, ranges and defaults; other keys are refused."""
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return {**head, **table_schema(options_type), "title": title or options_type.__name__}


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
    first = prefix.replace("-", "_")
    having = [owner for owner, kind in owners.items() if first in types_of(kind)]
    if len(having) == 1:
        return having[0], key
    if having:
        choices = " or ".join(f"{owner}.{key}" for owner in having)
        raise UsageError(f"option {key} belongs to {' and '.join(having)}", hint=f"write {choices}")
    known = [(f"{owner}.{name}", name) for owner, kind in owners.items() for name in types_of(kind)]
    near = difflib.get_close_matches(key, [text for names in known for text in names], n=1)
    nearest = [f"did you mean {full}? " for full, name in known if near and near[0] in (full, name)][:1]
    full_names = ", ".join(full for full, _ in known)
    raise UsageError(f"there is no option {key!r}", hint=f"{''.join(nearest)}the options are {full_names}")


def _set(values: dict[str, Any], key: str, value: Any, options_type: Any, owner: str) -> None:
    """Put a value at its dotted key; a text is parsed by its type."""
    place: Any = values
    kind, rest = OptionType(dict, table=options_type), key
    while True:
        name, dot, rest = rest.partition(".")
        name = name.strip()
        if kind.table:
            name = name.replace("-", "_")
            kind = types_of(kind.table).get(name, OptionType())
        else:
            kind = kind.part or kind
        if not dot or kind.type is not dict:
            break
        place = place.setdefault(name, {})
    # After a key that is not a table, a dot is part of the key.
    name += dot + rest
    if not isinstance(place, dict) or name in place:
        raise UsageError(f"option {key} of {owner} is given twice", hint="give it once")
    place[name] = _from_text(value, kind) if isinstance(value, str) else value


def _from_text(text: str, kind: OptionType) -> Any:
    """The value that was typed; the text itself if it is not one, to be refused by the validation."""
    if kind.nullable and text.lower() in ("none", "null"):
        return None
    if kind.type is tuple and kind.part is not None:
        return [_from_text(part.strip(), kind.part) for part in text.split(",") if part.strip()]
    if kind.type is bool:
        return _BOOLEANS.get(text.lower(), text)
    try:
        return kind.type(text) if kind.type in (int, float) else text
    except ValueError:
        return text
