"""The app factory."""

from __future__ import annotations

import flask
from flask import Flask, Response, request

from toolkit.operations.toolkit import Toolkit
from toolkit.web import http_problem, legacy, plugins, v1
from toolkit.web.access import Access, harden
from toolkit.web.settings import WebSettings
from toolkit.web.web_state import WebState

_FORM_BYTES = 1 << 16


def create_app(toolkit: Toolkit | None = None, settings: WebSettings | None = None) -> Flask:
    """Make the app.

    Args:
        toolkit: Plugins and workspace; the installed ones and the working directory by default.
        settings: Of the server; by default loopback, with the token from the environment.
    """
    state = WebState.of(toolkit, settings)
    app = Flask("toolkit.web", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = state.settings.limits.picture_bytes
    app.config["MAX_FORM_MEMORY_SIZE"] = _FORM_BYTES
    app.extensions["toolkit_web"] = state
    app.before_request(Access(state.settings).check)
    app.after_request(harden)

    def failed(error: Exception) -> Response:
        problem = http_problem.problem_of(error, state.folders)
        return legacy.answer(problem) if request.path in legacy.PATHS else http_problem.answer(problem)

    app.register_error_handler(Exception, failed)
    app.register_blueprint(legacy.blueprint(state))
    app.register_blueprint(v1.blueprint(state))
    app.add_url_rule("/healthz", "healthz", lambda: flask.jsonify(status="ok"))
    plugins.mount(app, state)
    return app
