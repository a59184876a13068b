"""What the manager has recorded of its plugins."""

from __future__ import annotations

from toolkit.host.manager import PluginManager, PluginRecord


def by_name(manager: PluginManager) -> dict[str, PluginRecord]:
    manager.call_every_hook()
    return {record.name: record for record in manager.records}
