"""What every verb works with: the plugins and the folder."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from toolkit.host.catalog import Catalog
    from toolkit.library import DataLibrary
    from toolkit.store import Workspace


def _load_catalog() -> Catalog:
    from toolkit.host.catalog import Catalog

    return Catalog.load()


class Toolkit:
    """The plugins and the workspace, each loaded when it is first asked for.

    Args:
        workspace: The folder that holds models, data sets and runs.
        load_catalog: Loads the plugins; by default those of the installed entry points.
        before_reading: Told each model file before it is read; refuses it by raising a ToolkitError.
    """

    def __init__(
        self,
        workspace: Workspace,
        load_catalog: Callable[[], Catalog] = _load_catalog,
        before_reading: Callable[[Path], None] | None = None,
    ) -> None:
        self.workspace = workspace
        self.before_reading = before_reading
        self._load_catalog = load_catalog

    @cached_property
    def catalog(self) -> Catalog:
        """The contributions of all plugins."""
        return self._load_catalog()

    @cached_property
    def data(self) -> DataLibrary:
        """The data sets of the workspace."""
        from toolkit.library import DataLibrary

        return DataLibrary(self.catalog.dataset_loaders(), self.workspace)
