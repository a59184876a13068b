"""Downloads NIST's archive and unpacks the files of one variant."""

from __future__ import annotations

import shutil
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from toolkit.errors import DamagedFileError, UsageError
from toolkit.store import publish
from toolkit.types import FetchRequest
from toolkit_emnist.download import Archive, download
from toolkit_emnist.mapping import STANDARD

NIST = Archive(
    url="https://biometrics.nist.gov/cs_links/EMNIST/gzip.zip",
    size=561_753_746,
    sha256="fb9bb67e33772a9cc0b895e4ecf36d2cf35be8b709693c3564cea2a019fcda8e",
)
ARCHIVE_NAME = "emnist-gzip.zip"

_MEMBERS = {
    "train-images-idx3-ubyte.gz": 256 * 1024 * 1024,
    "train-labels-idx1-ubyte.gz": 4 * 1024 * 1024,
    "test-images-idx3-ubyte.gz": 64 * 1024 * 1024,
    "test-labels-idx1-ubyte.gz": 1024 * 1024,
    "mapping.txt": 64 * 1024,
}
"""The files of a variant, and the limit of each in bytes."""


def fetch(request: FetchRequest, *, archive: Archive = NIST) -> Sequence[Path]:
    """Download NIST's archive and publish one variant's five files into the request's folder.

    The archive stays in the folder, so that the next variant needs no download. The request's
    ``url`` overrides the archive's address, never its size or digest.
    """
    if request.name not in STANDARD:
        raise UsageError(f"expected one of {', '.join(STANDARD)}, received {request.name!r}")
    files = [request.folder / f"emnist-{request.name}-{member}" for member in _MEMBERS]
    if all(file.is_file() for file in files):
        request.progress.note(f"emnist-{request.name} is already in {request.folder}")
        return files
    if request.url:
        archive = replace(archive, url=request.url)
    path = request.folder / ARCHIVE_NAME
    download(archive, path, request.progress)
    _unpack(path, files, request)
    request.progress.note(f"{path} is kept for other variants; it can be deleted")
    return files


def _unpack(path: Path, files: Sequence[Path], request: FetchRequest) -> None:
    request.progress.begin("unpack", len(files), "files")
    try:
        with zipfile.ZipFile(path) as archive:
            for done, (file, limit) in enumerate(zip(files, _MEMBERS.values(), strict=True), start=1):
                # The name is ours; no name in the archive ever becomes a path.
                _unpack_member(archive, f"gzip/{file.name}", file, limit)
                request.progress.advance(done, file.name)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise DamagedFileError(
            f"{path}: not readable as a zip archive: {error}", hint="delete it and run the command again"
        ) from error
    finally:
        request.progress.end()


def _unpack_member(archive: zipfile.ZipFile, name: str, target: Path, limit: int) -> None:
    member = archive.NameToInfo.get(name)
    if member is None or member.file_size > limit:
        received = "none" if member is None else f"one of {member.file_size:,} bytes"
        raise DamagedFileError(
            f"{archive.filename}: expected a member {name} of at most {limit:,} bytes, received {received}"
        )
    with archive.open(member) as content, publish(target) as staging, staging.open("xb") as file:
        # zipfile stops at the size that the member declares, and checks its CRC.
        shutil.copyfileobj(content, file)
