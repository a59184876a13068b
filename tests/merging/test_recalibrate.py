"""Which networks can be recalibrated, and on which images."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from toolkit.data import Dataset
from toolkit.graph.graph import Binding, Graph
from toolkit.merging.recalibrate import calibration_images, recalibration_obstacle

NORM = ("norm/gamma", "norm/beta", "norm/moving_mean", "norm/moving_variance")


def normalised(nets: Any, *, second_after_first: bool) -> Any:
    """Two normalisations that share their statistics, behind or beside each other."""

    def graph() -> Graph:
        second = "first" if second_after_first else "x"
        nodes = [
            helper.make_node("BatchNormalization", ["x", *NORM], ["first"]),
            helper.make_node("BatchNormalization", [second, *NORM], ["second"]),
            helper.make_node("Add", ["first", "second"], ["sum"]),
            helper.make_node("GlobalAveragePool", ["sum"], ["pooled"]),
            helper.make_node("Flatten", ["pooled"], ["y"]),
        ]
        inputs = [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["batch", 1, 28, 28])]
        outputs = [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["batch", 1])]
        proto = helper.make_model(
            helper.make_graph(nodes, "shared", inputs, outputs), opset_imports=[helper.make_opsetid("", 17)]
        )
        return Graph(proto, tuple(map(Binding, NORM)), "x", "y", outputs_probabilities=False)

    one = {name.partition("/")[2]: np.ones(1, np.float32) for name in NORM}
    return nets.network(
        nets.layer("input", "InputLayer"),
        nets.layer("norm", "BatchNormalization", ("input",), one),
        inputs=(1, 28, 28),
        outputs=1,
        graph=graph,
    )


def test_statistics_that_serve_two_depths_cannot_be_counted_anew(nets: Any) -> None:
    obstacle = recalibration_obstacle(normalised(nets, second_after_first=True))
    assert obstacle is not None
    assert "serves normalisations of different depth" in obstacle.message
    assert recalibration_obstacle(normalised(nets, second_after_first=False)) is None


@pytest.mark.parametrize(("count", "drawn"), [(1, 1), (7, 7), (40, 40), (1000, 40)])
def test_images_are_drawn_without_a_repetition_and_the_same_ones_again(count: int, drawn: int) -> None:
    images = np.arange(40, dtype=np.uint8).repeat(784).reshape(40, 28, 28)
    fit = Dataset("fit", ("a",), images, np.zeros(40, np.int32))
    found = calibration_images(fit, count, seed=3)
    marks = found[:, 0, 0].tolist()
    assert (len(marks), marks) == (drawn, sorted(set(marks)))
    assert np.array_equal(found, calibration_images(fit, count, seed=3))
