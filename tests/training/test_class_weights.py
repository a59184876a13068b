from __future__ import annotations

import numpy as np
import pytest

from toolkit.training.class_weights import class_weights

LABELS = np.repeat([0, 1, 2], [90, 9, 1]).astype(np.int32)


def test_none_counts_every_image_the_same() -> None:
    assert class_weights(LABELS, 4, "none").tolist() == [1, 1, 1, 1]


def test_balanced_classes_count_the_same_in_sum() -> None:
    weights = class_weights(LABELS, 4, "balanced")
    assert (weights[:3] * [90, 9, 1]).tolist() == pytest.approx([100 / 3] * 3, rel=1e-5)
    assert weights[3] == 0


@pytest.mark.parametrize("weighting", ["none", "sqrt", "balanced"])
def test_the_mean_weight_of_the_images_is_one(weighting: str) -> None:
    weights = class_weights(LABELS, 4, weighting)  # type: ignore[arg-type]
    assert weights[LABELS].mean() == pytest.approx(1, rel=1e-5)


def test_sqrt_lies_between() -> None:
    ratios = [
        float(np.divide(*class_weights(LABELS, 3, weighting)[[2, 0]]))
        for weighting in ("none", "sqrt", "balanced")
    ]
    assert ratios == pytest.approx([1, np.sqrt(90), 90], rel=1e-4)
