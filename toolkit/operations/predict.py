"""Predicting the character in a picture."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from toolkit.errors import (
    LimitReachedError,
    MissingInputError,
    StorageError,
    UnreadableInputError,
    UsageError,
)
from toolkit.operations.open_model import described, open_model
from toolkit.operations.resources import Resources
from toolkit.pictures import prepare_picture
from toolkit.records import dataclass
from toolkit.requests.predict import Predict
from toolkit.store import publish
from toolkit.vocabulary import Convention, Progress

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from toolkit.engine import Network
    from toolkit.errors import ToolkitError
    from toolkit.model import Model

STANDARD_INPUT = Path("-")
SUFFIXES = (".png", ".jpg", ".jpeg")


@dataclass(frozen=True)
class Prediction:
    """One class and its probability, 0 to 1; ``#0`` is the first output of a model without classes."""

    character: str
    probability: float


@dataclass(frozen=True)
class ImagePredictions:
    """What a model predicts for one picture, best first, or why the picture could not be read.

    ``image`` is the path as given, within a given folder, or ``-``; ``saved`` is the saved 28×28 image.
    """

    image: str
    predictions: tuple[Prediction, ...] = ()
    error: ToolkitError | None = None
    saved: Path | None = None


@dataclass(frozen=True)
class Predictions:
    """A row for each picture, and what the model's card does not say, as sentences."""

    images: tuple[ImagePredictions, ...]
    assumed: tuple[str, ...]


@dataclass(frozen=True)
class Classifier:
    """A model that is ready to predict; safe to use from several threads."""

    network: Network
    classes: tuple[str, ...]
    convention: Convention
    assumed: tuple[str, ...] = ()

    def classify(self, images: NDArray[np.uint8], top: int) -> tuple[tuple[Prediction, ...], ...]:
        """The ``top`` best predictions for each of the (n, 28, 28) uint8 images, upright, light ink."""
        probabilities = self.network.probabilities(images, self.convention)
        best = np.argsort(-probabilities, axis=1, kind="stable")[:, :top]
        return tuple(
            tuple(Prediction(self.classes[index], float(row[index])) for index in order)
            for row, order in zip(probabilities, best, strict=True)
        )

    def classify_picture(self, content: bytes, top: int) -> tuple[Prediction, ...]:
        """The ``top`` best predictions for the one character in an encoded picture.

        Raises:
            UnreadableInputError: If it is no picture, or shows nothing.
            LimitReachedError: If it is too large.
        """
        (predictions,) = self.classify(prepare_picture(content)[None], top)
        return predictions


def load_classifier(
    toolkit: Resources, path: Path, convention: Convention | None = None, arch: str | None = None
) -> Classifier:
    """Read a model file and make it ready to predict; see :func:`open_model` and :func:`classifier_of`."""
    return classifier_of(open_model(toolkit, path, arch), convention)


def classifier_of(model: Model, convention: Convention | None = None) -> Classifier:
    """Make a model ready to predict; its outputs are numbered if no card names its classes."""
    from toolkit.engine import Network

    known, assumed = described(
        model, [f"#{index}" for index in range(model.classes)], convention, "the output numbers"
    )
    card = known.card
    return Classifier(Network.of(known), card.classes, card.convention or Convention(), assumed)


def predict(toolkit: Resources, request: Predict, progress: Progress) -> Predictions:
    """Predict the character in each picture. A picture that cannot be read costs its own row only."""
    images = [image for given in request.images for image in _pictures_of(given)]
    targets = _targets(images, request)
    classifier = load_classifier(toolkit, request.model, request.convention, request.arch)
    for assumption in classifier.assumed:
        progress.note(assumption)
    rows = []
    for image, target in zip(images, targets, strict=True):
        try:
            glyph = _prepared(image, request)
        except (MissingInputError, UnreadableInputError, LimitReachedError, StorageError) as error:
            rows.append(ImagePredictions(str(image), error=error))
            continue
        (predictions,) = classifier.classify(glyph[np.newaxis], request.top)
        if target is not None:
            _save(glyph, target)
        rows.append(ImagePredictions(str(image), predictions, saved=target))
    return Predictions(tuple(rows), classifier.assumed)


def _pictures_of(given: Path) -> list[Path]:
    """The PNG and JPEG files of a folder, by name, without its subfolders; else what is given."""
    try:
        found = sorted(given.iterdir())
    except OSError:
        return [given]
    suitable = [path for path in found if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")]
    return suitable or [given]


def _targets(images: Sequence[Path], request: Predict) -> list[Path | None]:
    """Where to save each 28×28 image; pictures with one name get numbers."""
    if request.save_input is None:
        return [None] * len(images)
    targets: dict[Path | None, None] = {}
    for image in images:
        stem, number = "stdin" if image == STANDARD_INPUT else image.stem, 1
        target = request.save_input / f"{stem}.28x28.png"
        while target in targets:
            number += 1
            target = request.save_input / f"{stem}-{number}.28x28.png"
        if not request.force and os.path.lexists(target):
            raise UsageError(f"{target} exists", hint="choose another folder, or replace it with --force")
        targets[target] = None
    return list(targets)


def _prepared(image: Path, request: Predict) -> NDArray[np.uint8]:
    if image == STANDARD_INPUT:
        from toolkit.pictures.decoding import MAX_BYTES

        return prepare_picture(sys.stdin.buffer.read(MAX_BYTES + 1), ink=request.ink, name="standard input")
    if os.path.isdir(image):  # noqa: PTH112 - Path.is_dir raises if a parent cannot be read
        hint = "subfolders are not searched: name them"
        raise MissingInputError(f"{image}: no readable PNG or JPEG files in this folder", hint=hint)
    return prepare_picture(image, ink=request.ink)


def _save(glyph: NDArray[np.uint8], path: Path) -> None:
    from PIL import Image

    with publish(path) as staging:
        Image.fromarray(glyph).save(staging, format="PNG")
