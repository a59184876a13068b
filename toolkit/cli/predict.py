"""``toolkit predict``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from toolkit.cli.context import CommandLine, common_options, pass_command_line
from toolkit.cli.output import shown_path
from toolkit.cli.parameters import INPUT_PATH, convention_option

if TYPE_CHECKING:
    from rich.console import Console

    from toolkit.operations.predict import PictureInk, Prediction
    from toolkit.vocabulary import Convention

_GUESS = len("A 100.0%") + 3


@click.command("predict")
@click.argument("model", type=INPUT_PATH)
@click.argument("images", nargs=-1, required=True, type=INPUT_PATH, metavar="IMAGE…")
@click.option("--top", type=click.IntRange(min=1), default=5, show_default=True, help="Guesses a picture.")
@click.option(
    "--ink",
    type=click.Choice(["auto", "dark", "light"]),
    default="auto",
    show_default=True,
    help="Whether the strokes are dark or light.",
)
@convention_option
@click.option(
    "--save-input",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Save the 28×28 that the network sees there.",
)
@common_options
@pass_command_line
def command(
    command_line: CommandLine,
    model: Path,
    images: tuple[Path, ...],
    top: int,
    ink: PictureInk,
    convention: Convention | None,
    save_input: Path | None,
) -> None:
    """Recognise the character in each picture (PNG or JPEG, one character each)."""
    from toolkit.operations.predict import predict

    predictions, assumed = predict(
        command_line.toolkit, model, images, top=top, ink=ink, convention=convention, save_to=save_input
    )
    for assumption in assumed:
        command_line.output.note(assumption)
    command_line.output.result({"predictions": predictions}, lambda console: _print(predictions, console))


def _print(predictions: tuple[Prediction, ...], console: Console) -> None:
    width = max(len(prediction.picture) for prediction in predictions)
    for prediction in predictions:
        guesses = [f"{guess.character} {guess.probability:.1%}" for guess in prediction.guesses]
        room = len(guesses) if console.soft_wrap else (console.width - width - 2) // _GUESS
        beside = max(room, 1)
        for begin in range(0, len(guesses), beside):
            name = "" if begin else prediction.picture
            cells = (f"{guess:<{_GUESS}}" for guess in guesses[begin : begin + beside])
            console.print(f"{name:<{width}}  {''.join(cells).rstrip()}")
        if prediction.seen is not None:
            console.print(f"{'':<{width}}  seen as {shown_path(prediction.seen)}")
