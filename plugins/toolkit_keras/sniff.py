"""What a file is if its content does not match its name."""

from __future__ import annotations

from toolkit.errors import UnreadableInputError
from toolkit_keras.byte_source import ByteSource
from toolkit_keras.safe_hdf5 import SIGNATURE

_ZIP = b"PK\x03\x04"
_MAGIC = (
    (SIGNATURE, "it is an HDF5 file", "rename it to end in .h5"),
    (_ZIP, "it is a zip archive", "if it is a Keras model, rename it to end in .keras"),
    (b"\x89PNG", "it is a PNG picture", ""),
    (b"\xff\xd8\xff", "it is a JPEG picture", ""),
    (b"\x1f\x8b", "it is a gzip file", ""),
    (b"%PDF", "it is a PDF document", ""),
    *((b"\x80" + bytes([protocol]), "it is a Python pickle", "") for protocol in range(2, 6)),
    (b"\x08\x01\x12", "it is a SavedModel's protobuf", ""),
    (b"version https://git-lfs", "it is a Git LFS pointer: the file itself was not downloaded", ""),
)


def require_hdf5(source: ByteSource) -> None:
    """Check that a file has the signature of HDF5; the error says what it is instead."""
    # HDF5 may begin after a user block: at 512 bytes, or at 1024, 2048, …
    starts = [0, *(512 << power for power in range(11))]
    with source.open() as stream:
        for start in starts:
            stream.seek(start)
            if stream.read(len(SIGNATURE)) == SIGNATURE:
                return
    raise _other(source, "an HDF5 file")


def require_zip(source: ByteSource) -> None:
    """Check that a file has the signature of a zip archive; the error says what it is instead."""
    with source.open() as stream:
        if stream.read(len(_ZIP)) != _ZIP:
            raise _other(source, "a Keras archive")


def _other(source: ByteSource, wanted: str) -> UnreadableInputError:
    with source.open() as stream:
        found, hint = _guess(stream.read(4096))
    return UnreadableInputError(f"not {wanted}: {found}", hint=hint or "download or create it again")


def _guess(head: bytes) -> tuple[str, str]:
    """What a file is, and what to do with it if that is known."""
    for magic, what, hint in _MAGIC:
        if head.startswith(magic):
            return what, hint
    text = head.lstrip().lower()
    if not head:
        return "it is empty", ""
    if not head.strip(b"\0"):
        return "it contains only zeros", ""
    if text.startswith((b"<html", b"<!doctype")):
        return "it is a web page", ""
    if text.startswith(b"{"):
        notebook = b'"cells"' in text or b'"nbformat"' in text
        return "it is a Jupyter notebook" if notebook else "it is a JSON file", ""
    return "wrong file signature", ""
