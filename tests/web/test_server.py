import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

TOKEN = "0123456789abcdef0123"


@contextmanager
def server(root: Path, *arguments: str, token: str = "") -> Iterator[tuple[subprocess.Popen[str], int, str]]:
    """`toolkit serve` on a free port: the process, its port and what it said first."""
    environ = {**os.environ, "TOOLKIT_TOKEN": token}
    command = [sys.executable, "-m", "toolkit", "serve", "--port", "0", "--workspace", str(root), *arguments]
    with subprocess.Popen(
        command, env=environ, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stderr is not None
            said = process.stderr.readline()
            found = re.search(r"http://[\d.]+:(\d+)", said)
            assert found, said + process.stderr.read()
            yield process, int(found[1]), said
        finally:
            process.kill()


def ask(
    port: int,
    path: str,
    method: str = "GET",
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> tuple[int, Mapping[str, str], Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request(method, path, body, dict(headers or {}))
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    is_json = "json" in answer.headers.get("Content-Type", "")
    return answer.status, answer.headers, json.loads(content) if is_json else content


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with server(tmp_path_factory.mktemp("workspace")) as (_, number, _said):
        yield number


def test_answers_on_loopback(port: int) -> None:
    status, headers, document = ask(port, "/healthz")

    assert (status, document) == (200, {"status": "ok"})
    assert "Server" not in headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    status, _, document = ask(port, "/find_models")
    assert (status, document["all_models"]) == (200, 0)


def test_a_foreign_name_is_refused(port: int) -> None:
    assert ask(port, "/healthz", headers={"Host": f"evil.example:{port}"})[0] == 400
    assert ask(port, "/healthz", headers={"Host": f"localhost:{port}"})[0] == 200


def test_bodies_and_headers_have_limits(port: int) -> None:
    status, _, document = ask(
        port, "/smart_merge", "POST", b" " * 70_000, {"Content-Type": "application/json"}
    )
    assert status == 413
    assert document["status"] == "error"
    status, _, _ = ask(port, "/healthz", headers={"X-Long": "x" * 20_000})
    assert status == 431


def test_a_body_beyond_the_servers_limit_is_not_read(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=60) as raw:
        raw.sendall(
            b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"
            b"Content-Length: 99999999999\r\n\r\n" + b"x" * 1000
        )
        assert b" 413 " in raw.recv(4096)


def test_garbage_is_answered_or_cut_off(port: int) -> None:
    for garbage in (
        b"\0\1\2\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET http://[ HTTP/1.1\r\n\r\n",
        b"\r\n" * 50,
    ):
        with socket.create_connection(("127.0.0.1", port), timeout=60) as raw:
            raw.sendall(garbage)
            raw.shutdown(socket.SHUT_WR)
            answer = raw.recv(4096)
            assert b"Traceback" not in answer
    assert ask(port, "/healthz")[0] == 200


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_ends_cleanly(tmp_path: Path, stop: signal.Signals) -> None:
    with server(tmp_path) as (process, number, said):
        assert said.startswith("serving ")
        assert ask(number, "/healthz")[0] == 200
        process.send_signal(stop)
        out, rest = process.communicate(timeout=60)
    assert process.returncode == 0
    assert (out, rest) == ("", "stopped\n")


SLOW = """
import signal, sys, time
from pathlib import Path
from flask import Flask
from toolkit.cli.main import _terminate
from toolkit.web.server import serve
from toolkit.web.settings import WebSettings

app = Flask(__name__)

@app.get("/merge")
def merge():
    Path("started").touch()
    time.sleep(7)
    Path("merged").touch()
    return "done"

signal.signal(signal.SIGTERM, _terminate)
serve(app, WebSettings(port=0), lambda address: print(address, flush=True))
print("stopped", flush=True)
"""


def test_a_job_of_more_than_five_seconds_is_finished_before_the_server_ends(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SLOW], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline().rpartition(":")[2])
        threading.Thread(target=_ask_and_forget, args=(port,)).start()
        while not (tmp_path / "started").exists():
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (0, "stopped\n"), err
    assert (tmp_path / "merged").exists()


def _ask_and_forget(port: int) -> None:
    with contextlib.suppress(OSError, http.client.HTTPException):
        ask(port, "/merge")


def test_a_file_that_crashes_its_reader_does_not_crash_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugin = Path(__file__).parent.parent / "data" / "plugins" / "native-crash"
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join(filter(None, [str(plugin), os.environ.get("PYTHONPATH")]))
    )
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "bad.crash").write_text("crash")
    with server(tmp_path) as (process, port, _):
        picture = {"Content-Type": "image/png"}
        status, _, document = ask(port, "/v1/predict?model=bad.crash", "POST", b"\x89PNG", picture)
        assert (status, document["code"]) == (422, "unreadable")
        assert document["detail"] == "models/bad.crash: reading it crashed a process"
        _, _, document = ask(port, "/v1/models")
        assert [model["state"] for model in document["models"]] == ["unreadable"]
        status, _, document = ask(port, "/smart_merge", "POST", b"{}", {"Content-Type": "application/json"})
        assert (status, document["status"]) == (404, "error")
        assert process.poll() is None


def test_a_taken_port_is_one_line_and_status_6(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        done = subprocess.run(
            [sys.executable, "-m", "toolkit", "serve", "--port", str(number), "--workspace", str(tmp_path)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 6
    assert done.stdout == ""
    assert done.stderr == (
        f"error: port {number} of 127.0.0.1 is taken (serve on another one: --port {number + 1})\n"
    )


def test_another_address_without_a_token_does_not_start(tmp_path: Path) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "toolkit",
            "serve",
            "--host",
            "0.0.0.0",
            "--port",
            "0",
            "--workspace",
            str(tmp_path),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={name: value for name, value in os.environ.items() if name != "TOOLKIT_TOKEN"},
    )
    assert done.returncode == 2
    assert "no token is set" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_with_a_token_it_serves_every_address(tmp_path: Path) -> None:
    with server(tmp_path, "--host", "0.0.0.0", "--allow-host", "models.example", token=TOKEN) as (
        _,
        number,
        said,
    ):
        assert TOKEN not in said
        assert ask(number, "/find_models")[0] == 401
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        assert ask(number, "/find_models", headers=bearer)[0] == 200
        assert ask(number, "/find_models", headers={**bearer, "Host": "models.example"})[0] == 200
        assert ask(number, "/find_models", headers={**bearer, "Host": "other.example"})[0] == 400
