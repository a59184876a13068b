"""A merge's report as one HTML page that needs no other file and no script."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from toolkit.merging.chart import ChartRow, accuracy_chart
from toolkit.merging.report import MergeReport, Score
from toolkit.vocabulary import SplitName, percent


def page(report: MergeReport) -> str:
    """The report as one HTML document."""
    from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

    environment = Environment(
        loader=PackageLoader("toolkit.merging", "."),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": percent, "signed": _signed, "plain": _plain, "capital": _capital, "steps": _steps
    }  # fmt: skip
    charts = [_chart(report, score) for score in report.scores]
    return environment.get_template("report.html.j2").render(report=report, charts=charts)


def _chart(report: MergeReport, score: Score) -> dict[str, Any]:
    split = score.split
    rows = [
        _row(report.output, report.scores, split, merged=True),
        *(_row(item.name, item.scores, split) for item in report.ingredients),
        _row(f"plain mean of all {len(report.ingredients)}", report.plain_mean, split),
    ]
    shown = [row for row in rows if row is not None]
    title = f"Accuracy on {score.images:,} {split} images of {report.dataset}, with 95 % intervals"
    svg = [accuracy_chart(shown, title, narrow=narrow) for narrow in (False, True)]
    return {"title": title, "svg": svg}


def _row(name: str, scores: Sequence[Score], split: SplitName, *, merged: bool = False) -> ChartRow | None:
    found = next((score for score in scores if score.split == split), None)
    return None if found is None else ChartRow(name, found.accuracy, found.low, found.high, merged)


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
