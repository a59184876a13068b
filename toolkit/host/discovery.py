"""Which plugins are installed, and what the environment says about them; imports none of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import Distribution, EntryPoint, distributions

from toolkit.errors import ConfigurationError

GROUP = "toolkit"
"""The entry-point group, which is also the name of pluggy's project."""

_UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class InstalledPlugin:
    """One entry point of our group.

    Attributes:
        entry_point: Name and module; loading it imports the plugin.
        distribution: Name of the distribution that brings it.
        version: Of that distribution.
    """

    entry_point: EntryPoint
    distribution: str
    version: str

    @property
    def name(self) -> str:
        """The entry point's name."""
        return self.entry_point.name


@dataclass(frozen=True, slots=True)
class PluginSettings:
    """What the environment says about plugins.

    Attributes:
        allowed: The only plugins to load (``TOOLKIT_LOAD_PLUGINS``); None for all.
        denied: Plugins not to load (``TOOLKIT_DISABLE_PLUGINS``).
        raise_errors: Whether a broken plugin ends the program (``TOOLKIT_PLUGIN_ERRORS=raise``).
        trace: Whether to say on stderr what is loaded (``TOOLKIT_TRACE_PLUGINS=1``).
    """

    allowed: frozenset[str] | None = None
    denied: frozenset[str] = frozenset()
    raise_errors: bool = False
    trace: bool = False

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> PluginSettings:
        """Read the four variables.

        Raises:
            ConfigurationError: If one has a value that it cannot have.
        """
        allowed = environ.get("TOOLKIT_LOAD_PLUGINS")
        return cls(
            allowed=None if allowed is None else _names(allowed),
            denied=_names(environ.get("TOOLKIT_DISABLE_PLUGINS", "")),
            raise_errors=_choice(environ, "TOOLKIT_PLUGIN_ERRORS", {"raise": True, "record": False}),
            trace=_choice(environ, "TOOLKIT_TRACE_PLUGINS", {"1": True, "0": False}),
        )

    def refusal(self, plugin: InstalledPlugin) -> str:
        """Why the plugin is not to be loaded; empty if it is."""
        names = {plugin.name, f"{plugin.distribution}:{plugin.name}"}
        if self.allowed is not None and not names & self.allowed:
            return "not listed in TOOLKIT_LOAD_PLUGINS"
        if names & self.denied:
            return "listed in TOOLKIT_DISABLE_PLUGINS"
        return ""


def installed_plugins() -> list[InstalledPlugin]:
    """Find the entry points of our group.

    A distribution that is found twice (installed, and as a checkout in the working directory)
    counts once, as Python's import would have it: the first on the path. Neither does one
    module under two names make two plugins. Distributions without a name are told apart by their
    modules. One whose entry points cannot be read is not ours to complain about.

    Returns:
        Sorted by entry point name, then by distribution.
    """
    found: list[InstalledPlugin] = []
    seen_distributions: set[str] = set()
    for distribution in distributions():
        plugins = list(_of_distribution(distribution))
        if not plugins:
            continue
        normalized = re.sub(r"[-_.]+", "-", plugins[0].distribution).lower()
        if normalized == _UNKNOWN or normalized not in seen_distributions:
            seen_distributions.add(normalized)
            found.extend(plugins)
    found.sort(key=lambda plugin: (plugin.name, plugin.distribution))
    unique: dict[str, InstalledPlugin] = {}
    for plugin in found:
        unique.setdefault(plugin.entry_point.value, plugin)
    return list(unique.values())


def _of_distribution(distribution: Distribution) -> Iterator[InstalledPlugin]:
    try:
        # Parsing the metadata of every distribution costs more than all else at start-up.
        if f"[{GROUP}]" not in (distribution.read_text("entry_points.txt") or ""):
            return
        entry_points = distribution.entry_points.select(group=GROUP)
    except Exception:  # noqa: BLE001 - anyone's damaged metadata, read by importlib
        return
    name, version = _metadata(distribution, "Name"), _metadata(distribution, "Version")
    for entry_point in entry_points:
        yield InstalledPlugin(entry_point, name, version)


def _metadata(distribution: Distribution, field: str) -> str:
    """A field of the metadata; each version of Python fails in its own way where it is missing."""
    try:
        values = distribution.metadata.get_all(field)
    except Exception:  # noqa: BLE001 - as above
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
