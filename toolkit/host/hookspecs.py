"""The hooks. Each takes no argument, does no work, and returns declarations."""

from __future__ import annotations

from collections.abc import Iterable

import pluggy

from toolkit.declarations import (
    Architecture,
    Command,
    DatasetLoader,
    Exporter,
    MergeStrategy,
    ModelFormat,
    Routes,
    RunListener,
)

PROJECT = "toolkit"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def toolkit_dataset_loaders() -> Iterable[DatasetLoader]:
    """Yield loaders of data sets."""
    raise AssertionError("a specification is not called")


@hookspec
def toolkit_architectures() -> Iterable[Architecture]:
    """Yield architectures to train."""
    raise AssertionError("a specification is not called")


@hookspec
def toolkit_model_formats() -> Iterable[ModelFormat]:
    """Yield formats of model files."""
    raise AssertionError("a specification is not called")


@hookspec
def toolkit_merge_strategies() -> Iterable[MergeStrategy]:
    """Yield strategies that make one model of several."""
    raise AssertionError("a specification is not called")


@hookspec
def toolkit_exporters() -> Iterable[Exporter]:
    """Yield exporters."""
    raise AssertionError("a specification is not called")


@hookspec
def toolkit_run_listeners() -> Iterable[RunListener]:
    """Yield listeners that hear what happens in a training."""
    raise AssertionError("a specification is not called")


@hookspec
def toolkit_commands() -> Iterable[Command]:
    """Yield commands of the command line."""
    raise AssertionError("a specification is not called")


@hookspec
def toolkit_routes() -> Iterable[Routes]:
    """Yield routes of the HTTP API."""
    raise AssertionError("a specification is not called")
