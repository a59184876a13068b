"""What stands before every route: host, token, site and type of content; and after it, headers."""

from __future__ import annotations

import hmac
import re
from urllib.parse import urlsplit

from flask import Flask, Request, Response, request

from toolkit.web.problems import refuse, request_id
from toolkit.web.settings import WebSettings

OPEN_PATHS = frozenset({"/healthz"})
"""What is answered without a token: whether the server lives, and nothing else."""

PICTURE_PATHS = frozenset({"/v1/predict"})
PICTURE_TYPES = frozenset({"image/png", "image/jpeg"})
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


class Guard:
    """The checks of one app.

    Args:
        settings: Whom to answer.
    """

    def __init__(self, settings: WebSettings) -> None:
        self._settings = settings
        self._hosts = frozenset(host.lower() for host in settings.allowed_hosts)

    def install(self, app: Flask) -> None:
        """Stand before every route of an app, those of unknown addresses included."""
        app.before_request(self.check)
        app.after_request(harden)

    def check(self) -> None:
        """Let the request at hand pass, or raise the refusal that it gets."""
        self._check_host()
        if request.path in OPEN_PATHS:
            return
        if self._settings.token is not None:
            self._check_token(self._settings.token)
        elif request.method not in _SAFE:
            _check_site(request)
        if request.method not in _SAFE:
            _check_type(request)

    def _check_host(self) -> None:
        # Flask's TRUSTED_HOSTS knows no IPv6 address and no capital letters.
        host = _HOST.fullmatch(request.environ.get("HTTP_HOST", "").lower())
        if host is None or host[1] not in self._hosts:
            raise refuse(400, "host")

    def _check_token(self, token: str) -> None:
        scheme, _, sent = request.headers.get("Authorization", "").partition(" ")
        same = hmac.compare_digest(sent.strip().encode(), token.encode())
        if scheme.lower() != "bearer" or not same:
            raise refuse(401, "unauthorized", WWW_Authenticate='Bearer realm="toolkit"')


def harden(response: Response) -> Response:
    """Add the headers that keep a browser from doing more than it should, and the request's id."""
    for name, value in _SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers["X-Request-Id"] = request_id()
    return response


def _check_site(asked: Request) -> None:
    """Refuse what a browser sends on behalf of another site.

    Browsers say where a request comes from, in one of two headers at least; a client that says
    nothing is none, and a page cannot make a browser keep silent.
    """
    if asked.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
        raise refuse(403, "forbidden")
    origin = asked.headers.get("Origin")
    if origin is not None:
        parts = urlsplit(origin)
        if parts.scheme not in ("http", "https") or parts.netloc.lower() != asked.host.lower():
            raise refuse(403, "forbidden")


def _check_type(asked: Request) -> None:
    """Only types that a form of another site cannot send."""
    if asked.path in PICTURE_PATHS:
        if asked.mimetype not in PICTURE_TYPES:
            raise refuse(415, "media_type", "send image/png or image/jpeg", Accept="image/png, image/jpeg")
    elif asked.mimetype != "application/json" and (asked.mimetype or asked.content_length):
        raise refuse(415, "media_type", "send application/json", Accept="application/json")
