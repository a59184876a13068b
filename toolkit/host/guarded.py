"""Calls into plugins: a stranger's callable ends no program and returns what it should."""

from __future__ import annotations

import dataclasses
import functools
import logging
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from toolkit.declarations import (
    DatasetLoader,
    DatasetSource,
    Exporter,
    ExportResult,
    MergeResult,
    MergeStep,
    MergeStrategy,
    ModelFormat,
)
from toolkit.errors import PluginError, ToolkitError, one_line
from toolkit.host.kinds import Kind
from toolkit.host.manager import Contribution

if TYPE_CHECKING:
    from toolkit.model import Model

D = TypeVar("D")

_log = logging.getLogger(__name__)


def guarded(contribution: Contribution[D]) -> D:
    """The declaration as the host calls it.

    A call of ``sys.exit()`` and a result of another type become a PluginError that names the
    plugin; other exceptions pass. Two are called while somebody looks for another's data sets and
    models: a ``detect`` that fails is reported once and finds nothing, and what a ``read`` should
    not raise becomes a PluginError, too.

    Args:
        contribution: With the declaration as the plugin made it; that one is not changed.
    """
    declaration: Any = contribution.declaration
    wrapped = {
        field: _guarded_call(contribution, field, getattr(declaration, field))
        for field in _called(contribution.kind)
        if getattr(declaration, field) is not None
    }
    if isinstance(declaration, DatasetLoader):
        wrapped["detect"] = _guarded_detect(contribution, wrapped["detect"])
    if isinstance(declaration, ModelFormat):
        wrapped["read"] = _guarded_read(contribution, wrapped["read"])
    replaced: D = dataclasses.replace(declaration, **wrapped)
    return replaced


def _called(kind: Kind[Any]) -> tuple[str, ...]:
    return (*kind.callables, *kind.optional_callables)


def _guarded_call(contribution: Contribution[Any], field: str, function: Any) -> Callable[..., Any]:
    check = _RESULTS.get((contribution.kind.declaration, field))

    @functools.wraps(function)
    def call(*arguments: Any) -> Any:
        try:
            result = function(*arguments)
        except SystemExit as error:
            raise _broken(contribution, f"{field} called sys.exit({error.code!r})") from error
        problem = "" if check is None else check(result)
        if problem:
            raise _broken(contribution, f"{field} returned {problem}")
        return result

    return call


def _guarded_detect(
    contribution: Contribution[Any], detect: Callable[[Path], Iterable[DatasetSource]]
) -> Callable[[Path], tuple[DatasetSource, ...]]:
    said: set[str] = set()

    @functools.wraps(detect)
    def find(folder: Path) -> tuple[DatasetSource, ...]:
        try:
            return tuple(detect(folder))
        except PluginError as error:
            text = error.message
        except Exception as error:  # noqa: BLE001 - a stranger's code may fail in any way
            text = f"{_whose(contribution)}: detect failed: {type(error).__name__}: {one_line(error)}"
            _log.debug("%s", text, exc_info=True)
        if text not in said:
            said.add(text)
            _log.warning("warning: %s; its data sets are left out", text)
        return ()

    return find


def _guarded_read(contribution: Contribution[Any], read: Callable[[Path], Model]) -> Callable[[Path], Model]:
    @functools.wraps(read)
    def read_or_refuse(path: Path) -> Model:
        try:
            return read(path)
        except (ToolkitError, OSError, MemoryError):
            raise
        except Exception as error:
            text = f"read failed: {type(error).__name__}: {one_line(error)}"
            raise _broken(contribution, f"{path}: {text}") from error

    return read_or_refuse


def _whose(contribution: Contribution[Any]) -> str:
    return f"{contribution.kind.word} {contribution.name!r} of the plugin {contribution.owner}"


def _broken(contribution: Contribution[Any], what: str) -> PluginError:
    return PluginError(f"{_whose(contribution)}: {what}", hint="tell its author, or switch the plugin off")


def _sources(result: object) -> str:
    if not isinstance(result, list | tuple):
        return f"{_type(result)}, expected a list or tuple of DatasetSource"
    odd = next((item for item in result if not isinstance(item, DatasetSource)), None)
    return "" if odd is None else f"{_type(odd)} among its sources, expected DatasetSource"


def _dataset(result: object) -> str:
    import numpy as np

    from toolkit.data import Dataset

    if not isinstance(result, Dataset):
        return f"{_type(result)}, expected a toolkit.data.Dataset"
    parts: tuple[object, ...] = (result.images, result.labels)
    odd = next((part for part in parts if not isinstance(part, np.ndarray)), None)
    return "" if odd is None else f"a Dataset that holds {_type(odd)}, expected NumPy arrays"


def _model(result: object) -> str:
    from toolkit.model import Model

    return "" if isinstance(result, Model) else f"{_type(result)}, expected a toolkit.model.Model"


def _merge_result(result: object) -> str:
    if not isinstance(result, MergeResult):
        return f"{_type(result)}, expected MergeResult"
    # Nothing holds a stranger's object to its annotations.
    combine: Any = result.combine
    weights: Any = result.weights
    notes: Any = result.notes
    steps: Any = result.steps
    if not callable(combine):
        return f"a MergeResult whose combine is {_type(combine)}, expected a callable"
    if isinstance(weights, str) or not isinstance(weights, Iterable):
        return f"a MergeResult whose weights are {_type(weights)}, expected numbers"
    if isinstance(notes, str) or not all(isinstance(note, str) for note in notes):
        return "a MergeResult whose notes are no tuple of texts"
    if not all(isinstance(step, MergeStep) for step in steps):
        return "a MergeResult whose steps are no tuple of MergeStep"
    return ""


def _export_result(result: object) -> str:
    if not isinstance(result, ExportResult):
        return f"{_type(result)}, expected ExportResult"
    facts: Any = result.facts
    if not isinstance(facts, Mapping) or not all(isinstance(name, str) for name in facts):
        return "an ExportResult whose facts are no mapping from names"
    return ""


def _type(value: object) -> str:
    return type(value).__name__


_RESULTS: dict[tuple[type, str], Callable[[object], str]] = {
    (DatasetLoader, "detect"): _sources,
    (DatasetLoader, "load"): _dataset,
    (ModelFormat, "read"): _model,
    (MergeStrategy, "merge"): _merge_result,
    (Exporter, "export"): _export_result,
}
"""What is wrong with a result, in words; empty if nothing is."""
