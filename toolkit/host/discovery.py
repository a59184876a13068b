"""Which plugins are installed, and the environment variables about them; imports no plugin."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from importlib.metadata import Distribution, EntryPoint, distributions

from toolkit.errors import ConfigurationError
from toolkit.records import dataclass

GROUP = "toolkit"
"""The entry-point group, which is also the name of pluggy's project."""

_UNKNOWN = "unknown"


@dataclass(frozen=True)
class InstalledPlugin:
    """One entry point of the group, and its distribution."""

    entry_point: EntryPoint
    distribution: str
    version: str

    @property
    def names(self) -> tuple[str, str]:
        """The names that pick it: ``name`` and ``distribution:name``."""
        return self.entry_point.name, f"{self.distribution}:{self.entry_point.name}"


@dataclass(frozen=True)
class PluginSettings:
    """The environment variables about plugins; ``allowed`` is None for all."""

    allowed: frozenset[str] | None = None
    denied: frozenset[str] = frozenset()
    raise_errors: bool = False
    trace: bool = False

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> PluginSettings:
        """Read the four variables; a ConfigurationError if one has a value that it cannot have."""
        allowed = environ.get("TOOLKIT_LOAD_PLUGINS")
        return cls(
            allowed=None if allowed is None else _names(allowed),
            denied=_names(environ.get("TOOLKIT_DISABLE_PLUGINS", "")),
            raise_errors=_choice(environ, "TOOLKIT_PLUGIN_ERRORS", {"raise": True, "record": False}),
            trace=_choice(environ, "TOOLKIT_TRACE_PLUGINS", {"1": True, "0": False}),
        )

    def refusal(self, plugin: InstalledPlugin) -> str:
        """Why the plugin is not to be loaded; empty if it is."""
        if self.allowed is not None and self.allowed.isdisjoint(plugin.names):
            return "not listed in TOOLKIT_LOAD_PLUGINS"
        return "" if self.denied.isdisjoint(plugin.names) else "listed in TOOLKIT_DISABLE_PLUGINS"


def installed_plugins() -> list[InstalledPlugin]:
    """Find the entry points of the group, sorted by name, then by distribution.

    A distribution that is found twice (installed, and as a checkout in the working directory)
    counts once, and so does a module with two names: the first one is used. Distributions without
    a name are distinguished by their modules.
    """
    found: list[InstalledPlugin] = []
    seen: set[str] = set()
    for distribution in distributions():
        plugins = list(_of_distribution(distribution))
        normalized = re.sub(r"[-_.]+", "-", plugins[0].distribution).lower() if plugins else ""
        if normalized == _UNKNOWN or normalized not in seen:
            seen.add(normalized)
            found.extend(plugins)
    found.sort(key=lambda plugin: (plugin.entry_point.name, plugin.distribution))
    # Reversed, so that of several with one module the first stays.
    first = {plugin.entry_point.value: plugin for plugin in reversed(found)}
    return [plugin for plugin in found if first[plugin.entry_point.value] is plugin]


def _of_distribution(distribution: Distribution) -> Iterator[InstalledPlugin]:
    try:
        # Parsing the metadata of every distribution would take most of the program's start.
        if f"[{GROUP}]" not in (distribution.read_text("entry_points.txt") or ""):
            return
        entry_points = distribution.entry_points.select(group=GROUP)
    except Exception:  # noqa: BLE001 - importlib raises anything for damaged metadata
        return
    name, version = _metadata(distribution, "Name"), _metadata(distribution, "Version")
    for entry_point in entry_points:
        yield InstalledPlugin(entry_point, name, version)


def _metadata(distribution: Distribution, field: str) -> str:
    try:
        values = distribution.metadata.get_all(field)
    except Exception:  # noqa: BLE001 - missing metadata raises something else in each Python version
        return _UNKNOWN
    return values[0] if values else _UNKNOWN


def _names(text: str) -> frozenset[str]:
    return frozenset(name.strip() for name in text.split(",") if name.strip())


def _choice(environ: Mapping[str, str], variable: str, meanings: Mapping[str, bool]) -> bool:
    value = environ.get(variable, "").strip().lower()
    if value and value not in meanings:
        raise ConfigurationError(
            f"{variable} is {environ[variable]!r}", hint=f"set it to {' or '.join(meanings)}, or unset it"
        )
    return meanings.get(value, False)
