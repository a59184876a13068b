"""Frozen dataclasses that are quick to define.

``dataclasses.dataclass`` compiles six methods for every class, which takes 0.4 ms, and a merge of two
files defines a hundred classes before it reads a byte. This one compiles ``__init__`` alone; the other
methods are the same functions for every class. Everything else is the standard library's:
``replace``, ``fields``, ``asdict``, ``field``, ``__post_init__``. It makes plain frozen classes with a
``__dict__``; for slots, an order or a changeable class, use the standard decorator.
"""

from __future__ import annotations

import dataclasses
import reprlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
else:

    def dataclass(*, frozen: bool, kw_only: bool = False, eq: bool = True):
        """Make a class a frozen dataclass; ``frozen=True`` is written as with the standard decorator."""
        assert frozen

        def decorate(cls):
            # A frozen class inherits from frozen classes only; its __init__ knows how to set its fields.
            inherits = any(map(dataclasses.is_dataclass, cls.__mro__[1:]))
            dataclasses.dataclass(repr=False, eq=False, kw_only=kw_only, frozen=inherits)(cls)
            cls.__dataclass_params__.frozen = True
            cls.__set_by_init__ = frozenset(
                item.name
                for item in dataclasses.fields(cls)
                if item.init or item.default_factory is not dataclasses.MISSING
            )
            for name, method in (_SHARED | _COMPARING if eq else _SHARED).items():
                # A class with an __eq__ of its own has the __hash__ None.
                if vars(cls).get(name) is None:
                    setattr(cls, name, method)
            return cls

        return decorate


def _compared(record: Any) -> tuple[Any, ...]:
    return tuple(getattr(record, item.name) for item in dataclasses.fields(record) if item.compare)


def _setattr(self: Any, name: str, value: Any) -> None:
    # __init__ sets each field once.
    values = self.__dict__
    if name in values or name not in self.__set_by_init__:
        raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")
    values[name] = value


def _delattr(_self: Any, name: str) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")


@reprlib.recursive_repr()
def _repr(self: Any) -> str:
    shown = (f"{item.name}={getattr(self, item.name)!r}" for item in dataclasses.fields(self) if item.repr)
    return f"{type(self).__qualname__}({', '.join(shown)})"


def _eq(self: Any, other: object) -> bool:
    return _compared(self) == _compared(other) if type(self) is type(other) else NotImplemented


def _hash(self: Any) -> int:
    fields = (item for item in dataclasses.fields(self) if (item.compare if item.hash is None else item.hash))
    return hash(tuple(getattr(self, item.name) for item in fields))


_SHARED = {"__setattr__": _setattr, "__delattr__": _delattr, "__repr__": _repr}
_COMPARING = {"__eq__": _eq, "__hash__": _hash}
