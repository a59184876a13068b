"""The kinds of contributions: the one table that hooks, checks and guarded calls are derived from."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

from toolkit.declarations import (
    Architecture,
    Command,
    DatasetLoader,
    DatasetSource,
    Exporter,
    ExportResult,
    MergeResult,
    MergeStrategy,
    ModelFormat,
    Routes,
    RunListener,
)
from toolkit.records import dataclass

D = TypeVar("D")


@dataclass(frozen=True)
class Call:
    """One callable of a declaration.

    Attributes:
        returns: Type of the result, or the address of a class that is slow to import; ``Any`` if the
            result is not used.
        arity: Number of positional arguments.
        optional: Whether the field may be None.
        probing: Whether exceptions become a PluginError, except those about the file that it reads.
    """

    returns: Any = Any
    arity: int = 1
    optional: bool = False
    probing: bool = False


@dataclass(frozen=True)
class Kind(Generic[D]):
    """One kind of contribution.

    Attributes:
        word: Name for one of them, in messages and in JSON.
        calls: The callables of the declaration, by field.
        rule: What is wrong with a declaration whose types are right; empty if nothing is.
    """

    hook: str
    declaration: type[D]
    word: str
    calls: Mapping[str, Call]
    rule: Callable[[D], str] = lambda _: ""


def _bad_suffix(*suffixes: str) -> str:
    bad = [suffix for suffix in suffixes if re.fullmatch(r"(\.[a-z0-9_-]+)+", suffix) is None]
    if bad:
        return f"suffix is {bad[0]!r}, expected lower case with a dot: '.h5'"
    return "" if suffixes else "suffixes is empty"


def _bad_ending(exporter: Exporter) -> str:
    if exporter.ending and not exporter.ending.endswith(exporter.suffix):
        return f"ending is {exporter.ending!r}, expected one that ends with {exporter.suffix!r}"
    return _bad_suffix(exporter.suffix, *([exporter.ending] if exporter.ending else []))


def _bad_number(strategy: MergeStrategy) -> str:
    few = strategy.exactly is not None and strategy.exactly < 2
    return f"exactly is {strategy.exactly}, expected None, 2 or more" if few else ""


DATASET_LOADERS = Kind(
    "toolkit_dataset_loaders",
    DatasetLoader,
    "dataset loader",
    {
        "detect": Call(Sequence[DatasetSource]),
        "load": Call("toolkit.data.Dataset"),
        "fetch": Call(Sequence[Path], optional=True),
        "make": Call(Sequence[Path], optional=True),
    },
    lambda loader: "fetchable is set but fetch is None" if loader.fetchable and not loader.fetch else "",
)
ARCHITECTURES = Kind("toolkit_architectures", Architecture, "architecture", {"build": Call("keras.Model")})
MODEL_FORMATS = Kind(
    "toolkit_model_formats",
    ModelFormat,
    "model format",
    {
        "read": Call("toolkit.model.Model", probing=True),
        "write": Call(arity=2, optional=True),
        "recognises": Call(bool, optional=True, probing=True),
        "read_weights": Call("toolkit.model.Model", optional=True, probing=True),
        "describe": Call("toolkit.model.Model", optional=True, probing=True),
    },
    lambda model_format: _bad_suffix(*model_format.suffixes),
)
MERGE_STRATEGIES = Kind(
    "toolkit_merge_strategies", MergeStrategy, "merge strategy", {"merge": Call(MergeResult)}, _bad_number
)
EXPORTERS = Kind(
    "toolkit_exporters",
    Exporter,
    "exporter",
    {"export": Call(ExportResult)},
    _bad_ending,
)
RUN_LISTENERS = Kind("toolkit_run_listeners", RunListener, "run listener", {"hear": Call()})
COMMANDS = Kind(
    "toolkit_commands", Command, "command", {"load": Call("click.Command", arity=0, probing=True)}
)
ROUTES = Kind("toolkit_routes", Routes, "routes", {"load": Call("flask.Blueprint", arity=0)})

KINDS: tuple[Kind[Any], ...] = (
    *(DATASET_LOADERS, ARCHITECTURES, MODEL_FORMATS, MERGE_STRATEGIES),
    *(EXPORTERS, RUN_LISTENERS, COMMANDS, ROUTES),
)
"""Every kind, in the order in which a plugin's contributions are listed."""
