"""The HTTP API: a Flask app over the operations."""

from __future__ import annotations

from toolkit.web.app import create_app
from toolkit.web.legacy import add_smart_merge_routes
from toolkit.web.settings import WebLimits, WebSettings

__all__ = ["WebLimits", "WebSettings", "add_smart_merge_routes", "create_app"]
