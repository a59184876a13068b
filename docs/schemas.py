"""JSON schemas of the documents that the toolkit writes, made from their dataclasses."""

from __future__ import annotations

import collections.abc
import dataclasses
import re
import types
import typing
from typing import Any

_SIMPLE = {str: "string", int: "integer", float: "number", bool: "boolean"}


def schema_of(document: type, title: str) -> dict[str, Any]:
    """The schema of a dataclass as ``dataclasses.asdict`` and ``json`` write it."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": title, **_object(document)}


def _object(document: type) -> dict[str, Any]:
    hints = typing.get_type_hints(document)
    told = _attributes(document.__doc__ or "")
    properties = {}
    for field in dataclasses.fields(document):
        schema = _value(hints[field.name])
        if field.name in told:
            schema = {"description": told[field.name], **schema}
        if field.name == "schema":
            schema["const"] = field.default
        properties[field.name] = schema
    return {
        "type": "object",
        "properties": properties,
        "required": [field.name for field in dataclasses.fields(document)],
        "additionalProperties": False,
    }


def _value(annotation: Any) -> dict[str, Any]:
    if annotation is Any:
        return {}
    if annotation in _SIMPLE:
        return {"type": _SIMPLE[annotation]}
    if dataclasses.is_dataclass(annotation):
        return _object(typing.cast("type", annotation))
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Literal:
        return {"enum": list(arguments)}
    if origin in (typing.Union, types.UnionType):
        return {"anyOf": [{"type": "null"} if one is type(None) else _value(one) for one in arguments]}
    if origin is tuple:
        return {"type": "array", "items": _value(arguments[0])}
    if origin is collections.abc.Mapping:
        return {"type": "object", "additionalProperties": _value(arguments[1])}
    raise TypeError(f"no schema for {annotation}")


def _attributes(docstring: str) -> dict[str, str]:
    _, _, section = docstring.partition("Attributes:\n")
    found = re.findall(r"^ {8}(\w+): (.*(?:\n {12}.*)*)", section, re.MULTILINE)
    return {name: " ".join(text.replace("``", "").split()) for name, text in found}
