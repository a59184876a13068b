"""Convolutional architectures for 28×28 characters."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from toolkit import hookimpl
from toolkit.types import Architecture, BuildRequest
from toolkit_cnn.options import CompactOptions, OriginalOptions

if TYPE_CHECKING:
    import keras


def _build_compact(request: BuildRequest) -> keras.Model:
    from toolkit_cnn.compact import build_compact_cnn

    return build_compact_cnn(request)


def _build_original(request: BuildRequest) -> keras.Model:
    from toolkit_cnn.original import build_emnist_cnn

    return build_emnist_cnn(request)


@hookimpl
def toolkit_architectures() -> Iterable[Architecture]:
    """Declare the default network, and the original project's."""
    yield Architecture(
        name="compact-cnn",
        summary="five convolutions, the first with stride 2; the default: half the parameters of "
        "emnist-cnn, a quarter of its work per image",
        build=_build_compact,
        options=CompactOptions,
        rank=10,
    )
    yield Architecture(
        name="emnist-cnn",
        summary="five convolutions at full resolution and two wide dense layers",
        build=_build_original,
        options=OriginalOptions,
        rank=20,
    )
