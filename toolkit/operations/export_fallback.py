"""Another exporter for a network that has no graph."""

from __future__ import annotations

import dataclasses
from typing import Any

from toolkit.declarations import Exporter
from toolkit.errors import ConfigurationError, ToolkitError, UnsupportedError
from toolkit.host.kinds import EXPORTERS
from toolkit.model import Model
from toolkit.operations.resources import Resources
from toolkit.records import dataclass


@dataclass(frozen=True)
class Fallback:
    """The exporter that is used instead, its options, and why."""

    exporter: Exporter
    options: Any
    reason: ToolkitError

    @property
    def note(self) -> str:
        """What is told before the export."""
        return f"{self.reason.message}; exported through {self.exporter.name} instead"

    def failed(self, error: ToolkitError) -> UnsupportedError:
        """One error for both exporters."""
        return UnsupportedError(f"{self.reason.message}; instead: {error.message}", hint=error.hint)


FAILURES = (UnsupportedError, ConfigurationError)
"""What an exporter raises that cannot export the network, or that is not installed."""


def fallback_of(toolkit: Resources, exporter: Exporter, options: Any, model: Model) -> Fallback | None:
    """What the exporter declares for networks that have no graph; None if the network has one.

    Options that both exporters have are handed on.

    Raises:
        UnsupportedError: If an option is set that the other exporter does not have.
    """
    others = toolkit.catalog.all(EXPORTERS)
    reason = model.describe_graph().refusal if exporter.fallback in others else None
    if not isinstance(reason, UnsupportedError):
        return None
    other = others[exporter.fallback]
    known = {field.name for field in dataclasses.fields(other.options)}
    values = {field.name: getattr(options, field.name) for field in dataclasses.fields(options)}
    default = exporter.options()
    lost = [name for name, value in values.items() if name not in known and value != getattr(default, name)]
    if lost:
        raise UnsupportedError(
            f"{reason.message}; {other.name}, which could export it, has no option {' or '.join(lost)}",
            hint=reason.hint,
        )
    handed_on = {name: value for name, value in values.items() if name in known}
    return Fallback(other, other.options(**handed_on), reason)
