"""What every verb works with: the plugins and the workspace."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from toolkit.host.catalog import Catalog
    from toolkit.library import DataLibrary
    from toolkit.store import Workspace


class Resources:
    """The plugins and the workspace, each loaded when it is first used.

    Args:
        workspace: Folder with models, data sets and runs.
        load_catalog: Loads the plugins; by default those of the installed entry points.
        before_reading: Called with each model file before it is read; refuses it by raising a
            ToolkitError.
        follow_links: Whether links below ``models/`` are followed; a server does not.
        max_size: Bytes of tensors that a model file may declare, or a text such as ``4GB``; 2 GB by default.
    """

    def __init__(
        self,
        workspace: str | Path | Workspace = ".",
        load_catalog: Callable[[], Catalog] | None = None,
        before_reading: Callable[[Path], None] | None = None,
        *,
        follow_links: bool = True,
        max_size: int | str | None = None,
    ) -> None:
        self.folder = Path(workspace) if isinstance(workspace, str | Path) else workspace.root
        self.before_reading = before_reading
        self.follow_links = follow_links
        self.allowed_size = max_size
        self._load_catalog = load_catalog

    @property
    def max_size(self) -> int:
        """Bytes of tensors that a model file may declare."""
        from toolkit.store.limits import DEFAULT_MAX_SIZE, parse_size

        if self.allowed_size is None:
            return DEFAULT_MAX_SIZE
        return parse_size(self.allowed_size) if isinstance(self.allowed_size, str) else self.allowed_size

    @property
    def workspace(self) -> Workspace:
        """The folder with models, data sets and runs."""
        from toolkit.store import Workspace

        return Workspace(self.folder)

    @cached_property
    def catalog(self) -> Catalog:
        """The contributions of all plugins."""
        from toolkit.host.catalog import Catalog

        return Catalog.load() if self._load_catalog is None else self._load_catalog()

    @cached_property
    def data(self) -> DataLibrary:
        """The data sets of the workspace."""
        from toolkit.host.kinds import DATASET_LOADERS
        from toolkit.library import DataLibrary

        return DataLibrary(self.catalog.all(DATASET_LOADERS), self.workspace)
