"""Errors as problem+json (RFC 9457): a code, a request id, and nothing about the machine."""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import NamedTuple

import flask
from flask import Response, request
from werkzeug.exceptions import HTTPException

from toolkit.errors import ToolkitError
from toolkit.records import dataclass

logger = logging.getLogger("toolkit.web")

REQUEST_ID = "toolkit.request_id"
"""Key of the request's id in the WSGI environment."""


class _Kind(NamedTuple):
    """The status and title of a code, and whether a message with it may be shown to the client."""

    status: int
    title: str
    explained: bool = False


_KINDS = {
    "usage": _Kind(400, "The request is not valid.", explained=True),
    "host": _Kind(400, "Unknown Host header."),
    "plugin": _Kind(400, "A required plugin is missing or broken."),
    "unauthorized": _Kind(401, "A token is required."),
    "forbidden": _Kind(403, "Requests from other sites are refused."),
    "not_found": _Kind(404, "Not found.", explained=True),
    "method_not_allowed": _Kind(405, "Method not allowed."),
    "busy": _Kind(409, "Another process is writing the same output.", explained=True),
    "damaged": _Kind(409, "The file differs from its card.", explained=True),
    "plan_refused": _Kind(409, "The request was refused.", explained=True),
    "limit": _Kind(413, "A limit was reached.", explained=True),
    "media_type": _Kind(415, "Unsupported content type."),
    "incompatible_models": _Kind(422, "These models cannot be merged.", explained=True),
    "unreadable": _Kind(422, "The input cannot be read.", explained=True),
    "unsupported": _Kind(422, "The input is not supported.", explained=True),
    "worse_merge": _Kind(422, "The merge is worse than its best ingredient.", explained=True),
    "too_many_requests": _Kind(429, "Another heavy job is running."),
    "bug": _Kind(500, "Internal error."),
    "configuration": _Kind(500, "The server is not configured for this."),
    "proof_failed": _Kind(500, "The result failed verification; nothing was saved."),
    "storage": _Kind(507, "The server's disk reported an error."),
}
_OF_ONE_CODE = {401, 403, 404, 405, 413, 415, 429}
_OF_HTTP = {kind.status: code for code, kind in _KINDS.items() if kind.status in _OF_ONE_CODE}
# A wrapped line, the first item of a list, and the other items.
_LAYOUTS = ((re.compile(r"\n {6}"), " "), (re.compile(r":\n +"), ": "), (re.compile(r"\n +(?:- )?"), "; "))
_ABSOLUTE_PATH = re.compile(r"(?<![\w.<])(?:~|[A-Za-z]:)?[/\\]+\w")


@dataclass(frozen=True)
class HttpProblem:
    """One error as a client sees it; without ``detail`` if that would reveal too much."""

    status: int
    code: str
    detail: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def message(self) -> str:
        """The detail, or what the code means."""
        return self.detail or _kind(self.code).title


class RefusedError(Exception):
    """A refused request; answered by its problem."""

    def __init__(self, problem: HttpProblem) -> None:
        super().__init__(problem.code)
        self.problem = problem


def refuse(status: int, code: str, detail: str = "", **headers: str) -> RefusedError:
    """A refusal to raise; ``_`` in the names of headers means ``-``."""
    return RefusedError(
        HttpProblem(status, code, detail, {name.replace("_", "-"): value for name, value in headers.items()})
    )


def request_id() -> str:
    """The id of the current request, in the answer and in the server's log.

    It is kept in the WSGI environment, which an app below ``/plugins/`` shares.
    """
    return str(request.environ.setdefault(REQUEST_ID, secrets.token_hex(8)))


def problem_of(error: Exception, folders: tuple[Path, ...] = ()) -> HttpProblem:
    """What a client may know of an exception, without the names of these folders; the rest is logged."""
    if isinstance(error, RefusedError):
        return error.problem
    if isinstance(error, HTTPException):
        methods = getattr(error, "valid_methods", None)
        headers = {"Allow": ", ".join(sorted(methods))} if methods else {}
        status = error.code or 500
        code = _OF_HTTP.get(status, "usage" if status < 500 else "bug")
        return HttpProblem(status, code, headers=headers)
    if isinstance(error, ToolkitError):
        # Without the hint, which is for the command line; quoted, since a message may repeat text of
        # an untrusted file with its line breaks.
        logger.warning("request %s: %s: %r", request_id(), error.code, error.message)
        return HttpProblem(_kind(error.code).status, error.code, _detail(error, folders))
    logger.error("request %s failed", request_id(), exc_info=error)
    return HttpProblem(500, "bug")


def answer(problem: HttpProblem) -> Response:
    """An error as problem+json."""
    document = {
        "type": "about:blank",
        "title": _kind(problem.code).title,
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


def _kind(code: str) -> _Kind:
    return _KINDS.get(code, _KINDS["bug"])


def _detail(error: ToolkitError, folders: tuple[Path, ...]) -> str:
    if not _kind(error.code).explained:
        return ""
    text = error.message
    for layout, in_one_line in _LAYOUTS:
        text = layout.sub(in_one_line, text)
    for folder in folders:
        for spelling in {str(folder.resolve()), str(folder.absolute())}:
            text = text.replace(f"{spelling}/", "")
    # A message with another absolute path stays in the log.
    return "" if _ABSOLUTE_PATH.search(text) else text
