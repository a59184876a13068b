"""Train, merge, export and serve convolutional networks that read handwritten characters."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from toolkit.host.hookspecs import hookimpl
from toolkit.version import __version__

if TYPE_CHECKING:
    from toolkit.operations.public import open_dataset

__all__ = ["__version__", "hookimpl", "open_dataset"]

# Verbs for plugins; they stand above everything, so they are imported when they are asked for.
_VERBS = {"open_dataset": "toolkit.operations.public"}


def __getattr__(name: str) -> Any:
    module = _VERBS.get(name)
    if module is None:
        raise AttributeError(f"module 'toolkit' has no attribute {name!r}")
    return getattr(importlib.import_module(module), name)
