"""Downloads one large file that is known beforehand: resumed where it broke off, then checked."""

from __future__ import annotations

import hashlib
import http.client
import os
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from toolkit.errors import DamagedFileError, MissingInputError, StorageError, UsageError
from toolkit.types import Progress

_BLOCK = 1024 * 1024
_TIMEOUT_S = 30.0
_ATTEMPTS = 6
_LONGEST_PAUSE_S = 20.0
_TRY_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
_RESUME_HINT = "run the command again: it goes on where it stopped"


@dataclass(frozen=True, slots=True)
class Archive:
    """A file on a server, known to the last bit.

    Attributes:
        url: Where it is; http or https.
        size: In bytes.
        sha256: Lower-case hexadecimal.
    """

    url: str
    size: int
    sha256: str


def download(
    archive: Archive,
    target: Path,
    progress: Progress,
    *,
    attempts: int = _ATTEMPTS,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Bring a file here; ``target`` appears only when its size and SHA-256 are right.

    What has arrived stands in ``<target>.part`` and is kept when the download breaks off, so
    that the next one asks for the rest only.

    Args:
        archive: What to download.
        target: Where it goes; left alone where it is already there and right.
        progress: Told of bytes done.
        attempts: How many times in a row a connection may fail without a byte gained.
        sleep: Waits for so many seconds between attempts.

    Raises:
        MissingInputError: The server cannot be reached, or does not have the file.
        DamagedFileError: What the server sent is another file.
        StorageError: The disk is full or refuses.
        UsageError: The address is neither http nor https.
    """
    if not archive.url.lower().startswith(("http://", "https://")):
        raise UsageError(f"{archive.url}: expected an address that begins with https:// or http://")
    part = target.with_name(f"{target.name}.part")
    try:
        if _is_whole(target, archive):
            progress.note(f"{target.name} is already here and whole")
            return
        if _size(part) > archive.size:
            part.unlink()  # of another file
        _check_space(part, archive)
        _fetch_rest(archive, part, progress, attempts, sleep)
        _check_digest(archive, part)
        _settle(part, target)
    except OSError as error:
        raise StorageError(
            f"{target}: the download could not be written: {error.strerror or error}", hint=_RESUME_HINT
        ) from error


def _is_whole(path: Path, archive: Archive) -> bool:
    return path.is_file() and path.stat().st_size == archive.size and _sha256(path) == archive.sha256


def _check_space(part: Path, archive: Archive) -> None:
    here = _size(part)
    free = shutil.disk_usage(part.parent).free
    if free < archive.size - here:
        raise StorageError(
            f"{part.parent}: the download needs {archive.size - here:,} more bytes, {free:,} are free",
            hint="make room and run the command again",
        )


def _fetch_rest(
    archive: Archive, part: Path, progress: Progress, attempts: int, sleep: Callable[[float], None]
) -> None:
    progress.begin("download", archive.size, "bytes")
    failures = 0
    try:
        while (before := _size(part)) < archive.size:
            try:
                _fetch_once(archive, part, before, progress)
                reason = "the connection ended early"
            except urllib.error.HTTPError as error:
                if error.code not in _TRY_AGAIN:
                    raise _refused(archive, f"HTTP status {error.code}") from error
                reason = f"HTTP status {error.code}"
            except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
                reason = str(getattr(error, "reason", error)) or type(error).__name__
            after = _size(part)
            failures = 0 if after > before else failures + 1
            if failures >= attempts:
                raise _refused(archive, reason)
            if after < archive.size:
                pause = min(2.0**failures, _LONGEST_PAUSE_S)
                progress.note(
                    f"{reason}; {after:,} of {archive.size:,} bytes are here, going on in {pause:.0f} s"
                )
                sleep(pause)
    finally:
        progress.end()


def _fetch_once(archive: Archive, part: Path, have: int, progress: Progress) -> None:
    headers = {"User-Agent": "modelops-toolkit", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    request = urllib.request.Request(archive.url, headers=headers)  # noqa: S310 - the scheme was checked
    with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:  # noqa: S310 - as above
        resumed = answer.status == http.HTTPStatus.PARTIAL_CONTENT
        begin = _check_announced(archive, answer.headers, have if resumed else 0, resumed=resumed)
        with part.open("r+b" if begin else "wb") as file:
            file.seek(begin)
            while block := _read(answer):
                if file.tell() + len(block) > archive.size:
                    raise _other_file(archive, f"more than {archive.size:,} bytes")
                file.write(block)
                progress.advance(file.tell())


def _read(answer: http.client.HTTPResponse) -> bytes:
    try:
        return answer.read(_BLOCK)
    except OSError as error:
        # Told apart from an error of the disk, which the same block may raise.
        raise ConnectionError(str(error)) from error


def _check_announced(archive: Archive, headers: http.client.HTTPMessage, have: int, *, resumed: bool) -> int:
    """The byte at which the answer begins, once what it announces is what was asked for."""
    if resumed:
        expected = f"bytes {have}-{archive.size - 1}/{archive.size}"
        if headers.get("Content-Range") != expected:
            raise _other_file(
                archive, f"Content-Range {headers.get('Content-Range')!r} instead of {expected!r}"
            )
        return have
    length = headers.get("Content-Length")
    if length is not None and length != str(archive.size):
        raise _other_file(archive, f"{int(length):,} bytes" if length.isdigit() else f"length {length!r}")
    return 0


def _check_digest(archive: Archive, part: Path) -> None:
    received = _sha256(part)
    if received != archive.sha256:
        part.unlink()
        raise DamagedFileError(
            f"{archive.url}: expected SHA-256 {archive.sha256}, received {received}",
            hint="the download was removed: run the command again; if this stays, it is another file",
        )


def _settle(part: Path, target: Path) -> None:
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.replace(target)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _refused(archive: Archive, reason: str) -> MissingInputError:
    return MissingInputError(f"{archive.url}: cannot be downloaded: {reason}", hint=_RESUME_HINT)


def _other_file(archive: Archive, received: str) -> DamagedFileError:
    return DamagedFileError(
        f"{archive.url}: expected a file of {archive.size:,} bytes, received {received}",
        hint="the server has another file; name a mirror of the original",
    )
