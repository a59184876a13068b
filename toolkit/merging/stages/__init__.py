"""The stages of a merge, in order."""

from __future__ import annotations

from toolkit.merging.stages import combine, conform, recalibrate
from toolkit.merging.state import Stage

STAGES: tuple[Stage, ...] = (conform.STAGE, combine.STAGE, recalibrate.STAGE)
