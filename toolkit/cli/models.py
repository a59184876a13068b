"""``toolkit models``: find, show, compare, adopt, verify."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from toolkit.cli.comparison import print_comparison
from toolkit.cli.context import CommandLine, pass_request
from toolkit.cli.jsonable import shown_path
from toolkit.cli.parameters import ARCHITECTURE, DATASET, INPUT_PATH, MODEL, request_options
from toolkit.cli.tables import print_facts, print_rows
from toolkit.cli.visible import visible
from toolkit.errors import IncompatibleModelsError
from toolkit.requests.adopt import Adopt
from toolkit.requests.compare import CompareModels
from toolkit.requests.models import FindModels, ShowModel, VerifyModels
from toolkit.vocabulary import file_size, percent, sizes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from toolkit.operations.adopt import Adopted
    from toolkit.operations.models import FoundModel, ModelDetails

_EXIT_STATUS = {"damaged": 5, "unreadable": 3}


@click.group("models")
def command() -> None:
    """Find, show, compare, adopt and verify model files."""


@command.command("find")
@click.argument("folders", nargs=-1, type=INPUT_PATH, metavar="[DIR…]")
@pass_request(FindModels)
def find(command_line: CommandLine, request: FindModels) -> None:
    """List the models in folders, or in models/."""
    models = command_line.toolkit.find(request)
    where = ", ".join(map(shown_path, request.folders or (command_line.toolkit.workspace.models,)))
    command_line.output.result({"models": models}, lambda console: _print_found(models, where, console))


def _print_found(models: tuple[FoundModel, ...], where: str, console: Console) -> None:
    from rich.text import Text

    if not models:
        console.print(f"no models in {where}; `toolkit train` trains one")
        return
    numbers = ("size", "parameters", "classes", "validation")
    rows = [
        (
            shown_path(model.path),
            file_size(model.size),
            "" if model.parameters is None else f"{model.parameters:,}",
            "" if model.classes is None else str(model.classes),
            "" if model.card.validation_accuracy is None else percent(model.card.validation_accuracy),
            Text(model.state, "red" if model.problem else ""),
        )
        for model in models
    ]
    print_rows(console, ("model", *numbers, "file"), rows, numbers=numbers)
    for model in models:
        if model.problem:
            console.print(visible(model.problem), style="red")


@command.command("show")
@click.argument("model", type=MODEL)
@request_options(ShowModel, arch=ARCHITECTURE)
@pass_request(ShowModel)
def show(command_line: CommandLine, request: ShowModel) -> None:
    """Show a model's card, layers and tensors."""
    details = command_line.toolkit.show(request)
    command_line.output.result(details, lambda console: _print_details(details, console))


def _print_details(details: ModelDetails, console: Console) -> None:
    card = details.card
    facts = {
        "file": f"{shown_path(details.path)}, {file_size(details.size)}, {details.state}",
        "network": f"{sizes(details.input_shape)} → "
        f"{sizes(details.output_shape) if details.output_shape else 'unknown'}, "
        f"{details.parameters:,} parameters, {details.dialect}",
        "weights": details.digest,
        "architecture": card.architecture,
        "made by": " ".join(filter(None, (card.made_by, card.dataset and f"on {card.dataset}"))),
        "pixels": str(card.convention or ("unknown: the network is untrained" if card.untrained else "")),
        "classes": _joined(card.classes),
        "scores": ", ".join(
            f"{name.removesuffix('_accuracy')} {percent(value)}"
            for name, value in card.metrics.items()
            if name.endswith("_accuracy")
        ),
        "from": ", ".join(f"{parent.name} ({parent.weight:.2f})" for parent in card.parents),
        "left out": ", ".join(details.dropped),
        "not run": details.not_runnable,
        "not finite": ", ".join(
            f"tensor {name} has {count:,} values that are NaN or infinite"
            for name, count in details.not_finite.items()
        ),
    }
    print_facts(console, facts)
    console.print()
    rows = []
    for layer in details.layers:
        tensors = (f"{spec.name.rpartition('/')[2]} {sizes(spec.shape)}" for spec in layer.tensors)
        rows.append((layer.name, layer.kind, ", ".join(tensors)))
    print_rows(console, ("layer", "kind", "tensors"), rows, folded=("layer", "tensors"))


def _joined(classes: Sequence[str]) -> str:
    return ("" if all(len(name) == 1 for name in classes) else ", ").join(classes)


@command.command("compare", short_help="Compare models without running them.")
@click.argument("models", nargs=-1, required=True, type=INPUT_PATH, metavar="MODEL MODEL…")
@request_options(CompareModels, arch=ARCHITECTURE)
@pass_request(CompareModels)
def compare(command_line: CommandLine, request: CompareModels) -> None:
    """Compare models without running them: networks, weights, relatives.

    Models with one letter under net are equal but for names and weights. A file that cannot be read is
    listed with the reason.
    """
    compared = command_line.toolkit.compare(request, progress=command_line.output.progress())
    command_line.output.result(compared, lambda console: print_comparison(compared, console))


@command.command("adopt")
@click.argument("model", type=MODEL)
@request_options(Adopt, "convention", "force", arch=ARCHITECTURE, dataset=DATASET)
@pass_request(Adopt)
def adopt(command_line: CommandLine, request: Adopt) -> None:
    """Find out a network's input format and classes, and write its card.

    Orientations, scales, inks and class orders are tried on a few hundred labelled images. The
    exit status is 4 if the network reads none of them: it is untrained, or made for other images.
    """
    adopted = command_line.toolkit.adopt(request, progress=command_line.output.progress())
    command_line.output.result(adopted, lambda console: _print_adopted(adopted, console))
    if adopted.certainty == "untrained":
        raise click.exceptions.Exit(IncompatibleModelsError.exit_status)


def _print_adopted(adopted: Adopted, console: Console) -> None:
    images = "drawn glyphs, because no labelled images here have its classes" if adopted.drawn else ""
    tried = ", ".join(f"{one.convention} {percent(one.accuracy)}" for one in adopted.tried[1:4])
    facts = {
        "input format": f"{adopted.convention or 'unknown'} ({adopted.certainty})",
        "classes": _joined([name or "(unused)" for name in adopted.classes]),
        "class order": adopted.class_order if adopted.classes else "",
        "accuracy": f"{percent(adopted.accuracy)} on {adopted.images:,} images of "
        f"{images or f'{adopted.dataset}, {adopted.split}'}",
        "search": adopted.sentence,
        "others": tried,
        "card": shown_path(adopted.card),
    }
    print_facts(console, facts)


@command.command("verify")
@click.argument("models", nargs=-1, type=MODEL, metavar="[MODEL…]")
@pass_request(VerifyModels)
def verify(command_line: CommandLine, request: VerifyModels) -> None:
    """Compare files and weights with the digests in their cards.

    The exit status is 5 if one is damaged, 3 if one cannot be read.
    """
    verified = command_line.toolkit.verify(request)
    command_line.output.result({"models": verified}, lambda console: _print_verified(verified, console))
    states = {item.state for item in verified}
    for state, status in _EXIT_STATUS.items():
        if state in states:
            raise click.exceptions.Exit(status)


def _print_verified(verified: tuple[FoundModel, ...], console: Console) -> None:
    if not verified:
        console.print("no models in models/")
    for item in verified:
        console.print(f"{item.state:<10}  {shown_path(item.path)}  {visible(item.problem)}".rstrip())
