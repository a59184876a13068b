"""A card in the metadata properties of an ONNX file."""

from __future__ import annotations

import json

import onnx

from toolkit.model import Card, parse_card
from toolkit.vocabulary import Convention

CARD = "toolkit_card"
LABELS = "labels"


def properties(card: Card) -> dict[str, str]:
    """A card as metadata properties, under ONNX's names and under ours.

    Args:
        card: What is known of the model.

    Returns:
        Sorted by key: ``labels``, a JSON list of the classes by output; ``convention.orientation``,
        ``.scale``, ``.ink``, ``.mean`` and ``.deviation``; ``toolkit_card``, the card as JSON;
        and ONNX's own ``Image.BitmapPixelFormat`` and ``Image.NominalPixelRange``.
        What is unknown is left out.
    """
    found = {CARD: json.dumps(json.loads(card.embedded().to_json()), ensure_ascii=False, sort_keys=True)}
    if card.classes:
        found[LABELS] = json.dumps(list(card.classes), ensure_ascii=False)
    convention = card.convention
    if convention is not None:
        found["Image.BitmapPixelFormat"] = "Gray8"
        pixel_range = _nominal_range(convention)
        if pixel_range:
            found["Image.NominalPixelRange"] = pixel_range
        found["convention.orientation"] = convention.orientation
        found["convention.scale"] = convention.scale
        found["convention.ink"] = convention.ink
        if convention.scale == "standard":
            found["convention.mean"] = repr(convention.mean)
            found["convention.deviation"] = repr(convention.deviation)
    return dict(sorted(found.items()))


def _nominal_range(convention: Convention) -> str:
    if convention.scale == "raw":
        return "NominalRange_0_255"
    if convention.scale == "unit":
        return "Normalized_0_1"
    if convention.mean == convention.deviation == 0.5:
        return "Normalized_1_1"
    return ""  # ONNX has no name for other standardisations


def write_properties(model: onnx.ModelProto, card: Card) -> None:
    """Replace a file's metadata properties by those of a card."""
    del model.metadata_props[:]
    for key, value in properties(card).items():
        model.metadata_props.add(key=key, value=value)


def read_card(model: onnx.ModelProto, where: str) -> Card:
    """The card in a file; without one, the classes that it names, if any.

    Raises:
        UnreadableInputError: If it holds a card that cannot be read.
    """
    found = {entry.key: entry.value for entry in model.metadata_props}
    if CARD in found:
        return parse_card(found[CARD], where)
    try:
        labels = json.loads(found.get(LABELS, "[]"))
    except (ValueError, RecursionError):
        return Card()
    if isinstance(labels, list) and all(isinstance(label, str) for label in labels):
        return Card(classes=tuple(labels))
    return Card()
