"""A chart of accuracies as inline SVG."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape
from typing import NamedTuple

_TOP, _BOTTOM = 6.0, 30.0
_STEPS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)


class _Layout(NamedTuple):
    """Measures in the chart's own units; ``longest_name`` is in characters."""

    width: float
    row: float
    left: float
    right: float
    text: float
    mark: float
    longest_name: int
    ticks: int


_WIDE = _Layout(800.0, 34.0, 250.0, 90.0, text=22.0, mark=17.0, longest_name=32, ticks=6)
_NARROW = _Layout(360.0, 52.0, 26.0, 26.0, text=20.0, mark=37.0, longest_name=30, ticks=4)


class ChartRow(NamedTuple):
    """One network: accuracy and its interval, 0 to 1, and whether it is the merged one."""

    name: str
    accuracy: float
    low: float
    high: float
    merged: bool = False


def accuracy_chart(rows: Sequence[ChartRow], title: str, *, narrow: bool = False) -> str:
    """Dots with intervals on one axis, as SVG.

    The axis does not start at zero, so there are no bars, whose length would mislead; a network far
    below the others is an arrow at the left edge.

    Args:
        rows: One or more, top to bottom.
        title: Alternative text.
        narrow: Whether it is for a phone: names are above the marks, not beside them.
    """
    layout, kind = (_NARROW, "narrow") if narrow else (_WIDE, "wide")
    start, stop, step = _axis(rows, layout)
    height = _TOP + layout.row * len(rows) + _BOTTOM

    def x(share: float) -> float:
        return layout.left + (share - start) / (stop - start) * (layout.width - layout.left - layout.right)

    parts = [
        f'<svg class="{kind}" viewBox="0 0 {layout.width:g} {height:g}" role="img" font-size="14.5">',
        f"<title>{escape(title)}</title>",
        *_grid(layout, (start, stop, step), x, rows),
    ]
    for index, row in enumerate(rows):
        parts.append(_mark(layout, row, _TOP + layout.row * index, start, x))
    return "".join([*parts, "</svg>"])


def _axis(rows: Sequence[ChartRow], layout: _Layout) -> tuple[float, float, float]:
    """Start, end and step of the axis, 0 to 1: around the networks near the best one."""
    best = max(row.accuracy for row in rows)
    near = [row for row in rows if row.accuracy >= best - 0.2] or list(rows)
    low, high = min(row.low for row in near), max(row.high for row in near)
    step = next((step for step in _STEPS if (high - low) / step <= layout.ticks), _STEPS[-1])
    start = max(0.0, math.floor(low / step) * step)
    stop = min(1.0, math.ceil(high / step) * step)
    return (start, stop, step) if stop > start else (max(0.0, start - step), min(1.0, start + step), step)


def _grid(
    layout: _Layout, axis: tuple[float, float, float], x: Callable[[float], float], rows: Sequence[ChartRow]
) -> list[str]:
    start, stop, step = axis
    bottom = _TOP + layout.row * len(rows)
    digits = 0 if step >= 0.01 else 1 if step >= 0.001 else 2
    parts = [
        f'<rect class="lane" x="0" y="{_TOP + layout.row * index:g}" width="{layout.width:g}" '
        f'height="{layout.row:g}" rx="8"/>'
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


def _mark(layout: _Layout, row: ChartRow, top: float, start: float, x: Callable[[float], float]) -> str:
    y, text = top + layout.mark, top + layout.text
    kind = "merged" if row.merged else "other"
    strong = ' class="strong"' if row.merged else ""
    longest = layout.longest_name
    name = row.name if len(row.name) <= longest else row.name[: longest - 1] + "…"
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
        f'<g><text x="10" y="{text:g}"{strong}>{escape(name)}</text>{mark}'
        f'<text x="{layout.width - 10:g}" y="{text:g}" text-anchor="end"{strong}>'
        f"{100 * row.accuracy:.2f} %</text></g>"
    )
