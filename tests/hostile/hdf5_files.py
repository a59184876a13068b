"""Hostile HDF5 files."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from registry import hostile
from small_networks import (
    KERNEL,
    SMALL,
    layer,
    sequential,
    with_chunk,
    with_dataset,
    with_kernel,
    write_h5,
)

HDF5 = "HDF5"


def deflated_zeros(size: int) -> bytes:
    """Zeros that were compressed, without needing memory for them."""
    packer = zlib.compressobj(9)
    return b"".join(packer.compress(bytes(1 << 20)) for _ in range(size >> 20)) + packer.flush()


@hostile(HDF5, "signature-alone.h5", "the signature and nothing else")
def _(path: Path) -> None:
    path.write_bytes(b"\x89HDF\r\n\x1a\n")


@hostile(HDF5, "cut-off.h5", "the first half of a network")
def _(path: Path) -> None:
    write_h5(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@hostile(HDF5, "user-block.h5", "a block of other bytes before the file", "read")
def _(path: Path) -> None:
    with h5py.File(path, "w", userblock_size=512) as file:
        file.attrs["model_config"] = json.dumps(SMALL)
        group = file.create_group("model_weights/dense")
        group.attrs["weight_names"] = [b"kernel", b"bias"]
        group["kernel"], group["bias"] = KERNEL, np.zeros(10, np.float32)


@hostile(HDF5, "chunk-bomb.h5", "a chunk of 31 kB that unpacks to 4 GB")
def _(path: Path) -> None:
    with_chunk(path, deflated_zeros(4 << 30)[:31000], compression="gzip")


@hostile(HDF5, "ratio.h5", "1.5 GB of zeros, declared, in 1.5 MB")
def _(path: Path) -> None:
    shape = (784, 512 << 10)

    def make(group: Any) -> None:
        chunk = (784, 4 << 10)
        dataset = group.create_dataset("kernel", shape, "f4", chunks=chunk, compression="gzip")
        stored = zlib.compress(bytes(784 * (4 << 10) * 4), 9)
        for start in range(0, shape[1], chunk[1]):
            dataset.id.write_direct_chunk((0, start), stored)

    with_kernel(path, make)


@hostile(HDF5, "gigabytes.h5", "a tensor of 4 GiB that is not there")
def _(path: Path) -> None:
    with_dataset(path, (1 << 10, 1 << 20), chunks=(1, 1 << 16), compression="gzip")


@hostile(HDF5, "huge-shape.h5", "a tensor of 2⁶² elements")
def _(path: Path) -> None:
    with_dataset(path, (1 << 31, 1 << 31), chunks=(1, 1 << 16))


@hostile(HDF5, "rank-32.h5", "a tensor with 32 axes of 4 GiB each")
def _(path: Path) -> None:
    with_dataset(path, (1 << 32,) * 32, chunks=(1,) * 32)


@hostile(HDF5, "compressed-twice.h5", "two deflate filters")
def _(path: Path) -> None:
    def make(group: Any) -> None:
        made = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        made.set_chunk(KERNEL.shape)
        made.set_deflate(9)
        made.set_deflate(9)
        space = h5py.h5s.create_simple(KERNEL.shape)
        dataset = h5py.h5d.create(group.id, b"kernel", h5py.h5t.IEEE_F32LE, space, made)
        dataset.write_direct_chunk((0, 0), zlib.compress(deflated_zeros(1 << 30), 9))

    with_kernel(path, make)


@hostile(HDF5, "lzf-bomb.h5", "an LZF chunk that unpacks to 88 times its size")
def _(path: Path) -> None:
    with_chunk(path, b"\0\0" + b"\xe0\xff\0" * 10_000, compression="lzf")


@hostile(HDF5, "lzf-before-the-beginning.h5", "an LZF chunk that refers to bytes before it")
def _(path: Path) -> None:
    with_chunk(path, b"\x3f\xff" * 9, compression="lzf")


@hostile(HDF5, "no-deflate.h5", "a chunk that is not compressed and says so")
def _(path: Path) -> None:
    with_chunk(path, b"x" * 500, compression="gzip")


@hostile(HDF5, "checksum.h5", "a chunk that differs from its checksum")
def _(path: Path) -> None:
    with_chunk(path, KERNEL.tobytes() + b"1234", fletcher32=True)


@hostile(HDF5, "compressed.h5", "deflate, shuffle and a checksum, as they should be", "read")
def _(path: Path) -> None:
    settings: dict[str, Any] = {"compression": "gzip", "shuffle": True, "fletcher32": True}
    with_kernel(path, lambda group: group.create_dataset("kernel", data=KERNEL, **settings))


@hostile(HDF5, "other-filter.h5", "a filter that is not deflate or LZF")
def _(path: Path) -> None:
    with_kernel(path, lambda group: group.create_dataset("kernel", data=KERNEL, scaleoffset=4))


@hostile(HDF5, "one-huge-chunk.h5", "a chunk of 3 GiB for a small tensor")
def _(path: Path) -> None:
    with_dataset(path, maxshape=(None, None), chunks=(3 << 20, 256))


@hostile(HDF5, "many-chunks.h5", "a tensor in a million chunks of one element")
def _(path: Path) -> None:
    with_dataset(path, (1 << 10, 1 << 10), chunks=(1, 1))


@hostile(HDF5, "never-written.h5", "a tensor whose values were never written")
def _(path: Path) -> None:
    with_dataset(path)


@hostile(HDF5, "fill-value.h5", "a tensor of 1 GB that is a fill value alone")
def _(path: Path) -> None:
    with_dataset(path, (784, 340_000), fillvalue=1.0)


@hostile(HDF5, "half-written.h5", "a tensor with chunks that were never written")
def _(path: Path) -> None:
    with_kernel(
        path,
        lambda group: group.create_dataset("kernel", KERNEL.shape, "f4", chunks=(8, 10)).__setitem__(0, 1),
    )


@hostile(HDF5, "external-values.h5", "a tensor with its values in /etc/passwd")
def _(path: Path) -> None:
    with_dataset(path, external=[("/etc/passwd", 0, KERNEL.nbytes)])


@hostile(HDF5, "virtual.h5", "a tensor that is put together from other files")
def _(path: Path) -> None:
    layout = h5py.VirtualLayout(KERNEL.shape, "f4")
    layout[...] = h5py.VirtualSource("/etc/passwd", "x", KERNEL.shape, "f4")
    with_kernel(path, lambda group: group.create_virtual_dataset("kernel", layout))


@hostile(HDF5, "soft-link.h5", "a soft link in place of a tensor")
def _(path: Path) -> None:
    with_kernel(path, lambda group: group.__setitem__("kernel", h5py.SoftLink("/model_weights/dense/bias")))


@hostile(HDF5, "external-link.h5", "a link to another file in place of a tensor")
def _(path: Path) -> None:
    with_kernel(path, lambda group: group.__setitem__("kernel", h5py.ExternalLink("/etc/passwd", "/x")))


@hostile(HDF5, "soft-link-loop.h5", "a soft link that leads to itself in place of the layers")
def _(path: Path) -> None:
    write_h5(path)
    with h5py.File(path, "a") as file:
        del file["model_weights"]
        file["model_weights"] = h5py.SoftLink("/model_weights")


@hostile(HDF5, "group-in-itself.h5", "a group that contains itself", "read")
def _(path: Path) -> None:
    write_h5(path)
    with h5py.File(path, "a") as file:
        file["model_weights/dense/dense"] = file["model_weights"]
        file["model_weights/again"] = file["/"]


@hostile(HDF5, "one-tensor-many-names.h5", "a tensor of 4 MB as the kernel of 500 layers")
def _(path: Path) -> None:
    layers = [layer("Dense", f"dense{index}", units=1000, use_bias=False) for index in range(500)]
    config = sequential(layer("InputLayer", "start", batch_shape=[None, 1000]), *layers)
    write_h5(path, config, {"dense0": {"kernel": np.ones((1000, 1000), np.float32)}})
    with h5py.File(path, "a") as file:
        for index in range(1, 500):
            group = file.create_group(f"model_weights/dense{index}")
            group.attrs["weight_names"] = [b"kernel"]
            group["kernel"] = file["model_weights/dense0/kernel"]


@hostile(HDF5, "overlapping.h5", "two tensors that share their bytes in the file", "read")
def _(path: Path) -> None:
    write_h5(path)
    with h5py.File(path) as file:
        kernel = file["model_weights/dense/kernel"].id.get_offset()
        bias = file["model_weights/dense/bias"].id.get_offset()
    content = path.read_bytes()
    path.write_bytes(content.replace(struct.pack("<Q", bias), struct.pack("<Q", kernel + 8)))


@hostile(HDF5, "beyond-the-end.h5", "a tensor that begins after the end of the file")
def _(path: Path) -> None:
    write_h5(path)
    with h5py.File(path) as file:
        kernel = file["model_weights/dense/kernel"].id.get_offset()
    content = path.read_bytes()
    path.write_bytes(content.replace(struct.pack("<Q", kernel), struct.pack("<Q", 1 << 40)))


@hostile(HDF5, "records.h5", "a tensor of records")
def _(path: Path) -> None:
    data = np.zeros(KERNEL.shape, np.dtype([("a", "f4"), ("b", "i8")]))
    with_kernel(path, lambda group: group.create_dataset("kernel", data=data))


@hostile(HDF5, "texts.h5", "a tensor of texts")
def _(path: Path) -> None:
    data = np.full(KERNEL.shape, b"x", object)
    with_kernel(path, lambda group: group.create_dataset("kernel", data=data, dtype=h5py.string_dtype()))


@hostile(HDF5, "references.h5", "a tensor of references to objects")
def _(path: Path) -> None:
    with_kernel(path, lambda group: group.create_dataset("kernel", KERNEL.shape, h5py.ref_dtype))


@hostile(HDF5, "long-doubles.h5", "a tensor of floats with 16 bytes")
def _(path: Path) -> None:
    with_kernel(path, lambda group: group.create_dataset("kernel", data=KERNEL.astype(np.longdouble)))


@hostile(HDF5, "other-floats.h5", "a tensor of floats with other exponents")
def _(path: Path) -> None:
    kind = h5py.h5t.IEEE_F32LE.copy()
    kind.set_ebias(100)

    def make(group: Any) -> None:
        dataset = h5py.h5d.create(group.id, b"kernel", kind, h5py.h5s.create_simple(KERNEL.shape))
        dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, KERNEL)

    with_kernel(path, make)


@hostile(HDF5, "empty-tensor.h5", "a tensor with an axis of length 0")
def _(path: Path) -> None:
    with_dataset(path, (0, 10))


@hostile(HDF5, "endless-heap.h5", "a heap of texts with an object of length 0, which HDF5 never leaves")
def _(path: Path) -> None:
    write_h5(path)
    content = bytearray(path.read_bytes())
    first = content.find(b"GCOL") + 16
    content[first : first + 16] = bytes(16)
    path.write_bytes(content)


@hostile(HDF5, "nested-heaps.h5", "100,000 heaps of texts, each inside the one before")
def _(path: Path) -> None:
    count = 100_000
    headers = (b"GCOL\1\0\0\0" + (32 * (count - index)).to_bytes(8, "little") for index in range(count))
    path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(8) + b"".join(headers) + bytes(16 * count + 4096))


@hostile(HDF5, "one-text-many-times.h5", "300 names that may each be a text of 1 MB")
def _(path: Path) -> None:
    write_h5(path)
    with h5py.File(path, "a") as file:
        attributes = file["model_weights/dense"].attrs
        del attributes["weight_names"]
        attributes.create("weight_names", ["ab"] * 300, dtype=h5py.string_dtype())
        attributes.create("long", ["x" * (1 << 20)], dtype=h5py.string_dtype())


@hostile(HDF5, "many-names.h5", "a list of 80,000 names of weights that are not there")
def _(path: Path) -> None:
    write_h5(path)
    with h5py.File(path, "a", libver="latest") as file:
        attributes = file["model_weights/dense"].attrs
        del attributes["weight_names"]
        for index in range(40):
            names = np.array([b"weight%06d" % (2000 * index + number) for number in range(2000)])
            attributes[f"weight_names{index}"] = names


@hostile(HDF5, "climbing-name.h5", "a weight called ../../model_weights/dense/kernel")
def _(path: Path) -> None:
    write_h5(path)
    with h5py.File(path, "a") as file:
        names = [b"../../model_weights/dense/kernel", b"bias"]
        file["model_weights/dense"].attrs["weight_names"] = names


@hostile(HDF5, "absolute-name.h5", "a weight called /model_weights/dense/kernel")
def _(path: Path) -> None:
    write_h5(path)
    with h5py.File(path, "a") as file:
        file["model_weights/dense"].attrs["weight_names"] = [b"/model_weights/dense/kernel", b"bias"]


@hostile(HDF5, "names-of-numbers.h5", "a list of names that is a list of numbers")
def _(path: Path) -> None:
    write_h5(path)
    with h5py.File(path, "a") as file:
        file["model_weights/dense"].attrs["weight_names"] = np.arange(9)


@hostile(HDF5, "many-members.h5", "50,000 groups beside the layers", "read")
def _(path: Path) -> None:
    write_h5(path)
    with h5py.File(path, "a", libver="latest") as file:
        group = file.create_group("others")
        for index in range(50_000):
            group[str(index)] = file["model_weights"]


@hostile(HDF5, "deep-groups.h5", "20,000 groups inside one another", "read")
def _(path: Path) -> None:
    write_h5(path)
    with h5py.File(path, "a") as file:
        group = file
        for _ in range(20_000):
            group = group.create_group("a")


@hostile(HDF5, "short-lengths.h5", "lengths of four bytes")
def _(path: Path) -> None:
    made = h5py.h5p.create(h5py.h5p.FILE_CREATE)
    made.set_sizes(8, 4)
    with h5py.File(h5py.h5f.create(bytes(path), h5py.h5f.ACC_TRUNC, fcpl=made)) as file:
        file.attrs["model_config"] = json.dumps(SMALL)


@hostile(HDF5, "huge-header.h5", "an object header that declares 4 GB")
def _(path: Path) -> None:
    with h5py.File(path, "w", libver="latest") as file:
        file.attrs["model_config"] = json.dumps(SMALL)
    content = bytearray(path.read_bytes())
    root = content.find(b"OHDR")
    content[root + 4 : root + 6] = b"\2\3"  # the size of the first chunk has eight bytes
    content[root + 6 : root + 14] = struct.pack("<Q", (1 << 32) - 100)
    path.write_bytes(content)


@hostile(HDF5, "tree-in-itself.h5", "a tree of members whose nodes lead back to their parents")
def _(path: Path) -> None:
    write_h5(path)
    with h5py.File(path, "a") as file:
        for index in range(2000):
            file.create_group(f"m{index}")
    content = bytearray(path.read_bytes())
    nodes = [place for place in range(len(content)) if content.startswith(b"TREE\0", place)]
    above = max(nodes, key=lambda place: content[place + 5])
    used = struct.unpack_from("<H", content, above + 6)[0]
    first = struct.unpack_from("<Q", content, above + 32)[0]
    for child in range(used):
        struct.pack_into("<Q", content, above + 32 + 16 * child, first)
    path.write_bytes(content)
