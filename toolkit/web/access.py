"""The checks before every route: host, token, site and content type; and the headers after it."""

from __future__ import annotations

import hmac
import re

from flask import Response, request

from toolkit.web.http_problem import refuse, request_id
from toolkit.web.settings import WebSettings

OPEN_PATHS = frozenset({"/healthz"})
"""Answered without a token: whether the server is running, and nothing else."""

PICTURE_PATHS = frozenset({"/v1/predict"})
PICTURE_TYPES = ("image/png", "image/jpeg", "multipart/form-data")
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::[0-9]{1,5})?")
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Access:
    """The access checks of one app."""

    def __init__(self, settings: WebSettings) -> None:
        self._settings = settings
        self._hosts = frozenset(host.lower() for host in settings.allowed_hosts)

    def check(self) -> None:
        """Raise a ``RefusedError`` if the current request is refused."""
        # Flask's TRUSTED_HOSTS supports neither IPv6 addresses nor capital letters.
        host = _HOST.fullmatch(request.environ.get("HTTP_HOST", "").lower())
        if host is None or host[1] not in self._hosts:
            raise refuse(400, "host")
        if request.path in OPEN_PATHS:
            return
        if self._settings.token is not None:
            _check_token(self._settings.token)
        elif request.method not in _SAFE:
            _check_site()
        if request.method not in _SAFE:
            _check_type()


def harden(response: Response) -> Response:
    """Add the security headers and the request's id."""
    for name, value in _SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers["X-Request-Id"] = request_id()
    return response


def _check_token(token: str) -> None:
    scheme, _, sent = request.headers.get("Authorization", "").partition(" ")
    same = hmac.compare_digest(sent.strip().encode(), token.encode())
    if scheme.lower() != "bearer" or not same:
        raise refuse(401, "unauthorized", WWW_Authenticate='Bearer realm="toolkit"')


def _check_site() -> None:
    """Refuse what a browser sends on behalf of another site.

    Browsers state the origin in at least one of two headers, and a page cannot suppress it. A client
    that sends neither is not a browser.
    """
    if request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
        raise refuse(403, "forbidden")
    origin = request.headers.get("Origin")
    if origin is not None:
        scheme, _, host = origin.lower().partition("://")
        if scheme not in ("http", "https") or host != request.host.lower():
            raise refuse(403, "forbidden")


def _check_type() -> None:
    """Accept only the content types that a route reads.

    A form of another site can send multipart, which is accepted only where nothing is changed.
    """
    if request.path in PICTURE_PATHS:
        if request.mimetype not in PICTURE_TYPES:
            accepted = ", ".join(PICTURE_TYPES)
            raise refuse(415, "media_type", f"send one of {accepted}", Accept=accepted)
    elif request.mimetype != "application/json" and (request.mimetype or request.content_length):
        raise refuse(415, "media_type", "send application/json", Accept="application/json")
