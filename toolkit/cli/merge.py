"""``toolkit merge``: make one model of several."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click

from toolkit.cli.context import CommandLine, pass_request
from toolkit.cli.output import shown_path
from toolkit.cli.parameters import (
    DATASET,
    INPUT_PATH,
    MODEL,
    STRATEGY,
    request_options,
)
from toolkit.errors import StorageError
from toolkit.requests.merge import Merge
from toolkit.vocabulary import percent

if TYPE_CHECKING:
    from toolkit.operations.merge import Merged, MergeReport

Line = tuple[str, Mapping[str, Any]]
"""Text and style of a line, for ``click.secho``."""

_STYLES: Mapping[str, Mapping[str, Any]] = {
    "better": {"fg": "green"},
    "perhaps better": {"fg": "yellow"},
    "equal": {"fg": "yellow"},
    "perhaps worse": {"fg": "red", "bold": True},
    "worse": {"fg": "red", "bold": True},
}


class _Images(click.IntRange):
    """A number of images, or ``off``."""

    name = "n|off"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """A number of 1 or above; 0 for ``off``."""
        return 0 if str(value).lower() == "off" else super().convert(value, param, ctx)


@click.command("merge", short_help="Make one model of several.")
@click.argument("models", nargs=-1, metavar="[MODEL]...", type=MODEL)
@request_options(
    Merge,
    *("options", "convention", "out", "plan", "keep_worse", "or_best", "force", "seed", "test"),
    strategy=STRATEGY,
    recalibrate=_Images(1),
    dataset=DATASET,
    recipe=INPUT_PATH,
)
@pass_request(Merge)
def command(command_line: CommandLine, request: Merge) -> None:
    """Make one model of several.

    Without MODEL it takes the most accurate related models in models/ and prints which and why.
    The result is compared with its best ingredient on validation images; if it is worse, nothing
    is written and the exit status is 4.
    """
    from toolkit.operations.merge import refusal

    output = command_line.output
    merged = command_line.toolkit.merge(request, progress=output.progress())
    output.close()
    if output.json:
        output.result(_document(merged), lambda _: None)
    else:
        _print(merged)
    if merged.problems:
        click.get_current_context().exit(refusal(merged.problems).exit_status)
    if merged.failure:
        output.warn(f"the model was saved, its report was not: {merged.failure}")
        click.get_current_context().exit(StorageError.exit_status)


def _document(merged: Merged) -> dict[str, Any]:
    if merged.report is None:
        plan = {name: getattr(merged, name) for name in ("recipe", "problems", "choices", "notes")}
        return {"plan": plan}
    return {
        "status": merged.status,
        "failure": merged.failure,
        "merged": merged.path,
        "report_html": merged.page,
        "report_json": merged.document,
        "recipe": merged.recipe_file,
        "report": merged.report,
    }


def _print(merged: Merged) -> None:
    """Plain lines: rich would take as long to import as the merge of two small models takes."""
    report = merged.report
    color = False if os.environ.get("NO_COLOR") else None
    for text, style in _plan_lines(merged) if report is None else _lines(merged, report):
        click.secho(text, color=color, **style)


def _lines(merged: Merged, report: MergeReport) -> Iterator[Line]:
    yield from _table(report)
    yield "", {}
    for verdict in (report.verdict, report.test_verdict):
        if verdict is not None:
            yield verdict.sentence, _STYLES.get(verdict.outcome, {})
    for sentence in (*(stage.sentence for stage in report.stages if stage.stage != "conform"), *report.notes):
        yield f"- {sentence}", {}
    yield "", {}
    for name, path in (("model", merged.path), ("report", merged.page), ("recipe", merged.recipe_file)):
        if path is not None and (name == "model" or not merged.failure):
            yield f"{name:7} {shown_path(path)}", {}


def _table(report: MergeReport) -> Iterator[Line]:
    splits: list[str] = [score.split for score in report.scores]
    rows = [["model", "share", *(splits or ["in its card"])]]
    for item in report.ingredients:
        accuracies = [score.accuracy for score in item.scores] if splits else [item.recorded_accuracy]
        rows.append([item.name, percent(item.share, 1), *map(percent, accuracies)])
    for name, scores in (("plain mean", report.plain_mean), (report.output, report.scores)):
        if scores:
            rows.append([name, "", *(percent(score.accuracy) for score in scores)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        name, *others = (cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        yield (
            "   ".join([name.strip().ljust(widths[0]), *others]),
            {"bold": row is rows[-1]} if splits else {},
        )


def _plan_lines(merged: Merged) -> Iterator[Line]:
    from toolkit.operations.merge import listing

    yield merged.recipe.to_toml(), {}
    for title, sentences in (("Choices", merged.choices), ("Warnings and assumptions", merged.notes)):
        if sentences:
            yield f"# {title}", {"bold": True}
            yield from ((f"# - {sentence}", {}) for sentence in sentences)
            yield "", {}
    if merged.problems:
        yield f"# Problems: {len(merged.problems)}", {"bold": True, "fg": "red"}
        yield from ((f"# {line}", {}) for line in listing(merged.problems))
