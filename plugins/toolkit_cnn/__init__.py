"""Convolutional architectures for 28×28 characters."""

from __future__ import annotations

from collections.abc import Iterable

from toolkit import hookimpl
from toolkit.types import Architecture
from toolkit_cnn.compact import CompactOptions, build_compact_cnn
from toolkit_cnn.original import OriginalOptions, build_emnist_cnn


@hookimpl
def toolkit_architectures() -> Iterable[Architecture]:
    """Declare the default network, and the original project's."""
    yield Architecture(
        name="compact-cnn",
        summary="five convolutions, the first with stride 2; the default: half the parameters of "
        "emnist-cnn, a quarter of its work per image",
        build=build_compact_cnn,
        options=CompactOptions,
        rank=10,
    )
    yield Architecture(
        name="emnist-cnn",
        summary="five convolutions at full resolution and two wide dense layers",
        build=build_emnist_cnn,
        options=OriginalOptions,
        rank=20,
    )
