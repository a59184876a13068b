"""``toolkit merge``: make one model of several."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from toolkit.cli.context import CommandLine, common_options, options_option, pass_command_line
from toolkit.cli.output import shown_path
from toolkit.cli.parameters import INPUT_PATH

if TYPE_CHECKING:
    from rich.console import Console

    from toolkit.merging.plan import MergePlan
    from toolkit.merging.report import MergeReport
    from toolkit.operations.merge import MergeOutcome
    from toolkit.vocabulary import SplitName

_STYLES = {"better": "green", "perhaps better": "yellow", "equal": "yellow", "worse": "bold red"}


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
@click.argument("models", nargs=-1, metavar="[MODEL]...", type=INPUT_PATH)
@click.option(
    "--strategy", metavar="NAME", help="How; by default greedy with a data set at hand, mean without."
)
@options_option("the merge strategy")
@click.option(
    "--recalibrate",
    type=_Images(),
    metavar="N|off",
    help="Count batch statistics anew on N unlabelled images; by default 5000 with a data set at hand.",
)
@click.option(
    "--dataset",
    metavar="NAME|PATH",
    help="Images to score on; by default those the models were trained on; none for no images.",
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="PATH",
    help="The merged model; its suffix decides the format.  [default: models/emnist_model.h5]",
)
@click.option(
    "--plan", "plan_only", is_flag=True, help="Say what would be done, and every problem; write nothing."
)
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of every random choice."
)
@click.option("--test", is_flag=True, help="Score on the test split as well, once, at the end.")
@common_options
@pass_command_line
def command(
    command_line: CommandLine,
    models: tuple[Path, ...],
    strategy: str | None,
    options: tuple[str, ...],
    recalibrate: int | None,
    dataset: str | None,
    out: Path | None,
    plan_only: bool,  # noqa: FBT001 - Click calls it by name
    seed: int,
    test: bool,  # noqa: FBT001
) -> None:
    """Make one model of several.

    Without MODEL it takes the family of the best models in models/ by validation accuracy, and
    says which and why. The merge is scored against its ingredients, and one that is not better
    than the best of them is said to be so.
    """
    from toolkit.operations.merge import MergeOrder, merge, refusal

    order = MergeOrder(models, strategy, options, recalibrate, dataset, out, plan_only, seed, test)
    outcome = merge(command_line.toolkit, order, command_line.output.progress())
    command_line.output.close()
    command_line.output.result(_document(outcome), lambda console: _show(console, outcome))
    if outcome.plan.problems:
        click.get_current_context().exit(refusal(outcome.plan.problems).exit_status)


def _document(outcome: MergeOutcome) -> dict[str, Any]:
    if outcome.report is None:
        return {"plan": outcome.plan}
    return {
        "merged": outcome.path,
        "report_html": outcome.page,
        "report_json": outcome.document,
        "report": outcome.report,
    }


def _show(console: Console, outcome: MergeOutcome) -> None:
    if outcome.report is None:
        _show_plan(console, outcome.plan)
        return
    report = outcome.report
    console.print(_table(report))
    console.print()
    for verdict in (report.verdict, report.test_verdict):
        if verdict is not None:
            console.print(verdict.sentence, style=_STYLES.get(verdict.outcome, ""))
    console.print(_bullets((report.recalibration.sentence, *report.notes)), style="dim")
    console.print()
    for name, path in (("model", outcome.path), ("report", outcome.page)):
        if path is not None:
            console.print(f"{name:7} {shown_path(path)}", soft_wrap=True)


def _table(report: MergeReport) -> Any:
    from rich.table import Table

    splits: Sequence[SplitName] = [score.split for score in report.scores]
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), show_edge=False)
    table.add_column("model", overflow="fold", max_width=44)
    table.add_column("share", justify="right")
    for split in splits:
        table.add_column(split, justify="right")
    recorded = any(item.recorded_accuracy is not None for item in report.ingredients)
    if not splits and recorded:
        table.add_column("accuracy in its card", justify="right")
    for item in report.ingredients:
        accuracies = [_share(score.accuracy) for score in item.scores]
        if not splits and recorded:
            accuracies = [_share(item.recorded_accuracy)]
        table.add_row(item.name, f"{100 * item.weight:.1f} %", *accuracies)
    if report.plain_mean:
        table.add_row("plain mean", "", *[_share(score.accuracy) for score in report.plain_mean], style="dim")
    table.add_row(
        f"{report.output} ({report.strategy})",
        "",
        *[_share(score.accuracy) for score in report.scores],
        style="bold",
    )
    return table


def _bullets(sentences: Sequence[str]) -> Any:
    """Sentences one below the other, each kept clear of its dash."""
    from rich.table import Table

    grid = Table.grid(padding=(0, 1, 0, 0))
    for sentence in sentences:
        grid.add_row("-", sentence)
    return grid


def _share(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.2f} %"


def _show_plan(console: Console, plan: MergePlan) -> None:
    from rich.table import Table

    from toolkit.operations.merge import listing

    verb = "cannot be done" if plan.problems else "would be done"
    console.print(f"Nothing is written. This {verb}:")
    console.print()
    facts = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), show_header=False)
    facts.add_column()
    facts.add_column(overflow="fold")
    options = ", ".join(f"{key}={_option(value)}" for key, value in plan.options.items())
    facts.add_row("strategy", f"{plan.strategy} ({options})" if options else plan.strategy)
    for index, item in enumerate(plan.ingredients):
        accuracy = "" if item.accuracy is None else f"  {_share(item.accuracy)} on validation, says its card"
        facts.add_row("ingredients" if index == 0 else "", f"{item.name}{accuracy}")
    if plan.parameters:
        facts.add_row("network", f"{plan.parameters:,} parameters, {plan.classes} classes")
    facts.add_row("data set", plan.dataset or "none")
    facts.add_row("recalibrate", f"on {plan.recalibrate:,} images" if plan.recalibrate else "off")
    facts.add_row("output", shown_path(Path(plan.output)))
    console.print(facts)
    for title, sentences in (("chosen", plan.choices), ("worth knowing", plan.notes)):
        if sentences:
            console.print()
            console.print(title, style="bold")
            console.print(_bullets(sentences))
    if plan.problems:
        console.print()
        count = len(plan.problems)
        console.print("1 problem" if count == 1 else f"{count} problems", style="bold red")
        for line in listing(plan.problems):
            console.print(line, soft_wrap=True)


def _option(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ",".join(map(str, value)) or "none"
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
