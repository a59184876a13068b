"""The body of a request, read within its limits."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from flask import request

from toolkit.errors import UnreadableInputError
from toolkit.store.opening import parse_json
from toolkit.web.problems import refuse
from toolkit.web.settings import WebLimits

_LONGEST_SHOWN = 64


def json_object(limits: WebLimits, known: Collection[str]) -> dict[str, Any]:
    """The request's body as a JSON object with no other than the known keys; empty for an empty body."""
    body = _read(limits.json_bytes)
    if not body.strip():
        return {}
    try:
        document = parse_json(body, "the body")
    except UnreadableInputError as error:
        raise refuse(400, "usage", "the body is not JSON in UTF-8") from error
    if _depth(document) > limits.json_depth:
        raise refuse(400, "usage", f"the JSON body is nested deeper than {limits.json_depth}")
    if not isinstance(document, dict):
        raise refuse(400, "usage", "the JSON body is not an object")
    unknown = sorted(set(document) - set(known))
    if unknown:
        shown = unknown[0][:_LONGEST_SHOWN]
        raise refuse(400, "usage", f"unknown key {shown!r}: the body may have {', '.join(sorted(known))}")
    return document


def picture(limits: WebLimits) -> bytes:
    """The picture in the request's body: the whole body, or the one file of a multipart form."""
    if request.mimetype != "multipart/form-data":
        content = _read(limits.picture_bytes)
    else:
        request.max_content_length = limits.picture_bytes
        files = [file for _, file in request.files.items(multi=True)]
        if len(files) != 1:
            raise refuse(400, "usage", f"the form has {len(files)} files: send one picture")
        content = files[0].read()
    if not content:
        raise refuse(400, "usage", "no picture: send a PNG or JPEG of one character")
    return content


def _read(most: int) -> bytes:
    request.max_content_length = most
    return request.get_data(cache=False)


def _depth(value: Any) -> int:
    if not isinstance(value, dict | list):
        return 0
    return 1 + max(map(_depth, value.values() if isinstance(value, dict) else value), default=0)
