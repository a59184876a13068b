import io
import os
from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image
from toy_site import Site, add_model, left_or_right, picture

PNG = {"Content-Type": "image/png"}


def test_models_are_listed_with_what_is_known(site: Site) -> None:
    answer = site.client.get("/v1/models")

    assert answer.status_code == 200
    by_name = {model["name"]: model for model in answer.json["models"]}
    assert set(by_name) == {
        "models/emnist_byclass_model.h5",
        "models/emnist_letters_model.h5",
        "models/other.h5",
    }
    assert by_name["models/other.h5"]["state"] == "ok"
    assert by_name["models/other.h5"]["classes"] == ["L", "R", "?"]
    assert by_name["models/other.h5"]["outputs"] == 3
    assert str(site.root) not in answer.text


def test_a_damaged_model_is_listed_as_such_and_mended_at_once(site: Site) -> None:
    assert site.client.get("/v1/models").status_code == 200
    (site.models / "other.h5").write_bytes(b"damaged")

    states = {model["name"]: model["state"] for model in site.client.get("/v1/models").json["models"]}
    assert states["models/other.h5"] == "damaged"

    add_model(site.models, "other.h5")
    states = {model["name"]: model["state"] for model in site.client.get("/v1/models").json["models"]}
    assert states["models/other.h5"] == "ok"


@pytest.mark.parametrize("kind", ["png", "jpeg"])
@pytest.mark.parametrize("name", ["other.h5", "models/other.h5"])
def test_a_picture_in_classes_and_probabilities_out(site: Site, kind: str, name: str) -> None:
    answer = site.client.post(
        f"/v1/predict?model={name}&top=2",
        data=picture(kind.upper()),
        headers={"Content-Type": f"image/{kind}"},
    )

    assert answer.status_code == 200, answer.json
    assert answer.json["model"] == name
    predictions = answer.json["predictions"]
    assert len(predictions) == 2
    assert {prediction["character"] for prediction in predictions} <= {"L", "R", "?"}
    assert predictions[0]["probability"] >= predictions[1]["probability"] > 0
    assert sum(prediction["probability"] for prediction in predictions) <= 1 + 1e-6


def test_a_picture_may_come_in_a_form(site: Site) -> None:
    def send(**files: Any) -> Any:
        return site.client.post("/v1/predict?model=other.h5", data=files)

    plain = site.client.post("/v1/predict?model=other.h5", data=picture(), headers=PNG)
    assert send(image=(io.BytesIO(picture()), "a.png")).json == plain.json
    two = send(a=(io.BytesIO(picture()), "a.png"), b=(io.BytesIO(picture()), "b.png"))
    assert (two.status_code, two.json["detail"]) == (400, "the form has 2 files: send one picture")
    assert send(image=(io.BytesIO(b""), "a.png")).status_code == 400
    form = b"--x\r\nContent-Disposition: form-data; name=a; filename=a.png\r\n\r\n%b\r\n--x--\r\n"
    too_large = site.client.post(
        "/v1/predict?model=other.h5",
        data=form % (b"\x89PNG" + b"\0" * 10_000_001),
        headers={"Content-Type": "multipart/form-data; boundary=x"},
    )
    assert too_large.status_code == 413


def test_the_log_gives_no_hints_for_the_command_line(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    (site.models / "other.h5").write_bytes(b"damaged")

    site.client.post("/v1/predict?model=other.h5", data=picture(), headers=PNG)

    (record,) = caplog.records
    assert "its SHA-256 differs" in record.getMessage()
    assert "delete its card" not in record.getMessage()


def test_links_in_the_models_folder_are_not_served(site: Site, tmp_path: Any) -> None:
    outside = tmp_path / "outside"
    add_model(outside, "far.h5")
    (site.models / "far.h5").symlink_to(outside / "far.h5")
    (site.models / "folder").symlink_to(outside)
    (site.models / "other.card.json").unlink()
    (site.models / "other.card.json").symlink_to(outside / "far.card.json")

    listed = {model["name"]: model for model in site.client.get("/v1/models").json["models"]}

    assert not [name for name in listed if "far" in name]
    assert listed["models/other.h5"]["state"] == "unreadable"
    assert listed["models/other.h5"]["classes"] == []
    for name in ("far.h5", "folder/far.h5"):
        answer = site.client.post(f"/v1/predict?model={name}", data=picture(), headers=PNG)
        assert answer.status_code == 404


def test_a_pipe_in_the_place_of_a_card_does_not_stop_the_server(site: Site) -> None:
    (site.models / "other.card.json").unlink()
    os.mkfifo(site.models / "other.card.json")

    states = {model["name"]: model["state"] for model in site.client.get("/v1/models").json["models"]}

    assert states["models/other.h5"] == "unreadable"
    assert sorted(states.values()) == ["ok", "ok", "unreadable"]


def test_a_model_that_is_replaced_answers_anew(site: Site) -> None:
    def best() -> str:
        answer = site.client.post("/v1/predict?model=other.h5", data=picture(), headers=PNG)
        return str(answer.json["predictions"][0]["character"])

    before = best()
    assert before in "LR"
    add_model(site.models, "other.h5", left_or_right(0.02)[:, [1, 0, 2]])

    assert {before, best()} == {"L", "R"}


def test_a_damaged_model_does_not_predict(site: Site) -> None:
    add_model(site.models, "good.h5")
    (site.models / "good.h5").write_bytes((site.models / "other.h5").read_bytes())

    answer = site.client.post("/v1/predict?model=good.h5", data=picture(), headers=PNG)

    assert answer.status_code == 409
    assert answer.json["code"] == "damaged"


@pytest.mark.parametrize(
    ("query", "body", "type_", "status", "code"),
    [
        ("", b"x", "image/png", 400, "usage"),
        ("?model=../x.h5", None, "image/png", 400, "usage"),
        ("?model=/etc/passwd", None, "image/png", 400, "usage"),
        ("?model=nothing.h5", None, "image/png", 404, "not_found"),
        ("?model=other.h5&top=0", None, "image/png", 400, "usage"),
        ("?model=other.h5&top=-1", None, "image/png", 400, "usage"),
        ("?model=other.h5&top=1000000000000", None, "image/png", 400, "usage"),
        ("?model=other.h5&top=٣", None, "image/png", 400, "usage"),
        ("?model=other.h5", b"", "image/png", 400, "usage"),
        ("?model=other.h5", b"not a picture", "image/png", 422, "unreadable"),
        ("?model=other.h5", b"GIF89a not a picture", "image/png", 422, "unsupported"),
        ("?model=other.h5", b"{}", "application/json", 415, "media_type"),
        ("?model=other.h5", None, "image/gif", 415, "media_type"),
        ("?model=other.h5", None, "multipart/form-data", 400, "usage"),
        ("?model=other.h5", None, "application/x-www-form-urlencoded", 415, "media_type"),
        ("?model=other.h5", b"\x89PNG" + b"\0" * 10_000_001, "image/png", 413, "limit"),
    ],
)
def test_what_cannot_be_used_is_a_problem(
    site: Site, query: str, body: bytes | None, type_: str, status: int, code: str
) -> None:
    content = picture() if body is None else body

    answer = site.client.post(f"/v1/predict{query}", data=content, headers={"Content-Type": type_})

    assert answer.status_code == status, answer.json
    assert answer.mimetype == "application/problem+json"
    assert answer.json["code"] == code
    assert answer.json["status"] == status
    assert answer.json["request_id"] == answer.headers["X-Request-Id"]
    assert str(site.root) not in answer.text
    assert "Traceback" not in answer.text


WHOLE = "top must be a whole number of 1 or above"


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ("", "the query needs model (model as /v1/models lists it)"),
        (
            "?model=other.h5&topp=3",
            "the query has no option 'topp' (its options are model, top; did you mean top?)",
        ),
        (
            "?model=other.h5&save_input=/tmp",
            "the query has no option 'save_input' (its options are model, top)",
        ),
        ("?model%3Dother.h5=1", "the query has no option 'model=other.h5' (its options are model, top)"),
        *(
            (
                f"?model=other.h5&top={sent}",
                f"{WHOLE}, received {received} (the query: number of predictions)",
            )
            for sent, received in (
                ("1_0", "'1_0'"),
                ("%2B5", "'+5'"),
                ("+5", "' 5'"),
                ("5%0A", r"'5\n'"),
                ("5%C2%A0", r"'5\xa0'"),
            )
        ),
        ("?model=other.h5&top=3&top=4", "option top of the query is given twice (give it once)"),
        ("?model=other.h5&top=0", "top must be 1 or above, received 0 (the query: number of predictions)"),
        ("?model=other.h5&top=101", "top must be from 1 to 100, received 101"),
        (
            "?model=other.h5&top=/x",
            "top must be a whole number of 1 or above, received '/x' (the query: number of predictions)",
        ),
    ],
)
def test_a_query_is_refused_in_the_words_of_the_command_line(site: Site, query: str, detail: str) -> None:
    answer = site.client.post(f"/v1/predict{query}", data=picture(), headers=PNG)

    assert (answer.status_code, answer.json["code"], answer.json["detail"]) == (400, "usage", detail)


def test_a_picture_of_too_many_pixels_is_refused(site: Site) -> None:
    content = io.BytesIO()
    Image.new("1", (30_000, 30_000), 1).save(content, format="PNG")

    answer = site.client.post("/v1/predict?model=other.h5", data=content.getvalue(), headers=PNG)

    assert answer.status_code == 413
    assert answer.json["code"] == "limit"


def test_an_error_of_ours_tells_nothing(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_arguments: Any) -> Any:
        raise RuntimeError(f"secret at {site.root}")

    monkeypatch.setattr("toolkit.web.v1.load_classifier", broken)

    answer = site.client.post("/v1/predict?model=other.h5", data=picture(), headers=PNG)

    assert answer.status_code == 500
    assert answer.json["code"] == "bug"
    assert "secret" not in answer.text
    assert "RuntimeError" not in answer.text


def test_an_operations_error_loses_the_machines_folders(
    site: Site, monkeypatch: pytest.MonkeyPatch, make_site: Callable[..., Site]
) -> None:
    from toolkit.errors import StorageError, UnreadableInputError

    for error, shown in (
        (UnreadableInputError(f"{site.root}/models/other.h5: no layer 'a'"), "models/other.h5: no layer 'a'"),
        (UnreadableInputError("/usr/lib/x.so: broken"), None),
        (StorageError(f"{site.root}/models/other.h5: I/O error"), None),
    ):

        def broken(*_arguments: Any, error: Exception = error) -> Any:
            raise error

        monkeypatch.setattr("toolkit.web.v1.load_classifier", broken)
        answer = site.client.post("/v1/predict?model=other.h5", data=picture(), headers=PNG)
        assert answer.json.get("detail") == shown
        assert str(site.root) not in answer.text


def test_every_error_has_a_title_and_a_status_and_an_unknown_one_is_a_bug(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    from toolkit import errors

    class OtherError(errors.ToolkitError, code="from_a_plugin", exit_status=2):
        """Of a plugin."""

    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    for kind in [kind for kind in kinds if kind.__base__ is errors.ToolkitError] + [OtherError]:

        def broken(*_arguments: Any, kind: Any = kind) -> Any:
            raise kind("what")

        monkeypatch.setattr("toolkit.web.v1.load_classifier", broken)
        answer = site.client.post("/v1/predict?model=other.h5", data=picture(), headers=PNG)
        expected = 404 if kind is errors.MissingInputError else answer.json["status"]
        assert answer.status_code == expected
        assert (answer.json["title"] == "Internal error.") == (kind is OtherError)
