"""What every command gets: the plugins, the workspace, the output, and the options they share."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click
from click.core import ParameterSource

from toolkit.cli.output import Output
from toolkit.cli.parameters import INPUT_PATH, OUTPUT_PATH, SIZE
from toolkit.errors import MissingInputError
from toolkit.operations.toolkit import Toolkit

if TYPE_CHECKING:
    from toolkit.host.catalog import Catalog
    from toolkit.host.manager import PluginRecord

F = TypeVar("F", bound=Callable[..., Any])

_TYPED = (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT)


class CommandLine:
    """The object of every Click context: the toolkit, and where the command prints."""

    def __init__(self, load_catalog: Callable[[], Catalog] | None = None) -> None:
        self.toolkit = Toolkit(load_catalog=load_catalog)
        self.output = Output()

    @property
    def plugins_seen(self) -> tuple[PluginRecord, ...]:
        """The plugins, if they have been used; loads none."""
        return self.toolkit.catalog.records_so_far if "catalog" in vars(self.toolkit) else ()


_give_command_line = click.make_pass_decorator(CommandLine, ensure=True)


def pass_command_line(function: F) -> F:
    """Pass the :class:`CommandLine` to a command's function as its first argument.

    With ``--output json``, what plugins and libraries print is kept out of the document.
    """

    @_give_command_line
    @functools.wraps(function)
    def run(command_line: CommandLine, *arguments: Any, **options: Any) -> Any:
        with command_line.output.for_the_document_alone():
            return function(command_line, *arguments, **options)

    return cast("F", run)


def with_common_options(command: click.Command, *, environment: bool = False) -> click.Command:
    """Add the common options to a command and its subcommands, except for names that it uses itself.

    They mean the same before and after the command's name. Only the program reads their environment
    variables: otherwise a variable would replace an option typed before the command's name.
    """
    taken = {name for parameter in command.params for name in (*parameter.opts, parameter.name)}
    for declarations, settings in _COMMON_OPTIONS:
        if taken.isdisjoint({*declarations, declarations[-1].strip("-").replace("-", "_")}):
            command.params.append(click.Option(declarations, **settings, allow_from_autoenv=environment))
    if isinstance(command, click.Group):
        for below in command.commands.values():
            with_common_options(below)
    return command


def with_environment(command: click.Command, prefix: str, name: str) -> click.Command:
    """Let every option of a command, and of those below it, be set by ``<prefix>_<NAME>_<OPTION>``.

    Click would name the variable after the function's argument, which users do not see.
    """
    prefix = _variable(prefix, name)
    for parameter in command.params:
        if isinstance(parameter, click.Option) and parameter.allow_from_autoenv and parameter.envvar is None:
            long = next((name for name in parameter.opts if name.startswith("--")), parameter.opts[0])
            parameter.envvar = _variable(prefix, long)
    if isinstance(command, click.Group):
        for below_name, below in command.commands.items():
            with_environment(below, prefix, below_name)
    return command


def _variable(prefix: str, name: str) -> str:
    return f"{prefix}_{name.lstrip('-').replace('-', '_').replace('.', '_').upper()}"


def pass_request(request_type: type[Any]) -> Callable[[F], F]:
    """Give a command's function its :class:`CommandLine` and the request made of its parameters.

    Parameters are named like the request's fields; what was not typed has the request's default, and
    ``--convention`` fills ``convention`` and ``conventions``. Other parameters follow as keywords.
    """

    def decorate(function: F) -> F:
        @pass_command_line
        @functools.wraps(function)
        def run(command_line: CommandLine, **parameters: Any) -> Any:
            request, others = _request(request_type, parameters)
            return function(command_line, request, **others)

        return cast("F", run)

    return decorate


def _request(request_type: type[Any], parameters: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    from toolkit.options import options_from_mapping

    context = click.get_current_context()
    fields = {field.name for field in dataclasses.fields(request_type)}
    given = {
        name: value
        for name, value in parameters.items()
        if name in fields and context.get_parameter_source(name) in _TYPED
    }
    if "conventions" in fields and "convention" in given:
        pairs = given.pop("convention")
        given["conventions"] = {model: convention for model, convention in pairs if model is not None}
        given["convention"] = dict(pairs).get(None)
    others = {name: value for name, value in parameters.items() if name not in fields}
    return options_from_mapping(request_type, given, owner=context.command_path), others


def settings_of(arguments: Sequence[str], environ: Mapping[str, str]) -> Output:
    """Read the output settings before Click does, for errors in its parsing."""
    arguments = arguments[: arguments.index("--")] if "--" in arguments else arguments
    output = environ.get("TOOLKIT_OUTPUT", "")
    for place, argument in enumerate(arguments):
        if argument == "--output":
            output = arguments[place + 1] if place + 1 < len(arguments) else ""
        elif argument.startswith("--output="):
            output = argument.removeprefix("--output=")
    debug = "--debug" in arguments or environ.get("TOOLKIT_DEBUG", "").lower() in ("1", "true", "yes", "on")
    return Output(json=output.lower() == "json", debug=debug)


def _set_workspace(command_line: CommandLine, folder: Path) -> None:
    if not folder.is_dir():
        raise MissingInputError(f"{folder}: the workspace is not a folder", hint="create it, or name another")
    command_line.toolkit.folder = folder


def _common(
    apply: Callable[[CommandLine, Any], None], *declarations: str, **settings: Any
) -> tuple[tuple[str, ...], dict[str, Any]]:
    def callback(context: click.Context, _parameter: click.Parameter, value: Any) -> None:
        if value not in (None, False):
            apply(context.ensure_object(CommandLine), value)

    return declarations, {"callback": callback, "expose_value": False, "is_eager": True, **settings}


def _flag(name: str, *declarations: str, help: str) -> tuple[tuple[str, ...], dict[str, Any]]:  # noqa: A002 - Click's
    return _common(lambda line, on: setattr(line.output, name, on), *declarations, is_flag=True, help=help)


_COMMON_OPTIONS = (
    _common(
        lambda command_line, name: setattr(command_line.output, "json", name == "json"),
        "--output",
        type=click.Choice(["text", "json"], case_sensitive=False),
        help="Print the result as text or as one JSON document.",
    ),
    _flag("quiet", "--quiet", help="Show no progress and no notes."),
    _flag("verbose", "-v", "--verbose", help="Show all facts and notes."),
    _common(
        lambda command_line, path: command_line.output.log_to(path),
        "--log-file",
        type=OUTPUT_PATH,
        help="Write notes, warnings and errors to the end of this file, too.",
    ),
    _flag("debug", "--debug", help="Show the traceback of an expected failure, too."),
    _common(
        _set_workspace,
        "--workspace",
        type=INPUT_PATH,
        metavar="DIR",
        help="Folder with models/, datasets/ and runs/; by default the working directory.",
    ),
    _common(
        lambda command_line, size: setattr(command_line.toolkit, "allowed_size", size),
        "--max-size",
        type=SIZE,
        help="Largest size of a model file's tensors, unpacked, such as 4GB; by default 2 GB.",
    ),
)
