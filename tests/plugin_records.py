"""What the manager has recorded of its plugins."""

from __future__ import annotations

from toolkit.host.catalog import Catalog
from toolkit.host.manager import PluginManager, PluginRecord


def by_name(manager: PluginManager) -> dict[str, PluginRecord]:
    return {record.name: record for record in Catalog(manager).records}
