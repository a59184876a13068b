"""Characters bent, slanted, thickened and blurred until they look like EMNIST's.

Pixels are computed from the seed with sums, products, quotients and square roots only, which every
machine rounds in the same way. With the same FreeType, the images are the same.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from toolkit.records import dataclass
from toolkit_glyphs.faces import BODY, CHARACTERS, GRID
from toolkit_glyphs.fields import GlyphFields

Array = NDArray[np.float32]

SIDE = 28
CHUNK = 512

# Control points of the bending are from -1.5 to 1.5 on both axes.
CONTROLS = 5
CONTROL_STEP = 0.75
BEND = 0.26

# Measured on EMNIST: characters with softer strokes are smaller.
BOX_WITHOUT_BLUR = 30.6
BOX_LOSS_PER_BLUR = 15.0
BOX_LEVEL_SIGMAS = 1.417

SINGLE_DRAWS = 24
DRAWS = SINGLE_DRAWS + 2 * CONTROLS * CONTROLS


@dataclass(frozen=True)
class _Shapes:
    """How each of n characters is drawn: a plane that is bent onto the character's own."""

    glyph: NDArray[np.int64]  # (n,) index into the fields
    forward: Array  # (n, 2, 2) from the character's plane to the drawing's
    bend: Array  # (n, 2, 5, 5) displacement at the control points, x and y
    taper: Array  # (n, 2) how much the drawing narrows to the right and downwards
    pressure: Array  # (n, 2) how much the strokes thicken to the right and downwards
    stroke: Array  # (n,) width of the strokes, in pixels of the image
    blur: Array  # (n,) standard deviation of the blur, in pixels of the image
    place: Array  # (n, 2) centre of the box, from the centre of the image


def draw_glyphs(
    fields: GlyphFields, per_class: int, *, seed: int, stream: int, held_out: bool
) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """Draw a data set; an image depends only on the seed, the stream (the part) and its index.

    If ``held_out``, half of the images are also tapered, with uneven pressure.

    Returns images (62 x per_class, 28, 28) uint8, upright, light ink, and their labels, in turn.
    """
    total = per_class * len(CHARACTERS)
    labels = np.arange(total, dtype=np.int32) % len(CHARACTERS)
    generator = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, stream])))
    images = np.empty((total, SIDE, SIDE), np.uint8)
    for start in range(0, total, CHUNK):
        part = slice(start, min(start + CHUNK, total))
        draws = generator.random((part.stop - start, DRAWS))
        images[part] = _draw(fields, _shapes(fields, labels[part], draws, held_out=held_out))
    return images, labels


def _shapes(
    fields: GlyphFields, labels: NDArray[np.int32], draws: NDArray[np.float64], *, held_out: bool
) -> _Shapes:
    glyph = fields.first[labels] + (draws[:, 0] * fields.count[labels]).astype(np.int64)
    singles = draws.astype(np.float32)

    def around(column: int) -> Array:
        """Between -1 and 1, mostly near 0."""
        return singles[:, column] + singles[:, column + 1] - 1

    # The tangent of half an angle gives its sine and cosine without either function.
    half = 0.11 * around(1)
    cosine, sine = (1 - half * half) / (1 + half * half), 2 * half / (1 + half * half)
    width = 1 + 0.28 * around(3)
    slant = 0.08 + 0.38 * around(5)
    forward = np.stack(
        [
            np.stack([cosine * width, -cosine * slant - sine], 1),
            np.stack([sine * width, cosine - sine * slant], 1),
        ],
        1,
    )
    strength = 0.35 + 0.65 * singles[:, 7]
    bend = 2 * singles[:, SINGLE_DRAWS:].reshape(-1, 2, CONTROLS, CONTROLS) - 1
    extra = (singles[:, 8] < 0.5).astype(np.float32) * np.float32(held_out)
    softness = singles[:, 9] * singles[:, 10]
    return _Shapes(
        glyph=glyph,
        forward=forward,
        bend=bend * (np.float32(BEND) * strength)[:, None, None, None],
        taper=np.stack([around(11), around(13)], 1) * (np.float32(0.2) * extra)[:, None],
        pressure=np.stack([around(15), around(17)], 1) * (np.float32(0.06) * extra)[:, None],
        stroke=2.0 + 2.4 * singles[:, 19] * singles[:, 20],
        blur=0.38 + 0.4 * softness,
        place=0.7 * np.stack([singles[:, 21], singles[:, 22]], 1) - 0.35,
    )


def _draw(fields: GlyphFields, shapes: _Shapes) -> NDArray[np.uint8]:
    low, high = _boxes(fields, shapes)
    longer = np.maximum(high - low, 1e-3).max(1)
    size = np.sqrt(_determinant(shapes.forward))
    natural = fields.stroke[shapes.glyph] * size

    # The box at half of the edges' height is smaller than EMNIST's measured one, and thicker strokes
    # make it larger: solve for the scale that gives the wanted box and strokes.
    box = BOX_WITHOUT_BLUR - (BOX_LOSS_PER_BLUR + 2 * BOX_LEVEL_SIGMAS) * shapes.blur
    scale = (box - shapes.stroke) / np.maximum(longer - natural, 0.2)
    # Thinning would break the hairlines of serif faces.
    grown = np.clip((shapes.stroke / scale - natural) / 2, -0.08 * natural, 0.22)
    scale = box / (longer + 2 * grown)

    steps = (np.arange(SIDE, dtype=np.float32) + 0.5 - SIDE / 2)[None, :]
    middle = (low + high) / 2
    x = middle[:, :1] + (steps - shapes.place[:, :1]) / scale[:, None]
    y = middle[:, 1:] + (steps - shapes.place[:, 1:]) / scale[:, None]

    from_x, from_y = _sources(shapes, x, y)
    distance = _interpolated(fields.distance, shapes.glyph, from_x, from_y) * size[:, None, None]
    pressed = (
        shapes.pressure[:, 0, None, None] * x[:, None, :] + shapes.pressure[:, 1, None, None] * y[:, :, None]
    )
    distance += grown[:, None, None] + pressed
    # A cubic step: like a Gaussian edge without its tails.
    rise = np.clip(distance * (scale / (4.2 * shapes.blur))[:, None, None] + 0.5, 0, 1)
    level = rise * rise * (3 - 2 * rise)
    level *= 255 / level.max((1, 2))[:, None, None]
    images: NDArray[np.uint8] = np.rint(level).astype(np.uint8)
    return images


def _sources(shapes: _Shapes, x: Array, y: Array) -> tuple[Array, Array]:
    """Position of each pixel on the character's plane; x, y: (n, 28) of columns and rows."""
    inverse = _inverse(shapes.forward)
    basis_x, basis_y = _basis(x), _basis(y)
    across = x[:, None, :] * (1 + shapes.taper[:, 1, None, None] * y[:, :, None])
    down = y[:, :, None] * (1 + shapes.taper[:, 0, None, None] * x[:, None, :])
    sources = []
    for axis in range(2):
        source = inverse[:, axis, 0, None, None] * across + inverse[:, axis, 1, None, None] * down
        for row in range(CONTROLS):
            along = sum(
                (shapes.bend[:, axis, row, column, None] * basis_x[column] for column in range(CONTROLS)),
                start=np.zeros_like(x),
            )
            source += basis_y[row][:, :, None] * along[:, None, :]
        sources.append(source)
    return sources[0], sources[1]


def _boxes(fields: GlyphFields, shapes: _Shapes) -> tuple[Array, Array]:
    """Lowest and highest x and y of the bent character, (n, 2) each.

    The bending maps the drawing to the character. Its inverse is found by iteration, which
    converges fast because the bending is small.
    """
    outline = fields.outline[shapes.glyph]
    drawn = _transformed(shapes.forward, outline)
    for _ in range(3):
        x, y = drawn[..., 0], drawn[..., 1]
        basis_x, basis_y = _basis(x), _basis(y)
        moved = np.zeros_like(outline)
        for row in range(CONTROLS):
            for column in range(CONTROLS):
                weight = basis_y[row] * basis_x[column]
                moved += weight[..., None] * shapes.bend[:, None, :, row, column]
        drawn = _transformed(shapes.forward, outline - moved)
        taper = shapes.taper[:, None, :]
        drawn = np.stack(
            [drawn[..., 0] / (1 + taper[..., 1] * y), drawn[..., 1] / (1 + taper[..., 0] * x)], axis=2
        )
    return drawn.min(1), drawn.max(1)


def _basis(position: Array) -> list[Array]:
    """The quadratic B-splines of the control points at positions."""
    splines = []
    for control in range(CONTROLS):
        away = np.abs(position / CONTROL_STEP - (control - CONTROLS // 2))
        tail = np.maximum(1.5 - away, 0)
        splines.append(np.where(away < 0.5, 0.75 - away * away, 0.5 * tail * tail).astype(np.float32))
    return splines


def _interpolated(fields: Array, glyph: NDArray[np.int64], x: Array, y: Array) -> Array:
    """Fields at points of the character's plane, by bilinear interpolation."""
    unit = np.float32(BODY / 2)
    column = np.clip(x * unit + np.float32(GRID / 2 - 0.5), 0, GRID - 1.001)
    row = np.clip(y * unit + np.float32(GRID / 2 - 0.5), 0, GRID - 1.001)
    left, top = column.astype(np.int32), row.astype(np.int32)
    right_share, lower_share = column - left, row - top
    flat = fields.reshape(-1)
    index = (glyph * (GRID * GRID)).astype(np.int32)[:, None, None] + top * GRID + left
    upper = flat[index] * (1 - right_share) + flat[index + 1] * right_share
    index += GRID
    lower = flat[index] * (1 - right_share) + flat[index + 1] * right_share
    value: Array = upper * (1 - lower_share) + lower * lower_share
    return value


def _transformed(matrix: Array, points: Array) -> Array:
    x, y = points[..., 0], points[..., 1]
    return np.stack(
        [matrix[:, None, axis, 0] * x + matrix[:, None, axis, 1] * y for axis in range(2)], axis=2
    )


def _determinant(matrix: Array) -> Array:
    return matrix[:, 0, 0] * matrix[:, 1, 1] - matrix[:, 0, 1] * matrix[:, 1, 0]


def _inverse(matrix: Array) -> Array:
    adjugate = np.stack([matrix[:, 1, 1], -matrix[:, 0, 1], -matrix[:, 1, 0], matrix[:, 0, 0]], 1)
    return (adjugate / _determinant(matrix)[:, None]).reshape(-1, 2, 2)
