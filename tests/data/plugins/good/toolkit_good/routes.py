"""``GET /plugins/good/datasets``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import flask

if TYPE_CHECKING:
    from toolkit import Toolkit


def make_blueprint() -> flask.Blueprint:
    """Make the routes."""
    blueprint = flask.Blueprint("good", __name__)

    @blueprint.get("/datasets")
    def datasets() -> dict[str, list[str]]:
        toolkit: Toolkit = flask.current_app.extensions["toolkit"]
        return {"datasets": [found.name for found in toolkit.list_datasets()]}

    return blueprint
