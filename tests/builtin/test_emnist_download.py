"""Downloading NIST's archive, from a small server on loopback."""

from __future__ import annotations

import hashlib
import io
import re
import threading
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from toolkit.declarations import FetchRequest
from toolkit.errors import DamagedFileError, MissingInputError, StorageError, UsageError
from toolkit.vocabulary import SilentProgress
from toolkit_emnist import fetching
from toolkit_emnist.download import Archive, download
from toolkit_emnist.fetching import ARCHIVE_NAME, fetch

MEMBERS = {
    f"emnist-byclass-{part}-{kind}-ubyte.gz": f"{part} {kind} ".encode() * 2_000
    for part in ("train", "test")
    for kind in ("images-idx3", "labels-idx1")
} | {"emnist-byclass-mapping.txt": b"0 48\n1 49\n"}


def zipped(members: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return content.getvalue()


CONTENT = zipped(
    {f"gzip/{name}": data for name, data in MEMBERS.items()} | {"../evil": b"x", "gzip/other": b"x"}
)


class Server(ThreadingHTTPServer):
    """Serves one file; each entry of ``faults`` spoils one answer."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = CONTENT
        self.faults: list[Any] = []
        self.ranges: list[str | None] = []
        self.knows_ranges = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/gzip.zip"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        self.server.ranges.append(asked)
        fault = self.server.faults.pop(0) if self.server.faults else None
        content, total = self.server.content, len(self.server.content)
        if isinstance(fault, int) and fault >= 400:
            self.send_error(fault)
            return
        begin = int(re.fullmatch(r"bytes=(\d+)-", asked)[1]) if asked and self.server.knows_ranges else 0  # type: ignore[index]
        self.send_response(206 if begin else 200)
        if begin:
            told = total + 1 if fault == "other total" else total
            self.send_header("Content-Range", f"bytes {begin}-{total - 1}/{told}")
        if fault != "no length":
            self.send_header("Content-Length", str(total - begin))
        self.end_headers()
        body = content[begin:]
        if isinstance(fault, float):
            body = body[: int(fault * len(body))]
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's signature
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as serving:
        thread = threading.Thread(target=serving.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield serving
        serving.shutdown()
        thread.join()


@pytest.fixture
def archive(server: Server) -> Archive:
    return Archive(server.url, len(CONTENT), hashlib.sha256(CONTENT).hexdigest())


@pytest.fixture
def get(archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    monkeypatch.setattr("toolkit_emnist.download._ATTEMPTS", 3)
    monkeypatch.setattr("toolkit_emnist.download.time.sleep", lambda _: None)

    def get(wanted: Archive = archive) -> Path:
        target = tmp_path / ARCHIVE_NAME
        download(wanted, target, SilentProgress())
        return target

    return get


def test_one_variant_is_unpacked_and_nothing_else(archive: Archive, tmp_path: Path, server: Server) -> None:
    folder = tmp_path / "datasets"
    folder.mkdir()
    files = fetch(FetchRequest("byclass", folder, SilentProgress()), archive=archive)
    assert {path.name: path.read_bytes() for path in files} == MEMBERS
    assert {path.name for path in folder.iterdir()} == {*MEMBERS, ARCHIVE_NAME}
    assert {path.name for path in tmp_path.iterdir()} == {"datasets"}
    again = fetch(FetchRequest("byclass", folder, SilentProgress()), archive=archive)
    assert list(again) == list(files)
    files[0].unlink()
    fetch(FetchRequest("byclass", folder, SilentProgress()), archive=archive)
    assert files[0].read_bytes() == MEMBERS[files[0].name]
    assert len(server.ranges) == 1, "the archive that is there is used again"


def test_a_mirror_is_used_and_held_to_the_same_digest(
    archive: Archive, tmp_path: Path, server: Server
) -> None:
    elsewhere = Archive("http://127.0.0.1:1/", archive.size, archive.sha256)
    request = FetchRequest("byclass", tmp_path, SilentProgress(), url=server.url)
    assert len(fetch(request, archive=elsewhere)) == 5


def test_an_interrupted_transfer_goes_on_where_it_stopped(get: Callable[..., Path], server: Server) -> None:
    server.faults = [0.5, 0.5]
    assert get().read_bytes() == CONTENT
    half = len(CONTENT) // 2
    assert server.ranges[0] is None
    assert server.ranges[1] == f"bytes={half}-"
    assert len(server.ranges) == 3


def test_what_has_arrived_is_kept_for_the_next_run(get: Callable[..., Path], server: Server) -> None:
    server.faults = [0.5, 503, 503, 503]
    with pytest.raises(MissingInputError, match="503"):
        get()
    server.ranges.clear()
    target = get()
    assert target.read_bytes() == CONTENT
    assert server.ranges == [f"bytes={len(CONTENT) // 2}-"]
    assert not target.with_name(f"{target.name}.part").exists()


def test_a_server_without_ranges_begins_again(get: Callable[..., Path], server: Server) -> None:
    server.faults, server.knows_ranges = [0.5], False
    assert get().read_bytes() == CONTENT


def test_a_server_that_is_busy_is_asked_again(get: Callable[..., Path], server: Server) -> None:
    server.faults = [503, 429]
    assert get().read_bytes() == CONTENT


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_server_that_has_no_such_file_is_not_asked_again(
    get: Callable[..., Path], server: Server, status: int
) -> None:
    server.faults = [status]
    with pytest.raises(MissingInputError, match=f"HTTP status {status}"):
        get()
    assert len(server.ranges) == 1


def test_a_server_that_is_not_there_is_reported(get: Callable[..., Path], archive: Archive) -> None:
    with pytest.raises(MissingInputError, match="cannot be downloaded"):
        get(Archive("http://127.0.0.1:1/x", archive.size, archive.sha256))


@pytest.mark.parametrize("fault", [None, "no length"])
@pytest.mark.parametrize("change", [lambda text: text + b"x", lambda text: text[:-1]])
def test_a_file_of_another_size_is_refused(
    get: Callable[..., Path], server: Server, fault: str | None, change: Callable[[bytes], bytes]
) -> None:
    server.content, server.faults = change(CONTENT), [fault] * 9
    with pytest.raises(
        (DamagedFileError, MissingInputError), match=r"expected a file of|ended early|cannot be"
    ):
        get()


def test_a_range_of_another_file_is_refused(get: Callable[..., Path], server: Server) -> None:
    server.faults = [0.5, "other total"]
    with pytest.raises(DamagedFileError, match="Content-Range"):
        get()


def test_another_content_is_refused_and_removed(
    get: Callable[..., Path], server: Server, tmp_path: Path
) -> None:
    server.content = bytes([CONTENT[0] ^ 1]) + CONTENT[1:]
    with pytest.raises(DamagedFileError, match="expected SHA-256"):
        get()
    assert list(tmp_path.iterdir()) == []
    server.content = CONTENT
    assert get().read_bytes() == CONTENT


def test_a_part_that_is_longer_than_the_file_begins_again(get: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / f"{ARCHIVE_NAME}.part").write_bytes(bytes(len(CONTENT) + 5))
    assert get().read_bytes() == CONTENT


def test_a_damaged_archive_of_an_earlier_day_is_replaced(get: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / ARCHIVE_NAME).write_bytes(CONTENT[:-1] + b"x")
    assert get().read_bytes() == CONTENT


def test_a_full_disk_is_reported_before_anything_is_asked(
    get: Callable[..., Path], server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type("Usage", (), {"free": 10})
    monkeypatch.setattr("toolkit_emnist.download.shutil.disk_usage", lambda _: usage)
    with pytest.raises(StorageError, match="10 are free"):
        get()
    assert server.ranges == []


def test_only_http_is_spoken(get: Callable[..., Path], archive: Archive) -> None:
    with pytest.raises(UsageError, match="https://"):
        get(Archive("file:///etc/passwd", archive.size, archive.sha256))


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"no zip at all", "not readable as a zip archive"),
        (zipped({"gzip/emnist-byclass-train-images-idx3-ubyte.gz": b"x"}), "expected a member"),
        (zipped({f"gzip/{name}": bytes(70_000) for name in MEMBERS}), "at most 65,536 bytes"),
        (CONTENT[:100] + b"?" + CONTENT[101:], "not readable as a zip archive: Bad CRC"),
    ],
)
def test_an_archive_that_is_not_nists_is_refused(
    server: Server, tmp_path: Path, content: bytes, complaint: str
) -> None:
    server.content = content
    archive = Archive(server.url, len(content), hashlib.sha256(content).hexdigest())
    with pytest.raises(DamagedFileError, match=complaint):
        fetch(FetchRequest("byclass", tmp_path, SilentProgress()), archive=archive)
    assert not list(tmp_path.glob("*.staging*"))


def test_an_unknown_variant_is_reported(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="expected one of byclass, bymerge"):
        fetch(FetchRequest("klingon", tmp_path, SilentProgress()))


def test_nists_archive_is_the_one_that_is_known() -> None:
    assert fetching.NIST.url == "https://biometrics.nist.gov/cs_links/EMNIST/gzip.zip"
    assert fetching.NIST.size == 561_753_746
    assert fetching.NIST.sha256 == "fb9bb67e33772a9cc0b895e4ecf36d2cf35be8b709693c3564cea2a019fcda8e"
