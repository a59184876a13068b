"""Train, merge, export and serve convolutional networks that read handwritten characters."""

from __future__ import annotations

from toolkit.hookspecs import hookimpl

__all__ = ["__version__", "hookimpl"]

__version__ = "0.1.0"
