"""A merge's report as one HTML page that needs no other file and no script."""

from __future__ import annotations

import importlib.util
import math
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemBytecodeCache, PackageLoader, StrictUndefined
from jinja2.bccache import Bucket

from toolkit.merging.report import MergeReport, Score
from toolkit.vocabulary import percent

_AXIS_STEPS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)
_MOST_TICKS = 5


class _BesideBytecode(FileSystemBytecodeCache):
    """The compiled template, in the folder where Python keeps the bytecode of this module."""

    def __init__(self) -> None:
        super().__init__(str(Path(importlib.util.cache_from_source(__file__)).parent))

    def load_bytecode(self, bucket: Bucket) -> None:
        """Read it; a damaged one is made again."""
        try:
            super().load_bytecode(bucket)
        except Exception:  # noqa: BLE001 - pickle raises anything
            bucket.reset()

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep it if that is possible."""
        with suppress(OSError):
            if not sys.dont_write_bytecode:
                super().dump_bytecode(bucket)


def report_html(report: MergeReport) -> str:
    """The report as one HTML document."""
    environment = Environment(
        loader=PackageLoader("toolkit.merging", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        bytecode_cache=_BesideBytecode(),
    )
    environment.filters |= {
        "percent": percent, "signed": _signed, "plain": _plain, "capital": _capital, "steps": _steps
    }  # fmt: skip
    charts = [_chart(report, index) for index in range(len(report.scores))]
    return environment.get_template("report.html.j2").render(report=report, charts=charts)


def _chart(report: MergeReport, split: int) -> dict[str, Any]:
    """Dots with intervals, as places on an axis from 0 to 1.

    The axis does not start at accuracy 0, so there are no bars, whose length would mislead. A network
    far below the others has no place: it is an arrow at the left edge.
    """
    scores = [
        (report.output, report.scores[split]),
        *((item.name, item.scores[split]) for item in report.ingredients),
        *((f"plain mean of all {len(report.ingredients)}", score) for score in report.plain_mean[split:][:1]),
    ]
    start, stop, step = _axis([score for _, score in scores])

    def place(share: float) -> float:
        return (max(share, start) - start) / (stop - start)

    digits = 0 if step >= 0.01 else 1 if step >= 0.001 else 2
    ticks = (min(start + index * step, stop) for index in range(round((stop - start) / step) + 1))
    first = report.scores[split]
    return {
        "title": f"Accuracy on {first.images:,} {first.split} images of {report.dataset}, "
        "with 95 % intervals",
        "ticks": [(place(tick), percent(tick, digits)) for tick in ticks],
        "rows": [
            (name, one.accuracy, *map(place, (one.low, one.accuracy, one.high)), one.accuracy < start)
            for name, one in scores
        ],
    }


def _axis(scores: Sequence[Score]) -> tuple[float, float, float]:
    """Start, end and step of the axis, 0 to 1: around the networks near the best one."""
    best = max(score.accuracy for score in scores)
    near = [score for score in scores if score.accuracy >= best - 0.2]
    low, high = min(score.low for score in near), max(score.high for score in near)
    step = next((step for step in _AXIS_STEPS if (high - low) / step <= _MOST_TICKS), _AXIS_STEPS[-1])
    start = max(0.0, math.floor(low / step) * step)
    stop = min(1.0, math.ceil(high / step) * step)
    return (start, stop, step) if stop > start else (max(0.0, start - step), min(1.0, start + step), step)


def _steps(report: MergeReport) -> list[tuple[str, str, float | None, bool]]:
    """Name, accuracy, change against the best so far and whether it was kept, of each candidate."""
    rows: list[tuple[str, str, float | None, bool]] = []
    best: float | None = None
    for step in report.steps:
        change = None if best is None else step.score - best
        rows.append((step.ingredient, percent(step.score), change, step.accepted))
        best = step.score if step.accepted or best is None else best
    return rows


def _signed(gain: float) -> str:
    return f"{100 * gain:+.2f}".replace("-", "−")


def _plain(value: object) -> str:
    if value is None:
        return "default"
    if isinstance(value, list | tuple):
        return " : ".join(map(str, value)) or "default"
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else str(value)


def _capital(sentence: str) -> str:
    """The sentence with a capital, unless it begins with a file's name."""
    first = sentence.split(" ", 1)[0]
    return sentence if "." in first or "/" in first else sentence[:1].upper() + sentence[1:]
