"""Train, merge, export and serve convolutional networks that read handwritten characters."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from toolkit.version import __version__

if TYPE_CHECKING:
    from toolkit.host.hookspecs import hookimpl
    from toolkit.operations.toolkit import Toolkit, open_dataset

__all__ = ["Toolkit", "__version__", "hookimpl", "open_dataset"]

# Imported on first use: the program installs its signal handlers before anything slow is imported.
_HOMES = {
    "Toolkit": "toolkit.operations.toolkit",
    "hookimpl": "toolkit.host.hookspecs",
    "open_dataset": "toolkit.operations.toolkit",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'toolkit' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
