"""Calls into plugins: none ends the program or returns another type than declared."""

from __future__ import annotations

import dataclasses
import functools
import logging
from collections.abc import Callable
from typing import Any, TypeVar

from toolkit.errors import PluginError, ToolkitError, one_line
from toolkit.host.checks import result_problem
from toolkit.host.kinds import DATASET_LOADERS, Kind

D = TypeVar("D")

_log = logging.getLogger(__name__)


def guarded(kind: Kind[D], declaration: D, plugin: str) -> D:
    """A copy of a plugin's declaration with wrapped callables.

    ``sys.exit()`` and a result of another type become a PluginError that names the plugin; other
    exceptions pass, except those of a callable that is ``probing``. A ``detect`` that fails is
    reported once and finds nothing.
    """
    original: Any = declaration
    whose = f"{kind.word} {original.name!r} of the plugin {plugin}"
    wrapped = {
        field: _guarded_call(kind, field, getattr(original, field), whose)
        for field in kind.calls
        if getattr(original, field) is not None
    }
    if kind.hook == DATASET_LOADERS.hook:
        wrapped["detect"] = _reported_once(wrapped["detect"], whose)
    replaced: D = dataclasses.replace(original, **wrapped)
    return replaced


def _guarded_call(kind: Kind[Any], field: str, function: Any, whose: str) -> Callable[..., Any]:
    def broken(problem: str) -> PluginError:
        return PluginError(
            f"{whose}: {problem}", hint="report it to the plugin's author, or disable the plugin"
        )

    @functools.wraps(function)
    def call(*arguments: Any) -> Any:
        try:
            result = function(*arguments)
        except SystemExit as error:
            raise broken(f"{field} called sys.exit({error.code!r})") from error
        except Exception as error:
            about_the_file = arguments and isinstance(error, ToolkitError | OSError | MemoryError)
            if about_the_file or not kind.calls[field].probing:
                raise
            where = f"{getattr(arguments[0], 'path', arguments[0])}: " if arguments else ""
            raise broken(f"{where}{field} failed: {type(error).__name__}: {one_line(error)}") from error
        problem = result_problem(kind, field, result)
        if problem:
            raise broken(problem)
        return result

    return call


def _reported_once(detect: Callable[..., Any], whose: str) -> Callable[..., tuple[Any, ...]]:
    reported: set[str] = set()

    @functools.wraps(detect)
    def find(folder: Any) -> tuple[Any, ...]:
        try:
            return tuple(detect(folder))
        except Exception as error:  # noqa: BLE001 - one loader's failure must not hide other data sets
            failed = f"{whose}: detect failed: {type(error).__name__}: {one_line(error)}"
            problem = error.message if isinstance(error, PluginError) else failed
            _log.debug("%s", problem, exc_info=True)
        if problem not in reported:
            reported.add(problem)
            _log.warning("warning: %s; its data sets are skipped", problem)
        return ()

    return find
