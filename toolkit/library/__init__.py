"""Data sets on disk: found through the loaders, read, split and cached."""

from __future__ import annotations

from toolkit.library.library import DataLibrary

__all__ = ["DataLibrary"]
