"""A plugin with one good hook and one whose name is misspelt."""

from __future__ import annotations

from collections.abc import Iterable

from toolkit import hookimpl
from toolkit.types import Exporter, ExportRequest, ExportResult, RunEvent, RunListener


def _hear(event: RunEvent) -> None:
    """Do nothing."""


def _export(request: ExportRequest) -> ExportResult:
    request.path.write_text("a model")
    return ExportResult(request.path)


@hookimpl
def toolkit_run_listeners() -> Iterable[RunListener]:
    """Declare a listener, which is disabled with the rest of the plugin."""
    yield RunListener(name="listens-well", summary="Hears everything", hear=_hear)


@hookimpl
def toolkit_exportes() -> Iterable[Exporter]:
    """Declare an exporter in a hook that does not exist."""
    yield Exporter(name="misspelt", summary="Is never declared", suffix=".txt", export=_export)
