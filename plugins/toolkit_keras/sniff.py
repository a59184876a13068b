"""What a file is if its content does not match its name."""

from __future__ import annotations

import re

from toolkit.errors import UnreadableInputError
from toolkit_keras.byte_source import ByteSource
from toolkit_keras.safe_hdf5 import SIGNATURE

_ZIP = b"PK\x03\x04"
_BEGINNINGS = {  # regular expressions; the first that matches says what the file is
    SIGNATURE: "it is an HDF5 file",
    _ZIP: "it is a zip archive",
    rb"\x89PNG": "it is a PNG picture",
    rb"\xff\xd8\xff": "it is a JPEG picture",
    rb"\x1f\x8b": "it is a gzip file",
    rb"%PDF": "it is a PDF document",
    rb"\x80[\x02-\x05]": "it is a Python pickle",
    rb"\x08\x01\x12": "it is a SavedModel's protobuf",
    rb"version https://git-lfs": "it is a Git LFS pointer: the file itself was not downloaded",
    rb"\Z": "it is empty",
    rb"\0+\Z": "it contains only zeros",
    rb"(?i)\s*(<html|<!doctype)": "it is a web page",
    rb'(?is)\s*\{.*("cells"|"nbformat")': "it is a Jupyter notebook",
    rb"\s*\{": "it is a JSON file",
    rb"": "wrong file signature",
}
_HINTS = {
    "it is an HDF5 file": "rename it to end in .h5",
    "it is a zip archive": "if it is a Keras model, rename it to end in .keras",
}


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
        head = stream.read(4096)
    found = next(what for pattern, what in _BEGINNINGS.items() if re.match(pattern, head))
    return UnreadableInputError(
        f"not {wanted}: {found}", hint=_HINTS.get(found, "download or create it again")
    )
