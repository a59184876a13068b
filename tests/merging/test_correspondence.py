"""Finding a network's layers in another one that names them differently."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.model.correspondence import correspondence, differences, signature


def dense(inputs: int, outputs: int) -> dict[str, Any]:
    return {"kernel": np.zeros((inputs, outputs), np.float32), "bias": np.zeros(outputs, np.float32)}


def test_two_trainings_of_one_process_are_matched_by_place(nets: Any) -> None:
    first = nets.chain(["conv2d", "conv2d_1"], [dense(4, 4), dense(4, 4)])
    second = nets.chain(["conv2d_1", "conv2d_2"], [dense(4, 4), dense(4, 4)])
    found = correspondence(first, second)
    assert found is not None
    assert found.layers == {"input": "input", "conv2d": "conv2d_1", "conv2d_1": "conv2d_2"}
    assert found.tensors["conv2d_1/kernel"] == "conv2d_2/kernel"
    assert signature(first) == signature(second)


def two_branches(nets: Any, left: str, right: str, *, kind: str = "Add", swap: bool = False) -> Any:
    """Two equal branches of two layers each that meet."""
    ends = (f"{left}_b", f"{right}_b")
    return nets.network(
        nets.layer("input", "InputLayer"),
        nets.layer(f"{left}_a", "Dense", ("input",), dense(4, 4)),
        nets.layer(f"{right}_a", "Dense", ("input",), dense(4, 4)),
        nets.layer(f"{right}_b", "Dense", (f"{right}_a",), dense(4, 4)),
        nets.layer(f"{left}_b", "Dense", (f"{left}_a",), dense(4, 4)),
        nets.layer("meet", kind, ends[::-1] if swap else ends),
    )


def test_names_break_the_tie_between_equal_branches(nets: Any) -> None:
    first, second = two_branches(nets, "left", "right"), two_branches(nets, "right", "left")
    found = correspondence(first, second)
    assert found is not None
    assert all(name == answer for name, answer in found.layers.items())


def test_a_branch_stays_whole_where_names_do_not_help(nets: Any) -> None:
    first, second = two_branches(nets, "left", "right"), two_branches(nets, "up", "down")
    found = correspondence(first, second)
    assert found is not None
    assert found.layers["left_a"][:2] == found.layers["left_b"][:2]
    assert {found.layers["left_a"], found.layers["right_a"]} == {"up_a", "down_a"}


def test_the_order_of_a_sum_does_not_matter_and_that_of_a_concatenation_does(nets: Any) -> None:
    for kind in ("Add", "Concatenate"):
        first = two_branches(nets, "left", "right", kind=kind)
        second = two_branches(nets, "left", "right", kind=kind, swap=True)
        found = correspondence(first, second)
        assert found is not None
        crossed = found.layers["left_a"] == "right_a"
        assert crossed == (kind == "Concatenate")


def test_dropout_and_augmentation_are_looked_through(nets: Any) -> None:
    state = {"seed_generator_state": np.zeros(2, np.uint32)}
    plain = nets.network(
        nets.layer("input", "InputLayer"), nets.layer("dense", "Dense", ("input",), dense(4, 3))
    )
    dropped = nets.network(
        nets.layer("in", "InputLayer"),
        nets.layer("shift", "RandomTranslation", ("in",), state),
        nets.layer("drop", "Dropout", ("shift",), state),
        nets.layer("dense_7", "Dense", ("drop",), dense(4, 3)),
    )
    found = correspondence(plain, dropped)
    assert found is not None
    assert found.tensors == {"dense/kernel": "dense_7/kernel", "dense/bias": "dense_7/bias"}
    assert correspondence(dropped, plain) is not None


def test_every_shape_that_differs_is_named(nets: Any) -> None:
    first = nets.chain(["dense", "head"], [dense(4, 8), dense(8, 62)])
    other = nets.chain(["dense_1", "head_1"], [dense(4, 8), dense(8, 47)])
    assert correspondence(first, other) is None
    assert differences(first, other, "a.h5") == [
        "head_1/kernel is 8×47, a.h5's head/kernel is 8×62",
        "head_1/bias is 47, a.h5's head/bias is 62",
    ]


def test_an_attribute_that_differs_is_named(nets: Any) -> None:
    def built(activation: str) -> Any:
        return nets.network(
            nets.layer("input", "InputLayer"),
            nets.layer("dense", "Dense", ("input",), dense(4, 3), activation=activation),
        )

    assert differences(built("relu"), built("tanh"), "a.h5") == [
        'layer dense (Dense) has activation "tanh", a.h5\'s dense has "relu"'
    ]


def test_layers_that_one_has_and_the_other_has_not_are_named(nets: Any) -> None:
    first = nets.chain(["one", "two"], [dense(4, 4), dense(4, 4)])
    other = nets.network(
        nets.layer("input", "InputLayer"),
        nets.layer("one", "Dense", ("input",), dense(4, 4), activation="relu"),
        nets.layer("pool", "MaxPooling2D", ("one",)),
        nets.layer("two", "Dense", ("pool",), dense(4, 4), activation="relu"),
    )
    assert differences(first, other, "a.h5") == [
        "has 4 layers that compute, a.h5 has 3",
        "has layer pool (MaxPooling2D), which a.h5 has not",
    ]
    assert differences(other, first, "b.h5") == [
        "has 3 layers that compute, b.h5 has 4",
        "lacks b.h5's layer pool (MaxPooling2D)",
    ]


def test_equal_layers_in_another_wiring_do_not_correspond(nets: Any) -> None:
    def built(feeds: str) -> Any:
        return nets.network(
            nets.layer("input", "InputLayer"),
            nets.layer("one", "Dense", ("input",), dense(4, 4)),
            nets.layer("two", "Dense", ("one",), dense(4, 4)),
            nets.layer("sum", "Add", ("two", feeds)),
        )

    assert correspondence(built("one"), built("input")) is None
    assert differences(built("one"), built("input"), "a.h5") == [
        "has the layers of a.h5, but connects them in another way"
    ]


def shared(nets: Any, *, tail: str = "", swap: bool = False) -> Any:
    """A layer that is called three times, through a dropout that is called twice."""
    once, again = f"share{tail}", f"share{tail}#1"
    ends = [f"share{tail}#2", once]
    return nets.network(
        nets.layer(f"input{tail}", "InputLayer"),
        nets.layer(
            once, "Dense", (f"input{tail}",), dense(4, 4), called_again_on=[[f"mix{tail}"], [f"drop{tail}#1"]]
        ),
        nets.layer(f"drop{tail}", "Dropout", (once,), called_again_on=[[again]]),
        nets.layer(f"mix{tail}", "Dense", (f"drop{tail}",), dense(4, 4)),
        nets.layer(
            f"join{tail}",
            "Concatenate",
            (once, once),
            called_on=ends[::-1] if swap else ends,
        ),
    )


def test_a_layer_that_is_called_again_is_matched_call_by_call(nets: Any) -> None:
    first, second = shared(nets), shared(nets, tail="_1")
    found = correspondence(first, second)
    assert found is not None
    assert found.layers == {name: f"{name}_1" for name in ("input", "share", "mix", "join")}
    assert differences(first, second) == []
    assert signature(first) == signature(second)
    crossed = shared(nets, tail="_1", swap=True)
    assert correspondence(first, crossed) is None
    assert signature(first) != signature(crossed)
    assert differences(first, crossed, "a.h5") == ["has the layers of a.h5, but connects them in another way"]


def test_networks_of_two_dialects_do_not_correspond(nets: Any) -> None:
    keras = nets.network(nets.layer("input", "InputLayer"))
    onnx = nets.network(nets.layer("input", "InputLayer"), dialect="onnx")
    assert differences(keras, onnx, "a.h5") == ["is an ONNX network, a.h5 is a Keras network"]


@settings(deadline=None)
@given(seed=st.integers(0, 10_000), size=st.integers(1, 14))
def test_any_network_corresponds_to_itself_under_other_names(nets: Any, seed: int, size: int) -> None:
    chance = random.Random(seed)
    plan: list[tuple[str, str, list[str], int]] = [("n0", "InputLayer", [], 0)]
    for place in range(1, size):
        kind = chance.choice(["Dense", "Dense", "Add", "Concatenate", "Dropout"])
        feeds = chance.choices(range(place), k=2 if kind in ("Add", "Concatenate") else 1)
        plan.append((f"n{place}", kind, [f"n{feed}" for feed in feeds], chance.choice([2, 3])))

    def built(prefix: str) -> Any:
        return nets.network(
            *(
                nets.layer(
                    prefix + name,
                    kind,
                    [prefix + feed for feed in feeds],
                    dense(width, width) if kind == "Dense" else None,
                )
                for name, kind, feeds, width in plan
            )
        )

    first, second = built("a_"), built("b_")
    found = correspondence(first, second)
    assert found is not None
    assert signature(first) == signature(second)
    by_name = {layer.name: layer for layer in second.layers}
    for layer in first.layers:
        if layer.name in found.layers:
            assert by_name[found.layers[layer.name]].kind == layer.kind
