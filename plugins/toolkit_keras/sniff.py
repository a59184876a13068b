"""What a file is if its content does not match its name."""

from __future__ import annotations

from typing import NoReturn

from toolkit.errors import UnreadableInputError
from toolkit_keras.byte_source import ByteSource
from toolkit_keras.safe_hdf5 import SIGNATURE

_ZIP = b"PK\x03\x04"
_MAGIC = (
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"\x1f\x8b", "a gzip file"),
    (b"%PDF", "a PDF document"),
    *((b"\x80" + bytes([protocol]), "a Python pickle") for protocol in range(2, 6)),
    (b"\x08\x01\x12", "a SavedModel's protobuf"),
    (b"version https://git-lfs", "a Git LFS pointer: the file itself was not downloaded"),
)


def require_hdf5(source: ByteSource, name: str) -> None:
    """Check that a file has the signature of HDF5.

    Raises:
        UnreadableInputError: If it has not; says what it is instead.
    """
    head = _head(source)
    if head.startswith(SIGNATURE) or _after_user_block(source):
        return
    if head.startswith(_ZIP):
        raise UnreadableInputError(
            f"{name} is a zip archive, not an HDF5 file",
            hint="if it is a Keras model, rename it to end in .keras",
        )
    _refuse(head, name, "an HDF5 file")


def require_zip(source: ByteSource, name: str) -> None:
    """Check that a file has the signature of a zip archive.

    Raises:
        UnreadableInputError: If it has not; says what it is instead.
    """
    head = _head(source)
    if head.startswith(_ZIP):
        return
    if head.startswith(SIGNATURE):
        raise UnreadableInputError(
            f"{name} is an HDF5 file, not a Keras archive", hint="rename it to end in .h5"
        )
    _refuse(head, name, "a Keras archive")


def _refuse(head: bytes, name: str, wanted: str) -> NoReturn:
    raise UnreadableInputError(f"{name} is not {wanted}: {_guess(head)}", hint="download or create it again")


def _guess(head: bytes) -> str:
    if not head:
        return "it is empty"
    if not head.strip(b"\0"):
        return "it contains only zeros"
    for magic, what in _MAGIC:
        if head.startswith(magic):
            return f"it is {what}"
    text = head.lstrip().lower()
    if text.startswith((b"<!doctype html", b"<html", b"<!doctype")):
        return "it is a web page"
    if text.startswith(b"{"):
        return (
            "it is a Jupyter notebook" if b'"cells"' in text or b'"nbformat"' in text else "it is a JSON file"
        )
    return "wrong file signature"


def _head(source: ByteSource) -> bytes:
    with source.open() as stream:
        return stream.read(min(4096, source.size)) or b""


def _after_user_block(source: ByteSource) -> bool:
    """HDF5 may begin after a user block: at 512 bytes, or at 1024, 2048, …"""
    with source.open() as stream:
        start = 512
        while start + len(SIGNATURE) <= min(source.size, 1 << 20):
            stream.seek(start)
            if stream.read(len(SIGNATURE)) == SIGNATURE:
                return True
            start *= 2
    return False
