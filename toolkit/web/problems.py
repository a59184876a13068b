"""Errors as problem+json (RFC 9457): a code, a request id, and nothing about the machine."""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import flask
from flask import Flask, Response, g
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
    "storage": 507,
}
_TITLES = {
    "usage": "The request cannot be used.",
    "plugin": "A plugin that this needs is missing or broken.",
    "configuration": "The server is not set up for this.",
    "not_found": "There is no such thing here.",
    "plan_refused": "This would not do what was asked for.",
    "damaged": "The file is not the one that its card was written for.",
    "proof_failed": "What was made did not pass its checks; nothing was written.",
    "busy": "Somebody else is writing the same output.",
    "limit": "A limit was reached.",
    "unreadable": "The input is not what it should be.",
    "unsupported": "The input needs something that is not supported.",
    "incompatible_models": "These models cannot be merged.",
    "storage": "The server's disk refused.",
    "unauthorized": "A token is needed.",
    "forbidden": "This request may not come from another site.",
    "host": "This server does not go by that name.",
    "method_not_allowed": "This address does not take this method.",
    "media_type": "This address does not take this type of content.",
    "too_many_requests": "Another heavy job is running.",
    "bug": "The server has a bug.",
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
# Kinds whose messages are written for whoever sent the request.
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
_FOLDER_OF_A_MACHINE = re.compile(r"(?<![\w.<])(?:~|[A-Za-z]:)?[/\\]+\w")


@dataclass(frozen=True, slots=True)
class Problem:
    """One error as a client sees it.

    Attributes:
        status: Of HTTP.
        code: The command line's, or the API's own.
        detail: What is wrong with this request; empty where that would say too much.
        headers: To be sent with it.
    """

    status: int
    code: str
    detail: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def message(self) -> str:
        """For people: the detail, or what the code means."""
        return self.detail or _TITLES[self.code]


class RefusedError(Exception):
    """A request that goes no further; ends as its problem."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.code)
        self.problem = problem


def refuse(status: int, code: str, detail: str = "", **headers: str) -> RefusedError:
    """A refusal to raise; header names are written with ``_`` for ``-``."""
    return RefusedError(
        Problem(status, code, detail, {name.replace("_", "-"): value for name, value in headers.items()})
    )


def request_id() -> str:
    """The id of the request at hand; the server's log has the same."""
    if "toolkit_request_id" not in g:
        g.toolkit_request_id = secrets.token_hex(8)
    return str(g.toolkit_request_id)


def problem_of(error: Exception, folders: tuple[Path, ...] = ()) -> Problem:
    """What a client may know of an exception; everything else goes to the log.

    Args:
        error: Whatever came out of a view.
        folders: Folders whose names may stand in messages and are cut out of them.
    """
    if isinstance(error, RefusedError):
        return error.problem
    if isinstance(error, HTTPException):
        return _of_http(error)
    if isinstance(error, ToolkitError):
        # Quoted: a message may repeat what stands in a stranger's file, line breaks and all.
        logger.warning("request %s: %s: %r", request_id(), error.code, str(error))
        return Problem(_STATUS.get(error.code, 500), error.code, _detail(error, folders))
    logger.error("request %s failed", request_id(), exc_info=error)
    return Problem(500, "bug")


def answer(problem: Problem) -> Response:
    """The response for ``/v1`` and everything that has no form of its own."""
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
    """Let every error of an app end as problem+json."""

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
    # A message that still names a folder of the machine stays in the log.
    return "" if _FOLDER_OF_A_MACHINE.search(text) else text
