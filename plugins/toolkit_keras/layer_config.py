"""A layer's configuration, read with types and bounds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from toolkit.errors import UnreadableInputError, UnsupportedError

DAMAGED = "the file's configuration is damaged, or was not written by Keras"

_LARGEST = 1 << 31


@dataclass(frozen=True, slots=True)
class LayerConfig:
    """What an untrusted file says of one layer.

    Attributes:
        values: The layer's ``config``.
        layer: The layer's path in its model, for error messages.
    """

    values: Mapping[str, Any]
    layer: str

    def integer(self, key: str, default: int | None = None, *, minimum: int = 0) -> int:
        """A whole number from ``minimum`` up; ``default`` if it is missing or null."""
        value = self._get(key, default)
        if not _is_integer(value) or not minimum <= value < _LARGEST:
            self.wrong(key, f"a whole number from {minimum} up")
        return int(value)

    def number(self, key: str, default: float) -> float:
        """A number; ``default`` if it is missing or null."""
        value = self._get(key, default)
        if isinstance(value, dict):
            value = _array_value(value)
        if not _is_number(value):
            self.wrong(key, "a number")
        return float(value)

    def optional_number(self, key: str) -> float | None:
        """A number, or None if it is missing or null."""
        return None if self.values.get(key) is None else self.number(key, 0.0)

    def numbers(self, key: str, default: float) -> tuple[float, ...]:
        """One number or a list of them, as a tuple."""
        value = self._get(key, default)
        if isinstance(value, dict):
            value = _array_value(value)
        entries = value if isinstance(value, list) else [value]
        if not entries or not all(_is_number(item) for item in entries):
            self.wrong(key, "a number, or a list of numbers")
        return tuple(float(item) for item in entries)

    def flag(self, key: str, *, default: bool) -> bool:
        """True or false."""
        value = self._get(key, default)
        if not isinstance(value, bool):
            self.wrong(key, "true or false")
        return value

    def choice(self, key: str, default: str, choices: tuple[str, ...]) -> str:
        """One of ``choices``; anything else is unsupported."""
        value = self._get(key, default)
        if value not in choices:
            raise UnsupportedError(
                f"layer '{self.layer}': {key} is {value!r}",
                hint=f"supported: {', '.join(choices)}",
            )
        return str(value)

    def pair(self, key: str, default: tuple[int, int]) -> tuple[int, int]:
        """Two whole numbers from 1 up, or one for both."""
        return self._two(key, self._get(key, list(default)), minimum=1)

    def integers(self, key: str, default: int | None = None) -> tuple[int, ...]:
        """A whole number or a list of them, negative ones included, as a tuple."""
        value = self._get(key, default)
        entries = value if isinstance(value, list) else [value]
        if not all(_is_integer(item) and abs(item) < _LARGEST for item in entries):
            self.wrong(key, "a whole number, or a list of them")
        return tuple(int(item) for item in entries)

    def margins(self, key: str) -> tuple[tuple[int, int], tuple[int, int]]:
        """Two pairs of whole numbers from 0 up: top and bottom, left and right."""
        value = self.values.get(key)
        sides = [value, value] if _is_integer(value) else value
        if not isinstance(sides, list) or len(sides) != 2:
            self.wrong(key, "two pairs of whole numbers")
        return self._two(key, sides[0], minimum=0), self._two(key, sides[1], minimum=0)

    def _two(self, key: str, value: Any, minimum: int) -> tuple[int, int]:
        entries = [value, value] if _is_integer(value) else value
        if not isinstance(entries, list) or len(entries) != 2:
            self.wrong(key, "one or two whole numbers")
        if not all(_is_integer(item) and minimum <= item < _LARGEST for item in entries):
            self.wrong(key, f"whole numbers from {minimum} up")
        return int(entries[0]), int(entries[1])

    def wrong(self, key: str, expected: str) -> NoReturn:
        """Refuse a value that is not what it should be."""
        self.damaged(f"{key} should be {expected}, received {self.values.get(key)!r:.60}", separator=": ")

    def damaged(self, what: str, separator: str = " ") -> NoReturn:
        """Refuse a configuration that contradicts itself."""
        raise UnreadableInputError(f"layer '{self.layer}'{separator}{what}", hint=DAMAGED)

    def _get(self, key: str, default: Any) -> Any:
        value = self.values.get(key)
        return default if value is None else value


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, float) or (_is_integer(value) and abs(value) < 1 << 64)


def _array_value(value: Mapping[str, Any]) -> Any:
    """Keras 3 wraps arrays: ``{"class_name": "__numpy__", "config": {"value": [...]}}``."""
    config = value.get("config")
    return config.get("value") if isinstance(config, dict) else None
