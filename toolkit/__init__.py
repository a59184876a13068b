"""Train, merge, export and serve convolutional networks that read handwritten characters."""

from __future__ import annotations

from toolkit.version import __version__

# Even typing is imported on first use: the program installs its signal handlers before slow imports.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from toolkit.host.hookspecs import hookimpl
    from toolkit.operations.toolkit import Toolkit, open_dataset

__all__ = ["Toolkit", "__version__", "hookimpl", "open_dataset"]

_HOMES = {
    "Toolkit": "toolkit.operations.toolkit",
    "hookimpl": "toolkit.host.hookspecs",
    "open_dataset": "toolkit.operations.toolkit",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'toolkit' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)
