"""A layer's configuration, read with types and bounds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from toolkit.errors import UnsupportedError
from toolkit.records import dataclass
from toolkit_keras.file_errors import damaged_config

_LARGEST = 1 << 31


def is_keras(module: str) -> bool:
    """Whether a class of this module is one of Keras' own; legacy files name no module."""
    return module.partition(".")[0] in ("", "keras", "tf_keras", "tensorflow")


@dataclass(frozen=True)
class LayerConfig:
    """What an untrusted file says of one layer, which is given by its path for error messages."""

    values: Mapping[str, Any]
    layer: str

    def size(self, key: str, default: int | None = None) -> int:
        """A whole number from 1 up; ``default`` if it is missing or null."""
        value = self._get(key, default)
        if not _is_integer(value) or not 1 <= value < _LARGEST:
            self.wrong(key, "a whole number from 1 up")
        return int(value)

    def number(self, key: str, default: float) -> float:
        """A number; ``default`` if it is missing or null."""
        value = self._get(key, default)
        if not _is_number(value):
            self.wrong(key, "a number")
        return float(value)

    def numbers(self, key: str, default: float) -> tuple[float, ...]:
        """One number or a list of them, as a tuple."""
        value = self._get(key, default)
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

    def choice(self, key: str, *choices: str) -> str:
        """One of ``choices``, the first by default; anything else is unsupported."""
        value = self._get(key, choices[0])
        if value not in choices:
            self.refuse(f"{key} is {value!r}", ", ".join(choices))
        return str(value)

    def sizes(self, key: str, count: int, default: int = 1, *, minimum: int = 1) -> tuple[int, ...]:
        """``count`` whole numbers from ``minimum`` up, or one for all of them."""
        return self._numbers(key, self._get(key, default), count, minimum)

    def integers(self, key: str, default: int | None = None) -> tuple[int, ...]:
        """A whole number or a list of them, negative ones included, as a tuple."""
        value = self._get(key, default)
        entries = value if isinstance(value, list) else [value]
        if not all(_is_integer(item) and abs(item) < _LARGEST for item in entries):
            self.wrong(key, "a whole number, or a list of them")
        return tuple(int(item) for item in entries)

    def margins(self, key: str, count: int) -> tuple[tuple[int, ...], ...]:
        """``count`` pairs of whole numbers from 0 up: before and after along each axis."""
        value = self.values.get(key)
        if count == 1:
            return (self._numbers(key, value, 2, 0),)
        sides = [value] * count if _is_integer(value) else value
        if not isinstance(sides, list) or len(sides) != count:
            self.wrong(key, f"{count} pairs of whole numbers")
        return tuple(self._numbers(key, side, 2, 0) for side in sides)

    @property
    def channel_axis(self) -> int:
        """0 or -1: the channel axis of a layer over images, counted without the batch."""
        return 0 if self.choice("data_format", "channels_last", "channels_first") == "channels_first" else -1

    def own_axis(self, axis: int, rank: int) -> int:
        """An axis of Keras, batch included and perhaps negative, as one counted without the batch."""
        found = axis + rank + 1 if axis < 0 else axis
        if found == 0:
            self.refuse("works along the batch axis", "other axes")
        if not 0 < found <= rank:
            self.damaged(f"works along axis {axis} of a tensor with {rank + 1} axes")
        return found - 1

    def only_axis(self, what: str) -> int:
        """The one axis that the layer works along, as Keras counts it."""
        axes = self.integers("axis", -1)
        if len(axes) != 1:
            self.refuse(f"{what} over {len(axes)} axes", "one axis")
        return axes[0]

    def wrong(self, key: str, expected: str) -> NoReturn:
        """Refuse a value that is not what it should be."""
        received = f"{self.values.get(key)!r:.60}"
        raise damaged_config(f"layer '{self.layer}': {key} should be {expected}, received {received}")

    def damaged(self, what: str) -> NoReturn:
        """Refuse a configuration that contradicts itself."""
        raise damaged_config(f"layer '{self.layer}' {what}")

    def refuse(self, what: str, supported: str) -> NoReturn:
        """Refuse an option that is not supported."""
        raise UnsupportedError(f"layer '{self.layer}': {what}", hint=f"supported: {supported}")

    def _numbers(self, key: str, value: Any, count: int, minimum: int) -> tuple[int, ...]:
        entries = [value] * count if _is_integer(value) else value
        if not isinstance(entries, list) or len(entries) != count:
            self.wrong(key, f"a whole number, or {count} of them")
        if not all(_is_integer(item) and minimum <= item < _LARGEST for item in entries):
            self.wrong(key, f"whole numbers from {minimum} up")
        return tuple(int(item) for item in entries)

    def _get(self, key: str, default: Any) -> Any:
        value = self.values.get(key)
        if isinstance(value, dict) and isinstance(value.get("config"), dict):
            value = value["config"].get("value", value)  # Keras 3 wraps arrays
        elif isinstance(value, dict) and value.get("type") == "ndarray":
            value = value.get("value")  # so did Keras 2
        return default if value is None else value


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, float) or (_is_integer(value) and abs(value) < 1 << 64)
