import errno
import io
import os
from pathlib import Path

import pytest

from toolkit.errors import (
    MissingInputError,
    PlanRefusedError,
    StorageError,
    ToolkitError,
    UnreadableInputError,
    UsageError,
)
from toolkit.model import Card
from toolkit.model.card_file import publish_model
from toolkit.pictures import prepare_picture
from toolkit.store.opening import (
    name_of,
    open_confined,
    open_file,
    output_path,
    parse_json,
    parse_toml,
    read_file,
)


def found_at(name: str, roots: list[Path]) -> Path:
    with open_confined(name, roots) as file:
        return file.path


@pytest.fixture
def models(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.h5").write_bytes(b"a")
    (folder / "deep" / "b.h5").write_bytes(b"b")
    (tmp_path / "secret.h5").write_bytes(b"secret")
    return folder


@pytest.mark.parametrize("name", ["a.h5", "models/a.h5", "deep/b.h5", "models/deep/b.h5"])
def test_a_name_leads_to_a_file_below_a_root(models: Path, name: str) -> None:
    path = found_at(name, [models])

    assert path.name == name.rpartition("/")[2]
    assert path.is_relative_to(models)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/",
        "/etc/passwd",
        "..",
        "../secret.h5",
        "models/../../secret.h5",
        "deep/../../secret.h5",
        "./a.h5",
        "a.h5/",
        "//a.h5",
        "deep//b.h5",
        ".hidden",
        "deep/.card",
        "a.h5\0.png",
        "a.h5\n",
        "..\\secret.h5",
        "C:a.h5",
        "a b.h5",
        "%2e%2e/secret.h5",
        "ａ.h5",
        "-rf",
        "~/a.h5",
        "a" * 65,
        "a/b/c/d/e",
    ],
)
def test_a_path_is_no_name(models: Path, name: str) -> None:
    for function in (found_at, output_path):
        with pytest.raises(UsageError):
            function(name, [models])


def test_links_pipes_folders_and_second_names_are_not_opened(models: Path) -> None:
    (models / "link.h5").symlink_to(models.parent / "secret.h5")
    (models / "out").symlink_to(models.parent)
    os.mkfifo(models / "pipe.h5")
    os.link(models.parent / "secret.h5", models / "hard.h5")

    for name in ("link.h5", "out/secret.h5", "pipe.h5", "hard.h5", "deep", "nothing.h5", "a.h5/a.h5"):
        with pytest.raises(MissingInputError):
            found_at(name, [models])


def test_no_error_names_a_folder_of_the_machine(models: Path) -> None:
    (models / "b.onnx").write_bytes(b"another program's")

    for function, name in ((found_at, "nothing.h5"), (found_at, "../x"), (output_path, "b.onnx")):
        with pytest.raises(ToolkitError) as caught:
            function(name, [models])
        assert str(models.parent) not in str(caught.value)


def test_what_is_open_is_known_from_what_takes_its_place(models: Path) -> None:
    with open_confined("a.h5", [models]) as file:
        assert file.is_still_there()
        (models / "other").write_bytes(b"x")
        (models / "other").replace(models / "a.h5")
        assert not file.is_still_there()


def test_the_first_root_that_has_it_wins(models: Path, tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "a.h5").write_bytes(b"another")
    roots = [models, tmp_path / "runs", tmp_path / "nothing"]

    assert found_at("a.h5", roots) == models / "a.h5"
    assert found_at("runs/a.h5", roots) == tmp_path / "runs" / "a.h5"


def test_a_files_name_leads_back_to_it(models: Path) -> None:
    for path in (models / "a.h5", models / "deep" / "b.h5"):
        name = name_of(path, [models])
        assert name is not None
        assert found_at(name, [models]) == path
    assert name_of(models / "my model.h5", [models]) is None
    assert name_of(models.parent / "secret.h5", [models]) is None


def test_an_output_may_be_new_or_one_of_ours(models: Path) -> None:
    publish_model(models / "ours.h5", lambda staging: staging.write_bytes(b"x") and None, Card())

    assert output_path("models/new.h5", [models]) == models / "new.h5"
    assert output_path("fresh/new.h5", [models]) == models / "fresh" / "new.h5"
    assert output_path("ours.h5", [models]) == models / "ours.h5"


def test_an_output_never_replaces_another_programs_file(models: Path) -> None:
    publish_model(models / "b.h5", lambda staging: staging.write_bytes(b"x") and None, Card())
    (models / "b.onnx").write_bytes(b"another program's, of the same stem")
    (models / "link.h5").symlink_to(models / "b.h5")
    (models / "out").symlink_to(models.parent)

    for name in ("a.h5", "b.onnx", "link.h5", "deep", "out/new.h5", "a.h5/new.h5"):
        with pytest.raises(PlanRefusedError):
            output_path(name, [models])


def test_a_file_is_read_up_to_its_limit(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")

    assert read_file(tmp_path / "a", most=5) == b"12345"
    with pytest.raises(UnreadableInputError, match="larger than the limit of 4 bytes"):
        read_file(tmp_path / "a", most=4)
    with pytest.raises(MissingInputError, match="no such file"):
        read_file(tmp_path / "b")


def test_pipes_devices_and_folders_are_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero").symlink_to("/dev/zero")
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")

    for name in ("pipe", "zero", "folder", "loop"):
        with pytest.raises(UnreadableInputError, match=name), open_file(tmp_path / name):
            pass


def test_a_link_is_followed_only_where_that_is_wanted(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"x")
    (tmp_path / "link").symlink_to("real")

    assert read_file(tmp_path / "link") == b"x"
    with pytest.raises(UnreadableInputError, match="a link that is not followed"):
        read_file(tmp_path / "link", follow_links=False)


@pytest.mark.parametrize(
    "text", [b"", b"{", b"{} x", b"[NaN]", b"[Infinity]", b"[1e999]", b'["\xff"]', b"[" * 100_000, b"\0"]
)
def test_json_is_parsed_strictly(text: bytes) -> None:
    with pytest.raises(UnreadableInputError, match=r"a\.json: not valid JSON"):
        parse_json(text, "a.json")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b'{"a": ["NaN", NaN, Infinity]}', "NaN is not a number in JSON"),
        (b'{"a": -Infinity}', "-Infinity is not a number in JSON"),
        (b'{"a": 1e300, "b": -1e400}', "-1e400 is out of range"),
        (b"[1e" + b"9" * 5000 + b"]", "1e9999"),
    ],
)
def test_a_number_that_json_does_not_have_is_named(text: bytes, said: str) -> None:
    with pytest.raises(UnreadableInputError) as caught:
        parse_json(text, "a.json")
    assert caught.value.message.startswith(f"a.json: not valid JSON: {said}")
    assert len(caught.value.message) < 200


@pytest.mark.parametrize("inner", [b"[%b]", b'{"a": %b}'])
def test_documents_are_at_most_200_levels_deep(inner: bytes) -> None:
    deep = b"1"
    for _ in range(200):
        deep = inner.replace(b"%b", deep)
    parse_json(deep, "a.json")
    parse_toml(b"a = " + b"[" * 199 + b"]" * 199)
    with pytest.raises(UnreadableInputError, match="nested deeper than 200 levels"):
        parse_json(inner.replace(b"%b", deep), "a.json")
    with pytest.raises(ValueError, match="nested deeper than 200 levels"):
        parse_toml(b"a = " + b"[" * 200 + b"]" * 200)


@pytest.mark.parametrize(
    "text",
    [
        b"a" + b".a" * 100_000 + b" = 1",
        b"[a" + b' . "a,="' * 100_000 + b"]",
        b'x = {a = """\n \' """"", b' + b".b" * 100_000 + b" = ''}",
        b"a = " + b"[" * 100_000,
        b'\\"' * 500_000,
        b"\xff",
    ],
)
def test_hostile_toml_is_refused_without_much_work(text: bytes) -> None:
    resource = pytest.importorskip("resource")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    with pytest.raises(ValueError, match=r"parts|deep|TOML|utf-8|Invalid|Expected"):
        parse_toml(text)

    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 << 10


def test_many_dots_in_toml_texts_and_numbers_are_no_keys() -> None:
    text = f"a = '{'../' * 99}x'\nb = [{'1.5, ' * 99}]\n# {'.' * 99}\nc = \"{'.' * 99}\""

    assert list(parse_toml(text.encode())) == ["a", "b", "c"]


@pytest.mark.parametrize("call", ["open", "fstat", "close"])
def test_a_disk_that_fails_while_a_file_is_opened_is_a_named_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    (tmp_path / "a").write_bytes(b"x")
    real = getattr(os, call)

    def failing(*arguments: object, **options: object) -> object:
        if call == "close":
            real(*arguments, **options)
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, failing)
        if call == "close":
            assert read_file(tmp_path / "a") == b"x"
        else:
            with pytest.raises(StorageError, match="a could not be read: Input/output error"):
                read_file(tmp_path / "a")


def test_a_disk_that_fails_while_a_picture_is_read_is_a_named_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Failing(io.BytesIO):
        def read(self, _size: int | None = -1, /) -> bytes:
            raise OSError(errno.EIO, "Input/output error")

    (tmp_path / "a.png").write_bytes(b"x")
    monkeypatch.setattr(os, "fdopen", lambda *_, **__: Failing())
    with pytest.raises(StorageError, match=r"a\.png could not be read: Input/output error"):
        prepare_picture(tmp_path / "a.png")


def test_a_pipe_that_is_named_as_a_picture_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(UnreadableInputError, match=r"a\.png: a pipe, not a file"):
        prepare_picture(tmp_path / "a.png")
