"""What a network makes of EMNIST's images after they were drawn as people's pictures are.

Validation images are enlarged, cut to black and white, framed, ruled, photographed, so to speak, and
sent through ``prepare_picture``; a trained network says how much of each picture has come through.

    python -m benchmarks.pictures MODEL --dataset DIR [--convention upright/unit/light] [--count 1500]
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

import toolkit as host
from toolkit.errors import ToolkitError
from toolkit.operations.predict import load_classifier
from toolkit.operations.toolkit import Toolkit
from toolkit.pictures import prepare_picture
from toolkit.store import Workspace
from toolkit.vocabulary import Convention

Glyph = NDArray[np.uint8]
Draw = Callable[[Glyph, np.random.Generator], Glyph]

SCALE = 8
MARGIN = 60
PITCH = 40  # between the lines of ruled paper


def enlarged(glyph: Glyph, times: int) -> Glyph:
    side = 28 * times
    return np.asarray(Image.fromarray(glyph).resize((side, side), Image.Resampling.BICUBIC))


def crisp(glyph: Glyph) -> Glyph:
    """Black on white, eight times as large, without a grey between."""
    return np.where(enlarged(glyph, SCALE) > 127, np.uint8(0), np.uint8(255))


def on_paper(glyph: Glyph, margin: int = MARGIN) -> Glyph:
    return np.pad(crisp(glyph), margin, constant_values=255)


def pencil(glyph: Glyph, width: int = 9) -> Glyph:
    """Strokes that have lost so many of their eight pixels by pixel."""
    return np.asarray(Image.fromarray(on_paper(glyph)).filter(ImageFilter.MaxFilter(width)))


def framed(glyph: Glyph) -> Glyph:
    image = Image.fromarray(on_paper(glyph))
    last = image.width - 11
    ImageDraw.Draw(image).rectangle((10, 10, last, last), outline=0, width=3)
    return np.asarray(image)


def ruled(glyph: Glyph, grey: int = 200) -> Glyph:
    image = on_paper(glyph).copy()
    for row in (image[PITCH // 2 :: PITCH], image[PITCH // 2 + 1 :: PITCH]):
        np.minimum(row, grey, out=row)
    return image


def photographed(glyph: Glyph, random: np.random.Generator) -> Glyph:
    """Pen on paper, lit from a corner, with the noise of a camera."""
    image = on_paper(glyph) / 255.0
    height, width = image.shape
    light = np.linspace(0.5, 1.0, width)[None] * np.linspace(0.7, 1.0, height)[:, None]
    seen = (40 + 190 * image) * light + random.normal(0, 6, image.shape)
    return seen.clip(0, 255).astype(np.uint8)


def on_a_table(glyph: Glyph, random: np.random.Generator) -> Glyph:
    sheet = 45 + on_paper(glyph) * (170 / 255)
    seen = np.pad(sheet, MARGIN, constant_values=70) + random.normal(
        0, 4, [s + 2 * MARGIN for s in sheet.shape]
    )
    return seen.clip(0, 255).astype(np.uint8)


PICTURES: dict[str, Draw] = {
    "as it is": lambda glyph, _: glyph,
    "enlarged five times": lambda glyph, _: enlarged(glyph, 5),
    "black on white, eight times": lambda glyph, _: crisp(glyph),
    "the same with thin strokes": lambda glyph, _: pencil(glyph),
    "the same in a frame": lambda glyph, _: framed(glyph),
    "the same on ruled paper": lambda glyph, _: ruled(glyph),
    "photographed, lit from a corner": photographed,
    "photographed, a sheet on a table": on_a_table,
}


def through(draw: Draw, glyphs: Glyph) -> tuple[Glyph, int]:
    """What ``prepare_picture`` makes of each picture, and how many it refuses."""
    random = np.random.default_rng(0)
    made = np.zeros_like(glyphs)
    refused = 0
    for index, glyph in enumerate(glyphs):
        content = io.BytesIO()
        Image.fromarray(draw(glyph, random)).save(content, format="PNG", compress_level=1)
        try:
            made[index] = prepare_picture(content.getvalue())
        except ToolkitError:
            refused += 1
    return made, refused


def centred_by_mass(glyphs: Glyph) -> Glyph:
    """Moved by whole pixels until the centre of mass is in the middle, as MNIST's images are."""
    moved = np.zeros_like(glyphs)
    places = np.arange(28)
    for index, glyph in enumerate(glyphs):
        mass = max(int(glyph.sum(dtype=np.int64)), 1)
        down, across = (
            round(13.5 - float((glyph.sum(axis=axis, dtype=np.int64) * places).sum()) / mass)
            for axis in (1, 0)
        )
        wide = np.pad(glyph, 28)
        moved[index] = wide[28 - down : 56 - down, 28 - across : 56 - across]
    return moved


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("model", type=Path)
    parser.add_argument(
        "--dataset", required=True, help="name or path of the data set that it was trained on"
    )
    parser.add_argument("--convention", type=Convention.parse, help="where the model's card does not say")
    parser.add_argument("--count", type=int, default=1500)
    asked = parser.parse_args()
    found = host.open_dataset(str(asked.dataset), "validation")
    rows = np.sort(np.random.default_rng(0).permutation(len(found))[: asked.count])
    glyphs, labels = found.images[rows], found.labels[rows]
    classifier = load_classifier(Toolkit(Workspace(Path())), asked.model, asked.convention)

    def score(images: Glyph) -> float:
        best = classifier.network.probabilities(images, classifier.convention).argmax(axis=1)
        return float((best == labels).mean())

    print(f"{asked.model.name}, {len(rows):,} validation images of {found.name}")
    print(f"{'the image itself':34}  {score(glyphs):7.1%}")
    for name, draw in PICTURES.items():
        made, refused = through(draw, glyphs)
        note = f"  {refused} refused" if refused else ""
        print(f"{name:34}  {score(made):7.1%}{note}", flush=True)
        if name == "enlarged five times":
            print(f"{'the same, centred by mass':34}  {score(centred_by_mass(made)):7.1%}", flush=True)


if __name__ == "__main__":
    main()
