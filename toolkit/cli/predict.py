"""``toolkit predict``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from toolkit.cli.context import CommandLine, pass_request
from toolkit.cli.jsonable import shown_path
from toolkit.cli.parameters import ARCHITECTURE, FOLDER, INPUT_PATH, MODEL, request_options
from toolkit.cli.tables import print_rows
from toolkit.errors import UnreadableInputError
from toolkit.requests.predict import Predict
from toolkit.vocabulary import percent

if TYPE_CHECKING:
    from rich.console import Console

    from toolkit.operations.predict import ImagePredictions


@click.command("predict")
@click.argument("model", type=MODEL)
@click.argument("images", nargs=-1, required=True, type=INPUT_PATH, metavar="IMAGE|FOLDER|-…")
@request_options(Predict, "top", "ink", "convention", "force", arch=ARCHITECTURE, save_input=FOLDER)
@pass_request(Predict)
def command(command_line: CommandLine, request: Predict) -> None:
    """Predict the character in each picture.

    Each picture is a PNG or JPEG file with one character; - reads one from standard input. Of a
    FOLDER, all PNG and JPEG files are read, in order of their names, without subfolders.
    """
    output = command_line.output
    result = command_line.toolkit.predict(request, progress=output.progress())
    failed = [row.error for row in result.images if row.error is not None]
    output.result(result, lambda console: print_predictions(result.images, console))
    if len(result.images) == 1 and failed:
        raise failed[0]
    for error in failed:
        output.warn(str(error))
    if failed:
        raise UnreadableInputError(f"{len(failed)} of {len(result.images)} pictures could not be read")


def print_predictions(images: tuple[ImagePredictions, ...], console: Console) -> None:
    """Print a row for each picture that was read."""
    rows = []
    for image in images:
        if image.error is None:
            cells = [f"{item.character} {percent(item.probability, 1)}" for item in image.predictions]
            saved = [f"saved in {shown_path(image.saved)}"] if image.saved else []
            rows.append([image.image, *cells, *saved])
    titles = ["image", *map(str, range(1, max(map(len, rows), default=1)))]
    print_rows(console, titles, rows, headed=False)
