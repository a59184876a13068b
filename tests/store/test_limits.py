"""One limit for the sizes that files declare, as a text and as a budget."""

from __future__ import annotations

import threading

import pytest

from toolkit.errors import LimitReachedError, UsageError
from toolkit.store.limits import (
    DEFAULT_MAX_SIZE,
    FREE_SIZE,
    MAX_RATIO,
    SizeBudget,
    limited_to,
    max_size,
    parse_size,
    written_size,
)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("4GB", 4_000_000_000),
        ("4 GiB", 4 << 30),
        ("512mb", 512_000_000),
        ("1.5 kB", 1500),
        ("2KiB", 2048),
        ("1TB", 10**12),
        ("700", 700),
        ("12B", 12),
    ],
)
def test_sizes_with_their_units(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "GB", "0", "-1GB", "4 XB", "1e9", "4GB4", "٤GB", "nan", "0.1B"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is not a size"):
        parse_size(text)


@pytest.mark.parametrize("size", [1, 999, 2_000_000_000, 4 << 30, 1_500_000_000, 3 << 20])
def test_a_written_size_reads_back(size: int) -> None:
    assert parse_size(written_size(size)) == size
    assert written_size(DEFAULT_MAX_SIZE) == "2 GB"


def test_each_tensor_and_all_of_them_count() -> None:
    with limited_to(1000):
        budget = SizeBudget(stored=10**6)
        with pytest.raises(LimitReachedError, match="kernel declares 1,001 bytes, the limit is 1 kB"):
            SizeBudget(stored=10**6).add(1001, "kernel")
        budget.add(600, "kernel")
        with pytest.raises(LimitReachedError, match="the tensors up to bias declare") as caught:
            budget.add(600, "bias")
    assert "--max-size" in caught.value.hint


def test_a_small_file_unpacks_to_a_few_times_its_size() -> None:
    stored = 2 * FREE_SIZE
    SizeBudget(stored).add(MAX_RATIO * stored if MAX_RATIO * stored < DEFAULT_MAX_SIZE else stored, "kernel")
    SizeBudget(stored=100).add(FREE_SIZE, "zeros")
    with pytest.raises(LimitReachedError, match="in a file of 100 bytes, more than 32 times"):
        SizeBudget(stored=100).add(FREE_SIZE + 1, "zeros")


def test_the_limit_is_that_of_the_thread_that_set_it() -> None:
    seen = []
    with limited_to(5):
        thread = threading.Thread(target=lambda: seen.append(max_size()))
        thread.start()
        thread.join()
        assert max_size() == 5
    assert seen == [DEFAULT_MAX_SIZE]
    assert max_size() == DEFAULT_MAX_SIZE
