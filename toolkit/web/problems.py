"""Errors as problem+json (RFC 9457): a code, a request id, and nothing about the machine."""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import flask
from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from toolkit.errors import (
    BusyError,
    DamagedFileError,
    IncompatibleModelsError,
    LimitReachedError,
    MissingInputError,
    PlanRefusedError,
    ToolkitError,
    UnreadableInputError,
    UsageError,
)

logger = logging.getLogger("toolkit.web")

REQUEST_ID = "toolkit.request_id"
"""Key of the request's id in the WSGI environment."""

_STATUS = {
    "usage": 400,
    "plugin": 400,
    "not_found": 404,
    "plan_refused": 409,
    "damaged": 409,
    "busy": 409,
    "limit": 413,
    "unreadable": 422,
    "unsupported": 422,
    "incompatible_models": 422,
    "worse_merge": 422,
    "storage": 507,
}
_TITLES = {
    "usage": "The request is not valid.",
    "plugin": "A required plugin is missing or broken.",
    "configuration": "The server is not configured for this.",
    "not_found": "Not found.",
    "plan_refused": "The request was refused.",
    "damaged": "The file differs from its card.",
    "proof_failed": "The result failed verification; nothing was saved.",
    "busy": "Another process is writing the same output.",
    "limit": "A limit was reached.",
    "unreadable": "The input cannot be read.",
    "unsupported": "The input is not supported.",
    "incompatible_models": "These models cannot be merged.",
    "worse_merge": "The merge is worse than its best ingredient.",
    "storage": "The server's disk reported an error.",
    "unauthorized": "A token is required.",
    "forbidden": "Requests from other sites are refused.",
    "host": "Unknown Host header.",
    "method_not_allowed": "Method not allowed.",
    "media_type": "Unsupported content type.",
    "too_many_requests": "Another heavy job is running.",
    "bug": "Internal error.",
}
_OF_HTTP = {
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    413: "limit",
    415: "media_type",
    429: "too_many_requests",
}
# Errors whose messages may be shown to the client.
_EXPLAINED = (
    UsageError,
    PlanRefusedError,
    MissingInputError,
    UnreadableInputError,
    IncompatibleModelsError,
    DamagedFileError,
    LimitReachedError,
    BusyError,
)
_ABSOLUTE_PATH = re.compile(r"(?<![\w.<])(?:~|[A-Za-z]:)?[/\\]+\w")


@dataclass(frozen=True, slots=True)
class Problem:
    """One error as a client sees it.

    Attributes:
        status: Of HTTP.
        code: The command line's, or the API's own.
        detail: What is wrong with this request; empty if that would reveal too much.
        headers: Sent with it.
    """

    status: int
    code: str
    detail: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def message(self) -> str:
        """The detail, or what the code means."""
        return self.detail or _TITLES[self.code]


class RefusedError(Exception):
    """A refused request; answered by its problem."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.code)
        self.problem = problem


def refuse(status: int, code: str, detail: str = "", **headers: str) -> RefusedError:
    """A refusal to raise; ``_`` in the names of headers means ``-``."""
    return RefusedError(
        Problem(status, code, detail, {name.replace("_", "-"): value for name, value in headers.items()})
    )


def request_id() -> str:
    """The id of the current request, in the answer and in the server's log.

    It is kept in the WSGI environment, which an app below ``/plugins/`` shares.
    """
    return str(request.environ.setdefault(REQUEST_ID, secrets.token_hex(8)))


def problem_of(error: Exception, folders: tuple[Path, ...] = ()) -> Problem:
    """What a client may know of an exception; the rest goes to the log.

    Args:
        error: Raised by a view.
        folders: Folders whose names are cut out of messages.
    """
    if isinstance(error, RefusedError):
        return error.problem
    if isinstance(error, HTTPException):
        return _of_http(error)
    if isinstance(error, ToolkitError):
        # Without the hint, which is for the command line; quoted, since a message may repeat text of
        # an untrusted file with its line breaks.
        logger.warning("request %s: %s: %r", request_id(), error.code, error.message)
        return Problem(_STATUS.get(error.code, 500), error.code, _detail(error, folders))
    logger.error("request %s failed", request_id(), exc_info=error)
    return Problem(500, "bug")


def answer(problem: Problem) -> Response:
    """An error as problem+json."""
    document = {
        "type": "about:blank",
        "title": _TITLES[problem.code],
        "status": problem.status,
        "code": problem.code,
        "request_id": request_id(),
    }
    if problem.detail:
        document["detail"] = problem.detail
    response = flask.jsonify(document)
    response.status_code = problem.status
    response.mimetype = "application/problem+json"
    response.headers.update(problem.headers)
    return response


def install(app: Flask, folders: tuple[Path, ...]) -> None:
    """Answer every error of an app with problem+json."""

    def handle(error: Exception) -> Response:
        return answer(problem_of(error, folders))

    app.register_error_handler(Exception, handle)


def _of_http(error: HTTPException) -> Problem:
    status = error.code or 500
    headers = {}
    methods = getattr(error, "valid_methods", None)
    if methods:
        headers["Allow"] = ", ".join(sorted(methods))
    code = _OF_HTTP.get(status, "usage" if status < 500 else "bug")
    return Problem(status, code, headers=headers)


def _detail(error: ToolkitError, folders: tuple[Path, ...]) -> str:
    if not isinstance(error, _EXPLAINED):
        return ""
    text = error.message
    for folder in folders:
        for spelling in {str(folder.resolve()), str(folder.absolute())}:
            text = text.replace(f"{spelling}/", "")
    # A message with another absolute path stays in the log.
    return "" if _ABSOLUTE_PATH.search(text) else text
