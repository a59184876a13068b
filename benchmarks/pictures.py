"""Accuracy on EMNIST's images that were redrawn as people's pictures, and the time for one picture.

Validation images are enlarged, cut to black and white, framed, ruled or made to look photographed, and
passed through ``prepare_picture``; a trained network classifies the results.

    python -m benchmarks.pictures MODEL --dataset DIR [--convention upright/unit/light] [--count 1500]
"""

from __future__ import annotations

import argparse
import io
import statistics
import time
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


def milliseconds(work: Callable[[], object], times: int = 100) -> float:
    """The median CPU time of several runs."""
    taken = []
    for _ in range(times):
        began = time.process_time()
        work()
        taken.append(time.process_time() - began)
    return 1000 * statistics.median(taken)


def print_times(glyph: Glyph) -> None:
    """How long one picture of 224x224 takes, and Pillow's part of it."""
    content = io.BytesIO()
    grey = np.asarray(Image.fromarray(on_paper(glyph)).resize((224, 224), Image.Resampling.BICUBIC))
    noisy = grey[..., None] + np.random.default_rng(0).normal(0, 5, (224, 224, 3))
    Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(content, format="PNG")
    png = content.getvalue()
    decoding = milliseconds(lambda: Image.open(io.BytesIO(png)).load())
    print(
        f"a 224x224 RGB PNG with noise: {milliseconds(lambda: prepare_picture(png)):.1f} ms, "
        f"{decoding:.1f} ms of them in Pillow's decoder"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--dataset", required=True, help="data set that the model was trained on")
    parser.add_argument("--convention", type=Convention.parse, help="input format, if the model has no card")
    parser.add_argument("--count", type=int, default=1500)
    asked = parser.parse_args()
    found = host.open_dataset(str(asked.dataset), "validation")
    rows = np.sort(np.random.default_rng(0).permutation(len(found))[: asked.count])
    glyphs, labels = found.images[rows], found.labels[rows]
    classifier = load_classifier(Toolkit(Path()), asked.model, asked.convention)
    print_times(glyphs[0])

    def score(images: Glyph) -> str:
        best = classifier.network.probabilities(images, classifier.convention).argmax(axis=1)
        right = best == labels
        return f"{right.mean():9.1%} {right[1::2].mean():9.1%}"

    print(f"{asked.model.name}, {len(rows):,} validation images of {found.name}")
    print("All constants but WORKING_SIDE were chosen on every other image; the second column has the rest.")
    print(f"{'the image itself':34}  {score(glyphs)}")
    for name, draw in PICTURES.items():
        made, refused = through(draw, glyphs)
        note = f"  {refused} refused" if refused else ""
        print(f"{name:34}  {score(made)}{note}", flush=True)
        if name == "enlarged five times":
            print(f"{'the same, centred by mass':34}  {score(centred_by_mass(made))}", flush=True)


if __name__ == "__main__":
    main()
