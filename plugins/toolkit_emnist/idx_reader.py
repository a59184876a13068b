"""Reads NIST's own files: IDX, plain or gzip."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import LimitReachedError, UnreadableInputError, UnsupportedError
from toolkit_emnist.byte_stream import DOWNLOAD_AGAIN, ByteStream, open_bytes
from toolkit_emnist.csv_kernel import SIDE
from toolkit_emnist.csv_reader import MAX_IMAGES
from toolkit_emnist.mapping import LabelMapping

_UNSIGNED_BYTES = 0x08
_IMAGES_AT_ONCE = 2_048
_DEFLATE_AT_BEST = 1_032  # bytes out of one byte in: what claims more than this is not true


def read_idx(
    images: Path, labels: Path, mapping: LabelMapping
) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """Read a pair of IDX files.

    Args:
        images: Magic number 2051, then count, 28, 28, then transposed glyphs.
        labels: Magic number 2049, then count, then a byte for each image.
        mapping: Which labels there are.

    Returns:
        Images (n, 28, 28) uint8, upright; class indices (n,) int32.

    Raises:
        MissingInputError: A file is not there.
        UnreadableInputError: Header, length, number or labels are not as expected.
        UnsupportedError: The images are not 28 by 28, or not of bytes.
        LimitReachedError: More than ``MAX_IMAGES`` images.
    """
    indices = _read_labels(labels, mapping)
    with open_bytes(images) as stream:
        count, height, width = _header(stream, images, 3)
        if (height, width) != (SIDE, SIDE):
            raise UnsupportedError(
                f"{images}: expected images of {SIDE} by {SIDE}, received {height} by {width}"
            )
        if count != len(indices):
            raise UnreadableInputError(
                f"{images}: expected {len(indices):,} images, one for each label in {labels.name},"
                f" received {count:,}",
                hint="the two files do not belong together",
            )
        upright = np.empty((count, SIDE, SIDE), np.uint8)
        block = np.empty((_IMAGES_AT_ONCE, SIDE, SIDE), np.uint8)
        for begin in range(0, count, _IMAGES_AT_ONCE):
            part = block[: min(_IMAGES_AT_ONCE, count - begin)]
            _fill(stream, part, images, f"{count:,} images", begin)
            upright[begin : begin + len(part)] = part.transpose(0, 2, 1)
        _expect_end(stream, images)
    return upright, indices


def _read_labels(path: Path, mapping: LabelMapping) -> NDArray[np.int32]:
    with open_bytes(path) as stream:
        (count,) = _header(stream, path, 1)
        labels = np.empty(count, np.uint8)
        _fill(stream, labels, path, f"{count:,} labels", 0)
        _expect_end(stream, path)
    indices: NDArray[np.int32] = mapping.index_by_label()[labels]
    if np.any(indices < 0):
        row = int(np.argmax(indices < 0))
        raise UnreadableInputError(
            f"{path}: label number {row + 1}: expected {mapping}, received {labels[row]}",
            hint="the mapping file beside it belongs to another data set, or the file is damaged",
        )
    return indices


def _header(stream: ByteStream, path: Path, dimensions: int) -> tuple[int, ...]:
    head = bytearray(4 + 4 * dimensions)
    received = stream.read_into(memoryview(head))
    zeros, kind, rank = struct.unpack_from(">HBB", head)
    if received >= 4 and zeros == 0 and rank == dimensions and kind != _UNSIGNED_BYTES:
        raise UnsupportedError(
            f"{path}: expected IDX data of unsigned bytes (0x08), received type 0x{kind:02x}"
        )
    if received < len(head) or (zeros, kind, rank) != (0, _UNSIGNED_BYTES, dimensions):
        raise UnreadableInputError(
            f"{path}: expected an IDX file of {dimensions} dimension{'s' * (dimensions > 1)}"
            f" (first bytes 00 00 08 {dimensions:02x}), received"
            f" {head[: min(received, 4)].hex(' ') or 'an empty file'}",
            hint=DOWNLOAD_AGAIN,
        )
    shape = struct.unpack_from(f">{dimensions}I", head, 4)
    _check_size(path, shape)
    return shape


def _check_size(path: Path, shape: tuple[int, ...]) -> None:
    """Nothing is allocated for numbers that cannot be true."""
    if shape[0] == 0:
        raise UnreadableInputError(f"{path}: expected one image or more, received a header of none")
    if shape[0] > MAX_IMAGES:
        raise LimitReachedError(
            f"{path}: expected at most {MAX_IMAGES:,} images, received a header of {shape[0]:,}"
        )
    promised = int(np.prod(shape, dtype=object))
    if promised > _DEFLATE_AT_BEST * path.stat().st_size:
        raise UnreadableInputError(
            f"{path}: its header promises {promised:,} bytes, which a file of"
            f" {path.stat().st_size:,} bytes cannot hold",
            hint=DOWNLOAD_AGAIN,
        )


def _fill(stream: ByteStream, target: NDArray[np.uint8], path: Path, promised: str, done: int) -> None:
    received = stream.read_into(target.data.cast("B"))
    if received < target.nbytes:
        whole = done + received // (target.nbytes // len(target))
        raise UnreadableInputError(
            f"{path}: truncated: its header promises {promised}, but it ends after {whole:,}",
            hint=DOWNLOAD_AGAIN,
        )


def _expect_end(stream: ByteStream, path: Path) -> None:
    if stream.read_into(memoryview(bytearray(1))):
        raise UnreadableInputError(
            f"{path}: expected the end of the file after what its header promises, received more bytes",
            hint=DOWNLOAD_AGAIN,
        )
