"""Reading chunked and compressed tensors of an HDF5 file, one chunk at a time.

HDF5's own filters unpack a chunk to whatever length its bytes say: 9 MB become 9 GB before they are
compared with the size that the tensor declares. Here a chunk's stored bytes are unpacked to at most the
chunk's declared size.
"""

from __future__ import annotations

import itertools
import math
import zlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from h5py.h5d import DatasetID
from numpy.typing import NDArray

from toolkit.errors import LimitReachedError, UnsupportedError
from toolkit.records import dataclass
from toolkit_keras.file_errors import damaged_file

DEFLATE, SHUFFLE, FLETCHER32, LZF = 1, 2, 3, 32000
FILTERS = {DEFLATE: "deflate", SHUFFLE: "shuffle", FLETCHER32: "fletcher32", LZF: "lzf"}
MAX_CHUNKS = 200_000
"""Of all tensors in a file: 16 kB each, HDF5's smallest by default, make 3 GB."""

_CHECKSUM_SIZE = 4
_WORDS = 1 << 16  # of the checksum that are summed at a time


@dataclass(frozen=True)
class Chunks:
    """How a tensor is cut into chunks of one shape, and the filters that each went through, in order."""

    shape: tuple[int, ...]
    filters: tuple[int, ...]
    itemsize: int

    @property
    def nbytes(self) -> int:
        """Bytes of one chunk, unpacked."""
        return math.prod(self.shape) * self.itemsize

    def number(self, shape: Sequence[int]) -> int:
        """Number of chunks of a tensor."""
        return math.prod(-(-size // length) for size, length in zip(shape, self.shape, strict=True))


def check_filters(filters: Sequence[int], name: str) -> None:
    """Refuse filters that are not known, and those that are applied twice."""
    unknown = [number for number in filters if number not in FILTERS]
    if unknown:
        raise UnsupportedError(
            f"{name} is compressed by HDF5 filter {unknown[0]}",
            hint=f"supported: {', '.join(FILTERS.values())}, or none",
        )
    if len(set(filters)) < len(filters) or {DEFLATE, LZF} <= set(filters):
        raise UnsupportedError(
            f"{name} is compressed twice", hint="supported: deflate or lzf, shuffle and fletcher32, once each"
        )


def read_chunked(dataset: DatasetID, chunks: Chunks, array: NDArray[Any], name: str) -> None:
    """Fill an array of the tensor's shape and stored type with the values of its chunks."""
    most_stored = chunks.nbytes + chunks.nbytes // 100 + 64
    for start in _starts(array.shape, chunks.shape):
        info = dataset.get_chunk_info_by_coord(start)
        if not info.size:
            raise damaged_file(f"{name} has values that were never written")
        if info.size > most_stored:
            raise damaged_file(f"{name} has a chunk that is stored in more bytes than it unpacks to")
        mask, stored = dataset.read_direct_chunk(start)
        content = np.frombuffer(_unpacked(stored, mask, chunks, name), array.dtype).reshape(chunks.shape)
        within = tuple(slice(0, size - first) for size, first in zip(array.shape, start, strict=True))
        part = content[within]
        array[tuple(slice(first, first + size) for first, size in zip(start, part.shape, strict=True))] = part


def count_chunks(counted: int, name: str) -> None:
    """Refuse a file with too many chunks."""
    if counted > MAX_CHUNKS:
        raise LimitReachedError(
            f"the tensors up to {name} are cut into more than {MAX_CHUNKS:,} chunks",
            hint="save it without chunks",
        )


def _starts(shape: Sequence[int], chunk: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """The first element of each chunk."""
    yield from itertools.product(*(range(0, size, step) for size, step in zip(shape, chunk, strict=True)))


def _unpacked(content: bytes, mask: int, chunks: Chunks, name: str) -> bytes:
    """A chunk's values; bit n of ``mask`` says that filter n was left out."""
    most = chunks.nbytes + _CHECKSUM_SIZE
    for place, number in reversed([*enumerate(chunks.filters)]):
        if mask >> place & 1:
            continue
        if number == DEFLATE:
            content = zlib.decompressobj().decompress(content, most)
        elif number == LZF:
            content = _from_lzf(content, most)
        elif number == SHUFFLE:
            count = len(content) // chunks.itemsize
            content = np.frombuffer(content, np.uint8, count * chunks.itemsize).reshape(-1, count).T.tobytes()
        else:
            content, checksum = content[:-_CHECKSUM_SIZE], content[-_CHECKSUM_SIZE:]
            if int.from_bytes(checksum, "little") != fletcher32(content):
                raise damaged_file(f"{name} differs from its checksum")
    if len(content) != chunks.nbytes:
        raise damaged_file(f"{name} has a chunk that does not unpack to the size it declares")
    return content


def _from_lzf(content: bytes, most: int) -> bytes:
    """Unpack LZF: runs of bytes, and references to bytes that were written before."""
    out = bytearray()
    place, end = 0, len(content)
    while place < end and len(out) <= most:
        control = content[place]
        if control < 32:
            out += content[place + 1 : place + 2 + control]
            place += 2 + control
            continue
        length = control >> 5
        if length == 7:
            place += 1
            length += content[place]
        back = ((control & 31) << 8 | content[place + 1]) + 1
        length += 2
        place += 2
        if back > len(out):
            raise ValueError("a reference to before the beginning")
        piece = out[len(out) - back :][:length]
        out += (piece * (length // len(piece) + 1))[:length]
    return bytes(out)


def fletcher32(content: bytes) -> int:
    """HDF5's checksum: Fletcher's, over big-endian words of 16 bits."""
    words = np.frombuffer(content + b"\0" * (len(content) % 2), ">u2").astype(np.uint64)
    first = second = 0
    for start in range(0, len(words), _WORDS):
        sums = np.cumsum(words[start : start + _WORDS])
        second = _folded(second + first * len(sums) + int(sums.sum()))
        first = _folded(first + int(sums[-1]))
    return second << 16 | first


def _folded(total: int) -> int:
    """Modulo 65,535, with 65,535 for every multiple but 0, as the checksum's own way of folding gives."""
    return (total - 1) % 0xFFFF + 1 if total else 0
