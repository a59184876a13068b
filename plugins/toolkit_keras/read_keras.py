"""Keras' own archive: a zip with a configuration and an HDF5 file of weights."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from operator import itemgetter
from pathlib import Path

from toolkit.errors import LimitReachedError, UnreadableInputError, UnsupportedError, naming
from toolkit.model import Model
from toolkit.store.byte_source import ByteSource, FileBytes, MemoryBytes
from toolkit.store.limits import LARGEST_DOCUMENT, SizeBudget
from toolkit.store.other_files import require_content
from toolkit.vocabulary import file_size
from toolkit_keras.architecture import architecture_of
from toolkit_keras.build import CARD_MEMBER, build_model
from toolkit_keras.configuration import load_json, refuse_code
from toolkit_keras.file_errors import damage, damaged_file
from toolkit_keras.keras_content import is_archive
from toolkit_keras.modernise import modernise
from toolkit_keras.numbered_weights import place_numbered
from toolkit_keras.safe_hdf5 import SafeHdf5, check_global_heaps

CONFIG = "config.json"
METADATA = "metadata.json"
WEIGHTS = "model.weights.h5"

_BLOCK = 1 << 20
_LOCAL_HEADER = struct.Struct("<4s5H3I2H")
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError, KeyError)


def read_keras(path: Path) -> Model:
    """Read a ``.keras`` archive."""
    with naming(path.name):
        source = FileBytes(path)
        require_content(path, is_archive, "a Keras archive")
        with _opened(source) as archive:
            metadata = load_json(_document(archive, METADATA), METADATA)
            raw = load_json(_document(archive, CONFIG), CONFIG)
            card = _document(archive, CARD_MEMBER) if CARD_MEMBER in archive.NameToInfo else None
            weights = _weights(archive, source, path)
        refuse_code({key: value for key, value in raw.items() if key != "compile_config"})
        architecture = architecture_of(modernise(raw, str(metadata.get("keras_version", ""))))
        with SafeHdf5(weights, check_global_heaps(weights)) as file:
            placed = place_numbered(file, architecture)
            dropped = ["the optimizer's state"] if file.has("optimizer") else []
        if raw.get("compile_config"):
            dropped.append("the training configuration")
        return build_model(path, weights, architecture, placed, card, dropped)


@contextmanager
def _opened(source: ByteSource) -> Iterator[zipfile.ZipFile]:
    """A zip archive in which every member has a name of its own."""
    with source.open() as stream:
        with damage("the archive", _DAMAGE):
            archive = zipfile.ZipFile(stream)
        name, times = max(Counter(archive.namelist()).items(), key=itemgetter(1), default=("", 0))
        if times > 1:
            raise damaged_file(f"it holds {name!r} twice")
        yield archive


def _member(archive: zipfile.ZipFile, name: str) -> zipfile.ZipInfo:
    info = archive.NameToInfo.get(name)
    if info is None:
        raise UnreadableInputError(
            f"a zip archive without a Keras model: it has no {name}",
            hint="supported: files written by Keras' model.save",
        )
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise UnsupportedError(
            f"{name} is compressed by method {info.compress_type}", hint="supported: deflate"
        )
    if info.flag_bits & 0x1:
        raise UnsupportedError(f"{name} is encrypted", hint="supported: plain archives")
    return info


def _document(archive: zipfile.ZipFile, name: str) -> bytes:
    """All bytes of a member that is JSON."""
    if _member(archive, name).file_size > LARGEST_DOCUMENT:
        declared, most = file_size(archive.NameToInfo[name].file_size), file_size(LARGEST_DOCUMENT)
        raise LimitReachedError(f"{name} declares {declared}, the limit is {most}")
    return _content(archive, name)


def _content(archive: zipfile.ZipFile, name: str) -> bytes:
    """All bytes of a member, checked against the archive's checksum."""
    info = _member(archive, name)
    with damage(name, _DAMAGE), archive.open(info) as stream:
        content = stream.read(info.file_size + 1)
    if len(content) != info.file_size:
        raise damaged_file(f"{name} is {len(content):,} bytes long, not {info.file_size:,}")
    return content


def _weights(archive: zipfile.ZipFile, source: ByteSource, path: Path) -> ByteSource:
    """The member of weights: a part of the file if it is stored, memory if it is compressed."""
    info = _member(archive, WEIGHTS)
    if info.compress_type != zipfile.ZIP_STORED:
        SizeBudget(source.size).add(info.file_size, WEIGHTS)
        return MemoryBytes(_content(archive, WEIGHTS), source.size)
    with damage(WEIGHTS, _DAMAGE), archive.open(info):
        pass  # its own header agrees with the archive's directory
    with source.open() as file:
        file.seek(info.header_offset)
        *_, name_length, extra_length = _LOCAL_HEADER.unpack(file.read(_LOCAL_HEADER.size))
    start = info.header_offset + _LOCAL_HEADER.size + name_length + extra_length
    weights = FileBytes(path, start, info.file_size)
    if _crc32(weights) != info.CRC:
        raise damaged_file(f"{WEIGHTS} cannot be read: its CRC-32 differs")
    return weights


def _crc32(source: ByteSource) -> int:
    """The checksum of all bytes, which shows a flipped bit; zlib's takes five times as long."""
    from isal import isal_zlib

    found, block = 0, memoryview(bytearray(_BLOCK))
    with source.open() as stream:
        while count := stream.readinto(block):  # type: ignore[attr-defined]
            found = isal_zlib.crc32(block[:count], found)
    return found
