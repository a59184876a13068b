import dataclasses
import json
import os
import threading
from pathlib import Path

import pytest

from toolkit.errors import DamagedFileError, MissingInputError, StorageError, UnreadableInputError
from toolkit.model import Card
from toolkit.model.card_file import (
    card_path,
    checked_card,
    publish_model,
    read_card,
    read_with_card,
    write_card,
)
from toolkit.store import file_sha256


def write(content: bytes):
    def to(staging: Path) -> None:
        staging.write_bytes(content)

    return to


def state(model: Path) -> str:
    card = checked_card(model)
    return "unknown" if card is None or not card.file_sha256 else "ok"


def test_a_published_model_has_a_card_with_its_digest(tmp_path: Path) -> None:
    target = tmp_path / "emnist.h5"

    card = publish_model(target, write(b"weights"), Card(name="emnist", classes=("a", "b")))

    assert card == Card("emnist", ("a", "b"), file="emnist.h5", file_sha256=file_sha256(target))
    assert read_card(target) == checked_card(target) == card
    assert state(target) == "ok"
    assert card_path(target) == tmp_path / "emnist.card.json"
    assert "next" not in json.loads(card_path(target).read_text())


def test_a_model_without_a_card_is_unknown_not_damaged(tmp_path: Path) -> None:
    (tmp_path / "a.h5").write_bytes(b"weights")

    assert read_card(tmp_path / "a.h5") is None
    assert state(tmp_path / "a.h5") == "unknown"


def test_a_card_without_a_digest_is_read_and_promises_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.h5").write_bytes(b"weights")
    (tmp_path / "a.card.json").write_text(Card(name="by hand").to_json())

    assert read_card(tmp_path / "a.h5") == Card(name="by hand")
    assert state(tmp_path / "a.h5") == "unknown"


def test_a_changed_file_is_damaged(tmp_path: Path) -> None:
    publish_model(tmp_path / "a.h5", write(b"weights"), Card())
    (tmp_path / "a.h5").write_bytes(b"weightz")

    with pytest.raises(DamagedFileError, match=r"a\.h5: its SHA-256 differs"):
        checked_card(tmp_path / "a.h5")
    assert read_card(tmp_path / "a.h5") is not None


def test_overwriting_a_damaged_file_mends_it(tmp_path: Path) -> None:
    publish_model(tmp_path / "a.h5", write(b"weights"), Card())
    (tmp_path / "a.h5").write_bytes(b"weightz")

    publish_model(tmp_path / "a.h5", write(b"better"), Card(name="better"))

    assert state(tmp_path / "a.h5") == "ok"


def test_a_card_that_is_none_is_refused_and_can_be_overwritten(tmp_path: Path) -> None:
    (tmp_path / "a.h5").write_bytes(b"weights")
    (tmp_path / "a.card.json").write_text("[]")

    with pytest.raises(UnreadableInputError, match="not a model card"):
        read_card(tmp_path / "a.h5")

    publish_model(tmp_path / "a.h5", write(b"new"), Card(name="new"))
    assert state(tmp_path / "a.h5") == "ok"


def test_a_card_for_no_file_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError):
        write_card(tmp_path / "a.h5", Card())


def test_a_card_can_be_written_for_another_programs_file(tmp_path: Path) -> None:
    (tmp_path / "a.h5").write_bytes(b"weights")

    card = write_card(tmp_path / "a.h5", Card(name="adopted"))

    assert checked_card(tmp_path / "a.h5") == card


def test_models_of_one_stem_have_a_card_each(tmp_path: Path) -> None:
    for suffix in (".h5", ".onnx", ".keras"):
        publish_model(tmp_path / f"emnist{suffix}", write(suffix.encode()), Card(name=suffix))

    for suffix in (".h5", ".onnx", ".keras"):
        card = checked_card(tmp_path / f"emnist{suffix}")
        assert card is not None
        assert card.name == suffix
    assert card_path(tmp_path / "emnist.onnx") == tmp_path / "emnist.onnx.card.json"


def test_the_card_of_a_model_that_is_gone_is_not_anothers(tmp_path: Path) -> None:
    publish_model(tmp_path / "emnist.h5", write(b"1"), Card(name="old"))
    (tmp_path / "emnist.h5").unlink()
    (tmp_path / "emnist.keras").write_bytes(b"2")

    assert read_card(tmp_path / "emnist.keras") is None
    publish_model(tmp_path / "emnist.keras", write(b"3"), Card(name="new"))
    assert card_path(tmp_path / "emnist.keras") == tmp_path / "emnist.card.json"


@pytest.mark.parametrize("moved", [False, True])
def test_between_two_steps_either_model_has_its_card(tmp_path: Path, moved: bool) -> None:
    target = tmp_path / "a.h5"
    old = publish_model(target, write(b"old"), Card(name="old"))
    new_file = tmp_path / "staged"
    new_file.write_bytes(b"new")
    new = dataclasses.replace(old, name="new", file_sha256=file_sha256(new_file))
    journal = json.loads(old.to_json()) | {"next": json.loads(new.to_json())}
    card_path(target).write_text(json.dumps(journal))

    if moved:
        new_file.replace(target)

    assert read_card(target) == checked_card(target) == (new if moved else old)
    # ... and the next one to write carries on from there.
    publish_model(target, write(b"newest"), Card(name="newest"))
    card = checked_card(target)
    assert card is not None
    assert card.name == "newest"


def test_a_journal_does_not_hide_damage(tmp_path: Path) -> None:
    target = tmp_path / "a.h5"
    old = publish_model(target, write(b"old"), Card(name="old"))
    journal = json.loads(old.to_json()) | {"next": json.loads(old.to_json()) | {"file_sha256": "0" * 64}}
    card_path(target).write_text(json.dumps(journal))
    target.write_bytes(b"neither")

    with pytest.raises(DamagedFileError):
        checked_card(target)


def test_a_model_that_is_replaced_while_it_is_read_is_read_again(tmp_path: Path) -> None:
    target = tmp_path / "a.h5"
    publish_model(target, write(b"old"), Card(name="old"))
    read: list[bytes] = []

    def slow(path: Path) -> bytes:
        read.append(path.read_bytes())
        if len(read) == 1:
            publish_model(target, write(b"new"), Card(name="new"))
        return read[-1]

    content, card = read_with_card(target, slow)

    assert read == [b"old", b"new"]
    assert content == b"new"
    assert card is not None
    assert card.name == "new"


def test_a_check_that_fails_keeps_model_and_card(tmp_path: Path) -> None:
    target = tmp_path / "a.h5"
    old = publish_model(target, write(b"old"), Card(name="old"))

    def refuse(staging: Path) -> None:
        raise StorageError(f"{staging.read_bytes()!r}")

    with pytest.raises(StorageError, match="new"):
        publish_model(target, write(b"new"), Card(name="new"), refuse)

    assert checked_card(target) == old
    assert target.read_bytes() == b"old"


def test_readers_meet_no_damage_while_a_model_is_overwritten(tmp_path: Path) -> None:
    target = tmp_path / "a.h5"
    publish_model(target, write(b"0"), Card(name="0"))
    done = threading.Event()
    seen: set[str] = set()
    failures: list[Exception] = []

    def read() -> None:
        while not done.is_set():
            try:
                card = checked_card(target)
            except Exception as error:  # noqa: BLE001 - whatever a reader meets is the finding
                failures.append(error)
                return
            assert card is not None
            seen.add(card.name)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for number in range(1, 60):
        publish_model(target, write(str(number).encode() * 1000), Card(name=str(number)))
    done.set()
    for reader in readers:
        reader.join()

    assert failures == []
    assert len(seen) > 3


def beside(tmp_path: Path) -> tuple[Path, Path]:
    (tmp_path / "a.h5").write_bytes(b"weights")
    return tmp_path / "a.h5", tmp_path / "a.card.json"


def test_a_pipe_in_the_place_of_a_card_stops_nobody(tmp_path: Path) -> None:
    model, card = beside(tmp_path)
    os.mkfifo(card)

    with pytest.raises(UnreadableInputError, match=r"a\.card\.json"):
        read_card(model)


@pytest.mark.parametrize("target", ["/dev/zero", "secret.json"])
def test_a_link_in_the_place_of_a_card_is_not_followed(tmp_path: Path, target: str) -> None:
    model, card = beside(tmp_path)
    (tmp_path / "secret.json").write_text(Card(name="secret").to_json())
    card.symlink_to(target)

    with pytest.raises(UnreadableInputError, match=r"a\.card\.json: a link"):
        read_card(model)


def test_beside_a_model_that_is_a_link_the_card_may_be_a_link(tmp_path: Path) -> None:
    far = tmp_path / "far"
    far.mkdir()
    card = publish_model(far / "a.h5", write(b"weights"), Card(name="far"))
    for name in ("a.h5", "a.card.json"):
        (tmp_path / name).symlink_to(far / name)

    assert checked_card(tmp_path / "a.h5") == card


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"schema": 1, "file": "a/b"}', "its file is 'a/b', not a file name"),
        ('{"schema": 1, "file": "../a.h5"}', "not a file name"),
        ('{"schema": 1, "metrics": {"validation_accuracy": Infinity}}', "not valid JSON"),
        ('{"schema": 1, "metrics": {"validation_accuracy": 1e999}}', "not valid JSON"),
        ('{"schema": 99, "file": "a.h5"}', "schema 99"),
        ("[" * 100_000, "not valid JSON"),
        ('{"schema": 2, "file": "a.h5", "next": ' + '{"a":' * 950 + "1" + "}" * 951, "nested"),
    ],
)
def test_a_card_that_cannot_be_used_is_one_clear_line(tmp_path: Path, text: str, message: str) -> None:
    model, card = beside(tmp_path)
    card.write_text(text)

    assert card_path(model) == card
    with pytest.raises(UnreadableInputError, match=message):
        checked_card(model)
    # Saving a model there replaces it; whether that is wanted is decided by each verb.
    publish_model(model, write(b"new"), Card(name="new"))
    assert state(model) == "ok"


@pytest.mark.parametrize("text", [Card(name="gone", file="a.h5").to_json(), '{"schema": 99}', "[]"])
def test_a_card_that_is_left_over_is_replaced_with_the_new_model(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.card.json").write_text(text)

    publish_model(tmp_path / "a.h5", write(b"new"), Card(name="new"))

    assert state(tmp_path / "a.h5") == "ok"
