"""The kinds of contributions, and what makes a declaration a good one."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from toolkit.declarations import (
    Architecture,
    Command,
    DatasetLoader,
    Exporter,
    MergeStrategy,
    ModelFormat,
    Need,
    Routes,
    RunListener,
)
from toolkit.errors import ConfigurationError
from toolkit.options import describe_options
from toolkit.vocabulary import Convention

D = TypeVar("D")

NAME_PATTERN = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
"""What a contribution may be called: it is typed, stands in URLs and in file names."""


@dataclass(frozen=True, slots=True)
class Kind(Generic[D]):
    """One kind of contribution.

    Attributes:
        hook: Name of the hook that yields it.
        declaration: The dataclass that declares it.
        word: What one of them is called.
        plural: What several are called.
        callables: Fields that must hold a callable.
        optional_callables: Fields that hold a callable or None.
    """

    hook: str
    declaration: type[D]
    word: str
    plural: str
    callables: tuple[str, ...]
    optional_callables: tuple[str, ...] = ()


DATASET_LOADERS = Kind(
    "toolkit_dataset_loaders",
    DatasetLoader,
    "dataset loader",
    "dataset loaders",
    ("detect", "load"),
    ("fetch", "make"),
)
ARCHITECTURES = Kind("toolkit_architectures", Architecture, "architecture", "architectures", ("build",))
MODEL_FORMATS = Kind(
    "toolkit_model_formats", ModelFormat, "model format", "model formats", ("read",), ("write",)
)
MERGE_STRATEGIES = Kind(
    "toolkit_merge_strategies", MergeStrategy, "merge strategy", "merge strategies", ("merge",)
)
EXPORTERS = Kind("toolkit_exporters", Exporter, "exporter", "exporters", ("export",))
RUN_LISTENERS = Kind("toolkit_run_listeners", RunListener, "run listener", "run listeners", ("hear",))
COMMANDS = Kind("toolkit_commands", Command, "command", "commands", ("load",))
ROUTES = Kind("toolkit_routes", Routes, "routes", "routes", ("load",))

KINDS: tuple[Kind[Any], ...] = (
    DATASET_LOADERS,
    ARCHITECTURES,
    MODEL_FORMATS,
    MERGE_STRATEGIES,
    EXPORTERS,
    RUN_LISTENERS,
    COMMANDS,
    ROUTES,
)
"""Every kind there is, in the order in which a plugin's contributions are listed."""


class BadDeclarationError(Exception):
    """A declaration that cannot be used; the text says which and why."""


def check_declaration(kind: Kind[D], declaration: object) -> D:
    """Check what a hook yielded.

    Args:
        kind: What the hook is there for.
        declaration: What came.

    Returns:
        The declaration.

    Raises:
        BadDeclarationError: If it is of another type, or a field of it cannot be used.
    """
    expected = kind.declaration.__name__
    if not isinstance(declaration, kind.declaration):
        raise BadDeclarationError(
            f"{kind.hook} yielded {_shown(declaration)}, expected declarations of type {expected}"
        )
    name = getattr(declaration, "name", None)
    if not isinstance(name, str) or NAME_PATTERN.fullmatch(name) is None:
        raise BadDeclarationError(
            f"{kind.hook} yielded the name {name!r}, expected lower-case letters, digits, '.', '_' and '-'"
        )
    where = f"{kind.word} {name!r}"
    summary = getattr(declaration, "summary", None)
    if not isinstance(summary, str) or not summary.strip() or "\n" in summary:
        raise BadDeclarationError(f"{where} has the summary {summary!r}, expected one line of text")
    for field in kind.callables:
        _callable(where, declaration, field)
    for field in kind.optional_callables:
        if getattr(declaration, field) is not None:
            _callable(where, declaration, field)
    if hasattr(declaration, "options"):
        _check_options(where, declaration.options)
    check = _PARTICULARS.get(kind.declaration)
    if check is not None:
        check(where, declaration)
    return declaration


def _callable(where: str, declaration: object, field: str) -> None:
    value = getattr(declaration, field)
    if not callable(value):
        raise BadDeclarationError(f"{where}: {field} is {_shown(value)}, expected a callable")


def _check_options(where: str, options: type) -> None:
    try:
        describe_options(options)
    except ConfigurationError as error:
        raise BadDeclarationError(f"{where}: {error}") from error


def _check_rank(where: str, rank: object) -> None:
    # Ranks of several plugins are compared: one that is no number would break the choice for all.
    if type(rank) not in (int, float):
        raise BadDeclarationError(f"{where}: rank is {_shown(rank)}, expected a number")


def _suffix(where: str, field: str, value: object) -> None:
    if not isinstance(value, str) or not re.fullmatch(r"(\.[a-z0-9_-]+)+", value):
        raise BadDeclarationError(f"{where}: {field} is {value!r}, expected lower case with a dot: '.h5'")


def _check_dataset_loader(where: str, loader: DatasetLoader) -> None:
    fetchable: object = loader.fetchable
    if not isinstance(fetchable, tuple) or not all(isinstance(name, str) for name in fetchable):
        raise BadDeclarationError(f"{where}: fetchable is {fetchable!r}, expected a tuple of names")
    if fetchable and loader.fetch is None:
        raise BadDeclarationError(f"{where} lists what it can fetch, but has no fetch")


def _check_architecture(where: str, architecture: Architecture) -> None:
    convention: object = architecture.convention
    if not isinstance(convention, Convention):
        raise BadDeclarationError(f"{where}: convention is {_shown(convention)}, expected a Convention")
    _check_rank(where, architecture.rank)


def _check_model_format(where: str, model_format: ModelFormat) -> None:
    suffixes: object = model_format.suffixes
    if not isinstance(suffixes, tuple) or not suffixes:
        raise BadDeclarationError(f"{where}: suffixes is {suffixes!r}, expected a tuple of one or more")
    for suffix in suffixes:
        _suffix(where, "a suffix", suffix)


def _check_merge_strategy(where: str, strategy: MergeStrategy) -> None:
    needs: object = strategy.needs
    known = isinstance(needs, frozenset) and all(isinstance(need, Need) for need in needs)
    if not known and not callable(needs):
        raise BadDeclarationError(
            f"{where}: needs is {needs!r}, expected a frozenset of Need, or a function from options to one"
        )
    if strategy.exactly is not None and (type(strategy.exactly) is not int or strategy.exactly < 2):
        raise BadDeclarationError(f"{where}: exactly is {strategy.exactly!r}, expected None, 2 or more")
    _check_rank(where, strategy.rank)


def _check_exporter(where: str, exporter: Exporter) -> None:
    _suffix(where, "suffix", exporter.suffix)


_PARTICULARS: dict[type, Callable[[str, Any], None]] = {
    DatasetLoader: _check_dataset_loader,
    Architecture: _check_architecture,
    ModelFormat: _check_model_format,
    MergeStrategy: _check_merge_strategy,
    Exporter: _check_exporter,
}


def _shown(value: object) -> str:
    name = type(value).__name__
    text = repr(value)
    return f"{name} {text}" if len(text) <= 40 else name
