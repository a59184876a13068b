"""The body of a request, read within its limits."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any, NoReturn

from flask import request

from toolkit.web.problems import refuse
from toolkit.web.settings import WebLimits


def json_object(limits: WebLimits, known: Collection[str]) -> dict[str, Any]:
    """The request's body as a JSON object; an empty body is an empty object.

    Args:
        limits: On its size and depth.
        known: The keys that there may be.

    Raises:
        RefusedError: If it is too large, too deep, no JSON object, or has another key.
    """
    body = _read(limits.json_bytes)
    if not body.strip():
        return {}
    try:
        text = body.decode()
        if _depth(text) > limits.json_depth:
            raise refuse(400, "usage", f"the JSON body is nested deeper than {limits.json_depth}")
        document = json.loads(text, parse_constant=_no_number)
    except ValueError as error:
        raise refuse(400, "usage", "the body is not JSON in UTF-8") from error
    if not isinstance(document, dict):
        raise refuse(400, "usage", "the JSON body is not an object")
    unknown = sorted(set(document) - set(known))
    if unknown:
        raise refuse(400, "usage", f"the JSON body may have {', '.join(sorted(known))}, and nothing else")
    return document


def picture(limits: WebLimits) -> bytes:
    """The request's body as it is.

    Raises:
        RefusedError: If it is empty or too large.
    """
    body = _read(limits.picture_bytes)
    if not body:
        raise refuse(400, "usage", "the body is empty: send a PNG or JPEG picture of one character")
    return body


def _read(most: int) -> bytes:
    request.max_content_length = most
    return request.get_data(cache=False)


def _depth(text: str) -> int:
    """How deep brackets are nested, counted before a parser meets them."""
    deepest = depth = 0
    in_text = escaped = False
    for sign in text:
        if in_text:
            in_text = escaped or sign != '"'
            escaped = sign == "\\" and not escaped
        elif sign == '"':
            in_text = True
        elif sign in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif sign in "]}":
            depth -= 1
    return deepest


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
