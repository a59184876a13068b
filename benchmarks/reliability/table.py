"""The figures as a table in a document."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from pathlib import Path

from benchmarks.reliability.disturbances import Figures
from toolkit.store import publish_text

_BEGIN = "<!-- figures: written by python -m benchmarks.reliability -->"
_END = "<!-- end of figures -->"


def write(document: Path, figures: Sequence[Figures]) -> None:
    """Put the table between the document's two marks.

    Raises:
        ValueError: If the document does not have the marks.
    """
    text = document.read_text(encoding="utf-8")
    before, found, rest = text.partition(_BEGIN)
    _, closed, after = rest.partition(_END)
    if not found or not closed:
        raise ValueError(f"{document}: no {_BEGIN} … {_END}")
    publish_text(document, f"{before}{_BEGIN}\n{as_markdown(figures)}{_END}{after}")


def as_markdown(figures: Sequence[Figures]) -> str:
    """One row for each series, and the sums."""
    lines = [
        "",
        "| what | disturbed by | trials | old or refused | new or accepted | broken promises | control |",
        "|---|---|---:|---:|---:|---:|---|",
    ]
    lines += [
        f"| {row.scenario} | {row.kind} | {row.trials:,} | {row.old:,} | {row.new:,} "
        f"| {len(row.violations)} | {row.control} |"
        for row in figures
    ]
    lines += [
        "",
        "; ".join(_sums(figures)) + ".",
        "",
        f"Python {platform.python_version()}, {platform.system()}.",
        "",
    ]
    return "\n".join(lines) + "\n"


def _sums(figures: Sequence[Figures]) -> list[str]:
    kinds = dict.fromkeys(row.kind for row in figures)
    sums = []
    for kind in kinds:
        rows = [row for row in figures if row.kind == kind]
        trials, broken = sum(row.trials for row in rows), sum(len(row.violations) for row in rows)
        sums.append(f"{kind}: {trials:,} trials, {broken} broken promises")
    return sums
