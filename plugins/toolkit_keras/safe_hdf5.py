"""Reading HDF5 safely: hard links, the file's own storage, numbers and known filters only."""

from __future__ import annotations

import math
import re
import struct
import zlib
from typing import Any, BinaryIO

import h5py
import numpy as np
from h5py import h5a, h5d, h5l, h5o, h5s, h5t
from h5py.h5d import DatasetID
from h5py.h5g import GroupID
from numpy.typing import NDArray

from toolkit.errors import LimitReachedError, ToolkitError, UnsupportedError
from toolkit.records import dataclass
from toolkit.store.byte_source import ByteSource
from toolkit.store.limits import LARGEST_DOCUMENT, SizeBudget
from toolkit.vocabulary import file_size
from toolkit_keras.file_errors import damage, damaged_file
from toolkit_keras.hdf5_chunks import Chunks, check_filters, count_chunks, read_chunked

MAX_NAMES = 100_000
_MOST_TEXTS_BYTES = 256 << 20

_HEAP = b"GCOL"
_HEAP_HEADER = struct.Struct("<4sB3sQ")
_HEAP_OBJECT = struct.Struct("<HHIQ")
_BLOCK = 1 << 20
_MOST_HEAP_BYTES = 64 << 20
# What h5py raises on damaged files; anything else is a bug of ours.
_DAMAGE = (
    OSError,
    RuntimeError,
    KeyError,
    ValueError,
    TypeError,
    OverflowError,
    MemoryError,
    IndexError,
    zlib.error,
)


@dataclass(frozen=True)
class Stored:
    """The place of a tensor in an HDF5 file, checked but not read.

    Attributes:
        offset: Of its first byte if it is contiguous; None otherwise.
        chunks: How it is cut into chunks; None if it is not.
        bfloat16: Whether its two-byte elements are the upper halves of float32.
    """

    path: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    offset: int | None
    chunks: Chunks | None
    bfloat16: bool

    @property
    def nbytes(self) -> int:
        """Size in bytes, as stored when it is read."""
        return math.prod(self.shape) * self.dtype.itemsize


class SafeHdf5:
    """An open HDF5 file; every method raises UnreadableInputError if it is damaged.

    Groups and tensors are opened with h5py's low-level interface, which takes a third of the time.

    Args:
        longest_text: What :func:`check_global_heaps` returned; only needed to read texts.
    """

    def __init__(self, source: ByteSource, longest_text: int = 0) -> None:
        self._size = source.size
        self._budget = SizeBudget(source.stored)
        self._chunks = 0
        self._longest_text = longest_text
        self._groups: dict[tuple[str, ...], GroupID] = {}
        self._stream = source.open()
        try:
            with damage("the file", _DAMAGE):
                self._file = h5py.File(self._stream, "r")
                sizes = self._file.id.get_create_plist().get_sizes()
            if sizes != (8, 8):
                raise UnsupportedError(
                    f"its addresses and lengths have {sizes[0]} and {sizes[1]} bytes",
                    hint="supported: 8 and 8",
                )
        except ToolkitError:
            self._stream.close()
            raise

    def __enter__(self) -> SafeHdf5:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._groups.clear()
        with damage("the file", _DAMAGE):
            self._file.close()
        self._stream.close()

    def has(self, *path: str) -> bool:
        """Whether there is a group or a dataset at a path of hard links."""
        if not path or path in self._groups:
            return True
        above = self._walk(path[:-1])
        return isinstance(above, GroupID) and _has_link(above, path[-1])

    def members(self, *path: str) -> tuple[str, ...]:
        """Names in a group, sorted; empty if the group is missing."""
        if not self.has(*path):
            return ()
        group = self._group(path)
        with damage("/".join(path), _DAMAGE):
            if group.get_num_objs() > MAX_NAMES:
                raise LimitReachedError(f"{'/'.join(path)} has {group.get_num_objs():,} entries")
            return tuple(sorted(str(name) for name in h5py.Group(group)))

    def text(self, path: tuple[str, ...], attribute: str) -> str | None:
        """A text attribute, or None if it is missing."""
        value = self._attribute(path, attribute)
        if isinstance(value, bytes):
            with damage(f"attribute {attribute}", _DAMAGE):
                return value.decode()
        if value is None or isinstance(value, str):
            return value
        raise damaged_file(f"attribute {attribute} is {type(value).__name__}, not text")

    def names(self, path: tuple[str, ...], attribute: str) -> tuple[str, ...] | None:
        """A list of names, joined if Keras has split it; None if it is missing."""
        whole = self._attribute(path, attribute)
        if whole is not None:
            return _texts(whole, attribute)
        found: list[str] = []
        for index in range(MAX_NAMES):
            part = self._attribute(path, f"{attribute}{index}")
            if part is None:
                break
            found += _texts(part, attribute)
        return tuple(found) or None

    def stored(self, *path: str) -> Stored:
        """Find a tensor and check its header; reads none of its bytes."""
        name = "/".join(path)
        dataset = self._walk(path)
        if not isinstance(dataset, DatasetID):
            raise damaged_file(f"{name} is {'missing' if dataset is None else 'a group, not a tensor'}")
        with damage(name, _DAMAGE):
            properties = dataset.get_create_plist()
            layout = properties.get_layout()
            if layout == h5d.VIRTUAL or properties.get_external_count():
                raise UnsupportedError(
                    f"{name} keeps its values in another file", hint="no such file is ever opened"
                )
            dtype = dataset.dtype
            shape = dataset.shape
            numpys = dataset.get_type().equal(h5t.py_create(dtype, logical=True))
            filters = tuple(properties.get_filter(index)[0] for index in range(properties.get_nfilters()))
            chunks = None
            if layout == h5d.CHUNKED:
                chunks = Chunks(tuple(map(int, properties.get_chunk())), filters, dtype.itemsize)
            offset = dataset.get_offset() if layout == h5d.CONTIGUOUS else None
        if shape is None:
            raise damaged_file(f"{name} has no shape")
        bfloat16 = dtype.kind == "V" and dtype.itemsize == 2 and dtype.fields is None
        if not bfloat16 and (dtype.kind not in "fiub" or dtype.itemsize > 8):
            raise damaged_file(f"{name} holds {dtype}, not numbers")
        if not (bfloat16 or numpys):
            raise UnsupportedError(
                f"{name} is stored in a number format of its own",
                hint="supported: whole numbers and IEEE floats",
            )
        if bfloat16:  # h5py has no such type; Keras stores the bytes
            dtype = np.dtype("<u2")
        check_filters(filters, name)
        found = Stored(path, tuple(int(size) for size in shape), dtype, offset, chunks, bfloat16)
        self._check_size(found, name)
        if layout == h5d.CONTIGUOUS and offset is None and found.nbytes:
            raise damaged_file(f"{name} declares {file_size(found.nbytes)}, which were never written")
        return found

    def read(self, stored: Stored) -> NDArray[Any]:
        """Read a tensor that is not contiguous."""
        name = "/".join(stored.path)
        dataset = self._walk(stored.path)
        with damage(name, _DAMAGE):
            if not isinstance(dataset, DatasetID) or tuple(dataset.shape) != stored.shape:
                raise damaged_file(f"{name} has changed while it was read")
            array = np.empty(stored.shape, stored.dtype)
            if stored.chunks is None:
                dataset.read(h5s.ALL, h5s.ALL, array, dataset.get_type())
            else:
                read_chunked(dataset, stored.chunks, array, name)
        return array

    def _check_size(self, stored: Stored, name: str) -> None:
        """Compare what a tensor declares with what the file holds and with the limits."""
        size = stored.nbytes
        if stored.chunks is not None:
            number = stored.chunks.number(stored.shape)
            self._chunks += number
            count_chunks(self._chunks, name)
            size = number * stored.chunks.nbytes  # what is unpacked, beyond the tensor's edges too
        self._budget.add(size, name)
        if stored.offset is not None and stored.offset + stored.nbytes > self._size:
            raise damaged_file(f"{name} ends after the end of the file, which was cut off")

    def _walk(self, path: tuple[str, ...]) -> Any:
        """The object at a path, or None; groups that were found before are not looked up again."""
        found: Any = self._file.id
        for length, part in enumerate(path, 1):
            above, found = found, self._groups.get(path[:length])
            if found is None:
                if not isinstance(above, GroupID) or not _has_link(above, part):
                    return None
                with damage(part, _DAMAGE):
                    found = h5o.open(above, _encoded(part))
                if isinstance(found, GroupID):
                    self._groups[path[:length]] = found
        return found

    def _group(self, path: tuple[str, ...]) -> GroupID:
        found = self._walk(path)
        if not isinstance(found, GroupID):
            raise damaged_file(f"{'/'.join(path)} is not a group")
        return found

    def _attribute(self, path: tuple[str, ...], attribute: str) -> Any:
        group = self._group(path)
        with damage(f"attribute {attribute}", _DAMAGE):
            if not h5a.exists(group, _encoded(attribute)):
                return None
            header = h5a.open(group, _encoded(attribute))
            count = math.prod(header.shape)
            if not count:
                return np.empty(0, object)  # an empty list has whatever type NumPy gives it
            if count > MAX_NAMES or count * header.dtype.itemsize > LARGEST_DOCUMENT:
                raise LimitReachedError(f"attribute {attribute} is too large")
            if header.dtype.kind not in "OS":
                raise damaged_file(f"attribute {attribute} holds {header.dtype}, not text")
            if header.dtype.kind == "O":
                # Many may be one text in the file, and each is copied.
                if count > 1 and count * self._longest_text > _MOST_TEXTS_BYTES:
                    raise LimitReachedError(f"attribute {attribute} may hold {count} texts that are too long")
                text = h5py.Group(group).attrs[attribute]
                if isinstance(text, str | bytes) and len(text) > LARGEST_DOCUMENT:
                    declared, most = file_size(len(text)), file_size(LARGEST_DOCUMENT)
                    raise LimitReachedError(f"attribute {attribute} has {declared}, the limit is {most}")
                return text
            value = np.empty(header.shape, header.dtype)
            header.read(value)
        return value if value.shape else value.item()


def _encoded(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


def _has_link(group: GroupID, part: str) -> bool:
    """Whether a group has a hard link of that name; one of another kind is refused."""
    if part in ("", ".", "..") or "/" in part:
        raise damaged_file(f"{part!r} is not a name")
    with damage(part, _DAMAGE):
        name = _encoded(part)
        if not group.links.exists(name):
            return False
        kind = group.links.get_info(name).type
    if kind == h5l.TYPE_HARD:
        return True
    shown = {h5l.TYPE_SOFT: "SoftLink", h5l.TYPE_EXTERNAL: "ExternalLink"}.get(kind, "unknown kind")
    raise UnsupportedError(
        f"{part} is a link to another place ({shown})", hint="no such link is ever followed"
    )


def _texts(value: Any, attribute: str) -> tuple[str, ...]:
    texts = []
    for item in np.atleast_1d(value).tolist() if isinstance(value, np.ndarray) else [value]:
        if isinstance(item, bytes):
            texts.append(item.decode("utf-8", "replace"))
        elif isinstance(item, str):
            texts.append(item)
        else:
            raise damaged_file(f"attribute {attribute} holds {type(item).__name__}, not text")
    return tuple(texts)


def check_global_heaps(source: ByteSource) -> int:
    """Follow every global heap of an HDF5 file as HDF5 does.

    Texts in attributes are stored in global heaps: sequences of objects, each with its length. In a
    damaged heap an object may have the length 0, and HDF5 1.14 then steps from it to itself for
    ever, in C code that nothing can interrupt. One flipped bit is enough.

    Returns:
        The length of the longest object, in bytes.
    """
    longest, left = 0, _MOST_HEAP_BYTES
    with source.open() as stream:
        for start in _places(stream):
            stream.seek(start)
            head = stream.read(_HEAP_HEADER.size)
            _, version, _, length = _HEAP_HEADER.unpack(head.ljust(_HEAP_HEADER.size, b"\0"))
            if version != 1 or start + length > source.size:
                continue  # HDF5 refuses it by itself
            left -= length
            rest = max(0, length - len(head))
            found = _longest_object(head + stream.read(rest)) if left >= 0 else None
            if found is None:
                raise damaged_file(f"the heap of texts at byte {start:,} is damaged")
            longest = max(longest, found)
    return longest


def _places(stream: BinaryIO) -> list[int]:
    """Offsets of heaps: wherever there is their signature."""
    found: list[int] = []
    overlap = len(_HEAP) - 1
    block = bytearray(overlap + _BLOCK)  # used again and again: fresh memory costs more than the search
    position = -overlap
    while count := stream.readinto(memoryview(block)[overlap:]):  # type: ignore[attr-defined]
        part = memoryview(block)[: overlap + count]
        found += (position + match.start() for match in re.finditer(_HEAP, part))
        position += count
        block[:overlap] = bytes(part[count:])
    return found


def _longest_object(heap: bytes) -> int | None:
    """Length of the longest object of a heap; None if HDF5 would not reach its end."""
    longest, position = 0, _HEAP_HEADER.size
    while position + _HEAP_OBJECT.size <= len(heap):
        index, _, _, length = _HEAP_OBJECT.unpack_from(heap, position)
        step = length if index == 0 else _HEAP_OBJECT.size + (length + 7) // 8 * 8
        if step == 0 or position + step > len(heap):
            return None
        longest = max(longest, length)
        position += step
    return longest
