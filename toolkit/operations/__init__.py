"""The verbs. The command line and the API call these and nothing deeper."""

from __future__ import annotations

from toolkit.operations.toolkit import Toolkit

__all__ = ["Toolkit"]
