"""Which networks can be recalibrated, and on which images."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from toolkit.data import Dataset
from toolkit.graph import Binding, Graph, Node
from toolkit.merging.stages.recalibrate import draw_images, obstacle
from toolkit.merging.state import Images

NORM = ("norm/gamma", "norm/beta", "norm/moving_mean", "norm/moving_variance")


def normalised(nets: Any, *, second_after_first: bool) -> Any:
    """Two normalisations that share their statistics, one after the other or in parallel."""

    def graph() -> Graph:
        second = "first" if second_after_first else "x"
        nodes = (
            Node("BatchNormalization", ("x", *NORM), ("first",)),
            Node("BatchNormalization", (second, *NORM), ("second",)),
            Node("Add", ("first", "second"), ("sum",)),
            Node("GlobalAveragePool", ("sum",), ("pooled",)),
            Node("Flatten", ("pooled",), ("y",)),
        )
        return Graph(nodes, {}, tuple(map(Binding, NORM)), "x", "y", (1, 28, 28), (1,))

    one = {name.partition("/")[2]: np.ones(1, np.float32) for name in NORM}
    return nets.network(
        nets.layer("input", "InputLayer"),
        nets.layer("norm", "BatchNormalization", ("input",), one),
        inputs=(1, 28, 28),
        outputs=1,
        graph=graph,
    )


def test_statistics_that_serve_two_depths_cannot_be_counted_anew(nets: Any) -> None:
    error = obstacle(normalised(nets, second_after_first=True))
    assert error is not None
    assert "is used by normalisations of different depth" in error.message
    assert obstacle(normalised(nets, second_after_first=False)) is None


@pytest.mark.parametrize(("count", "drawn"), [(1, 1), (7, 7), (40, 40), (1000, 40)])
def test_images_are_drawn_without_a_repetition_and_the_same_ones_again(count: int, drawn: int) -> None:
    images = np.arange(40, dtype=np.uint8).repeat(784).reshape(40, 28, 28)
    fit = Dataset("fit", ("a",), images, np.zeros(40, np.int32))
    source = Images("", "marks", lambda _: fit)
    found = draw_images(source, count, seed=3)
    marks = found[:, 0, 0].tolist()
    assert (len(marks), marks) == (drawn, sorted(set(marks)))
    assert np.array_equal(found, draw_images(source, count, seed=3))
