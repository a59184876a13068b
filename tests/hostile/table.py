"""The table of hostile files in docs/reliability.md; run as a program, it writes the table there."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import registry
import trial  # noqa: F401 - fills the registry

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reliability.md"
BEGIN, END = "<!-- hostile files: written by tests/hostile/table.py -->", "<!-- end of hostile files -->"


def table() -> str:
    """The number of files by group and outcome, and a line for each file."""
    groups = dict.fromkeys(file.group for file in registry.FILES)
    outcomes = ("refused", "shown", "read")
    lines = ["| files | refused | shown | read | all |", "|---|---:|---:|---:|---:|"]
    for group in (*groups, ""):
        files = [file for file in registry.FILES if group in (file.group, "")]
        counts = [sum(file.outcome == outcome for file in files) for outcome in outcomes]
        lines.append(f"| {group or 'all'} | {' | '.join(map(str, (*counts, len(files))))} |")
    lines += ["", "| | file | outcome |", "|---|---|---|"]
    lines += [f"| {file.group} | {file.what} | {file.outcome} |" for file in registry.FILES]
    return "\n".join(lines)


def page_with_table() -> str:
    """The page with today's table."""
    text = PAGE.read_text()
    before, _, rest = text.partition(BEGIN)
    return f"{before}{BEGIN}\n\n{table()}\n\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    PAGE.write_text(page_with_table())
