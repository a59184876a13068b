"""From the toolkit's own values to JSON values."""

from __future__ import annotations

import dataclasses
import datetime
import math
from collections.abc import Mapping, Sequence, Set
from enum import Enum
from pathlib import Path, PurePath
from typing import Any


def to_jsonable(value: Any) -> Any:
    """Make a value that ``json.dumps`` writes as strict JSON.

    Args:
        value: Built of dataclasses, mappings, sequences, sets, numbers, texts, enumerations,
            paths, times and NumPy scalars and arrays.

    Returns:
        Dataclasses become objects, enumerations their names in lower case, paths texts relative
        to the working directory where they lie in it, numbers that are not finite null.

    Raises:
        TypeError: If it holds anything else.
    """
    if value is None or isinstance(value, bool | int) or type(value) is str:
        return value
    if isinstance(value, Enum):
        return value.name.lower()
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, str):
        return str(value)
    if isinstance(value, PurePath):
        return shown_path(Path(value))
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_jsonable(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {_key(key): to_jsonable(item) for key, item in value.items()}
    if isinstance(value, Set):
        return sorted((to_jsonable(item) for item in value), key=str)
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray | memoryview):
        return [to_jsonable(item) for item in value]
    if hasattr(value, "dtype") and hasattr(value, "tolist"):
        # NumPy, without importing it for those who have none.
        return to_jsonable(value.tolist())
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def shown_path(path: Path) -> str:
    """A path as people and JSON get it: relative to the working directory where it lies in it."""
    if path.is_absolute() and path.is_relative_to(Path.cwd()):
        return path.relative_to(Path.cwd()).as_posix()
    return path.as_posix()


def _key(key: Any) -> str:
    if isinstance(key, Enum):
        return key.name.lower()
    return shown_path(key) if isinstance(key, Path) else str(key)
