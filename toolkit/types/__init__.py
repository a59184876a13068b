"""What plugins declare and what the host hands them: frozen dataclasses, no framework.

A hook yields declarations. A declaration names and describes one contribution and carries
one callable, which takes one request object. A later field with a default in a request or in
a declaration breaks no plugin.
"""

from __future__ import annotations

from toolkit.types.datasets import (
    DatasetLoader,
    DatasetSource,
    FetchRequest,
    LoadRequest,
    MakeRequest,
    SplitName,
)
from toolkit.types.exporting import Exporter, ExportRequest, ExportResult
from toolkit.types.merging import (
    Ingredient,
    MergeRequest,
    MergeResult,
    MergeStep,
    MergeStrategy,
    Need,
    TensorGroup,
)
from toolkit.types.networks import Architecture, BuildRequest, ModelFormat
from toolkit.types.options import NoOptions
from toolkit.types.pixels import Convention, Ink, Orientation, Scale
from toolkit.types.progress import Progress, SilentProgress
from toolkit.types.runs import RunEvent, RunListener
from toolkit.types.surfaces import Command, Routes

__all__ = [
    "Architecture",
    "BuildRequest",
    "Command",
    "Convention",
    "DatasetLoader",
    "DatasetSource",
    "ExportRequest",
    "ExportResult",
    "Exporter",
    "FetchRequest",
    "Ingredient",
    "Ink",
    "LoadRequest",
    "MakeRequest",
    "MergeRequest",
    "MergeResult",
    "MergeStep",
    "MergeStrategy",
    "ModelFormat",
    "Need",
    "NoOptions",
    "Orientation",
    "Progress",
    "Routes",
    "RunEvent",
    "RunListener",
    "Scale",
    "SilentProgress",
    "SplitName",
    "TensorGroup",
]
