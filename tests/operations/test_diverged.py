"""A model with NaN weights: one line of the same words in every verb, and still shown."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from quarters import save_reader

from toolkit.cli.jsonable import to_jsonable
from toolkit.errors import ToolkitError, UnreadableInputError
from toolkit.operations.toolkit import Toolkit

LINE = "diverged.h5: tensor dense/kernel has 3,136 values that are NaN or infinite"


@pytest.fixture
def diverged(tmp_path: Path) -> Path:
    return save_reader(tmp_path / "diverged.h5", 7, noise=float("nan"), dataset="quarters")


VERBS: dict[str, Callable[[Toolkit, Path, Path], object]] = {
    "export to onnx": lambda toolkit, model, _: toolkit.export(model=model, to="onnx"),
    "export to keras": lambda toolkit, model, _: toolkit.export(model=model, to="keras"),
    "evaluate": lambda toolkit, model, _: toolkit.evaluate(models=[model], dataset="quarters"),
    "predict": lambda toolkit, model, picture: toolkit.predict(model=model, images=[picture]),
}


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_that_uses_it_says_so(toolkit: Toolkit, diverged: Path, tmp_path: Path, verb: str) -> None:
    picture = tmp_path / "stroke.png"
    Image.new("L", (28, 28), 255).save(picture)
    with pytest.raises(UnreadableInputError) as caught:
        VERBS[verb](toolkit, diverged, picture)
    assert (caught.value.message, caught.value.exit_status) == (LINE, 3)


def test_merging_and_comparing_say_so(toolkit: Toolkit, diverged: Path, family: list[Path]) -> None:
    with pytest.raises(ToolkitError, match="NaN") as caught:
        toolkit.merge(models=[*family, diverged])
    assert LINE in " ".join(caught.value.message.split())
    try:
        compared = json.dumps(to_jsonable(toolkit.compare(models=[family[0], diverged])))
    except ToolkitError as error:
        compared = error.message
    assert LINE in compared


def test_show_lists_the_tensors(toolkit: Toolkit, diverged: Path, family: list[Path]) -> None:
    assert toolkit.show(model=diverged).not_finite == {"dense/kernel": 3136}
    assert toolkit.show(model=family[0]).not_finite == {}
