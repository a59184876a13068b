"""Plugins' routes: each in an app of its own below ``/plugins/<name>``, behind the same checks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import flask
from flask import Flask, request
from werkzeug.wrappers import Response as BaseResponse

from toolkit.declarations import Routes
from toolkit.host.kinds import ROUTES
from toolkit.web import problems
from toolkit.web.problems import logger
from toolkit.web.state import WebState

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


def mount(app: Flask, state: WebState) -> None:
    """Mount every plugin's routes; what is broken is recorded, and the rest works.

    A blueprint can claim an app's every request and error. In an app of its own it claims its own,
    and the checks have been passed before a request gets there.
    """
    for name, routes in state.toolkit.catalog.all(ROUTES).items():
        try:
            inner = _app_of(routes, state)
        except Exception as error:  # noqa: BLE001 - a stranger's code may raise anything
            state.plugin_problems[name] = f"{type(error).__name__}: {error}"
            logger.warning("the routes of plugin %s are left out: %s", name, state.plugin_problems[name])
            continue
        _add(app, f"/plugins/{name}", inner)


def _app_of(routes: Routes, state: WebState) -> Flask:
    blueprint = routes.load()
    if not isinstance(blueprint, flask.Blueprint):
        raise TypeError(f"load() returned {type(blueprint).__name__}, expected a flask.Blueprint")
    inner = Flask(blueprint.import_name, static_folder=None)
    inner.extensions["toolkit"] = state.toolkit
    problems.install(inner, state.folders)
    inner.register_blueprint(blueprint)
    return inner


def _add(app: Flask, prefix: str, inner: Flask) -> None:
    def view(path: str = "") -> BaseResponse:
        try:
            return BaseResponse.from_app(
                inner.wsgi_app, _below(request.environ, prefix, path), buffered=False
            )
        except SystemExit as error:
            # waitress would drop the connection without an answer.
            raise RuntimeError(f"a route below {prefix} called sys.exit({error.code!r})") from error

    rules: Iterable[str] = (prefix, f"{prefix}/", f"{prefix}/<path:path>")
    for number, rule in enumerate(rules):
        app.add_url_rule(rule, f"{prefix.strip('/').replace('.', '_')}_{number}", view, methods=_METHODS)


def _below(environ: WSGIEnvironment, prefix: str, path: str) -> dict[str, Any]:
    """The request as the inner app sees it: the prefix belongs to the script, the rest is the path."""
    inner = {key: value for key, value in environ.items() if not key.startswith(("werkzeug.", "flask."))}
    inner["SCRIPT_NAME"] = environ.get("SCRIPT_NAME", "") + prefix
    inner["PATH_INFO"] = f"/{path}"
    return inner
