"""``toolkit merge``: make one model of several."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from toolkit.cli.context import CommandLine, pass_request
from toolkit.cli.jsonable import shown_path
from toolkit.cli.parameters import ARCHITECTURE, DATASET, INPUT_PATH, MODEL, STRATEGY, request_options
from toolkit.cli.visible import visible_lines
from toolkit.errors import StorageError
from toolkit.requests.merge import Merge
from toolkit.vocabulary import percent

if TYPE_CHECKING:
    from toolkit.operations.merge import Merged, MergeReport

_COLORS: Mapping[str, str] = {
    "better": "green", "perhaps better": "yellow", "equal": "yellow", "in doubt": "yellow",
    "perhaps worse": "red", "worse": "red"
}  # fmt: skip


class _Images(click.IntRange):
    """A number of images, or ``off``."""

    name = "n|off"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return 0 if str(value).lower() == "off" else super().convert(value, param, ctx)


@click.command("merge", short_help="Make one model of several.")
@click.argument("models", nargs=-1, metavar="[MODEL]...", type=MODEL)
@request_options(
    Merge,
    *("options", "convention", "out", "plan", "keep_worse", "or_best", "force", "seed", "test"),
    arch=ARCHITECTURE,
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
    elif merged.report is None:
        _print_plan(merged)
    else:
        _print_report(merged, merged.report, verbose=output.verbose)
    if merged.problems:
        click.get_current_context().exit(refusal(merged.problems).exit_status)
    if merged.failure:
        output.warn(f"the model was saved, its report was not: {merged.failure}")
        click.get_current_context().exit(StorageError.exit_status)


def _document(merged: Merged) -> dict[str, Any]:
    if merged.report is None:
        return {"plan": {name: getattr(merged, name) for name in ("recipe", "problems", "choices", "notes")}}
    files = {"merged": merged.path, "report_html": merged.report_html, "report_json": merged.report_json}
    outcome = {"status": merged.status, "failure": merged.failure, "report": merged.report}
    return {**outcome, **files, "recipe": merged.recipe_file}


def _echo(text: str = "", **style: Any) -> None:
    """A plain line: rich would take as long to import as the merge of two small models takes."""
    click.secho(visible_lines(text), color=False if os.environ.get("NO_COLOR") else None, **style)


def _print_report(merged: Merged, report: MergeReport, *, verbose: bool) -> None:
    """The table, the verdict, at most three sentences (all of them with ``--verbose``), the files."""
    _print_table(report)
    _echo()
    for verdict in (report.verdict, report.test_verdict):
        if verdict is not None:
            _echo(verdict.sentence, fg=_COLORS.get(verdict.outcome), bold=verdict.hurt)
    stages = [stage.sentence for stage in report.stages if stage.stage != "conform"]
    sentences = [*stages, *report.notes]
    if not verbose:  # the last notes are about this merge, the first about files that were skipped
        sentences = [*stages[-1:], *report.notes[::-1]][:3]
    for sentence in sentences:
        _echo(f"- {sentence}")
    _echo()
    for name, path in (
        ("model", merged.path),
        ("report", merged.report_html),
        ("recipe", merged.recipe_file),
    ):
        if path is not None and (name == "model" or not merged.failure):
            _echo(f"{name:7} {shown_path(path)}")


def _print_table(report: MergeReport) -> None:
    splits: list[str] = [score.split for score in report.scores]
    rows = [["model", "share", *(splits or ["in its card"])]]
    for item in report.ingredients:
        accuracies = [score.accuracy for score in item.scores] if splits else [item.recorded_accuracy]
        rows.append([item.name, percent(item.share, 1), *map(percent, accuracies)])
    for name, scores in (("plain mean", report.plain_mean), (report.output, report.scores)):
        if scores:
            rows.append([name, "", *(percent(score.accuracy) for score in scores)])
    name_width, *widths = (max(map(len, column)) for column in zip(*rows, strict=True))
    for row in rows:
        figures = (cell.rjust(width) for cell, width in zip(row[1:], widths, strict=True))
        _echo("   ".join([row[0].ljust(name_width), *figures]), bold=bool(splits) and row is rows[-1])


def _print_plan(merged: Merged) -> None:
    from toolkit.operations.merge import listing

    _echo(merged.recipe.to_toml())
    for title, sentences in (("Choices", merged.choices), ("Warnings and assumptions", merged.notes)):
        if sentences:
            _echo(f"# {title}", bold=True)
            _echo("\n".join(f"# - {sentence}" for sentence in sentences) + "\n")
    if merged.problems:
        _echo(f"# Problems: {len(merged.problems)}", bold=True, fg="red")
        _echo("\n".join(f"# {line}" for line in listing(merged.problems)))
