"""The two routes of the original project, with exactly their JSON."""

from __future__ import annotations

from typing import Any

import flask
from flask import Blueprint, Flask, Response

from toolkit.operations.toolkit import Toolkit
from toolkit.vocabulary.figures import MEBIBYTE
from toolkit.web.access import Access, harden
from toolkit.web.body import from_body
from toolkit.web.http_problem import HttpProblem, problem_of
from toolkit.web.listing import ListedModel, listed_models
from toolkit.web.settings import WebSettings
from toolkit.web.smart_merge import SmartMerge, merge_named
from toolkit.web.web_state import WebState

PATHS = frozenset({"/find_models", "/smart_merge"})


def add_smart_merge_routes(
    app: Flask, toolkit: Toolkit | None = None, settings: WebSettings | None = None
) -> None:
    """Add ``GET /find_models`` and ``POST /smart_merge`` to a Flask app of the user's own.

    The two routes have their own checks: the Host header, the token if one is set, and that the
    request comes from no other site. Other routes of the app are not checked.
    """
    state = WebState.of(toolkit, settings)
    routes = blueprint(state)
    routes.before_request(Access(state.settings).check)
    routes.after_request(harden)
    app.register_blueprint(routes)


def blueprint(state: WebState) -> Blueprint:
    """The two routes, without the checks before them."""
    routes = Blueprint("smart_merge", __name__)

    @routes.get("/find_models")
    def find_models() -> Response:
        models = listed_models(state)
        emnist = [model for model in models if "emnist" in model.file.name.lower()]
        return flask.jsonify(
            status="success",
            all_models=len(models),
            emnist_models=len(emnist),
            models={"all": _described(models), "emnist": _described(emnist)},
        )

    @routes.post("/smart_merge")
    def smart_merge() -> Response:
        name, message = merge_named(state, from_body(SmartMerge, state.settings.limits))
        return flask.jsonify(status="success", message=message, merged_model=name)

    @routes.errorhandler(Exception)
    def failed(error: Exception) -> Response:
        return answer(problem_of(error, state.folders))

    return routes


def answer(problem: HttpProblem) -> Response:
    """An error in the JSON of the original project."""
    response = flask.jsonify(status="error", message=problem.message)
    response.status_code = problem.status
    response.headers.update(problem.headers)
    return response


def _described(models: list[ListedModel] | tuple[ListedModel, ...]) -> dict[str, Any]:
    return {
        model.label: {
            "path": model.path,
            "directory": model.path.rpartition("/")[0],
            "size_mb": round(model.size / MEBIBYTE, 2),
        }
        for model in models
    }
