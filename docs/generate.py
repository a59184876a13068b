"""Generates the pages of the documentation that are made from the code: ``python -m docs.generate``.

A test compares the pages with the code.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from docs.formats_page import formats_page
from docs.plugins_page import plugins_page

if TYPE_CHECKING:
    from toolkit.options import OptionInfo
    from toolkit.types import Architecture, DatasetLoader, Exporter, MergeStrategy

FOLDER = Path(__file__).parent

# Click leaves two columns of a terminal free.
_HELP_WIDTH = 78
_SHARED_BY_ALL_COMMANDS = """# Commands

Made from the code by `make docs`.

- The result goes to stdout, everything else to stderr.
- `--output json` prints one JSON document, a failure's included:
  `{"error": {"code": …, "message": …, "hint": …}}`.
- An expected failure is one line; `--debug` shows its traceback.
- Every option has an environment variable: `toolkit train --epochs 5` is
  `TOOLKIT_TRAIN_EPOCHS=5 toolkit train`. What is typed goes before it.
- `-v` shows all facts and notes, `--quiet` none; `--log-file FILE` keeps notes, warnings and errors.
- A reader that closes stdout early (`| head -1`) is not a failure.
- `eval "$(_TOOLKIT_COMPLETE=bash_source toolkit)"` in `~/.bashrc` completes commands, options and names of
  models, runs, data sets, strategies, architectures and exporters;
  `zsh_source` in `~/.zshrc` does the same; in fish, `_TOOLKIT_COMPLETE=fish_source toolkit | source`.
"""


_OPTIONS = """# Options

Made from the code by `make docs`: what `-o key=value` sets.

- A prefix names the part that an option belongs to: `train.` the training, `arch.` the architecture,
  `loader.` the data set, `strategy.` the merge strategy. Without a prefix, an option goes to the only part
  that has it: `toolkit train -o width=48 -o loader.seed=1`. If two parts have it, the error names both.
- Lists are separated by commas: `-o weights=2,1,1`. `none` is the absence of a value. Hyphens in a key are
  read as underscores.
- In JSON and in TOML files the same keys have values of their types, with the prefix in the key or as a
  table: `{"arch.width": 48}` or `{"arch": {"width": 48}}`.
- An unknown key is refused with the nearest one, a value that is not allowed with what is.
"""


def commands_page() -> str:
    """What all commands share, and the help of each, as it is printed on a terminal of 80 columns."""
    from toolkit.cli.main import toolkit as group

    lines = [_SHARED_BY_ALL_COMMANDS, *_statuses(), ""]
    with click.Context(
        group, info_name="toolkit", terminal_width=_HELP_WIDTH, help_option_names=["-h", "--help"]
    ) as context:
        lines += _section(group, context, depth=2)
    return "\n".join(lines)


def _statuses() -> list[str]:
    from toolkit.errors import ToolkitError

    codes: dict[int, list[str]] = {1: ["bug"], 130: ["interrupted"], 143: ["terminated"]}
    kinds = [ToolkitError]
    for kind in kinds:
        kinds += [below for below in kind.__subclasses__() if below.__module__ == ToolkitError.__module__]
        if kind is not ToolkitError and kind.code not in codes.setdefault(kind.exit_status, []):
            codes[kind.exit_status].append(kind.code)
    rows = [f"| {status} | {', '.join(f'`{code}`' for code in codes[status])} |" for status in sorted(codes)]
    return ["| exit status | codes |", "|---:|---|", "| 0 | |", *rows]


def _section(command: click.Command, context: click.Context, depth: int) -> list[str]:
    lines = [
        f"{'#' * depth} {context.command_path}",
        "",
        "```text",
        command.get_help(context).rstrip(),
        "```",
        "",
    ]
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            if child is None:
                continue
            with click.Context(child, info_name=name, parent=context, terminal_width=_HELP_WIDTH) as below:
                lines += _section(child, below, min(depth + 1, 4))
    return lines


def options_page() -> str:
    """The options of everything that plugins contribute, for ``-o key=value``."""
    from toolkit.host.catalog import Catalog
    from toolkit.host.kinds import ARCHITECTURES, DATASET_LOADERS, EXPORTERS, MERGE_STRATEGIES
    from toolkit.options import describe_options
    from toolkit.training.options import TrainingOptions

    catalog = Catalog.load({})
    kinds: dict[str, Mapping[str, Architecture | MergeStrategy | Exporter | DatasetLoader]] = {
        "Architectures": catalog.all(ARCHITECTURES),
        "Merge strategies": catalog.all(MERGE_STRATEGIES),
        "Exporters": catalog.all(EXPORTERS),
        "Data sets": catalog.all(DATASET_LOADERS),
    }
    lines = [_OPTIONS, "## toolkit train", "", *_table(describe_options(TrainingOptions)), ""]
    for title, contributions in kinds.items():
        lines += [f"## {title}", ""]
        for name, contribution in contributions.items():
            lines += [f"### {name}", "", f"{contribution.summary.rstrip('.')}.", ""]
            table = _table(describe_options(contribution.options))
            lines += [*table, ""] if table else []
    return "\n".join(lines)


def _table(options: Iterable[OptionInfo]) -> list[str]:
    rows = [
        f"| `{item.name}` | {item.type} | {'' if item.default is None else item.default} | {item.help} |"
        for item in options
    ]
    return ["| option | type | default | what it does |", "|---|---|---|---|", *rows] if rows else []


def card_schema() -> str:
    """The JSON schema of a card beside a model."""
    from toolkit.model import Card

    return _document(Card, "The card of a model")


def recipe_schema() -> str:
    """The JSON schema of a merge's recipe."""
    from toolkit.merging.recipe import Recipe
    from toolkit.options import json_schema

    return _as_text(json_schema(Recipe, "The recipe of a merge"))


def report_schema() -> str:
    """The JSON schema of a merge's report."""
    from toolkit.merging.report import MergeReport

    return _document(MergeReport, "The report of a merge")


def _document(written: type, title: str) -> str:
    """The schema of a document that the toolkit writes: every field is there."""
    from toolkit.options import json_schema

    schema = json_schema(written, title)
    schema["required"] = list(schema["properties"])
    schema["properties"]["schema"]["const"] = schema["properties"]["schema"]["default"]
    return _as_text(schema)


def _as_text(schema: dict[str, Any]) -> str:
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


PAGES = {
    "commands.md": commands_page,
    "options.md": options_page,
    "plugins.md": plugins_page,
    "formats.md": formats_page,
    "schemas/card.schema.json": card_schema,
    "schemas/recipe.schema.json": recipe_schema,
    "schemas/report.schema.json": report_schema,
}


def main() -> None:
    """Write every generated page."""
    for name, page in PAGES.items():
        (FOLDER / name).parent.mkdir(exist_ok=True)
        (FOLDER / name).write_text(page())


if __name__ == "__main__":
    main()
