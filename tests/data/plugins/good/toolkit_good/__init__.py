"""A complete plugin: one contribution of each kind."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from toolkit import hookimpl
from toolkit.types import (
    Architecture,
    Command,
    DatasetLoader,
    Exporter,
    MergeStrategy,
    ModelFormat,
    Routes,
    RunListener,
    lazy,
)
from toolkit_good.options import StripesOptions, TinyOptions, TrimmedMeanOptions, WeightsTableOptions

if TYPE_CHECKING:
    import click


@hookimpl
def toolkit_dataset_loaders() -> Iterable[DatasetLoader]:
    """Declare a data set that is computed."""
    from toolkit_good.stripes import detect, load

    yield DatasetLoader(
        name="stripes",
        summary="Stripes in four directions, a data set for trying things out",
        detect=detect,
        load=load,
        options=StripesOptions,
    )


@hookimpl
def toolkit_architectures() -> Iterable[Architecture]:
    """Declare a network that trains in seconds."""
    from toolkit_good.tiny import build

    yield Architecture(
        name="tiny-cnn", summary="One convolution and one dense layer", build=build, options=TinyOptions
    )


@hookimpl
def toolkit_model_formats() -> Iterable[ModelFormat]:
    """Declare a format of model files."""
    from toolkit_good.linear import read, write

    yield ModelFormat(
        name="linear",
        summary="Linear classifiers as NumPy archives",
        suffixes=(".linear.npz",),
        read=read,
        write=write,
        dialects=("linear",),
    )


@hookimpl
def toolkit_merge_strategies() -> Iterable[MergeStrategy]:
    """Declare a strategy that works tensor by tensor."""
    from toolkit_good.trimmed import merge

    yield MergeStrategy(
        name="trimmed-mean",
        summary="Leaves out the extremes of every number and averages the rest",
        merge=merge,
        options=TrimmedMeanOptions,
    )


@hookimpl
def toolkit_exporters() -> Iterable[Exporter]:
    """Declare a file that spreadsheets read."""
    from toolkit_good.table import export

    yield Exporter(
        name="weights-table",
        summary="A CSV table of every tensor: shape, mean, spread, extremes",
        suffix=".csv",
        export=export,
        options=WeightsTableOptions,
    )


@hookimpl
def toolkit_run_listeners() -> Iterable[RunListener]:
    """Declare a listener of every training."""
    from toolkit_good.accuracies import hear

    yield RunListener(name="accuracies", summary="Writes accuracies.txt in the run's folder", hear=hear)


def _load_command() -> click.Command:
    from toolkit_good.command import command

    return command


@hookimpl
def toolkit_commands() -> Iterable[Command]:
    """Declare ``toolkit ink``. Every start of the program calls this hook, so it imports nothing."""
    yield Command(name="ink", summary="Print the share of ink in a data set.", load=_load_command)


@hookimpl
def toolkit_routes() -> Iterable[Routes]:
    """Declare ``/plugins/good/datasets``."""
    load = lazy("toolkit_good.routes:make_blueprint")
    yield Routes(name="good", summary="names of the data sets", load=load)
