"""What plugins declare and what the host passes to them: frozen dataclasses, no framework.

A hook yields declarations. A declaration describes one contribution and holds its callables, most
of which take one request. New fields have defaults, so they break no plugin. Plugins import these
names from :mod:`toolkit.types`.
"""

from __future__ import annotations

from toolkit.declarations.datasets import (
    DatasetLoader,
    DatasetSource,
    FetchRequest,
    LoadRequest,
    MakeRequest,
)
from toolkit.declarations.lazy import lazy
from toolkit.declarations.merging import (
    Ingredient,
    MergeRequest,
    MergeResult,
    MergeStep,
    MergeStrategy,
    Need,
    tensorwise,
)
from toolkit.declarations.networks import (
    Architecture,
    BuildRequest,
    DescribeRequest,
    Exporter,
    ExportRequest,
    ExportResult,
    ModelFormat,
    WeightsRequest,
)
from toolkit.declarations.options import NoOptions
from toolkit.declarations.program import Command, Routes, RunEvent, RunListener

__all__ = [
    "Architecture",
    "BuildRequest",
    "Command",
    "DatasetLoader",
    "DatasetSource",
    "DescribeRequest",
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
    "WeightsRequest",
    "lazy",
    "tensorwise",
]
