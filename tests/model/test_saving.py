"""The one way to save a model: what is published has been read back and compared."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from toolkit.errors import ProofError, UnreadableInputError
from toolkit.model import Card
from toolkit.model.card_file import card_path, checked_card
from toolkit.model.saving import save_model, save_written
from toolkit.tensors import ArrayTensors, TensorRole, weights_digest

CARD = Card(name="small")


@dataclass(frozen=True)
class Small:
    """As much of a model as saving needs."""

    tensors: ArrayTensors
    card: Card = CARD


def small(value: float = 1.0) -> Small:
    return Small(ArrayTensors({"dense/kernel": (np.full(3, value, np.float32), TensorRole.KERNEL)}))


def write(model: Any, path: Path) -> None:
    path.write_text(json.dumps([*model.tensors.read("dense/kernel").tolist(), model.card.weights_digest]))


def read(path: Path) -> Any:
    *values, _ = json.loads(path.read_text())
    return Small(ArrayTensors({"dense/kernel": (np.array(values, np.float32), TensorRole.KERNEL)}))


def test_a_saved_model_has_a_card_with_both_digests(tmp_path: Path) -> None:
    target = tmp_path / "small.h5"

    card = save_model(small(), target, write=write, read=read)

    assert card.weights_digest == weights_digest(small().tensors)
    assert card.file == "small.h5"
    assert checked_card(target) == card
    # The embedded card is written before the digest is known.
    assert json.loads(target.read_text())[-1] == ""


def test_each_tensor_is_computed_once(tmp_path: Path) -> None:
    computed: list[str] = []

    class Lazy(ArrayTensors):
        def read(self, name: str) -> Any:
            computed.append(name)
            return super().read(name)

    lazy = Lazy({"dense/kernel": (np.ones(3, np.float32), TensorRole.KERNEL)})

    save_model(Small(lazy), tmp_path / "small.h5", write=write, read=read)

    assert computed == ["dense/kernel"]


def test_what_reads_back_differently_is_not_published(tmp_path: Path) -> None:
    target = tmp_path / "small.h5"
    before = save_model(small(), target, write=write, read=read)

    def write_wrong(_: Any, path: Path) -> None:
        write(small(3.0), path)

    with pytest.raises(ProofError, match=r"small\.h5 was not saved: its weights read back differently"):
        save_model(small(2.0), target, write=write_wrong, read=read)

    assert checked_card(target) == before
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".h5")] == ["small.h5"]


def test_what_cannot_be_read_back_is_not_published(tmp_path: Path) -> None:
    def refuse(path: Path) -> Any:
        raise UnreadableInputError("no model")

    with pytest.raises(ProofError, match="cannot be read back: no model"):
        save_model(small(), tmp_path / "small.h5", write=write, read=refuse)
    assert not (tmp_path / "small.h5").exists()
    assert not card_path(tmp_path / "small.h5").exists()


def test_a_card_made_for_other_weights_is_refused(tmp_path: Path) -> None:
    model = replace(small(), card=Card(weights_digest="0" * 64))

    with pytest.raises(ProofError, match="its card was made for other weights"):
        save_model(model, tmp_path / "small.h5", write=write, read=read)


def test_a_file_of_another_program_is_compared_with_the_digest_that_its_writer_returns(
    tmp_path: Path,
) -> None:
    def write_other(path: Path) -> str:
        write(small(2.0), path)
        return weights_digest(small(1.0).tensors)

    with pytest.raises(ProofError, match="read back differently"):
        save_written(tmp_path / "small.h5", Card(), write=write_other, read=read)
