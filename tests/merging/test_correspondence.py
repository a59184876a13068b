"""Matching a network's layers with those of another network."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.graph import AS_STORED, Binding, Graph, Node, Rearrangement, Take
from toolkit.model import Card, Model
from toolkit.model.correspondence import correspondence, differences, signature
from toolkit.tensors import ArrayTensors, TensorRole


def dense(inputs: int, outputs: int) -> dict[str, Any]:
    return {"kernel": np.zeros((inputs, outputs), np.float32), "bias": np.zeros(outputs, np.float32)}


def layers(found: Mapping[str, str]) -> dict[str, str]:
    return {name.rpartition("/")[0]: own.rpartition("/")[0] for name, own in found.items()}


def test_two_trainings_of_one_process_are_matched_by_place(nets: Any) -> None:
    first = nets.chain(["conv2d", "conv2d_1"], [dense(4, 4), dense(4, 4)])
    second = nets.chain(["conv2d_1", "conv2d_2"], [dense(4, 4), dense(4, 4)])
    found = correspondence(first, second)
    assert found is not None
    assert layers(found) == {"conv2d": "conv2d_1", "conv2d_1": "conv2d_2"}
    assert found["conv2d_1/kernel"] == "conv2d_2/kernel"
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
    assert all(name == answer for name, answer in layers(found).items())


def test_a_branch_stays_whole_where_names_do_not_help(nets: Any) -> None:
    first, second = two_branches(nets, "left", "right"), two_branches(nets, "up", "down")
    found = correspondence(first, second)
    assert found is not None
    assert layers(found)["left_a"][:2] == layers(found)["left_b"][:2]
    assert {layers(found)["left_a"], layers(found)["right_a"]} == {"up_a", "down_a"}


def test_the_order_of_a_sum_does_not_matter_and_that_of_a_concatenation_does(nets: Any) -> None:
    for kind in ("Add", "Concatenate"):
        first = two_branches(nets, "left", "right", kind=kind)
        second = two_branches(nets, "left", "right", kind=kind, swap=True)
        found = correspondence(first, second)
        assert found is not None
        crossed = layers(found)["left_a"] == "right_a"
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
    assert found == {"dense/kernel": "dense_7/kernel", "dense/bias": "dense_7/bias"}
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
        "has 3 operations, a.h5 has 2",
        "has layer pool (MaxPooling2D), which a.h5 does not have",
    ]
    assert differences(other, first, "b.h5") == [
        "has 2 operations, b.h5 has 3",
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
        nets.layer(f"join{tail}", "Concatenate", ends[::-1] if swap else ends),
    )


def test_a_layer_that_is_called_again_is_matched_call_by_call(nets: Any) -> None:
    first, second = shared(nets), shared(nets, tail="_1")
    found = correspondence(first, second)
    assert found is not None
    assert layers(found) == {name: f"{name}_1" for name in ("share", "mix")}
    assert differences(first, second) == []
    assert signature(first) == signature(second)
    crossed = shared(nets, tail="_1", swap=True)
    assert correspondence(first, crossed) is None
    assert signature(first) != signature(crossed)
    assert differences(first, crossed, "a.h5") == ["has the layers of a.h5, but connects them in another way"]


def runnable(
    nodes: list[Node],
    shapes: dict[str, tuple[int, ...]],
    *,
    dialect: str = "keras",
    order: Rearrangement = AS_STORED,
    **constants: Any,
) -> Model:
    """A network of ONNX operators."""
    tensors = ArrayTensors({name: (np.zeros(shape), TensorRole.KERNEL) for name, shape in shapes.items()})
    graph = Graph(
        tuple(nodes),
        {name: np.asarray(array) for name, array in constants.items()},
        tuple(Binding(name, order) for name in shapes),
        "x",
        nodes[-1].outputs[0],
        (4,),
        (4,),
    )
    return Model(tensors, Card(), lambda: graph, (4,), (4,), dialect)


def test_an_operator_that_differs_is_named_with_its_layer() -> None:
    def built(operator: str) -> Model:
        nodes = [Node("MatMul", ("x", "d/k"), ("a",), layer="d"), Node(operator, ("a",), ("y",), layer="d")]
        return runnable(nodes, {"d/k": (4, 4)})

    assert correspondence(built("Relu"), built("Tanh")) is None
    assert differences(built("Relu"), built("Tanh"), "a.h5") == [
        "layer d (Tanh) computes Tanh, a.h5's d computes Relu"
    ]


def test_a_part_of_a_layer_that_only_one_network_has_is_named_with_its_layer() -> None:
    plain = runnable([Node("MatMul", ("x", "d/k"), ("y",), layer="d")], {"d/k": (4, 4)})
    nodes = [Node("MatMul", ("x", "d/k"), ("a",), layer="d"), Node("Relu", ("a",), ("y",), layer="d")]
    active = runnable(nodes, {"d/k": (4, 4)})
    assert differences(plain, active, "a.h5") == [
        "has 2 operations, a.h5 has 1",
        "has Relu in layer d (Relu), which a.h5 does not have",
    ]
    assert differences(active, plain, "b.h5")[1] == "lacks Relu in b.h5's layer d (Relu)"


def test_a_constant_that_differs_is_named() -> None:
    def built(bound: float) -> Model:
        return runnable([Node("Clip", ("x", "", "top"), ("y",), layer="cap")], {}, top=bound)

    assert differences(built(6.0), built(5.0), "a.h5") == [
        "layer cap (Clip) has input 2 5.0, a.h5's cap has 6.0"
    ]


def test_tensors_whose_elements_are_used_in_another_order_do_not_correspond() -> None:
    def built(order: Rearrangement) -> Model:
        return runnable([Node("MatMul", ("x", "d/k"), ("y",), layer="d")], {"d/k": (4, 4)}, order=order)

    turned = Rearrangement((Take((1, 0, 2, 3)),))
    assert correspondence(built(turned), built(turned)) is not None
    assert correspondence(built(AS_STORED), built(turned)) is None
    assert differences(built(AS_STORED), built(turned), "a.h5") == [
        "d/k is used in another order of elements than a.h5's d/k"
    ]


def test_identities_and_idle_dropouts_of_onnx_are_looked_through() -> None:
    plain = runnable([Node("MatMul", ("x", "d/k"), ("y",), layer="d")], {"d/k": (4, 4)})
    nodes = [
        Node("Dropout", ("x",), ("a",)),
        Node("MatMul", ("a", "e/k"), ("b",), layer="e"),
        Node("Identity", ("b",), ("y",)),
    ]
    found = correspondence(plain, runnable(nodes, {"e/k": (4, 4)}))
    assert found is not None
    assert found == {"d/k": "e/k"}


def test_networks_of_two_dialects_correspond_if_their_tensors_are_stored_alike() -> None:
    def built(dialect: str, *shape: int) -> Model:
        nodes = [Node("MatMul", ("x", "d/k"), ("y",), layer="d")]
        return runnable(nodes, {"d/k": shape}, dialect=dialect)

    assert correspondence(built("keras", 4, 4), built("onnx", 4, 4)) is not None
    assert differences(built("keras", 4, 4), built("onnx", 4, 5), "a.h5") == [
        "is an ONNX network, a.h5 is a Keras network, and their tensors are not stored alike"
    ]


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
        if layer.name in layers(found):
            assert by_name[layers(found)[layer.name]].kind == layer.kind
