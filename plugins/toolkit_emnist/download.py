"""Downloads one large file of known size and digest; resumes after an interruption, then checks it."""

from __future__ import annotations

import http.client
import os
import shutil
import time
import urllib.error
import urllib.request
from pathlib import Path

from toolkit.errors import DamagedFileError, MissingInputError, StorageError, UsageError
from toolkit.records import dataclass
from toolkit.store import file_sha256
from toolkit.store.faults import storage_error
from toolkit.types import Progress

_BLOCK = 1024 * 1024
_TIMEOUT_S = 30.0
_ATTEMPTS = 6  # in a row without a byte gained
_LONGEST_PAUSE_S = 20.0
_TRY_AGAIN = {408, 425, 429, 500, 502, 503, 504}
_RESUME_HINT = "run the command again: it continues where it stopped"


@dataclass(frozen=True)
class Archive:
    """A file on a server: its http or https address, size in bytes and SHA-256."""

    url: str
    size: int
    sha256: str


def download(archive: Archive, target: Path, progress: Progress) -> None:
    """Download a file; ``target`` appears only when its size and SHA-256 are right.

    A partial download is kept in ``<target>.part``, so that the next one requests only the rest.
    """
    if not archive.url.lower().startswith(("http://", "https://")):
        raise UsageError(f"{archive.url}: expected an address that begins with https:// or http://")
    part = target.with_name(f"{target.name}.part")
    try:
        if _size(target) == archive.size and file_sha256(target) == archive.sha256:
            progress.note(f"{target.name} is already complete")
            return
        if _size(part) > archive.size:
            part.unlink()  # of another file
        missing, free = archive.size - _size(part), shutil.disk_usage(part.parent).free
        if free < missing:
            raise StorageError(
                f"{part.parent}: the download needs {missing:,} more bytes, {free:,} are free",
                hint="free some space and run the command again",
            )
        _fetch_rest(archive, part, progress)
        received = file_sha256(part)
        if received != archive.sha256:
            part.unlink()
            raise DamagedFileError(
                f"{archive.url}: expected SHA-256 {archive.sha256}, received {received}",
                hint="the download was removed: run the command again; if the error stays, name a mirror",
            )
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(target)
    except OSError as error:
        raise storage_error(error, target) from error


def _fetch_rest(archive: Archive, part: Path, progress: Progress) -> None:
    progress.begin("download", archive.size, "bytes")
    failures = 0
    try:
        while (before := _size(part)) < archive.size:
            reason, hopeless = "the connection ended early", False
            try:
                _fetch_once(archive, part, before, progress)
            except urllib.error.HTTPError as error:
                reason, hopeless = f"HTTP status {error.code}", error.code not in _TRY_AGAIN
            except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
                reason = str(getattr(error, "reason", error)) or type(error).__name__
            after = _size(part)
            failures = 0 if after > before else failures + 1
            if hopeless or failures >= _ATTEMPTS:
                raise MissingInputError(f"{archive.url}: cannot be downloaded: {reason}", hint=_RESUME_HINT)
            if after < archive.size:
                pause = min(2.0**failures, _LONGEST_PAUSE_S)
                progress.note(
                    f"{reason}; received {after:,} of {archive.size:,} bytes, next attempt in {pause:.0f} s"
                )
                time.sleep(pause)
    finally:
        progress.end()


def _fetch_once(archive: Archive, part: Path, have: int, progress: Progress) -> None:
    headers = {"User-Agent": "modelops-toolkit", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    request = urllib.request.Request(archive.url, headers=headers)  # noqa: S310 - the scheme was checked
    with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:  # noqa: S310 - as above
        begin = have if answer.status == http.HTTPStatus.PARTIAL_CONTENT else 0
        name = "Content-Range" if begin else "Content-Length"
        expected = f"bytes {begin}-{archive.size - 1}/{archive.size}" if begin else str(archive.size)
        announced = answer.headers.get(name)
        if announced != expected and (begin or announced is not None):
            raise _other_file(archive, f"{name} {announced}")
        with part.open("r+b" if begin else "wb") as file:
            file.seek(begin)
            while block := _read(answer):
                if file.tell() + len(block) > archive.size:
                    raise _other_file(archive, "more")
                file.write(block)
                progress.advance(file.tell())


def _read(answer: http.client.HTTPResponse) -> bytes:
    try:
        return answer.read(_BLOCK)
    except OSError as error:
        # An error of the disk is an OSError, too.
        raise ConnectionError(str(error)) from error


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _other_file(archive: Archive, received: str) -> DamagedFileError:
    return DamagedFileError(
        f"{archive.url}: expected a file of {archive.size:,} bytes, received {received}",
        hint="the server has another file; name a mirror of the original",
    )
