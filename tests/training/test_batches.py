from __future__ import annotations

from types import ModuleType

import numpy as np

from toolkit.data import Dataset
from toolkit.training.batches import epoch_batches


def _numbered(count: int) -> Dataset:
    images = np.zeros((count, 28, 28), dtype=np.uint8)
    images[:, 0, 0] = np.arange(count)
    return Dataset("numbered", tuple("abc"), images, np.arange(count, dtype=np.int32) % 3)


def _order(dataset: Dataset, seed: int, epoch: int) -> list[list[int]]:
    return [pixels[:, 0, 0].tolist() for pixels, _ in epoch_batches(dataset, 8, seed=seed, epoch=epoch)]


def test_an_epoch_holds_every_image_once_with_its_label() -> None:
    seen = []
    batches = list(epoch_batches(_numbered(50), 8, seed=1, epoch=0))
    for pixels, labels in batches:
        assert (pixels[:, 0, 0] % 3 == labels).all()
        seen += pixels[:, 0, 0].tolist()
    assert sorted(seen) == list(range(50))
    assert len(batches) == 7


def test_the_order_depends_on_seed_and_epoch_alone() -> None:
    dataset = _numbered(50)
    assert _order(dataset, 1, 3) == _order(dataset, 1, 3)
    assert _order(dataset, 1, 3) != _order(dataset, 1, 4)
    assert _order(dataset, 1, 3) != _order(dataset, 2, 3)


def test_a_data_set_is_only_read_batch_by_batch(tiny: ModuleType) -> None:
    dataset = tiny.strokes(40, 0)
    pixels, labels = next(epoch_batches(dataset, 8, seed=0, epoch=0))
    assert pixels.shape == (8, 28, 28)
    assert pixels.dtype == np.uint8
    assert labels.dtype == np.int32
    assert not np.shares_memory(pixels, dataset.images)
