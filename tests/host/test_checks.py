"""Values against type hints, as the host compares declarations and results."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from toolkit.data import Dataset
from toolkit.declarations import DatasetSource
from toolkit.host.checks import mismatch

SOURCE = DatasetSource("a", "b", "c")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1, int),
        (1, float),
        (None, int | None),
        ((), tuple[str, ...]),
        (["a"], Sequence[str]),
        ((1, "a"), tuple[int, str]),
        ({"train": Path()}, Mapping[str, Path]),
        ([SOURCE], Sequence[DatasetSource]),
        (len, Callable[[str], int]),
        (frozenset({1}), frozenset[int] | Callable[[Any], Any]),
        ("anything", Any),
    ],
)
def test_values_that_fit(value: object, expected: Any) -> None:
    assert mismatch(value, expected) == ""


@pytest.mark.parametrize(
    ("value", "expected", "said"),
    [
        (True, int, "bool True, expected int"),
        ("1", float, "str '1', expected float"),
        ("text", Sequence[str], "str 'text', expected Sequence[str]"),
        (["a"], tuple[str, ...], "list ['a'], expected tuple[str, ...]"),
        (("a", 1), tuple[str, ...], "tuple with int 1, expected str"),
        ({"train": "file"}, Mapping[str, Path], "dict with str 'file', expected Path"),
        (None, "toolkit.data.Dataset", "NoneType, expected toolkit.data.Dataset"),
        (SOURCE, "a_package_that_nobody_imported.Thing", "expected a_package_that_nobody_imported.Thing"),
        (
            DatasetSource("a", "b", "c", rank="low"),  # type: ignore[arg-type]
            DatasetSource,
            "DatasetSource whose rank is str 'low', expected int",
        ),
        (1, str | None, "int 1, expected str | None"),
    ],
)
def test_values_that_do_not_fit_are_described(value: object, expected: Any, said: str) -> None:
    assert mismatch(value, expected).endswith(said)


def test_a_value_that_fits_is_not_written_out() -> None:
    class Large(Dataset):
        def __repr__(self) -> str:
            raise AssertionError("this may take long")

    assert mismatch(object.__new__(Large), object) == ""
