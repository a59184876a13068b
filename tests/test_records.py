"""Records behave as frozen dataclasses of the standard library do."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from collections.abc import Callable
from dataclasses import field
from typing import Any, ClassVar

import pytest

from toolkit import records


@records.dataclass(frozen=True)
class Point:
    x: int
    y: int = 0
    names: list[str] = field(default_factory=list, compare=False, repr=False)


@records.dataclass(frozen=True)
class Named(Point):
    name: str = ""

    def __post_init__(self) -> None:
        if self.x < 0:
            raise ValueError("below zero")


@dataclasses.dataclass(frozen=True)
class Standard(Point):
    more: int = 1


@records.dataclass(frozen=True, kw_only=True)
class OwnEquality:
    key: int

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 7


@records.dataclass(frozen=True)
class Particular:
    """Every kind of field."""

    kept: ClassVar[int] = 3
    x: int
    table: dict[str, int] = field(default_factory=dict, hash=False)
    counted: int = field(default=0, compare=False, hash=True)
    fixed: int = field(default=7, init=False)
    made: list[int] = field(default_factory=list, init=False, hash=False)


@records.dataclass(frozen=True)
class OwnEqualityAlone:
    key: int

    def __eq__(self, other: object) -> bool:
        return True


@records.dataclass(frozen=True, eq=False)
class ByIdentity:
    x: int


def test_equality_hash_and_repr_follow_the_fields() -> None:
    assert Point(1, names=["a"]) == Point(1, 0) != Point(2)
    assert hash(Point(1, names=["a"])) == hash(Point(1))
    assert repr(Named(1, name="n")) == "Named(x=1, y=0, name='n')"
    assert Point(1) != Named(1)
    assert Point(1) != (1, 0)
    assert len({Point(1), Point(1, 0), Point(1, 1)}) == 2


@pytest.mark.parametrize("make", [Point, Named, Standard])
@pytest.mark.parametrize("name", ["x", "names", "other"])
def test_nothing_can_be_set_or_deleted(make: Callable[[int], Any], name: str) -> None:
    record = make(1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(record, name, 2)
    with pytest.raises(dataclasses.FrozenInstanceError):
        delattr(record, name)
    assert record == make(1)


def test_the_standard_functions_work() -> None:
    record = dataclasses.replace(Named(1, name="n"), y=5)
    assert dataclasses.asdict(record) == {"x": 1, "y": 5, "names": [], "name": "n"}
    assert copy.deepcopy(record) == pickle.loads(pickle.dumps(record)) == record
    match record:
        case Point(1, y):
            assert y == 5
    with pytest.raises(ValueError, match="below zero"):
        dataclasses.replace(record, x=-1)
    with pytest.raises(TypeError):
        Point()  # type: ignore[call-arg]


def test_a_class_keeps_its_own_methods() -> None:
    assert OwnEquality(key=1) == OwnEquality(key=2)
    assert hash(OwnEquality(key=1)) == 7
    assert ByIdentity(1) != ByIdentity(1)
    assert hash(OwnEqualityAlone(1)) == hash((1,))


@pytest.mark.parametrize("name", ["kept", "x", "table", "counted", "fixed", "made"])
def test_every_kind_of_field_is_frozen_and_hashed_as_declared(name: str) -> None:
    record = Particular(1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(record, name, 9)
    assert (record.kept, record.fixed, record.made) == (3, 7, [])
    assert hash(record) == hash((1, 0, 7))


def test_a_subclass_of_the_standard_decorator_has_to_be_frozen_too() -> None:
    assert repr(Standard(1)) == "Standard(x=1, y=0, more=1)"
    with pytest.raises(TypeError, match="frozen"):

        @dataclasses.dataclass
        class Changeable(Point):
            more: int = 1
