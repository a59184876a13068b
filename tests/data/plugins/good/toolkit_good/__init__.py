"""A complete plugin: a data set, an architecture, a merge strategy and an exporter."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit import hookimpl
from toolkit.types import (
    Architecture,
    BuildRequest,
    DatasetLoader,
    DatasetSource,
    Exporter,
    ExportRequest,
    ExportResult,
    LoadRequest,
    MergeRequest,
    MergeResult,
    MergeStrategy,
)
from toolkit_good.options import StripesOptions, TinyOptions, TrimmedMeanOptions, WeightsTableOptions

if TYPE_CHECKING:
    import keras

    from toolkit.data import Dataset


@hookimpl
def toolkit_dataset_loaders() -> Iterable[DatasetLoader]:
    """Declare a data set that is computed, and so is found in every folder."""
    yield DatasetLoader(
        name="stripes",
        summary="Stripes in four directions, a data set for trying things out",
        detect=_detect_stripes,
        load=_load_stripes,
        options=StripesOptions,
        cacheable=False,
    )


@hookimpl
def toolkit_architectures() -> Iterable[Architecture]:
    """Declare a network that trains in seconds."""
    yield Architecture(
        name="tiny-cnn", summary="One convolution and one dense layer", build=_build_tiny, options=TinyOptions
    )


@hookimpl
def toolkit_merge_strategies() -> Iterable[MergeStrategy]:
    """Declare a strategy that works tensor by tensor."""
    yield MergeStrategy(
        name="trimmed-mean",
        summary="Leaves out the extremes of every number and averages the rest",
        merge=_merge_trimmed,
        options=TrimmedMeanOptions,
    )


@hookimpl
def toolkit_exporters() -> Iterable[Exporter]:
    """Declare a format that spreadsheets read."""
    yield Exporter(
        name="weights-table",
        summary="A CSV table of every tensor: shape, mean, spread, extremes",
        suffix=".csv",
        export=_export_table,
        options=WeightsTableOptions,
    )


def _detect_stripes(folder: Path) -> Sequence[DatasetSource]:
    # A rank below 0: found by its name, never picked for somebody who named none.
    return (DatasetSource("stripes", "stripes", "28×28 stripes, 4 classes, computed", rank=-1),)


def _load_stripes(request: LoadRequest) -> Dataset:
    from toolkit_good.stripes import load

    return load(request)


def _build_tiny(request: BuildRequest) -> keras.Model:
    from toolkit_good.tiny import build

    return build(request)


def _merge_trimmed(request: MergeRequest) -> MergeResult:
    from toolkit_good.trimmed import merge

    return merge(request)


def _export_table(request: ExportRequest) -> ExportResult:
    from toolkit_good.table import export

    return export(request)
