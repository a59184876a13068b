"""A contact sheet: one row for each class, its character at the left, its images beside it."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from toolkit.data import Dataset

SCALE = 2
CELL = 28 * SCALE
GAP = 4
LABEL_WIDTH = 48
MARGIN = 12

# With more rows, the sheet continues in another column.
ROWS = 32

BACKGROUND = 24
EMPTY_CELL = 40
LABEL = 235
LABEL_SIZE = 30


def draw_sheet(dataset: Dataset, per_class: int) -> Image.Image:
    """Draw a contact sheet.

    Args:
        dataset: With at least one class.
        per_class: Number of images of each class, at least 1, taken at equal distances. Cells of a
            class with fewer images stay empty.

    Returns:
        A grey image; each example is drawn at twice its size.
    """
    classes = len(dataset.classes)
    columns = -(-classes // ROWS)
    rows = -(-classes // columns)
    block = LABEL_WIDTH + per_class * (CELL + GAP) + MARGIN
    sheet = Image.new("L", (MARGIN + columns * block, 2 * MARGIN + rows * (CELL + GAP) - GAP), BACKGROUND)
    drawing = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(LABEL_SIZE)
    labels = np.asarray(dataset.labels)
    for label, character in enumerate(dataset.classes):
        left = MARGIN + label // rows * block
        top = MARGIN + label % rows * (CELL + GAP)
        middle = (left + LABEL_WIDTH / 2 - GAP, top + CELL / 2)
        drawing.text(middle, character, font=font, fill=LABEL, anchor="mm")
        examples = examples_of(labels, label, per_class)
        for place in range(per_class):
            corner = (left + LABEL_WIDTH + place * (CELL + GAP), top)
            if place < len(examples):
                image = Image.fromarray(np.ascontiguousarray(dataset.images[examples[place]]))
                sheet.paste(image.resize((CELL, CELL), Image.Resampling.NEAREST), corner)
            else:
                sheet.paste(EMPTY_CELL, (*corner, corner[0] + CELL, corner[1] + CELL))
    return sheet


def examples_of(labels: NDArray[np.int32], label: int, most: int) -> NDArray[np.intp]:
    """Indices of at most ``most`` images of a class, at equal distances in the data set."""
    found = np.flatnonzero(labels == label)
    return found if len(found) <= most else found[np.arange(most) * len(found) // most]


def sheet_png(dataset: Dataset, per_class: int) -> bytes:
    """Draw a contact sheet and encode it as PNG."""
    buffer = io.BytesIO()
    draw_sheet(dataset, per_class).save(buffer, "PNG")
    return buffer.getvalue()
