"""Reads NIST's own files: IDX, plain or gzip."""

from __future__ import annotations

import math
import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import LimitReachedError, UnreadableInputError, UnsupportedError
from toolkit.store.opening import open_file
from toolkit.vocabulary import sizes
from toolkit_emnist.byte_stream import ByteStream, damaged
from toolkit_emnist.csv_kernel import SIDE
from toolkit_emnist.csv_reader import MAX_IMAGES
from toolkit_emnist.mapping import LabelMapping

_UNSIGNED_BYTES = 0x08
_AT_ONCE = 2_048
_DEFLATE_AT_BEST = 1_032  # bytes out of one byte in: a header that promises more is wrong


def read_idx(
    images: Path, labels: Path, mapping: LabelMapping
) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """Read a pair of IDX files, whose glyphs are transposed.

    Returns images (n, 28, 28) uint8, upright; class indices (n,) int32.
    """
    raw = _read(labels, (), "labels")
    indices: NDArray[np.int32] = mapping.index_by_label()[raw]
    if np.any(indices < 0):
        row = int(np.argmax(indices < 0))
        raise UnreadableInputError(
            f"{labels}: label number {row + 1}: expected {mapping}, received {raw[row]}",
            hint="the mapping file in the same folder belongs to another data set, or the file is damaged",
        )
    upright = _read(images, (SIDE, SIDE), "images")
    if len(upright) != len(indices):
        raise UnreadableInputError(
            f"{images}: expected {len(indices):,} images, one for each label in {labels.name},"
            f" received {len(upright):,}",
            hint="the two files do not belong together",
        )
    for begin in range(0, len(upright), _AT_ONCE):
        some = upright[begin : begin + _AT_ONCE]
        some[:] = some.transpose(0, 2, 1)  # NumPy copies what overlaps
    return upright, indices


def _read(path: Path, shape: tuple[int, ...], what: str) -> NDArray[np.uint8]:
    """The items of a file, (n, *shape)."""
    with open_file(path) as file:
        stream = ByteStream(file, path)
        head = bytearray(8 + 4 * len(shape))
        count, *received = _dimensions(path, head[: stream.read_into(memoryview(head))], 1 + len(shape))
        if tuple(received) != shape:
            raise UnsupportedError(f"{path}: expected images of {sizes(shape)}, received {sizes(received)}")
        items = np.empty((count, *shape), np.uint8)
        filled = stream.read_into(items.data.cast("B"))
        if filled < items.nbytes:
            whole = filled // math.prod(shape)
            raise damaged(
                f"{path}: truncated: its header promises {count:,} {what}, but it ends after {whole:,}"
            )
        if stream.read_into(memoryview(bytearray(1))):
            raise damaged(f"{path}: expected the end of the file after {count:,} {what}, received more bytes")
    return items


def _dimensions(path: Path, head: bytearray, rank: int) -> tuple[int, ...]:
    """The dimensions from a header; nothing is allocated for numbers that the file cannot contain."""
    if head[:2] == b"\0\0" and head[3:4] == bytes([rank]) and head[2] != _UNSIGNED_BYTES:
        raise UnsupportedError(
            f"{path}: expected IDX data of unsigned bytes (0x08), received type 0x{head[2]:02x}"
        )
    if len(head) < 4 + 4 * rank or head[:4] != bytes([0, 0, _UNSIGNED_BYTES, rank]):
        raise damaged(
            f"{path}: expected an IDX file of {rank} dimension{'s' * (rank > 1)}"
            f" (first bytes 00 00 08 {rank:02x}), received {head[:4].hex(' ') or 'an empty file'}"
        )
    shape = struct.unpack_from(f">{rank}I", head, 4)
    promised, size = math.prod(shape), path.stat().st_size
    if shape[0] == 0:
        raise UnreadableInputError(f"{path}: expected one image or more, received a header of none")
    if shape[0] > MAX_IMAGES:
        raise LimitReachedError(
            f"{path}: expected at most {MAX_IMAGES:,} images, received a header of {shape[0]:,}"
        )
    if promised > _DEFLATE_AT_BEST * size:
        raise damaged(
            f"{path}: its header promises {promised:,} bytes, which a file of {size:,} bytes cannot contain"
        )
    return shape
