"""Hostile zip archives."""

from __future__ import annotations

import json
import struct
import warnings
import zipfile
from pathlib import Path

import numpy as np
from registry import hostile
from small_networks import SMALL, inner_weights, write_archive

ZIP = "zip"
CONFIG = json.dumps(SMALL)


def _patched(path: Path, old: bytes, new: bytes) -> None:
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new))


@hostile(ZIP, "no-members.keras", "an archive without members")
def _(path: Path) -> None:
    path.write_bytes(b"PK\x05\x06" + bytes(18))


@hostile(ZIP, "no-weights.keras", "an archive without weights")
def _(path: Path) -> None:
    write_archive(path, {"model.weights.h5": b""})


@hostile(ZIP, "twice.keras", "two configurations of one name")
def _(path: Path) -> None:
    write_archive(path)
    with zipfile.ZipFile(path, "a") as archive, warnings.catch_warnings(action="ignore"):
        archive.writestr("config.json", "{}")


@hostile(ZIP, "configuration-bomb.keras", "a configuration of 1 GB in 1 MB")
def _(path: Path) -> None:
    write_archive(path, {"config.json": b""}, compression=zipfile.ZIP_DEFLATED)
    with (
        zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive,
        archive.open("config.json", "w") as file,
    ):
        for _ in range(1024):
            file.write(b" " * (1 << 20))


@hostile(ZIP, "weights-bomb.keras", "weights of 1.5 GB in 1.5 MB")
def _(path: Path) -> None:
    write_archive(path, {"model.weights.h5": b""})
    with (
        zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive,
        archive.open("model.weights.h5", "w", force_zip64=True) as file,
    ):
        file.write(b"\x89HDF\r\n\x1a\n")
        for _ in range(1536):
            file.write(bytes(1 << 20))


@hostile(ZIP, "compressed-twice.keras", "compressed tensors in a compressed member")
def _(path: Path) -> None:
    kernel = np.zeros((784, 20_000), np.float32)
    weights = inner_weights(kernel, chunks=(784, 200), compression="gzip", compression_opts=9)
    config = CONFIG.replace('"units": 10', '"units": 20000')
    members = {"model.weights.h5": weights, "config.json": config}
    write_archive(path, members, compression=zipfile.ZIP_DEFLATED)


@hostile(ZIP, "compressed.keras", "a compressed archive", "read")
def _(path: Path) -> None:
    write_archive(path, compression=zipfile.ZIP_DEFLATED)


@hostile(ZIP, "size-too-large.keras", "a member that declares 4 GB")
def _(path: Path) -> None:
    write_archive(path)
    size = struct.pack("<I", len(inner_weights()))
    _patched(path, size, struct.pack("<I", 0xFFFFFFF0))


@hostile(ZIP, "size-too-small.keras", "a member that is longer than it declares")
def _(path: Path) -> None:
    write_archive(path, compression=zipfile.ZIP_DEFLATED)
    _patched(path, struct.pack("<I", len(CONFIG)), struct.pack("<I", 10))


@hostile(ZIP, "encrypted.keras", "encrypted members")
def _(path: Path) -> None:
    write_archive(path)
    content = bytearray(path.read_bytes())
    for signature, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = content.find(signature)
        while at >= 0:
            content[at + place] |= 1
            at = content.find(signature, at + 4)
    path.write_bytes(content)


@hostile(ZIP, "lzma.keras", "members compressed by LZMA")
def _(path: Path) -> None:
    write_archive(path, compression=zipfile.ZIP_LZMA)


@hostile(ZIP, "climbing.keras", "members named ../../escaped and /etc/escaped", "read")
def _(path: Path) -> None:
    write_archive(path, {"../../escaped": b"x", "/etc/escaped": b"x", "config.json/": b"x"})


@hostile(ZIP, "many-members.keras", "50,000 members")
def _(path: Path) -> None:
    write_archive(path, {"config.json": b""} | {f"member{index}": b"x" for index in range(50_000)})


@hostile(ZIP, "flipped-bit.keras", "weights that differ from their checksum")
def _(path: Path) -> None:
    write_archive(path)
    content = bytearray(path.read_bytes())
    content[content.find(b"\x89HDF") + 3000] ^= 1
    path.write_bytes(content)


@hostile(ZIP, "cut-off.keras", "the first half of an archive")
def _(path: Path) -> None:
    write_archive(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@hostile(ZIP, "no-hdf5.keras", "weights that are not HDF5")
def _(path: Path) -> None:
    write_archive(path, {"model.weights.h5": b"x" * 5000})


@hostile(ZIP, "other-name-inside.keras", "a member whose own header has another name")
def _(path: Path) -> None:
    write_archive(path)
    content = path.read_bytes()
    path.write_bytes(content.replace(b"config.json", b"confog.json", 1))


@hostile(ZIP, "far-member.keras", "a member that begins after the end of the file")
def _(path: Path) -> None:
    write_archive(path)
    content = bytearray(path.read_bytes())
    for_config = content.rfind(b"PK\x01\x02", 0, content.rfind(b"config.json"))
    struct.pack_into("<I", content, for_config + 42, 0x7FFFFFF0)
    path.write_bytes(content)


@hostile(ZIP, "not-utf-8.keras", "a configuration that is not UTF-8")
def _(path: Path) -> None:
    write_archive(path, {"config.json": CONFIG.encode().replace(b"flat", b"fl\xff\xfe")})


@hostile(ZIP, "metadata-is-a-number.keras", "metadata that is a number")
def _(path: Path) -> None:
    write_archive(path, {"metadata.json": "5"})


@hostile(ZIP, "prefix.keras", "other bytes before the archive")
def _(path: Path) -> None:
    write_archive(path)
    path.write_bytes(b"#!/bin/sh\necho\n" + path.read_bytes())


@hostile(ZIP, "archive.h5", "a Keras archive named .h5", "read")
def _(path: Path) -> None:
    write_archive(path)
