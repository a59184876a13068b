"""Recognising the character in a picture."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from toolkit.errors import UsageError
from toolkit.operations.opening import described, open_model
from toolkit.operations.toolkit import Toolkit
from toolkit.pictures import prepare_picture
from toolkit.store import publish_bytes
from toolkit.vocabulary import Convention

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from toolkit.engine import Network
    from toolkit.model import Model

PictureInk = Literal["auto", "light", "dark"]


@dataclass(frozen=True, slots=True)
class Guess:
    """One answer.

    Attributes:
        character: The class.
        probability: 0 to 1.
    """

    character: str
    probability: float


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a model sees in one picture.

    Attributes:
        picture: File name, or what the caller called it.
        guesses: Best first.
        seen: The 28×28 file that was saved, if that was asked for.
    """

    picture: str
    guesses: tuple[Guess, ...]
    seen: Path | None = None


@dataclass(frozen=True, slots=True)
class Recogniser:
    """A model that is ready to recognise; safe to use from several threads.

    Attributes:
        network: Runs it.
        classes: Characters by output.
        convention: How it wants its pixels.
        assumed: What its file does not say and was assumed, as sentences.
    """

    network: Network
    classes: tuple[str, ...]
    convention: Convention
    assumed: tuple[str, ...] = ()

    def recognise(self, glyphs: NDArray[np.uint8], top: int) -> tuple[tuple[Guess, ...], ...]:
        """The best guesses for each glyph.

        Args:
            glyphs: (n, 28, 28) uint8, upright, light ink.
            top: How many guesses, 1 or above.
        """
        probabilities = self.network.probabilities(glyphs, self.convention)
        best = np.argsort(-probabilities, axis=1, kind="stable")[:, :top]
        return tuple(
            tuple(Guess(self.classes[index], float(row[index])) for index in order)
            for row, order in zip(probabilities, best, strict=True)
        )

    def recognise_picture(
        self, picture: Path | bytes, top: int, ink: PictureInk = "auto"
    ) -> tuple[tuple[Guess, ...], NDArray[np.uint8]]:
        """The best guesses for the one character in a picture.

        Args:
            picture: A PNG or JPEG file, or its content.
            top: How many guesses, 1 or above.
            ink: Whether the strokes are light or dark, or to be found out.

        Returns:
            The guesses, best first, and the (28, 28) uint8 glyph that was made of the picture.

        Raises:
            MissingInputError: If there is no such file.
            UnreadableInputError: If it is no picture, or holds no ink.
            LimitReachedError: If it has too many bytes or pixels.
        """
        glyph = prepare_picture(picture, ink=ink)
        return self.recognise(glyph[np.newaxis], top)[0], glyph


def load_recogniser(toolkit: Toolkit, path: Path, convention: Convention | None = None) -> Recogniser:
    """Read a model and make it ready.

    Args:
        toolkit: Where formats come from.
        path: Of the model file.
        convention: How the model wants its pixels, where its card does not say or is wrong.

    Raises:
        ToolkitError: As for :func:`toolkit.operations.opening.open_model`.
        UnsupportedError: If the network has a layer that cannot be run.
    """
    return recogniser_of(open_model(toolkit, path), convention)


def recogniser_of(model: Model, convention: Convention | None = None) -> Recogniser:
    """Make a model ready to recognise; its outputs are numbered where no card names its classes."""
    from toolkit.engine import Network

    known, assumed = described(
        model, [str(index) for index in range(model.classes)], convention, "the output numbers"
    )
    card = known.card
    return Recogniser(Network.of(known), card.classes, card.convention or Convention(), assumed)


def predict(
    toolkit: Toolkit,
    path: Path,
    pictures: Sequence[Path],
    *,
    top: int = 5,
    ink: PictureInk = "auto",
    convention: Convention | None = None,
    save_to: Path | None = None,
) -> tuple[tuple[Prediction, ...], tuple[str, ...]]:
    """Recognise the character in each picture.

    Args:
        toolkit: Where formats come from.
        path: Of the model file.
        pictures: PNG or JPEG files of one character each.
        top: How many guesses a picture, 1 or above.
        ink: Whether the strokes are light or dark, or to be found out.
        convention: How the model wants its pixels, where its card does not say or is wrong.
        save_to: Folder in which the 28×28 picture that the network sees is saved.

    Returns:
        One prediction a picture, and what was assumed of the model.

    Raises:
        MissingInputError: If a file is not there.
        UnreadableInputError: If a file is no model, or no picture of a character.
    """
    if top < 1:
        raise UsageError(f"top is {top}", hint="ask for 1 guess or more")
    recogniser = load_recogniser(toolkit, path, convention)
    predictions = []
    stems: Counter[str] = Counter()
    for picture in pictures:
        guesses, glyph = recogniser.recognise_picture(picture, top, ink)
        stems[picture.stem] += 1
        # Pictures of one name in several folders each keep what was seen of them.
        number = f"-{stems[picture.stem]}" if stems[picture.stem] > 1 else ""
        seen = None if save_to is None else _save(glyph, save_to / f"{picture.stem}{number}.28x28.png")
        predictions.append(Prediction(picture.name, guesses, seen))
    return tuple(predictions), recogniser.assumed


def _save(glyph: NDArray[np.uint8], path: Path) -> Path:
    from PIL import Image

    content = io.BytesIO()
    Image.fromarray(glyph).save(content, format="PNG")
    path.parent.mkdir(parents=True, exist_ok=True)
    publish_bytes(path, content.getvalue())
    return path
