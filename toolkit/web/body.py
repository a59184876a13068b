"""The body of a request, read within its limits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from flask import request

from toolkit.errors import UnreadableInputError, UsageError
from toolkit.options import options_from_mapping, parse_options
from toolkit.store.opening import is_nested_deeper, parse_json
from toolkit.web.http_problem import refuse
from toolkit.web.settings import WebLimits

T = TypeVar("T")


def from_body(request_type: type[T], limits: WebLimits) -> T:
    """The typed request in a JSON body; an empty body has the defaults."""
    return _typed(options_from_mapping, request_type, _json_object(limits), "the body")


def from_query(request_type: type[T]) -> T:
    """The typed request in the query of the address."""
    return _typed(parse_options, request_type, list(request.args.items(multi=True)), "the query")


def _typed(read: Callable[..., T], request_type: type[T], given: Any, owner: str) -> T:
    try:
        return read(request_type, given, owner=owner)
    except UsageError as error:
        # With its hint, which names the options; both repeat only what the client sent.
        raise refuse(400, error.code, str(error)) from error


def _json_object(limits: WebLimits) -> dict[str, Any]:
    body = _read(limits.json_bytes)
    if not body.strip():
        return {}
    try:
        document = parse_json(body, "the body")
    except UnreadableInputError as error:
        raise refuse(400, "usage", error.message) from error
    if is_nested_deeper(document, limits.json_depth):
        raise refuse(400, "usage", f"the JSON body is nested deeper than {limits.json_depth}")
    if not isinstance(document, dict):
        raise refuse(400, "usage", "the JSON body is not an object")
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
