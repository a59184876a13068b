"""A chart of accuracies as inline SVG."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

_WIDTH, _ROW, _TOP, _BOTTOM = 800.0, 34.0, 6.0, 30.0
_LEFT, _RIGHT = 250.0, 90.0
_LONGEST_NAME = 32
_STEPS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)


@dataclass(frozen=True, slots=True)
class ChartRow:
    """One network.

    Attributes:
        name: Written to the left.
        accuracy: 0 to 1.
        low: Lower end of its interval.
        high: Upper end of it.
        merged: Whether it is the one that the chart is about.
    """

    name: str
    accuracy: float
    low: float
    high: float
    merged: bool = False


def accuracy_chart(rows: Sequence[ChartRow], title: str) -> str:
    """Dots with intervals on one axis, which spans what is to be told apart.

    The axis does not begin at zero, so there are no bars whose length would mislead; a network far
    below the others stands at the left edge with an arrow.

    Args:
        rows: One or more, top to bottom.
        title: For those who do not see the picture.
    """
    start, stop, step = _axis(rows)
    height = _TOP + _ROW * len(rows) + _BOTTOM

    def x(share: float) -> float:
        return _LEFT + (share - start) / (stop - start) * (_WIDTH - _LEFT - _RIGHT)

    parts = [
        f'<svg viewBox="0 0 {_WIDTH:g} {height:g}" role="img" font-size="14.5">',
        f"<title>{escape(title)}</title>",
        *_grid(start, stop, step, x, rows),
    ]
    for index, row in enumerate(rows):
        parts.append(_mark(row, _TOP + _ROW * (index + 0.5), start, x))
    return "".join([*parts, "</svg>"])


def _axis(rows: Sequence[ChartRow]) -> tuple[float, float, float]:
    """Start, end and step of the axis, 0 to 1: around the best, as far as networks near it reach."""
    best = max(row.accuracy for row in rows)
    near = [row for row in rows if row.accuracy >= best - 0.2] or list(rows)
    low, high = min(row.low for row in near), max(row.high for row in near)
    step = next((step for step in _STEPS if (high - low) / step <= 6), _STEPS[-1])
    start = max(0.0, math.floor(low / step) * step)
    stop = min(1.0, math.ceil(high / step) * step)
    return (start, stop, step) if stop > start else (max(0.0, start - step), min(1.0, start + step), step)


def _grid(
    start: float, stop: float, step: float, x: Callable[[float], float], rows: Sequence[ChartRow]
) -> list[str]:
    bottom = _TOP + _ROW * len(rows)
    digits = 0 if step >= 0.01 else 1 if step >= 0.001 else 2
    parts = [
        f'<rect class="lane" x="0" y="{_TOP + _ROW * index:g}" width="{_WIDTH:g}" height="{_ROW:g}" rx="8"/>'
        for index, row in enumerate(rows)
        if row.merged
    ]
    for index in range(round((stop - start) / step) + 1):
        share = min(start + index * step, stop)
        at = x(share)
        parts.append(f'<line class="grid" x1="{at:.1f}" x2="{at:.1f}" y1="{_TOP:g}" y2="{bottom:g}"/>')
        parts.append(
            f'<text class="soft" x="{at:.1f}" y="{bottom + 20:g}" text-anchor="middle" font-size="12.5">'
            f"{100 * share:.{digits}f} %</text>"
        )
    return parts


def _mark(row: ChartRow, y: float, start: float, x: Callable[[float], float]) -> str:
    kind = "merged" if row.merged else "other"
    strong = ' class="strong"' if row.merged else ""
    name = row.name if len(row.name) <= _LONGEST_NAME else row.name[: _LONGEST_NAME - 1] + "…"
    if row.accuracy < start:
        mark = f'<path class="{kind}" d="M{x(start) + 12:.1f} {y - 6:g}l-10 6l10 6z"/>'
    else:
        low, high = x(max(row.low, start)), x(row.high)
        mark = (
            f'<line class="{kind}" x1="{low:.1f}" x2="{high:.1f}" y1="{y:g}" y2="{y:g}" stroke-width="3" '
            f'stroke-linecap="round" opacity=".45"/>'
            f'<circle class="{kind}" cx="{x(row.accuracy):.1f}" cy="{y:g}" r="6"/>'
        )
    return (
        f'<g><text x="10" y="{y + 5:g}"{strong}>{escape(name)}</text>{mark}'
        f'<text x="{_WIDTH - 10:g}" y="{y + 5:g}" text-anchor="end"{strong}>'
        f"{100 * row.accuracy:.2f} %</text></g>"
    )
