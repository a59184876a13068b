"""Loads plugins one by one; a broken one is recorded and affects no other."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Generic, Literal, TypeVar

import pluggy

from toolkit.errors import PluginError, did_you_mean, one_line
from toolkit.host.checks import BadDeclarationError, check_declaration
from toolkit.host.discovery import GROUP, InstalledPlugin, PluginSettings, installed_plugins
from toolkit.host.guarded import guarded
from toolkit.host.hookspecs import HOOKS
from toolkit.host.kinds import KINDS, Kind
from toolkit.records import dataclass

D = TypeVar("D")

State = Literal["loaded", "broken", "disabled"]


@dataclass(frozen=True)
class PluginRecord:
    """One plugin, by the name of its entry point; nothing of a broken or disabled one is used.

    ``cause`` says in one line why it is not loaded; ``module`` is what its entry point names.
    """

    name: str
    distribution: str
    version: str
    state: State = "loaded"
    cause: str = ""
    hooks: tuple[str, ...] = ()
    module: str = ""
    traceback: str = ""

    def __str__(self) -> str:
        return f"{self.name} ({self.distribution} {self.version})"

    @property
    def qualified_name(self) -> str:
        """``distribution:name``."""
        return f"{self.distribution}:{self.name}"


@dataclass(frozen=True)
class Contribution(Generic[D]):
    """A declaration as its plugin made it, and guarded: that is what the host calls."""

    kind: Kind[D]
    name: str
    declaration: D
    guarded: D
    owner: PluginRecord

    @property
    def qualified_name(self) -> str:
        """``distribution:name``, which no other contribution of the kind has."""
        return f"{self.owner.distribution}:{self.name}"


class _Entry:
    """The record of one plugin, which changes, and what it has contributed so far, by hook."""

    def __init__(self, record: PluginRecord) -> None:
        self.record = record
        self.contributions: dict[str, tuple[Contribution[Any], ...]] = {}


class PluginManager:
    """The plugins, loaded and not. Each hook is called once, by whichever thread is first."""

    def __init__(self, settings: PluginSettings | None = None) -> None:
        self._settings = settings or PluginSettings()
        self._pluggy = pluggy.PluginManager(GROUP)
        self._pluggy.add_hookspecs(HOOKS)
        self._entries: list[_Entry] = []
        # Reentrant, because a hook may itself ask for contributions.
        self._lock = threading.RLock()

    @property
    def records(self) -> tuple[PluginRecord, ...]:
        """Every plugin, sorted by name. A bad declaration appears when its hook has been called."""
        return tuple(entry.record for entry in self._entries)

    def load(self, plugin: InstalledPlugin) -> PluginRecord:
        """Import and register one installed plugin, unless the settings forbid it."""
        point = plugin.entry_point
        record = PluginRecord(point.name, plugin.distribution, plugin.version, module=point.value)
        refusal = self._settings.refusal(plugin)
        if refusal:
            return self._add(dataclasses.replace(record, state="disabled", cause=refusal)).record
        return self._load(record, point.load)

    def register(
        self, module: object, *, name: str, distribution: str = "unpacked", version: str = "0"
    ) -> PluginRecord:
        """Register a module, or any object whose attributes implement hooks, as if it were installed."""
        address = getattr(module, "__name__", type(module).__name__)
        return self._load(PluginRecord(name, distribution, version, module=address), lambda: module)

    def report_missing(self, name: str) -> None:
        """Record a plugin that is listed in the settings but not installed."""
        installed = ", ".join(record.name for record in self.records) or "none"
        entry = self._add(PluginRecord(name, "", ""))
        self._break(entry, f"listed in TOOLKIT_LOAD_PLUGINS but not installed; installed: {installed}")

    def contributions(self, kind: Kind[D]) -> tuple[Contribution[D], ...]:
        """What the loaded plugins contribute to one kind, sorted by name.

        The first call for a kind calls its hook. A plugin whose hook raises or yields something that
        cannot be used is broken from then on.
        """
        with self._lock:
            for entry in self._entries:
                if entry.record.state == "loaded" and kind.hook not in entry.contributions:
                    self._call(entry, kind)
            found = [one for entry in self._entries for one in entry.contributions.get(kind.hook, ())]
        return tuple(sorted(found, key=lambda one: (one.name, one.owner.distribution)))

    def _add(self, record: PluginRecord) -> _Entry:
        entry = _Entry(record)
        self._entries.append(entry)
        self._entries.sort(key=lambda other: (other.record.name, other.record.distribution))
        return entry

    def _load(self, record: PluginRecord, import_plugin: Callable[[], object]) -> PluginRecord:
        entry = self._add(record)
        with self._breaking(entry, "import"):
            started = time.perf_counter()
            plugin = import_plugin()
            hooks = self._hooks_of(plugin)
            self._pluggy.register(plugin, record.qualified_name)
            entry.record = dataclasses.replace(record, hooks=hooks)
            self._trace(f"{record}: loaded in {_since(started)}; {', '.join(hooks) or 'no hooks'}")
        return entry.record

    def _hooks_of(self, plugin: object) -> tuple[str, ...]:
        known = [kind.hook for kind in KINDS]
        hooks = []
        for attribute in dir(plugin):
            marks = self._pluggy.parse_hookimpl_opts(plugin, attribute)
            if marks is None:
                continue
            name = marks.get("specname") or attribute
            if name not in known:
                nearest = did_you_mean(name, known) or f"did you mean one of {', '.join(known)}?"
                raise BadDeclarationError(f"unknown hook {name}; {nearest}")
            if marks.get("wrapper") or marks.get("hookwrapper"):
                raise BadDeclarationError(f"{name} is a hook wrapper, which the toolkit does not call")
            hooks.append(name)
        return tuple(sorted(hooks))

    def _call(self, entry: _Entry, kind: Kind[Any]) -> None:
        with self._breaking(entry, kind.hook):
            started = time.perf_counter()
            declarations: list[Any] = []
            for implementation in getattr(self._pluggy.hook, kind.hook).get_hookimpls():
                if implementation.plugin_name == entry.record.qualified_name:
                    declarations.extend(_checked(kind, implementation.function()))
            entry.contributions[kind.hook] = tuple(
                Contribution(kind, one.name, one, guarded(kind, one, str(entry.record)), entry.record)
                for one in declarations
            )
            if declarations:
                names = ", ".join(declaration.name for declaration in declarations)
                self._trace(f"{entry.record}: {kind.hook} in {_since(started)}: {names}")

    @contextlib.contextmanager
    def _breaking(self, entry: _Entry, what: str) -> Iterator[None]:
        """Run code of a plugin; what it raises breaks that plugin, what it prints goes to stderr."""
        try:
            with contextlib.redirect_stdout(sys.stderr):
                yield
        except KeyboardInterrupt:
            # Ctrl-C and SIGTERM are not the plugin's failure.
            raise
        except (BadDeclarationError, PluginError, pluggy.PluginValidationError) as error:
            self._break(entry, one_line(error), error)
        except BaseException as error:  # noqa: BLE001 - a plugin may raise anything, SystemExit too
            text = f": {one_line(error)}" if one_line(error) else ""
            self._break(entry, f"{what} failed: {type(error).__name__}{text}", error)

    def _break(self, entry: _Entry, cause: str, error: BaseException | None = None) -> None:
        # pluggy may have registered the name and some hooks before it refused the next one.
        if self._pluggy.has_plugin(entry.record.qualified_name):
            self._pluggy.unregister(name=entry.record.qualified_name)
        entry.contributions.clear()
        trace = "" if error is None else "".join(traceback.format_exception(error))
        entry.record = dataclasses.replace(entry.record, state="broken", cause=cause, traceback=trace)
        self._trace(f"{entry.record}: broken: {cause}")
        if self._settings.raise_errors:
            raise PluginError(
                f"plugin {entry.record}: {cause}",
                hint="unset TOOLKIT_PLUGIN_ERRORS to continue without it",
            ) from error

    def _trace(self, text: str) -> None:
        if self._settings.trace:
            print(f"toolkit: plugin {text}", file=sys.stderr)


def load_plugins(environ: Mapping[str, str] | None = None) -> PluginManager:
    """Load every installed plugin that the environment variables (by default the process's) allow."""
    settings = PluginSettings.from_environment(os.environ if environ is None else environ)
    manager = PluginManager(settings)
    plugins = installed_plugins()
    for plugin in plugins:
        manager.load(plugin)
    for name in sorted((settings.allowed or frozenset()).difference(*(plugin.names for plugin in plugins))):
        manager.report_missing(name)
    return manager


def _checked(kind: Kind[Any], result: object) -> list[Any]:
    if isinstance(result, str | Mapping) or not isinstance(result, Iterable):
        raise BadDeclarationError(
            f"{kind.hook} returned {type(result).__name__}, expected an iterable of "
            f"{kind.declaration.__name__}"
        )
    declarations: dict[str, Any] = {}
    for declaration in result:
        checked = check_declaration(kind, declaration)
        if checked.name in declarations:
            raise BadDeclarationError(f"{kind.word} {checked.name!r} is declared twice")
        declarations[checked.name] = checked
    return list(declarations.values())


def _since(started: float) -> str:
    return f"{(time.perf_counter() - started) * 1000:.1f} ms"
