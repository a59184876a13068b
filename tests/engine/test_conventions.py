"""Conventions and class orders are found by trying them."""

from __future__ import annotations

import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from template_readers import CHARACTERS, template_images, template_reader

from toolkit.engine import conventions
from toolkit.engine.conventions import ConventionSearch, check_convention, find_convention
from toolkit.errors import UnreadableInputError, UsageError
from toolkit.model import Card, Model
from toolkit.operations.open_model import open_model
from toolkit.operations.toolkit import Toolkit
from toolkit.tensors import OverlaidTensors, TensorRole
from toolkit.vocabulary import Convention

Reader = Callable[..., Model]
IMAGES = template_images()
EMNIST = (*string.digits, *string.ascii_uppercase, *string.ascii_lowercase)


@pytest.fixture
def reader(build: Callable[..., Any]) -> Reader:
    def make(
        classes: tuple[str, ...],
        convention: Convention | None = None,
        card: Card | None = None,
        shape: tuple[int, ...] = (784,),
    ) -> Model:
        net = build(input_shape=shape)
        kernel, bias = template_reader(classes, convention)
        net.tensor("d/kernel", kernel, TensorRole.KERNEL)
        net.tensor("d/bias", bias, TensorRole.BIAS)
        flat = net.add("Flatten", "image", axis=1)
        output = net.add("Gemm", flat, "d/kernel", "d/bias")
        return net.model(output, len(classes), card=card)

    return make


def found(model: Model, **settings: Any) -> ConventionSearch:
    return find_convention(model, IMAGES.images, IMAGES.labels, IMAGES.classes, **settings)


@pytest.mark.parametrize(
    "convention",
    [
        Convention(),
        Convention("transposed"),
        Convention(scale="raw"),
        Convention("transposed", "raw", "dark"),
        Convention(ink="dark"),
        Convention("upright", "standard", "light", 0.5, 0.5),
        Convention("transposed", "standard", "dark", 0.5, 0.5),
    ],
    ids=str,
)
@pytest.mark.parametrize("shape", [(784,), (28, 28), (28, 28, 1), (1, 28, 28)], ids=str)
def test_the_convention_is_found(reader: Reader, convention: Convention, shape: tuple[int, ...]) -> None:
    search = found(reader(EMNIST, convention, shape=shape))
    assert search.best.convention == convention
    assert search.certainty == "certain"
    assert search.best.accuracy > 0.8
    assert search.best.order.classes == EMNIST
    assert search.lead > 0 or search.best.log_loss < search.candidates[1].log_loss


def test_a_standardisation_is_found_to_within_its_neighbours(reader: Reader) -> None:
    search = found(reader(EMNIST, Convention("upright", "standard", "light", 0.1736, 0.3317)))
    best = search.best.convention
    assert best.scale == "standard"
    assert best.mean == pytest.approx(0.1736, abs=0.05)
    assert best.deviation == pytest.approx(0.3317, abs=0.05)


@pytest.mark.parametrize(
    "classes",
    [
        (*string.digits,),
        (*string.ascii_uppercase,),
        (*string.ascii_lowercase,),
        ("", *string.ascii_uppercase),
        (*string.ascii_uppercase, ""),
        (*string.digits, *string.ascii_uppercase),
        (*string.ascii_uppercase, *string.digits),
        (*string.digits, *string.ascii_uppercase, *"abdefghnqrt"),
        (*string.ascii_lowercase, *string.ascii_uppercase),
        (*string.digits, *string.ascii_lowercase, *string.ascii_uppercase),
    ],
    ids="".join,
)
def test_the_class_order_is_found(reader: Reader, classes: tuple[str, ...]) -> None:
    search = found(reader(classes, Convention("transposed")))
    assert search.best.order.classes == classes
    assert search.best.convention == Convention("transposed")
    assert search.certainty == "certain"


def test_an_order_that_nobody_else_has_is_found_from_the_answers(reader: Reader) -> None:
    shuffled = tuple(np.random.default_rng(1).permutation(list(EMNIST)).tolist())
    search = found(reader(shuffled, Convention(ink="dark")))
    assert search.best.order.classes == shuffled
    assert search.best.order.how == "found from the answers"
    assert search.best.convention == Convention(ink="dark")


def test_outputs_that_no_image_shows_stand_for_no_class(reader: Reader) -> None:
    classes = (*string.digits, *string.ascii_uppercase, "", "", "")
    search = found(reader(classes, Convention("transposed")))
    assert search.best.order.classes == classes
    assert search.best.convention == Convention("transposed")


def test_the_order_in_a_card_is_kept(reader: Reader) -> None:
    card = Card(name="known", classes=tuple(string.ascii_uppercase))
    search = found(reader(card.classes, Convention("transposed"), card))
    assert {one.order.classes for one in search.candidates} == {card.classes}
    assert search.best.convention == Convention("transposed")


def test_a_stated_convention_is_not_searched_for(reader: Reader) -> None:
    search = found(reader(tuple(string.digits)), convention=Convention())
    assert [one.convention for one in search.candidates] == [Convention()]
    assert search.best.order.classes == tuple(string.digits)
    assert search.next is None
    wrong = found(reader(tuple(string.digits)), convention=Convention("transposed", ink="dark"))
    assert wrong.best.convention == Convention("transposed", ink="dark")
    assert wrong.certainty != "certain"


@pytest.mark.parametrize("classes", [10, 26, 62])
def test_a_network_of_chance_is_untrained(build: Callable[..., Any], classes: int) -> None:
    for seed in range(3):
        net = build(seed, input_shape=(784,))
        search = found(net.model(net.dense("image", "d", 784, classes), classes))
        assert search.certainty == "untrained"
        assert search.sentence.startswith("untrained: ")


def test_how_certain_it_is_is_said_with_the_next_best(reader: Reader) -> None:
    search = found(reader(EMNIST))
    assert search.next is not None
    assert str(search.next.convention) in search.sentence
    assert f"± {100 * search.lead_error:.1f} points" in search.sentence
    both = search.best.seen & search.next.seen
    gains = search.best.right[both].astype(float) - search.next.right[both]
    assert search.lead == pytest.approx(gains.mean())
    assert search.lead_error == pytest.approx(gains.std() / len(gains) ** 0.5)


def test_a_network_that_returns_nan_for_large_inputs_only_is_understood(reader: Reader) -> None:
    model = reader(EMNIST)
    kernel = model.tensors.read("d/kernel") * np.float32(1e36)
    bias = model.tensors.read("d/bias") * np.float32(1e36)
    large = model.with_tensors(OverlaidTensors(model.tensors, {"d/kernel": kernel, "d/bias": bias}))
    assert found(large).best.convention == Convention()
    broken = model.with_tensors(OverlaidTensors(model.tensors, {"d/kernel": kernel * np.float32(np.nan)}))
    with pytest.raises(UnreadableInputError, match="NaN or infinite"):
        found(broken)


def test_images_without_its_classes_are_refused(reader: Reader) -> None:
    card = Card(name="other", classes=("α", "β"))
    with pytest.raises(UsageError, match="no image shows a class"):
        found(reader(("x", "y"), card=card))


def test_a_much_better_convention_puts_the_assumed_one_in_doubt(reader: Reader) -> None:
    model = reader(EMNIST, Convention("transposed"), Card(name="m", classes=EMNIST))
    data = IMAGES.images, IMAGES.labels, IMAGES.classes
    check = check_convention(model, *data, Convention())
    assert check.own.convention == Convention()
    assert check.better is not None
    assert check.better.convention == Convention("transposed")
    assert check.better.accuracy > check.own.accuracy + conventions.MUCH
    right = check_convention(model, *data, Convention("transposed"))
    assert (right.better, right.search, right.untrained) == (None, None, False)


def test_another_order_of_classes_puts_the_assumed_one_in_doubt(reader: Reader) -> None:
    order = (*string.ascii_lowercase, *string.ascii_uppercase, *string.digits)
    data = IMAGES.images, IMAGES.labels, IMAGES.classes
    check = check_convention(reader(order), *data, Convention(), order=EMNIST)
    assert check.better is not None
    assert check.better.order.classes == order


def test_a_convention_is_in_no_doubt_if_no_other_is_better(build: Callable[..., Any]) -> None:
    net = build(0, input_shape=(784,))
    model = net.model(net.dense("image", "d", 784, 10), 10)
    data = IMAGES.images, IMAGES.labels, IMAGES.classes
    check = check_convention(model, *data, Convention(), order=tuple(string.digits))
    assert check.untrained
    assert check.better is None


SHARED = {
    "abdo-eid-letters.onnx": (Convention(ink="dark"), ("", *string.ascii_uppercase)),
    "khanhtran2000-byclass.h5": (Convention(), CHARACTERS),
    "khanhtran2000-letters.h5": (Convention(), tuple(string.ascii_uppercase)),
    "khanhtran2000-letters-augmented.h5": (Convention(), tuple(string.ascii_uppercase)),
    "moonflower2022-mnist.h5": (Convention(), tuple(string.digits)),
    "moonflower2022-mnist.keras": (Convention(), tuple(string.digits)),
    "msbrdmr-byclass.h5": (Convention("transposed"), CHARACTERS),
}


@pytest.mark.parametrize("name", SHARED)
def test_other_peoples_networks_are_understood_with_drawn_glyphs(
    shared: Path, glyphs: Any, name: str
) -> None:
    model = open_model(Toolkit(), shared / "models" / name)
    search = find_convention(model, glyphs.images, glyphs.labels, glyphs.classes)
    convention, classes = SHARED[name]
    assert search.best.convention == convention
    assert search.best.order.classes == classes
    assert search.certainty == "certain" or name.endswith(".keras")


def test_a_valid_file_of_a_network_that_never_learnt(shared: Path, glyphs: Any) -> None:
    model = open_model(Toolkit(), shared / "models" / "kayode004-byclass.h5")
    assert find_convention(model, glyphs.images, glyphs.labels, glyphs.classes).certainty == "untrained"


@pytest.fixture(scope="module")
def glyphs(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return Toolkit(tmp_path_factory.mktemp("glyphs")).data.open("glyphs", "fit")
