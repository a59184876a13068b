import json
import sys
from collections.abc import Callable
from types import SimpleNamespace

import flask
import pytest
from toy_site import Site, picture, routes_plugin

from toolkit.declarations import Routes
from toolkit.errors import ConfigurationError
from toolkit.web import WebSettings
from toolkit.web.access import OPEN_PATHS

TOKEN = "0123456789abcdef0123"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


def plugin_blueprint() -> flask.Blueprint:
    routes = flask.Blueprint("hello", "hello")

    @routes.route("/", methods=["GET", "POST", "DELETE"])
    def root() -> str:
        return f"hello from {flask.request.script_root}"

    @routes.get("/sub/<name>")
    def sub(name: str) -> str:
        return f"hello {name}, {flask.url_for('hello.root')}"

    @routes.get("/bug")
    def bug() -> str:
        raise RuntimeError("secret")

    @routes.get("/exit")
    def leave() -> str:
        sys.exit("secret")

    @routes.before_app_request
    def greedy() -> None:
        flask.g.greedy = True

    return routes


HELLO = routes_plugin(Routes(name="hello", summary="Says hello", load=plugin_blueprint))


def test_every_route_but_the_open_ones_wants_the_token(make_site: Callable[..., Site]) -> None:
    site = make_site(HELLO, token=TOKEN)
    walked = 0
    for rule in site.app.url_map.iter_rules():
        path = rule.rule.replace("<path:path>", "anything")
        assert "<" not in path
        for method in sorted(rule.methods or ()):
            if path in OPEN_PATHS:
                continue
            walked += 1
            for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {TOKEN}"}):
                answer = site.client.open(f"{path}?token={TOKEN}", method=method, headers=headers)
                assert answer.status_code == 401, f"{method} {path}"
                assert "Bearer" in answer.headers["WWW-Authenticate"]
            assert site.client.open(path, method=method, headers=BEARER).status_code != 401
    assert walked > 15
    assert frozenset({"/healthz"}) == OPEN_PATHS
    assert site.client.get("/nothing/here").status_code == 401
    assert site.client.get("/healthz").json == {"status": "ok"}


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.168.0.7", "example.org"])
def test_another_address_needs_a_token(host: str) -> None:
    with pytest.raises(ConfigurationError, match="no token is set"):
        WebSettings(host=host)
    assert WebSettings(host=host, token=TOKEN).allowed_hosts


@pytest.mark.parametrize(
    "token", ["short", "with a space in it ok", "ümläut-ümläut-ümläut", "line\nbreak-line-break"]
)
def test_a_poor_token_is_refused_and_not_repeated(token: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        WebSettings(token=token)
    assert token not in str(caught.value)
    assert TOKEN not in repr(WebSettings(token=TOKEN))


def test_the_token_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOOLKIT_TOKEN", TOKEN)
    assert WebSettings.from_environment().token == TOKEN
    monkeypatch.setenv("TOOLKIT_TOKEN", "")
    assert WebSettings.from_environment().token is None


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "evil.example:5000", "", "a b"])
@pytest.mark.parametrize("path", ["/healthz", "/find_models", "/v1/models", "/nothing"])
def test_a_foreign_host_header_gets_json_that_does_not_echo_it(site: Site, host: str, path: str) -> None:
    answer = site.client.get(path, headers={"Host": host})

    assert answer.status_code == 400
    assert answer.is_json
    assert "evil" not in answer.text


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:5000", "[::1]:5000", "LOCALHOST:80"])
def test_our_own_names_are_answered(site: Site, host: str) -> None:
    assert site.client.get("/healthz", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:81"},
        {"Origin": "http://localhost", "Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "file://localhost"},
        {"Origin": "http://["},
        {"Origin": "http://[::1"},
    ],
)
def test_another_sites_page_changes_nothing(make_site: Callable[..., Site], headers: dict[str, str]) -> None:
    site = make_site(HELLO)
    for method, path in (("POST", "/smart_merge"), ("DELETE", "/plugins/hello/"), ("POST", "/v1/predict")):
        answer = site.client.open(path, method=method, headers=headers)
        assert answer.status_code == 403, path


def test_our_own_page_and_a_program_may(site: Site) -> None:
    for headers in ({"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}, {}):
        assert site.client.post("/smart_merge", headers=headers).status_code == 200


def test_a_form_is_not_taken(site: Site) -> None:
    for content in ("application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain"):
        answer = site.client.post("/smart_merge", data="{}", headers={"Content-Type": content})
        assert answer.status_code == 415
        assert answer.json["status"] == "error"


def test_no_answer_opens_a_door_to_other_origins(site: Site) -> None:
    answers = [
        site.client.get("/find_models", headers={"Origin": "https://evil.example"}),
        site.client.options("/smart_merge", headers={"Origin": "https://evil.example"}),
        site.client.get("/nothing"),
        site.client.get("/smart_merge"),
        site.client.post("/v1/predict?model=other.h5", data=picture(), headers={"Content-Type": "image/png"}),
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 404, 405, 200]
    for answer in answers:
        assert not [name for name, _ in answer.headers if name.lower().startswith("access-control-")]
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["X-Request-Id"]


@pytest.mark.parametrize(
    "body",
    [
        b"{" * 100_000,
        b"[" * 9 + b"]" * 9,
        b'{"a": ' * 9 + b"1" + b"}" * 9,
        b'{"output_path": NaN}',
        b'{"output_path": "\xff"}',
        b"{'a': 1}",
        b'{"output_path": "a"',
        b'{"output_path": ' + b"9" * 5000 + b"}",
        b"\xef\xbb\xbf{}",
        b"\0",
        b'"' + b"x" * 70_000 + b'"',
    ],
)
def test_json_has_limits(site: Site, body: bytes) -> None:
    answer = site.client.post("/smart_merge", data=body, headers={"Content-Type": "application/json"})

    assert answer.status_code in (400, 413)
    assert answer.json["status"] == "error"


def test_an_unknown_key_is_named(site: Site) -> None:
    answer = site.client.post("/smart_merge", json={"modelpaths": []})

    assert answer.status_code == 400
    assert "the body has no option 'modelpaths'" in answer.json["message"]
    assert "model_paths, output_path" in answer.json["message"]


def test_brackets_in_texts_are_not_depth(site: Site) -> None:
    body = json.dumps({"output_path": '[[[[[[[[[[[[\\"{{{{{{{{{{{{'})

    answer = site.client.post("/smart_merge", data=body, headers={"Content-Type": "application/json"})

    assert "nested" not in answer.json["message"]


def test_plugins_routes_live_below_their_name(make_site: Callable[..., Site]) -> None:
    site = make_site(HELLO)

    assert site.client.get("/plugins/hello/").text == "hello from /plugins/hello"
    assert site.client.get("/plugins/hello").text == "hello from /plugins/hello"
    assert site.client.get("/plugins/hello/sub/you").text == "hello you, /plugins/hello/"
    assert site.client.delete("/plugins/hello/").status_code == 200
    assert site.client.get("/plugins/hello/sub/you").headers["X-Content-Type-Options"] == "nosniff"
    assert site.client.get("/plugins/hello/nothing").json["code"] == "not_found"
    assert site.client.get("/plugins/other/").json["code"] == "not_found"


@pytest.mark.parametrize("path", ["/plugins/hello/nothing", "/plugins/hello/bug", "/nothing"])
def test_header_body_and_log_have_one_request_id(
    make_site: Callable[..., Site], caplog: pytest.LogCaptureFixture, path: str
) -> None:
    answer = make_site(HELLO).client.get(path)

    assert answer.json["request_id"] == answer.headers["X-Request-Id"]
    assert all(answer.json["request_id"] in record.getMessage() for record in caplog.records)
    assert bool(caplog.records) == path.endswith("bug")


@pytest.mark.parametrize("path", ["ä", "sub/ä", "sub/日本", "%ff", "sub/%ff", "%F0%9F%98%80"])
def test_a_plugins_path_may_have_any_characters(make_site: Callable[..., Site], path: str) -> None:
    answer = make_site(HELLO).client.get(f"/plugins/hello/{path}")

    assert answer.status_code in (200, 404)
    if path == "sub/ä":
        assert answer.text.startswith("hello ä")


@pytest.mark.parametrize("route", ["bug", "exit"])
def test_a_bug_in_a_plugins_route_tells_nothing(make_site: Callable[..., Site], route: str) -> None:
    answer = make_site(HELLO).client.get(f"/plugins/hello/{route}")

    assert answer.status_code == 500
    assert answer.json["code"] == "bug"
    assert "secret" not in answer.text


def test_a_broken_plugin_is_recorded_and_hurts_nothing(make_site: Callable[..., Site]) -> None:
    def broken() -> flask.Blueprint:
        raise ImportError("no such module")

    def wrong() -> flask.Blueprint:
        return SimpleNamespace()  # type: ignore[return-value]

    site = make_site(
        HELLO,
        routes_plugin(
            Routes(name="broken", summary="Fails", load=broken),
            Routes(name="wrong", summary="Is none", load=wrong),
        ),
    )

    assert site.client.get("/plugins/hello/").status_code == 200
    assert site.client.get("/plugins/broken/").status_code == 404
    assert site.client.get("/find_models").status_code == 200
    problems = site.app.extensions["toolkit_web"].plugin_problems
    assert problems["broken"] == "ImportError: no such module"
    assert "SimpleNamespace" in problems["wrong"]
