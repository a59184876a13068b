"""Plugins' routes: each in an app of its own below ``/plugins/<name>``, after the same checks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import Flask, request
from werkzeug.wrappers import Response as BaseResponse

from toolkit.host.kinds import ROUTES
from toolkit.web.http_problem import REQUEST_ID, answer, logger, problem_of, request_id
from toolkit.web.web_state import WebState

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


def mount(app: Flask, state: WebState) -> None:
    """Mount every plugin's routes; a broken one is recorded, and the rest works.

    A blueprint can register handlers for all requests and errors of its app. In an app of its own
    that concerns its own routes only, and only requests that passed the checks get there.
    """
    for name, routes in state.toolkit.catalog.all(ROUTES).items():
        try:
            blueprint = routes.load()
            inner = Flask(blueprint.import_name, static_folder=None)
            inner.extensions["toolkit"] = state.toolkit
            inner.register_error_handler(Exception, lambda error: answer(problem_of(error, state.folders)))
            inner.register_blueprint(blueprint)
        except Exception as error:  # noqa: BLE001 - a plugin may raise anything
            state.plugin_problems[name] = f"{type(error).__name__}: {error}"
            logger.warning("routes of plugin %s are not served: %s", name, state.plugin_problems[name])
            continue
        _add(app, f"/plugins/{name}", inner)


def _add(app: Flask, prefix: str, inner: Flask) -> None:
    def view(**_path: str) -> BaseResponse:
        try:
            return BaseResponse.from_app(inner.wsgi_app, _below(request.environ, prefix), buffered=False)
        except SystemExit as error:
            # waitress would close the connection without an answer.
            raise RuntimeError(f"a route below {prefix} called sys.exit({error.code!r})") from error

    for number, rule in enumerate((prefix, f"{prefix}/", f"{prefix}/<path:path>")):
        app.add_url_rule(rule, f"{prefix.strip('/').replace('.', '_')}_{number}", view, methods=_METHODS)


def _below(environ: WSGIEnvironment, prefix: str) -> dict[str, Any]:
    """The request as the inner app sees it: the prefix is part of the script name."""
    inner = {key: value for key, value in environ.items() if not key.startswith(("werkzeug.", "flask."))}
    inner["SCRIPT_NAME"] = environ.get("SCRIPT_NAME", "") + prefix
    # As WSGI encodes it; the decoded path of the route may have characters that WSGI does not allow.
    inner["PATH_INFO"] = environ["PATH_INFO"].removeprefix(prefix) or "/"
    inner[REQUEST_ID] = request_id()
    return inner
