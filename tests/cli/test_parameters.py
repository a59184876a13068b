"""Parameters that commands share: requests made of them, and what shell completion knows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import click
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner, Result

from toolkit import hookimpl
from toolkit.cli.context import CommandLine, pass_request
from toolkit.cli.main import toolkit as program
from toolkit.cli.parameters import (
    ARCHITECTURE,
    DATASET,
    EXPORTER,
    INPUT_PATH,
    MODEL,
    RUN,
    STRATEGY,
    request_options,
)
from toolkit.declarations import Command
from toolkit.host.catalog import Catalog
from toolkit.host.manager import PluginManager, load_plugins
from toolkit.options import option
from toolkit.vocabulary import Convention


@dataclass(frozen=True)
class Work:
    """A request."""

    models: tuple[Path, ...] = option((), help="model files")
    seed: int = option(7, help="random seed", minimum=0)
    options: tuple[str, ...] | Mapping[str, Any] = option((), help="options")
    convention: Convention | None = option(None, help="of all models")
    conventions: Mapping[str, Convention] = option({}, help="by model")
    force: bool = option(False, help="replace files")


def command() -> click.Command:
    @click.command("work")
    @click.argument("models", nargs=-1, type=INPUT_PATH)
    @click.option("--seed", type=int, default=0)
    @click.option("--strategy", type=STRATEGY)
    @click.option("--arch", type=ARCHITECTURE)
    @click.option("--to", type=EXPORTER)
    @click.option("--dataset", type=DATASET)
    @click.option("--resume", type=RUN)
    @click.option("--model", type=MODEL)
    @click.option("--twice", is_flag=True)
    @request_options(Work, "options", "convention", "force")
    @pass_request(Work)
    def work(command_line: CommandLine, request: Work, *, twice: bool, **_names: Any) -> None:
        """Do some work."""
        command_line.output.result(
            {"request": request, "twice": twice}, lambda console: console.print(str(request))
        )

    return work


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)

    def plugins() -> PluginManager:
        manager = load_plugins({})

        class Plugin:
            @hookimpl
            def toolkit_commands(self) -> Iterable[Command]:
                return (Command(name="work", summary="Does work", load=command),)

        manager.register(Plugin(), name="working")
        return manager

    def run(*arguments: str, environment: Mapping[str, str] | None = None) -> Result:
        line = CommandLine(lambda: Catalog(plugins()))
        return CliRunner().invoke(program, list(arguments), obj=line, env=environment)

    def complete(*arguments: str) -> list[str]:
        line = CommandLine(lambda: Catalog(plugins()))
        shell = ShellComplete(program, {"obj": line}, "toolkit", "_TOOLKIT_COMPLETE")
        return [item.value for item in shell.get_completions([*arguments[:-1]], arguments[-1])]

    run.complete = complete  # type: ignore[attr-defined]
    return run


def test_a_request_holds_what_was_typed_and_its_own_defaults(run: Any) -> None:
    assert f"{Work()}" in run("work").output
    typed = run("work", "a.h5", "b.h5", "--seed", "3", "-o", "power=2", "--force")
    assert f"{Work((Path('a.h5'), Path('b.h5')), 3, ('power=2',), force=True)}" in typed.output.replace(
        "\n", ""
    )
    assert (
        run("work", "--seed", "3", environment={"TOOLKIT_WORK_SEED": "5"}).output
        == run("work", "--seed", "3").output
    )
    assert "seed=5" in run("work", environment={"TOOLKIT_WORK_SEED": "5"}).output


def test_a_value_that_the_request_refuses_is_one_line(run: Any) -> None:
    result = run("work", "--seed", "-1")
    assert result.exit_code == 2
    assert result.stderr.startswith("error: seed must be 0 or above, received -1")


def test_a_convention_is_for_all_models_or_for_one(run: Any) -> None:
    typed = run(
        "work", "--convention", "upright/raw/dark", "--convention", "models/a=b.h5=transposed/unit/light"
    )
    assert f"convention={Convention('upright', 'raw', 'dark')!r}" in typed.output
    assert f"conventions={{'models/a=b.h5': {Convention('transposed')!r}}}" in typed.output
    assert run("work", "--convention", "sideways").exit_code == 2


def test_completion_knows_names_of_plugins_data_sets_runs_and_models(run: Any, tmp_path: Path) -> None:
    (tmp_path / "runs" / "2026-a").mkdir(parents=True)
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "one.h5").touch()
    assert run.complete("work", "--strategy", "me") == ["mean"]
    assert "emnist-cnn" in run.complete("work", "--arch", "")
    assert "onnx" in run.complete("work", "--to", "o")
    assert run.complete("work", "--dataset", "gly") == ["glyphs"]
    assert run.complete("work", "--resume", "") == ["latest", "2026-a"]
    assert "models/one.h5" in run.complete("work", "--model", "mod")


@dataclass(frozen=True)
class Draw:
    """A request."""

    to: str = option(help="format of the drawing")
    width: int = option(28, help="width in pixels", minimum=1, maximum=100)
    share: float | None = option(None, help="share of the images; by default all", minimum=0.0)
    ink: Literal["dark", "light"] = option("dark", help="whether strokes are dark or light")
    out: Path | None = option(None, help="file to write")
    twice: bool = option(False, help="draw it twice")


def draw(*arguments: str) -> Result:
    @click.command("draw")
    @request_options(Draw, "width", "share", "ink", "out", "twice", to=EXPORTER)
    @pass_request(Draw)
    def command(command_line: CommandLine, request: Draw) -> None:
        print(request)

    return CliRunner().invoke(command, arguments)


def test_options_of_a_command_are_made_of_its_request() -> None:
    assert draw("--to", "png").output == f"{Draw('png')}\n"
    arguments = ("--to=x", "--width=3", "--share=0.5", "--ink=light", "--out=a.png", "--twice")
    assert draw(*arguments).output == f"{Draw('x', 3, 0.5, 'light', Path('a.png'), True)}\n"
    for wrong in ((), ("--to=x", "--width=101"), ("--to=x", "--ink=red"), ("--to=x", "--share=-1")):
        assert draw(*wrong).exit_code == 2, wrong
    shown = " ".join(draw("--help").output.split())
    assert "--to EXPORTER Format of the drawing. [required]" in shown
    assert "--width INTEGER RANGE Width in pixels. [default: 28; 1<=x<=100]" in shown
    assert "--share FLOAT RANGE Share of the images; by default all. [x>=0]" in shown.replace("0.0", "0")
    assert "--out FILE File to write. --twice Draw it twice." in shown
