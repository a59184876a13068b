"""``/v1``: models and predictions."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import partial
from typing import Any

import flask
from flask import Blueprint, Response

from toolkit.operations.models import describe_file, model_state
from toolkit.operations.predict import Classifier, load_classifier
from toolkit.options import option
from toolkit.records import dataclass
from toolkit.store.opening import open_confined
from toolkit.web.body import from_query, picture
from toolkit.web.http_problem import refuse
from toolkit.web.listing import ListedModel, listed_models
from toolkit.web.web_state import Recent, WebState

_ATTEMPTS = 5
_FROM_CARD = ("classes", "architecture", "dataset", "made_by", "metrics", "weights_digest")


@dataclass(frozen=True)
class PredictPicture:
    """Predict the character in the picture that is sent."""

    model: str = option(help="model as /v1/models lists it")
    top: int = option(5, help="number of predictions", minimum=1)


def blueprint(state: WebState) -> Blueprint:
    """``/v1/models`` and ``/v1/predict``."""
    routes = Blueprint("v1", __name__, url_prefix="/v1")
    classifiers: Recent[Classifier] = Recent(state.settings.limits.classifiers)
    listings: Recent[list[dict[str, Any]]] = Recent(1)

    @routes.get("/models")
    def models() -> Response:
        for _ in range(_ATTEMPTS):
            listed = listed_models(state)
            states = _states(listed)
            # Every file is compared with its digest, once for each state of the folder.
            described = listings.get(states, partial(_described, state, listed))
            if _states(listed) == states:
                return flask.jsonify(models=described)
        raise refuse(409, "busy", "models are being replaced: send the request again")

    @routes.post("/predict")
    def predict() -> Response:
        asked, most = from_query(PredictPicture), state.settings.limits.predictions
        if asked.top > most:
            raise refuse(400, "usage", f"top must be from 1 to {most}, received {asked.top}")
        content = picture(state.settings.limits)
        classifier = _classifier(state, classifiers, asked.model)
        predictions = classifier.classify_picture(content, asked.top)
        return flask.jsonify(
            model=asked.model,
            predictions=[dataclasses.asdict(prediction) for prediction in predictions],
            assumed=list(classifier.assumed),
        )

    return routes


def _classifier(state: WebState, kept: Recent[Classifier], name: str) -> Classifier:
    """The classifier of a model; made again when the model's file or card has changed."""
    for _ in range(_ATTEMPTS):
        with open_confined(name, state.roots) as file:
            key = (file.path, file.state, model_state(file.path))
            classifier = kept.get(key, partial(load_classifier, state.toolkit, file.path))
            if file.is_still_there():
                return classifier
    raise refuse(409, "busy", "the model is being replaced: send the request again")


def _states(listed: Sequence[ListedModel]) -> tuple[object, ...]:
    return tuple((model.file, model_state(model.file)) for model in listed)


def _described(state: WebState, listed: Sequence[ListedModel]) -> list[dict[str, Any]]:
    state.check_files(named.file for named in listed)
    models = [describe_file(state.toolkit, named.file) for named in listed]
    return [
        {
            "name": named.path,
            "size": model.size,
            "format": model.format,
            "state": model.state,
            "outputs": model.classes,
            "parameters": model.parameters,
            **{name: getattr(model.card, name) for name in _FROM_CARD},
        }
        for named, model in zip(listed, models, strict=True)
    ]
