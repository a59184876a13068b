"""``toolkit merge``: make one model of several."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from toolkit.cli.context import CommandLine, common_options, pass_request
from toolkit.cli.output import shown_path
from toolkit.cli.parameters import (
    DATASET,
    INPUT_PATH,
    MODEL,
    OUTPUT_PATH,
    STRATEGY,
    convention_option,
    force_option,
    options_option,
)
from toolkit.errors import StorageError
from toolkit.requests.merge import Merge
from toolkit.vocabulary import percent

if TYPE_CHECKING:
    from rich.console import Console

    from toolkit.operations.merge import Merged, MergeReport

_STYLES = {
    "better": "green",
    "perhaps better": "yellow",
    "equal": "yellow",
    "perhaps worse": "bold red",
    "worse": "bold red",
}


class _Images(click.ParamType[int]):
    """A number of images, or ``off``."""

    name = "images"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """A number of 1 or above; 0 for ``off``."""
        text = str(value).lower()
        if text == "off":
            return 0
        if not (text.isascii() and text.isdigit() and int(text) > 0):
            self.fail(f"{value!r} is neither a number of images nor off", param, ctx)
        return int(text)


@click.command("merge", short_help="Make one model of several.")
@click.argument("models", nargs=-1, metavar="[MODEL]...", type=MODEL)
@click.option(
    "--strategy",
    type=STRATEGY,
    metavar="NAME",
    help="Merge strategy; by default greedy with validation images, mean without.",
)
@options_option("the merge strategy")
@click.option(
    "--recalibrate",
    type=_Images(),
    metavar="N|off",
    help="Number of unlabelled images for the batch statistics; by default 5000 with a data set.",
)
@click.option(
    "--dataset",
    type=DATASET,
    metavar="NAME|PATH",
    help="Data set to score on; by default the models' training data; none for no images.",
)
@convention_option(multiple=True)  # type: ignore[untyped-decorator]
@click.option(
    "--out",
    type=OUTPUT_PATH,
    metavar="PATH",
    help="The merged model; its suffix decides the format.  [default: models/emnist_model.h5]",
)
@click.option("--plan", is_flag=True, help="Print the recipe and every problem; write nothing.")
@click.option("--recipe", type=INPUT_PATH, metavar="FILE", help="Run the recipe of an earlier merge or plan.")
@click.option("--keep-worse", is_flag=True, help="Save the result even if its best ingredient is better.")
@click.option("--or-best", is_flag=True, help="Save the best ingredient if it is better than the result.")
@force_option
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Random seed.")
@click.option("--test", is_flag=True, help="Score on the test split as well, once, at the end.")
@common_options
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
    output.result(_document(merged), lambda console: _show(console, merged))
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


def _show(console: Console, merged: Merged) -> None:
    report = merged.report
    if report is None:
        _show_plan(console, merged)
        return
    _show_table(console, report)
    console.print()
    for verdict in (report.verdict, report.test_verdict):
        if verdict is not None:
            console.print(verdict.sentence, style=_STYLES.get(verdict.outcome, ""))
    for sentence in (*(stage.sentence for stage in report.stages if stage.stage != "conform"), *report.notes):
        console.print(f"- {sentence}", style="dim")
    console.print()
    for name, path in (("model", merged.path), ("report", merged.page), ("recipe", merged.recipe_file)):
        if path is not None and (name == "model" or not merged.failure):
            console.print(f"{name:7} {shown_path(path)}", soft_wrap=True)


def _show_table(console: Console, report: MergeReport) -> None:
    splits: list[str] = [score.split for score in report.scores]
    rows = [["model", "share", *(splits or ["in its card"])]]
    for item in report.ingredients:
        accuracies = [score.accuracy for score in item.scores] if splits else [item.recorded_accuracy]
        rows.append([item.name, f"{100 * item.share:.1f} %", *map(percent, accuracies)])
    if report.plain_mean:
        rows.append(["plain mean", "", *(percent(score.accuracy) for score in report.plain_mean)])
    merged = f"{report.output} ({report.strategy})"
    rows.append([merged, "", *(percent(score.accuracy) for score in report.scores)])
    widths = [max(len(row[column]) for row in rows if column < len(row)) for column in range(len(rows[0]))]
    for row in rows:
        first, *others = (
            cell.ljust(width) if not i else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=False))
        )
        console.print(
            "   ".join([first, *others]).rstrip(), style="bold" if row is rows[-1] else "", soft_wrap=True
        )


def _show_plan(console: Console, merged: Merged) -> None:
    from toolkit.operations.merge import listing

    console.print(merged.recipe.to_toml().rstrip(), soft_wrap=True)
    for title, sentences in (("Choices", merged.choices), ("Warnings and assumptions", merged.notes)):
        if sentences:
            console.print()
            console.print(f"# {title}", style="bold")
            for sentence in sentences:
                console.print(f"# - {sentence}")
    if merged.problems:
        console.print()
        count = len(merged.problems)
        console.print("# 1 problem" if count == 1 else f"# {count} problems", style="bold red")
        for line in listing(merged.problems):
            console.print(f"# {line}", soft_wrap=True)
