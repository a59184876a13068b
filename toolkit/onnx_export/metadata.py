"""A card in the metadata properties of an ONNX file."""

from __future__ import annotations

import json

import onnx

from toolkit.model import Card, parse_card
from toolkit.vocabulary import Convention

CARD = "toolkit_card"
LABELS = "labels"
SCORES = "scores"
PREPROCESSED = "preprocessed"

PICTURES = Convention(scale="raw")
"""The input format of a file with preprocessing."""


def write_properties(model: onnx.ModelProto, card: Card, scores: str = "", preprocessed: str = "") -> None:
    """Replace a file's metadata properties by those of a card, sorted by key.

    ``labels`` is a JSON list of the classes by output, ``toolkit_card`` the card as JSON, ``scores``
    what the outputs are, ``convention.*`` the input format, also under ONNX's names ``Image.*``. What
    is unknown is left out.

    Args:
        preprocessed: The value that is the network's input in a file that takes pictures. The
            card then describes the network, the properties ``convention.*`` the pictures.
    """
    found = {CARD: json.dumps(json.loads(card.embedded().to_json()), ensure_ascii=False, sort_keys=True)}
    if scores:
        found[SCORES] = scores
    if preprocessed:
        found[PREPROCESSED] = preprocessed
    if card.classes:
        found[LABELS] = json.dumps(list(card.classes), ensure_ascii=False)
    convention = PICTURES if preprocessed else card.convention
    if convention is not None:
        found["Image.BitmapPixelFormat"] = "Gray8"
        found |= {f"convention.{key}": getattr(convention, key) for key in ("orientation", "scale", "ink")}
        if convention.scale == "standard":
            found["convention.mean"] = repr(convention.mean)
            found["convention.deviation"] = repr(convention.deviation)
            if convention.mean == convention.deviation == 0.5:  # ONNX has no name for others
                found["Image.NominalPixelRange"] = "Normalized_1_1"
        else:
            ranges = {"raw": "NominalRange_0_255", "unit": "Normalized_0_1"}
            found["Image.NominalPixelRange"] = ranges[convention.scale]
    del model.metadata_props[:]
    for key, value in sorted(found.items()):
        model.metadata_props.add(key=key, value=value)


def read_card(model: onnx.ModelProto, where: str) -> Card:
    """The card in a file; without one, the classes that it names, if any."""
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


def read_property(model: onnx.ModelProto, key: str) -> str:
    """A metadata property; empty if there is none."""
    return next((entry.value for entry in model.metadata_props if entry.key == key), "")
