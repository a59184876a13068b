import threading
from collections.abc import Callable
from typing import Any

import flask
import pytest
from toy_site import Site, add_model, left_or_right, make_toolkit

from toolkit.errors import WorseMergeError
from toolkit.host.kinds import MODEL_FORMATS
from toolkit.model.card_file import checked_card
from toolkit.web import WebSettings, add_smart_merge_routes


def test_find_models_answers_to_the_letter(site: Site) -> None:
    answer = site.client.get("/find_models")

    assert answer.status_code == 200
    assert answer.json is not None
    assert set(answer.json) == {"status", "all_models", "emnist_models", "models"}
    assert answer.json["status"] == "success"
    assert answer.json["all_models"] == 3
    assert answer.json["emnist_models"] == 2
    assert set(answer.json["models"]["all"]) == {
        "emnist_byclass_model.h5",
        "emnist_letters_model.h5",
        "other.h5",
    }
    assert set(answer.json["models"]["emnist"]) == {"emnist_byclass_model.h5", "emnist_letters_model.h5"}
    assert answer.json["models"]["all"]["other.h5"] == {
        "path": "models/other.h5",
        "directory": "models",
        "size_mb": 0.01,
    }


def test_names_are_unique_and_a_clash_gets_its_folder(site: Site) -> None:
    add_model(site.models / "old", "other.h5")

    listed = site.client.get("/find_models").json["models"]["all"]

    assert {"models/other.h5", "models/old/other.h5", "emnist_byclass_model.h5"} <= set(listed)
    assert "other.h5" not in listed
    assert listed["models/old/other.h5"]["directory"] == "models/old"


def test_nothing_outside_the_models_folder_is_listed(site: Site) -> None:
    add_model(site.root, "outside.h5")
    (site.models / "link.h5").symlink_to(site.root / "outside.h5")
    add_model(site.models, "a name with spaces.h5")

    assert site.client.get("/find_models").json["all_models"] == 3


def test_merges_the_models_that_are_named(site: Site) -> None:
    paths = [entry["path"] for entry in site.client.get("/find_models").json["models"]["all"].values()]

    answer = site.client.post("/smart_merge", json={"model_paths": paths, "output_path": "models/merged.h5"})

    assert answer.status_code == 200, answer.json
    assert set(answer.json) == {"status", "message", "merged_model"}
    assert answer.json["status"] == "success"
    assert answer.json["merged_model"] == "models/merged.h5"
    card = checked_card(site.models / "merged.h5")
    assert card is not None
    assert len(card.parents) == 3


def test_an_earlier_merge_is_replaced_and_any_other_file_refused(site: Site) -> None:
    body = {"model_paths": ["other.h5", "emnist_byclass_model.h5"], "output_path": "models/again.h5"}
    for _ in range(2):
        assert site.client.post("/smart_merge", json=body).status_code == 200
    add_model(site.models, "trained.h5")
    before = (site.models / "trained.h5").read_bytes()

    answer = site.client.post("/smart_merge", json=body | {"output_path": "models/trained.h5"})

    assert answer.status_code == 400
    assert (site.models / "trained.h5").read_bytes() == before


@pytest.mark.parametrize("ending", ["report.html", "report.json", "recipe.toml"])
def test_a_file_of_the_users_beside_an_earlier_merge_is_kept(site: Site, ending: str) -> None:
    body = {"model_paths": ["other.h5", "emnist_byclass_model.h5"], "output_path": "models/again.h5"}
    assert site.client.post("/smart_merge", json=body).status_code == 200
    beside = site.models / f"again.{ending}"
    beside.write_text("my own notes")

    answer = site.client.post("/smart_merge", json=body)

    assert answer.status_code == 400
    assert beside.read_text() == "my own notes"


def test_merges_what_belongs_together_when_nothing_is_named(site: Site) -> None:
    answer = site.client.post("/smart_merge")

    assert answer.status_code == 200, answer.json
    assert answer.json["merged_model"] == "models/emnist_model.h5"
    assert checked_card(site.models / "emnist_model.h5") is not None


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"model_paths": ["../secret.h5", "other.h5"]}, 400),
        ({"model_paths": ["/etc/passwd", "other.h5"]}, 400),
        ({"model_paths": ["nothing.h5", "other.h5"]}, 404),
        ({"model_paths": ["other.h5"]}, 400),
        ({"model_paths": ["other.h5"] * 33}, 400),
        ({"model_paths": "other.h5"}, 400),
        ({"model_paths": [1, 2]}, 400),
        ({"output_path": "../out.h5"}, 400),
        ({"output_path": "/tmp/out.h5"}, 400),
        ({"output_path": 3}, 400),
        ({"output_path": "models/strange.h5"}, 409),
        ({"output": "x.h5"}, 400),
        ([], 400),
        ("x", 400),
    ],
)
def test_what_cannot_be_done_is_an_error_with_a_status(site: Site, body: Any, status: int) -> None:
    (site.models / "strange.h5").write_bytes(b"another program's")

    answer = site.client.post("/smart_merge", json=body)

    assert answer.status_code == status
    assert set(answer.json) == {"status", "message"}
    assert answer.json["status"] == "error"
    assert str(site.root) not in answer.text
    assert (site.models / "strange.h5").read_bytes() == b"another program's"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"output": "x.h5"}, "the body has no option 'output'"),
        ({"output_path": 3}, "output_path must be text, or none, received 3"),
        ({"model_paths": ["a.h5", 1]}, "model_paths[1] must be text, received 1"),
        ({"model_paths": ["other.h5"]}, "1 in model_paths: 2 to 32 models are merged"),
    ],
)
def test_a_body_is_refused_in_the_words_of_the_command_line(site: Site, body: Any, message: str) -> None:
    answer = site.client.post("/smart_merge", json=body)

    assert answer.status_code == 400
    assert set(answer.json) == {"status", "message"}
    assert answer.json["message"].startswith(message)


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_a_body_of_any_depth_is_refused(site: Site, opening: str, closing: str) -> None:
    for depth in (9, 490, 500, 700, 950, 1000, 10_000):
        body = opening * depth + "1" + closing * depth
        answer = site.client.post("/smart_merge", data=body, content_type="application/json")

        assert answer.status_code == 400, depth
        assert "nested" in answer.json["message"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('{"output_path": 1e400}', "the body: not valid JSON: 1e400 is out of range"),
        ('{"output_path": [NaN]}', "the body: not valid JSON: NaN is not a number in JSON"),
    ],
)
def test_a_number_that_json_does_not_have_is_named(site: Site, body: str, message: str) -> None:
    answer = site.client.post("/smart_merge", data=body, content_type="application/json")

    assert (answer.status_code, answer.json["message"]) == (400, message)


def test_nothing_to_merge_is_one_line(make_site: Callable[..., Site]) -> None:
    site = make_site()
    add_model(site.models, "only.h5")
    for name in ("broken.h5", "torn.h5"):
        (site.models / name).write_bytes(b"no model")

    answer = site.client.post("/smart_merge")

    assert answer.status_code == 404
    assert "\n" not in answer.json["message"]
    assert answer.json["message"].startswith("models: nothing to merge: 3 model files, ")
    assert "; broken.h5 skipped: " in answer.json["message"]


def test_what_is_null_or_empty_has_its_default(site: Site) -> None:
    answer = site.client.post("/smart_merge", json={"model_paths": None, "output_path": ""})

    assert answer.json["merged_model"] == "models/emnist_model.h5"


def test_a_merge_that_does_not_help_is_an_error_with_the_verdict(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_model(site.models, "unrelated.h5", left_or_right()[:, [2, 0, 1]])
    answer = site.client.post("/smart_merge", json={"model_paths": ["other.h5", "unrelated.h5"]})
    assert answer.status_code == 422
    assert "nothing in common" in answer.json["message"]

    def worse(*_: object, **__: object) -> None:
        raise WorseMergeError("The merge is NOT better than the best ingredient, other.h5: 2 against 86.")

    monkeypatch.setattr("toolkit.operations.merge.merge", worse)
    answer = site.client.post("/smart_merge")
    assert answer.status_code == 422
    assert set(answer.json) == {"status", "message"}
    assert "NOT better than the best ingredient" in answer.json["message"]


def test_one_merge_at_a_time(site: Site) -> None:
    state = site.app.extensions["toolkit_web"]
    with state.heavy_job():
        answer = site.client.post("/smart_merge")

    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) > 0
    assert answer.json["status"] == "error"
    assert site.client.post("/smart_merge").status_code == 200


def test_two_at_once_do_not_hurt_each_other(site: Site) -> None:
    answers: list[int] = []

    def ask() -> None:
        answers.append(site.client.post("/smart_merge").status_code)

    clients = [threading.Thread(target=ask) for _ in range(6)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()

    assert 200 in answers
    assert set(answers) <= {200, 429}
    assert checked_card(site.models / "emnist_model.h5") is not None


def test_a_damaged_model_is_refused(site: Site) -> None:
    damaged = site.models / "other.h5"
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)

    answer = site.client.post("/smart_merge", json={"model_paths": ["other.h5", "emnist_byclass_model.h5"]})

    assert answer.status_code in (409, 422)
    assert str(site.root) not in answer.text


def test_the_routes_join_an_app_of_the_users_own(site: Site) -> None:
    app = flask.Flask("mine")

    @app.get("/")
    def home() -> str:
        return "mine"

    add_smart_merge_routes(app, site.toolkit, WebSettings(token="a-token-that-is-long"))
    client = app.test_client()

    assert client.get("/").text == "mine"
    assert "X-Request-Id" not in client.get("/").headers
    refused = client.get("/find_models")
    assert refused.status_code == 401
    assert set(refused.json) == {"status", "message"}
    answer = client.get("/find_models", headers={"Authorization": "Bearer a-token-that-is-long"})
    assert answer.json["all_models"] == 3


def test_a_workspace_without_models_is_no_error(make_site: Callable[..., Site]) -> None:
    site = make_site()

    assert site.client.get("/find_models").json["all_models"] == 0
    answer = site.client.post("/smart_merge")
    assert answer.status_code in (404, 422)
    assert make_toolkit(site.root).catalog.all(MODEL_FORMATS)
