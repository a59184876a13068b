"""Types and options of parameters that several commands have; shell completion knows their values."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.shell_completion import CompletionItem

from toolkit.declared_options import Accepted, fields_of
from toolkit.host.kinds import ARCHITECTURES, EXPORTERS, MERGE_STRATEGIES, MODEL_FORMATS, Kind
from toolkit.vocabulary import Convention, file_size

if TYPE_CHECKING:
    from toolkit.operations.toolkit import Toolkit

F = TypeVar("F", bound=Callable[..., Any])
Known = Callable[["Toolkit"], Iterable[tuple[str, str]]]

INPUT_PATH = click.Path(path_type=Path, readable=False)
"""A file or folder to be read; the operation that opens it reports its problems."""

OUTPUT_PATH = click.Path(dir_okay=False, path_type=Path)
"""A file to be written."""

FOLDER = click.Path(file_okay=False, path_type=Path)
"""A folder to be used or created."""


class Size(click.ParamType):  # type: ignore[type-arg]
    """A number of bytes with its unit: ``4GB``."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ARG002
        """The size in bytes."""
        from toolkit.store.limits import parse_size

        return value if isinstance(value, int) else parse_size(value)


SIZE = Size()


def _completed(known: Known, context: click.Context, incomplete: str) -> list[CompletionItem]:
    toolkit = getattr(context.find_root().obj, "toolkit", None)
    found = () if toolkit is None else known(toolkit)
    return [CompletionItem(name, help=summary) for name, summary in found if name.startswith(incomplete)]


class Name(click.ParamType):  # type: ignore[type-arg]  # generic from Click 8.3 on
    """A name that the operation looks up; completion lists the known ones with their summaries."""

    def __init__(self, name: str, known: Known) -> None:
        self.name = name
        self._known = known

    def shell_complete(self, ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The known names that begin so."""
        return _completed(self._known, ctx, incomplete)


class ModelPath(click.Path):
    """The path of a model; completion lists the models in models/ before other files."""

    def __init__(self) -> None:
        super().__init__(path_type=Path, readable=False)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """The models whose paths begin so, and files."""
        return [*_completed(_models, ctx, incomplete), *super().shell_complete(ctx, param, incomplete)]


def _contributions(kind: Kind[Any]) -> Known:
    return lambda toolkit: [(name, one.summary) for name, one in toolkit.catalog.all(kind).items()]


def _datasets(toolkit: Toolkit) -> Iterable[tuple[str, str]]:
    return [(source.name, source.summary) for source in toolkit.data.sources()]


def _models(toolkit: Toolkit) -> Iterable[tuple[str, str]]:
    from toolkit.store.find import find_files

    formats = toolkit.catalog.all(MODEL_FORMATS).values()
    suffixes = [suffix for model_format in formats for suffix in model_format.suffixes]
    found = find_files([toolkit.workspace.models], suffixes)
    return [(file.path.as_posix(), file_size(file.size)) for file in found]


def _runs(toolkit: Toolkit) -> Iterable[tuple[str, str]]:
    folder = toolkit.workspace.runs
    names = [path.name for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else []
    return [("latest", "the newest run"), *((name, "") for name in sorted(names, reverse=True))]


STRATEGY = Name("strategy", _contributions(MERGE_STRATEGIES))
ARCHITECTURE = Name("architecture", _contributions(ARCHITECTURES))
EXPORTER = Name("exporter", _contributions(EXPORTERS))
DATASET = Name("dataset", _datasets)
RUN = Name("run", _runs)
MODEL = ModelPath()


class ConventionType(click.ParamType):  # type: ignore[type-arg]
    """``ORIENTATION/SCALE/INK``; if a request has conventions by model, ``MODEL=…`` as well."""

    def __init__(self, *, by_model: bool) -> None:
        self._by_model = by_model
        self.name = "[MODEL=]orientation/scale/ink" if by_model else "orientation/scale/ink"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ARG002
        """A convention; by model, a pair of the model (None for all) and its convention."""
        model, _, text = value.rpartition("=") if self._by_model else ("", "", value)
        return (model or None, Convention.parse(text)) if self._by_model else Convention.parse(text)


def request_options(request_type: type[Any], *names: str, **types: click.ParamType) -> Callable[[F], F]:  # type: ignore[type-arg]
    """Add an option for each named field of a request; ``types`` has fields with their own Click type."""
    fields = fields_of(request_type)

    def decorate(function: F) -> F:
        for name in reversed([name for name in fields if name in {*names, *types}]):
            flags = ["-o", "--option", name] if name == "options" else [f"--{name.replace('_', '-')}"]
            settings = _settings(
                name, fields[name], types.get(name), by_model=name == "convention" and "conventions" in fields
            )
            function = click.option(*flags, required=fields[name].required, **settings)(function)
        return function

    return decorate


def _settings(name: str, field: Accepted, kind: Any, *, by_model: bool) -> dict[str, Any]:
    sentence = f"{field.help[:1].upper()}{field.help[1:]}."
    if name == "options":
        sentence += " May be given several times; `toolkit plugins show NAME` lists them."
        return {"multiple": True, "metavar": "KEY=VALUE", "help": sentence}
    if field.type is bool:
        return {"is_flag": True, "help": sentence}
    if field.type is Convention:
        sentence += " MODEL=… is for one model; may be given several times." if by_model else ""
        return {"type": ConventionType(by_model=by_model), "multiple": by_model, "help": sentence}
    if kind is None and field.choices:
        kind = click.Choice(field.choices)
    elif kind is None and field.type in (int, float):
        numbers: Any = click.IntRange if field.type is int else click.FloatRange
        kind = numbers(field.minimum, field.maximum)
    elif kind is None and field.type is Path:
        kind = OUTPUT_PATH
    shown = {} if field.default in (None, "", [], {}) else {"default": field.default, "show_default": True}
    return {"type": kind, "help": sentence, **shown}
