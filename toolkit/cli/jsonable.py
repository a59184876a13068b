"""From the toolkit's own values to JSON values."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence, Set
from enum import Enum
from pathlib import Path, PurePath
from typing import Any

from toolkit.cli.visible import visible
from toolkit.errors import ToolkitError
from toolkit.vocabulary import Convention


def to_jsonable(value: Any) -> Any:
    """Make a value that ``json.dumps`` writes as strict JSON; what JSON does not have becomes text.

    Enumerations become their names in lower case, numbers that are not finite null.
    """
    if value is None or (isinstance(value, bool | int) and not isinstance(value, Enum)):
        return value
    if isinstance(value, ToolkitError):
        return {"code": value.code, "message": value.message, "hint": value.hint}
    if isinstance(value, Enum):
        return value.name.lower()
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if dataclasses.is_dataclass(value) and not isinstance(value, type | Convention):
        return {field.name: to_jsonable(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(to_jsonable(key)): to_jsonable(item) for key, item in value.items()}
    if isinstance(value, Set):
        return sorted((to_jsonable(item) for item in value), key=str)
    if isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray | memoryview):
        return [to_jsonable(item) for item in value]
    if hasattr(value, "dtype") and hasattr(value, "tolist"):
        # NumPy, without importing it.
        return to_jsonable(value.tolist())
    return _relative(Path(value)) if isinstance(value, PurePath) else str(value)


def shown_path(path: Path) -> str:
    """A path for people: relative to the working directory if it is in it."""
    return visible(_relative(path))


def _relative(path: Path) -> str:
    if path.is_absolute() and path.is_relative_to(Path.cwd()):
        return path.relative_to(Path.cwd()).as_posix()
    return path.as_posix()
