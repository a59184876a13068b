"""What a model expects of its input: shape, orientation, scale and ink."""

from __future__ import annotations

import re
from typing import Literal, cast

from toolkit.errors import UsageError, shown
from toolkit.records import dataclass

Orientation = Literal["upright", "transposed"]
Scale = Literal["unit", "raw", "standard"]
Ink = Literal["light", "dark"]

CHARACTER_SHAPES: tuple[tuple[int, ...], ...] = ((28, 28, 1), (1, 28, 28), (28, 28), (784,))
"""The shapes, without the batch axis, in which a model can take 28×28 grey pixels."""

_CONVENTION = re.compile(
    r"(?P<orientation>upright|transposed)"
    r"/(?P<scale>unit|raw|standard\((?P<mean>-?[0-9]+(?:\.[0-9]+)?),(?P<deviation>[0-9]+(?:\.[0-9]+)?)\))"
    r"/(?P<ink>light|dark)"
)


@dataclass(frozen=True)
class Convention:
    """How a model expects its pixels.

    Attributes:
        orientation: ``upright`` as a person reads, or ``transposed`` as in EMNIST's own files.
        scale: ``unit`` is x/255 in [0, 1], ``raw`` is 0 to 255, ``standard`` is
            (x/255 - mean) / deviation.
        ink: ``light`` strokes on a dark ground, or ``dark`` strokes on a light ground.
        mean: Subtracted under ``standard``; in units of x/255.
        deviation: Divided by under ``standard``; in units of x/255, above 0.
    """

    orientation: Orientation = "upright"
    scale: Scale = "unit"
    ink: Ink = "light"
    mean: float = 0.0
    deviation: float = 1.0

    def __post_init__(self) -> None:
        if not self.deviation > 0:
            raise UsageError(
                f"a convention has a deviation above 0, received {self.deviation}", hint="1 changes nothing"
            )

    def __str__(self) -> str:
        # All digits, so that parse gives back an equal convention.
        numbers = ",".join(repr(number).removesuffix(".0") for number in (self.mean, self.deviation))
        scale = f"standard({numbers})" if self.scale == "standard" else self.scale
        return f"{self.orientation}/{scale}/{self.ink}"

    @classmethod
    def parse(cls, text: str) -> Convention:
        """The inverse of ``str``: ``transposed/unit/light``, ``upright/standard(0.1307,0.3081)/light``.

        Raises:
            UsageError: The text is not a convention.
        """
        found = _CONVENTION.fullmatch(text.replace(" ", ""))
        if found is None or (found["deviation"] is not None and float(found["deviation"]) <= 0):
            raise UsageError(
                f"expected a convention, received {shown(text)}",
                hint="write orientation/scale/ink: upright/unit/light, transposed/raw/dark "
                "or upright/standard(0.1307,0.3081)/light",
            )
        orientation, ink = cast("Orientation", found["orientation"]), cast("Ink", found["ink"])
        if found["deviation"] is not None:
            return cls(orientation, "standard", ink, float(found["mean"]), float(found["deviation"]))
        return cls(orientation, cast("Scale", found["scale"]), ink)
