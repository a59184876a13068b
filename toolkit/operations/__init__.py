"""The verbs. The command line and the API call these and nothing deeper."""

from __future__ import annotations

from toolkit.operations.context import Toolkit

__all__ = ["Toolkit"]
