"""The requests of ``toolkit plugins``."""

from toolkit.options import option
from toolkit.records import dataclass


@dataclass(frozen=True)
class ListPlugins:
    """List every plugin and what it contributes."""


@dataclass(frozen=True)
class ShowPlugin:
    """Show a plugin or a contribution with its options."""

    name: str = option(
        help="plugin, distribution, contribution or distribution:name; train for the training's own options"
    )


@dataclass(frozen=True)
class CheckPlugins:
    """Check every plugin against its contract."""
