"""The HTTP API: a Flask app over the operations.

Flask is imported when a name is asked for, so that `toolkit serve --help` works without it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from toolkit.web.app import create_app
    from toolkit.web.legacy import add_smart_merge_routes
    from toolkit.web.settings import WebLimits, WebSettings

__all__ = ["WebLimits", "WebSettings", "add_smart_merge_routes", "create_app"]

_HOMES = {
    "WebLimits": "toolkit.web.settings",
    "WebSettings": "toolkit.web.settings",
    "add_smart_merge_routes": "toolkit.web.legacy",
    "create_app": "toolkit.web.app",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'toolkit.web' has no attribute {name!r}")
    return getattr(importlib.import_module(home), name)
