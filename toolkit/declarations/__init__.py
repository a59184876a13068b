"""What plugins declare and what the host passes to them: frozen dataclasses, no framework.

A hook yields declarations. A declaration names and describes one contribution and holds one
callable, which takes one request object. Later fields of a request or a declaration have
defaults, so they break no plugin. Plugins import these names from :mod:`toolkit.types`.
"""

from __future__ import annotations

from toolkit.declarations.datasets import (
    DatasetLoader,
    DatasetSource,
    FetchRequest,
    LoadRequest,
    MakeRequest,
)
from toolkit.declarations.exporting import Exporter, ExportRequest, ExportResult
from toolkit.declarations.merging import (
    Ingredient,
    MergeRequest,
    MergeResult,
    MergeStep,
    MergeStrategy,
    Need,
    tensorwise,
)
from toolkit.declarations.networks import Architecture, BuildRequest, ModelFormat
from toolkit.declarations.options import NoOptions
from toolkit.declarations.runs import RunEvent, RunListener
from toolkit.declarations.surfaces import Command, Routes

__all__ = [
    "Architecture",
    "BuildRequest",
    "Command",
    "DatasetLoader",
    "DatasetSource",
    "ExportRequest",
    "ExportResult",
    "Exporter",
    "FetchRequest",
    "Ingredient",
    "LoadRequest",
    "MakeRequest",
    "MergeRequest",
    "MergeResult",
    "MergeStep",
    "MergeStrategy",
    "ModelFormat",
    "Need",
    "NoOptions",
    "Routes",
    "RunEvent",
    "RunListener",
    "tensorwise",
]
