"""Finding, showing, comparing and verifying model files."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
from quarters import save_reader

from toolkit.cli.jsonable import to_jsonable
from toolkit.errors import DamagedFileError, MissingInputError, UnreadableInputError, UsageError
from toolkit.model import Card
from toolkit.model.card_file import read_card, write_card
from toolkit.operations.compare import ComparedPair, compare_models
from toolkit.operations.models import find_models, show_model, verify_models
from toolkit.operations.toolkit import Toolkit
from toolkit.requests.compare import CompareModels
from toolkit.requests.models import FindModels, ShowModel
from toolkit.vocabulary import SilentProgress


def compare(toolkit: Toolkit, *models: Path) -> tuple[ComparedPair, ...]:
    return compare_models(toolkit, CompareModels(models), SilentProgress()).pairs


def test_every_file_is_listed_and_the_bad_ones_say_why(toolkit: Toolkit, tmp_path: Path) -> None:
    models = tmp_path / "models"
    save_reader(models / "bare.h5", 1, noise=0.1)
    save_reader(models / "known.h5", 2, noise=0.1, metrics={"validation_accuracy": 0.5})
    save_reader(models / "damaged.h5", 3, noise=0.1, metrics={})
    (models / "damaged.h5").write_bytes((models / "bare.h5").read_bytes())
    (models / "page.h5").write_text("<!DOCTYPE html><title>404</title>")
    (models / "notes.txt").write_text("no model")
    found = {item.path.name: item for item in find_models(toolkit)}
    assert {name: item.state for name, item in found.items()} == {
        "bare.h5": "no card",
        "known.h5": "ok",
        "damaged.h5": "damaged",
        "page.h5": "unreadable",
    }
    assert found["known.h5"].card.validation_accuracy == 0.5
    assert found["bare.h5"].classes == 4
    assert "damaged.h5" in found["damaged.h5"].problem
    assert "web page" in found["page.h5"].problem


def test_a_folder_that_is_not_there_is_named(toolkit: Toolkit, tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="nowhere"):
        find_models(toolkit, FindModels((tmp_path / "nowhere",)))


def test_a_folder_is_no_model_file(toolkit: Toolkit, tmp_path: Path) -> None:
    (tmp_path / "saved.h5").mkdir()
    with pytest.raises(UnreadableInputError, match=r"saved\.h5: a folder"):
        show_model(toolkit, ShowModel(tmp_path / "saved.h5"))


def test_what_may_not_be_read_is_said(
    toolkit: Toolkit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save_reader(tmp_path / "models" / "net.h5", 1, noise=0.1)
    # The tests may be run by root, who may read everything.
    monkeypatch.setattr(os, "access", lambda *_arguments: False)
    refuse = PermissionError(errno.EACCES, "Permission denied")
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", Mock(side_effect=refuse))
        with pytest.raises(UnreadableInputError, match=r"net\.h5: Permission denied"):
            show_model(toolkit, ShowModel(path))
    with pytest.raises(UnreadableInputError, match="models: Permission denied"):
        find_models(toolkit)


def test_a_workspace_without_models_has_none(toolkit: Toolkit) -> None:
    assert find_models(toolkit) == ()
    assert verify_models(toolkit) == ()


def test_what_show_tells_is_json(toolkit: Toolkit, tmp_path: Path) -> None:
    path = save_reader(tmp_path / "reader.h5", 1, noise=0.1)
    document = json.loads(json.dumps(to_jsonable(show_model(toolkit, ShowModel(path)))))
    tensors = [tensor for layer in document["layers"] for tensor in layer["tensors"]]
    assert tensors
    assert {tensor["dtype"] for tensor in tensors} == {"float32"}


def test_show_tells_layers_tensors_and_digest(toolkit: Toolkit, tmp_path: Path) -> None:
    path = save_reader(tmp_path / "models" / "net.h5", 1, noise=0.1, dataset="quarters")
    details = show_model(toolkit, ShowModel(path))
    assert [layer.kind for layer in details.layers] == [
        "InputLayer",
        "Flatten",
        "BatchNormalization",
        "Dense",
    ]
    assert (details.input_shape, details.output_shape) == ((28, 28, 1), (4,))
    assert details.parameters == 4 * 784 + 784 * 4 + 4
    assert len(details.digest) == 64
    assert details.card.dataset == "quarters"


def test_a_card_of_another_network_is_refused(toolkit: Toolkit, tmp_path: Path) -> None:
    import dataclasses

    path = save_reader(tmp_path / "models" / "net.h5", 1, noise=0.1, dataset="quarters")
    card = read_card(path)
    assert card is not None
    write_card(path, dataclasses.replace(card, classes=("x", "y")))
    with pytest.raises(UnreadableInputError, match="names 2 classes, the network has 4 outputs"):
        show_model(toolkit, ShowModel(path))


def test_verify_looks_at_the_file_and_at_the_weights(toolkit: Toolkit, tmp_path: Path) -> None:
    models = tmp_path / "models"
    good = save_reader(models / "good.h5", 1, noise=0.1, dataset="quarters")
    digest = show_model(toolkit, ShowModel(good)).digest
    right = save_reader(models / "right.h5", 1, noise=0.1, weights_digest=digest)
    wrong = save_reader(models / "wrong.h5", 2, noise=0.1, weights_digest=digest)
    flipped = save_reader(models / "flipped.h5", 1, noise=0.1, dataset="quarters")
    content = bytearray(flipped.read_bytes())
    content[-100] ^= 1
    flipped.write_bytes(content)
    states = {item.path: item.state for item in verify_models(toolkit)}
    assert states == {good: "ok", right: "ok", wrong: "damaged", flipped: "damaged"}
    with pytest.raises(DamagedFileError, match=r"flipped\.h5"):
        show_model(toolkit, ShowModel(flipped))


def test_compare_tells_copies_relatives_and_other_networks(toolkit: Toolkit, tmp_path: Path) -> None:
    first = save_reader(tmp_path / "first.h5", 1, noise=0.01)
    copy = save_reader(tmp_path / "copy.h5", 1, noise=0.01, suffix="_7")
    relative = save_reader(tmp_path / "relative.h5", 2, noise=0.01)
    other = save_reader(tmp_path / "other.h5", 1, noise=0.01, batch_norm=False)
    pairs = {
        (pair.first.stem, pair.second.stem): pair for pair in compare(toolkit, first, copy, relative, other)
    }
    assert len(pairs) == 6
    assert pairs["first", "copy"].distance == 0
    assert pairs["first", "copy"].cosine == pytest.approx(1)
    assert pairs["first", "relative"].same_topology
    distance = pairs["first", "relative"].distance
    assert distance is not None
    assert 0 < distance < 0.6
    assert not pairs["first", "other"].same_topology
    assert any("norm" in text for text in pairs["first", "other"].differences)


def test_the_cosine_is_that_of_the_learnt_weights(toolkit: Toolkit, tmp_path: Path) -> None:
    paths = [save_reader(tmp_path / f"{seed}.h5", seed, noise=0.1, batch_norm=False) for seed in (1, 2)]
    kernels = []
    for path in paths:
        from toolkit.operations.open_model import open_model

        kernels.append(open_model(toolkit, path).tensors.read("dense/kernel").astype(np.float64).ravel())
    expected = kernels[0] @ kernels[1] / np.linalg.norm(kernels[0]) / np.linalg.norm(kernels[1])
    (pair,) = compare(toolkit, *paths)
    assert pair.cosine == pytest.approx(expected)


def test_one_model_cannot_be_compared(toolkit: Toolkit, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="1 model"):
        compare(toolkit, save_reader(tmp_path / "a.h5", 1, noise=0.1))


def test_a_bad_card_costs_its_own_row_only(toolkit: Toolkit, tmp_path: Path) -> None:
    models = tmp_path / "models"
    for number, name in enumerate(("pipe", "zero", "outside", "path", "infinite", "newer", "good")):
        save_reader(models / f"{name}.h5", number, noise=0.1, metrics={})
    card = {name: models / f"{name}.card.json" for name in ("pipe", "zero", "outside", "path", "infinite")}
    for path in card.values():
        path.unlink()
    os.mkfifo(card["pipe"])
    card["zero"].symlink_to("/dev/zero")
    (tmp_path / "secret.json").write_text('{"schema": 1, "name": "secret"}')
    card["outside"].symlink_to(tmp_path / "secret.json")
    card["path"].write_text('{"schema": 1, "file": "a/b"}')
    card["infinite"].write_text('{"schema": 1, "metrics": {"validation_accuracy": Infinity}}')
    (models / "newer.card.json").write_text('{"schema": 99, "file": "newer.h5"}')

    found = {item.path.stem: item for item in find_models(toolkit)}

    assert {name for name, item in found.items() if item.state == "ok"} == {"good"}
    assert {name for name, item in found.items() if item.state == "unreadable"} == {*card, "newer"}
    assert "schema 99, this version reads" in found["newer"].problem
    assert not [item for item in found.values() if "secret" in item.card.name]
    assert {item.state for item in verify_models(toolkit)} == {"ok", "unreadable"}


def test_links_below_models_are_the_users_own(toolkit: Toolkit, tmp_path: Path) -> None:
    save_reader(tmp_path / "elsewhere" / "net.h5", 1, noise=0.1, metrics={})
    models = tmp_path / "models"
    models.mkdir()
    for name in ("net.h5", "net.card.json"):
        (models / name).symlink_to(tmp_path / "elsewhere" / name)

    assert [(item.path, item.state) for item in find_models(toolkit)] == [(models / "net.h5", "ok")]
    toolkit.follow_links = False
    assert find_models(toolkit) == ()
    with pytest.raises(UnreadableInputError, match="a link that is not followed"):
        show_model(toolkit, ShowModel(models / "net.h5"))


def test_the_verbs_are_methods_of_the_toolkit(toolkit: Toolkit, tmp_path: Path) -> None:
    path = save_reader(tmp_path / "models" / "net.h5", 1, noise=0.1, metrics={})

    assert [item.path for item in toolkit.find()] == [path]
    assert toolkit.show(model=path).parameters == 4 * 784 + 784 * 4 + 4
    assert [item.state for item in toolkit.verify(models=[path])] == ["ok"]
    exported = toolkit.export(model=path, to="onnx")
    assert exported.path == path.with_suffix(".onnx")


def test_outputs_that_stand_for_no_class_are_left_out(toolkit: Toolkit, tmp_path: Path) -> None:
    path = save_reader(tmp_path / "models" / "letters.h5", 1, noise=0.1)
    whole = show_model(toolkit, ShowModel(path))
    write_card(path, Card(classes=("", "a", "b", "c"), weights_digest=whole.digest))
    shown = show_model(toolkit, ShowModel(path))
    assert (shown.classes, shown.output_shape) == (3, (3,))
    assert shown.card.classes == ("a", "b", "c")
    assert shown.digest != whole.digest
    (found,) = verify_models(toolkit)
    assert (found.state, found.problem, found.classes) == ("ok", "", 3)
