"""Chunked and compressed tensors: the values that HDF5 reads, in no more memory than they declare."""

from __future__ import annotations

import io
import itertools
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from toolkit.errors import LimitReachedError, UnreadableInputError, UnsupportedError
from toolkit.store.byte_source import FileBytes, MemoryBytes
from toolkit_keras.safe_hdf5 import SafeHdf5

CHANCE = np.random.default_rng(3)
VALUES = {
    "noise": CHANCE.normal(size=(37, 11, 5)).astype(np.float32),
    "sparse": (CHANCE.normal(size=(300, 70)) * (CHANCE.random((300, 70)) > 0.9)).astype(np.float32),
    "zeros": np.zeros((513, 129), np.float32),
    "big endian": CHANCE.normal(size=(64, 9)).astype(">f8"),
    "bytes": CHANCE.integers(0, 4, 1001).astype(np.uint8),
}
FILTERS: dict[str, dict[str, Any]] = {
    "none": {},
    "deflate": {"compression": "gzip"},
    "lzf": {"compression": "lzf"},
    "lzf, shuffle": {"compression": "lzf", "shuffle": True},
    "all": {"compression": "gzip", "shuffle": True, "fletcher32": True},
    "checksum": {"fletcher32": True},
}


def read(content: bytes | Path) -> Any:
    source = FileBytes(content) if isinstance(content, Path) else MemoryBytes(content, len(content))
    with SafeHdf5(source) as file:
        return file.read(file.stored("kernel"))


def written(values: Any, **settings: Any) -> bytes:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.create_dataset("kernel", data=values, **settings)
    return buffer.getvalue()


@pytest.mark.parametrize(("values", "filters"), [*itertools.product(VALUES, FILTERS)])
def test_every_filter_gives_the_values_that_were_written(values: str, filters: str) -> None:
    array = VALUES[values]
    for chunks in (True, tuple(min(size, 32) for size in array.shape), array.shape):
        found = read(written(array, chunks=chunks, **FILTERS[filters]))
        assert found.dtype == array.dtype
        assert np.array_equal(found, array)


def test_a_chunk_that_differs_from_its_checksum_is_refused() -> None:
    content = bytearray(written(VALUES["noise"], chunks=(37, 11, 5), fletcher32=True))
    content[content.find(VALUES["noise"].tobytes()) + 9] ^= 4
    with pytest.raises(UnreadableInputError, match="differs from its checksum"):
        read(bytes(content))


def _with_chunk(stored: bytes, shape: tuple[int, ...] = (1000,), **settings: Any) -> bytes:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        dataset = file.create_dataset("kernel", shape, "f4", chunks=shape, **settings)
        dataset.id.write_direct_chunk((0,) * len(shape), stored)
    return buffer.getvalue()


def test_a_chunk_that_unpacks_to_more_than_it_declares_takes_no_more_memory() -> None:
    bomb = zlib.compress(bytes(256 << 20), 9)
    shape = (len(bomb) // 4 + 1,)
    content = _with_chunk(bomb, shape, compression="gzip")
    tracemalloc.start()
    with pytest.raises(UnreadableInputError, match="does not unpack to the size it declares"):
        read(content)
    assert tracemalloc.get_traced_memory()[1] < 20 << 20
    tracemalloc.stop()


def test_a_chunk_that_is_longer_than_what_it_unpacks_to_is_refused_unread() -> None:
    with pytest.raises(UnreadableInputError, match="stored in more bytes than it unpacks to"):
        read(_with_chunk(zlib.compress(bytes(4000)) + bytes(9000), compression="gzip"))


@pytest.mark.parametrize("stored", [b"\x01", b"\xff\xff", b"\x20\xff" * 9, b"\x1f" + b"a" * 8])
def test_damaged_lzf_is_refused(stored: bytes) -> None:
    with pytest.raises(UnreadableInputError, match="kernel"):
        read(_with_chunk(stored, compression="lzf"))


def test_values_that_were_never_written_are_refused() -> None:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.create_dataset("kernel", (64, 64), "f4", chunks=(32, 32))[:32] = 1
    with pytest.raises(UnreadableInputError, match="never written"):
        read(buffer.getvalue())


def test_a_tensor_that_is_compressed_twice_is_refused() -> None:
    made = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    made.set_chunk((8,))
    made.set_deflate(1)
    made.set_deflate(9)
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        space = h5py.h5s.create_simple((8,))
        h5py.h5d.create(file.id, b"kernel", h5py.h5t.IEEE_F32LE, space, made).write(
            h5py.h5s.ALL, h5py.h5s.ALL, np.ones(8, np.float32)
        )
    with pytest.raises(UnsupportedError, match="compressed twice"):
        read(buffer.getvalue())


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"shape": (8,), "maxshape": (None,), "chunks": (1 << 29,)}, "declares 2.00 GiB, the limit is 2 GB"),
        ({"shape": (1 << 20,), "maxshape": (None,), "chunks": (1,)}, "cut into more than 200,000 chunks"),
        ({"shape": (1 << 26,), "chunks": (1 << 20,), "compression": "gzip"}, "more than 32 times as much"),
    ],
    ids=["one chunk", "many chunks", "ratio"],
)
def test_sizes_are_refused_before_anything_is_read(settings: dict[str, Any], said: str) -> None:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.create_dataset("kernel", dtype="f4", **settings)
    with pytest.raises(LimitReachedError, match=said):
        read(buffer.getvalue())


def test_one_tensor_under_many_names_counts_each_time() -> None:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file["kernel"] = np.ones(1 << 20, np.float32)
        for index in range(40):
            file[f"kernel{index}"] = file["kernel"]
    content = buffer.getvalue()
    with (
        SafeHdf5(MemoryBytes(content, len(content))) as file,
        pytest.raises(LimitReachedError, match="more than 32 times as much"),
    ):
        list(map(file.stored, (f"kernel{index}" for index in range(40))))
