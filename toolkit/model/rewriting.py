"""A network for images in another convention, with the same answers."""

from __future__ import annotations

import dataclasses

from toolkit.errors import UsageError
from toolkit.model.input_scale import rescaled
from toolkit.model.model import Model
from toolkit.model.orientation import transposed
from toolkit.vocabulary import Convention


def rewritten(model: Model, convention: Convention, *, tensors_only: bool = False) -> Model:
    """The same network for images in another convention: the same answers up to rounding.

    For another orientation, tensors change the order of their elements, which is exact. Scale,
    standardisation and ink are one affine map of the pixels, which is folded into the first layers.
    What a model can take is decided by its graph; nothing is measured here.

    Args:
        model: Its card has the convention that it was trained for.
        tensors_only: Whether only tensors may change, as for a merge. Otherwise the numbers of a
            Rescaling layer may, and ONNX networks may pad with another number than zero.

    Returns:
        A model with the same name, layers and Keras description; its card has the new convention and
        no weights digest.

    Raises:
        UsageError: If the card does not say what the model expects.
        UnsupportedError: If the answers could not be the same, with the reason.
    """
    own = model.card.convention
    if own is None:
        raise UsageError(
            f"{model.name}: its input format is not known, so it cannot be rewritten for {convention}",
            hint="`toolkit models adopt` finds it, or state it with --convention",
        )
    found = model
    if own.orientation != convention.orientation:
        found = transposed(found)
    (scale, shift), (wanted, offset) = _from_light_unit(own), _from_light_unit(convention)
    factor = scale / wanted
    if (factor, shift - factor * offset) != (1.0, 0.0):
        found = rescaled(found, factor, shift - factor * offset, tensors_only=tensors_only)
    if found is model and own == convention:
        return model
    return found.with_card(dataclasses.replace(model.card, convention=convention, weights_digest=""))


def _from_light_unit(convention: Convention) -> tuple[float, float]:
    """Factor and shift that make a convention's input of light ink in [0, 1]."""
    factor, shift = (1.0, 0.0) if convention.ink == "light" else (-1.0, 1.0)
    if convention.scale == "raw":
        return factor * 255, shift * 255
    if convention.scale == "standard":
        return factor / convention.deviation, (shift - convention.mean) / convention.deviation
    return factor, shift
