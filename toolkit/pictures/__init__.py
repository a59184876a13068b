"""From any picture of a character to the 28×28 glyph that networks read."""

from __future__ import annotations

from toolkit.pictures.prepare import prepare_picture

__all__ = ["prepare_picture"]
