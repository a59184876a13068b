"""Loads plugins one by one; one that is broken is recorded and hurts nothing else."""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

import pluggy

from toolkit.errors import PluginError, one_line
from toolkit.host import hookspecs
from toolkit.host.discovery import InstalledPlugin, PluginSettings, installed_plugins
from toolkit.host.kinds import KINDS, BadDeclarationError, Kind, check_declaration

D = TypeVar("D")

State = Literal["loaded", "broken", "disabled"]


@dataclass(frozen=True, slots=True)
class PluginRecord:
    """What became of one plugin.

    Attributes:
        name: Of its entry point.
        distribution: That brings it.
        version: Of the distribution.
        state: ``loaded``; ``broken``, which is switched off as a whole; or ``disabled`` by the
            environment.
        cause: Why it is not loaded, in one line.
        hooks: The hooks that it implements, sorted.
        module: What its entry point names.
        traceback: Of the error that broke it; empty if there was none.
    """

    name: str
    distribution: str
    version: str
    state: State
    cause: str = ""
    hooks: tuple[str, ...] = ()
    module: str = ""
    traceback: str = ""

    def __str__(self) -> str:
        return f"{self.name} ({self.distribution} {self.version})"


@dataclass(frozen=True, slots=True)
class Contribution(Generic[D]):
    """A declaration with the plugin that it came from."""

    kind: Kind[D]
    name: str
    declaration: D
    owner: PluginRecord

    @property
    def qualified_name(self) -> str:
        """``distribution:name``, which tells it from its namesakes."""
        return f"{self.owner.distribution}:{self.name}"


class _Entry:
    """One plugin, while the program runs."""

    def __init__(self, record: PluginRecord) -> None:
        self.record = record
        self.key = f"{record.distribution}:{record.name}"
        self.declarations: dict[str, tuple[Any, ...]] = {}

    def change(self, **changes: Any) -> None:
        """Replace fields of the record."""
        self.record = dataclasses.replace(self.record, **changes)


class PluginManager:
    """The plugins that take part, and what became of the others.

    Threads may ask for contributions at once: each hook is still called once.

    Args:
        settings: What the environment says about plugins.
    """

    def __init__(self, settings: PluginSettings | None = None) -> None:
        self._settings = settings or PluginSettings()
        self._pluggy = pluggy.PluginManager(hookspecs.PROJECT)
        self._pluggy.add_hookspecs(hookspecs)
        self._entries: list[_Entry] = []
        # A hook may itself ask for contributions.
        self._lock = threading.RLock()

    @property
    def records(self) -> tuple[PluginRecord, ...]:
        """Every plugin there is, sorted by name.

        A plugin's hooks are called when their kind is asked for, so a bad declaration shows only
        then; :meth:`call_every_hook` makes all of them show.
        """
        return tuple(entry.record for entry in self._entries)

    def load(self, plugin: InstalledPlugin) -> PluginRecord:
        """Import and register one installed plugin, unless the environment says not to."""
        record = PluginRecord(
            plugin.name, plugin.distribution, plugin.version, "loaded", module=plugin.entry_point.value
        )
        refusal = self._settings.refusal(plugin)
        if refusal:
            return self._append(_Entry(dataclasses.replace(record, state="disabled", cause=refusal)))
        return self._load(record, plugin.entry_point.load)

    def register(
        self, module: object, *, name: str, distribution: str = "unpacked", version: str = "0"
    ) -> PluginRecord:
        """Register a plugin that is already imported, such as a test's.

        Args:
            module: The module, or any object whose attributes implement hooks.
            name: As an entry point would have it.
            distribution: As if it were installed.
            version: Of that distribution.
        """
        record = PluginRecord(
            name, distribution, version, "loaded", module=getattr(module, "__name__", type(module).__name__)
        )
        return self._load(record, lambda: module)

    def report_missing(self, name: str) -> PluginRecord:
        """Record a plugin that was asked for by name and is not installed."""
        entry = _Entry(PluginRecord(name, "", "", "loaded"))
        self._append(entry)
        installed = ", ".join(sorted(other.record.name for other in self._entries if other is not entry))
        cause = f"listed in TOOLKIT_LOAD_PLUGINS but not installed; installed are {installed or 'none'}"
        self._break(entry, cause)
        return entry.record

    def contributions(self, kind: Kind[D]) -> tuple[Contribution[D], ...]:
        """What the loaded plugins contribute to one kind, by plugin and in each plugin's order.

        Calls the kind's hook in every plugin that has not been asked yet; a plugin whose hook
        raises or yields something that cannot be used is broken from then on.
        """
        with self._lock:
            for entry in self._entries:
                if entry.record.state == "loaded" and kind.hook not in entry.declarations:
                    self._call(entry, kind)
            return tuple(
                Contribution(kind, declaration.name, declaration, entry.record)
                for entry in self._entries
                if entry.record.state == "loaded"
                for declaration in entry.declarations[kind.hook]
            )

    def call_every_hook(self) -> None:
        """Ask for every kind, so that the records tell all there is to tell."""
        for kind in KINDS:
            self.contributions(kind)

    def _append(self, entry: _Entry) -> PluginRecord:
        self._entries.append(entry)
        self._entries.sort(key=lambda other: (other.record.name, other.record.distribution))
        return entry.record

    def _load(self, record: PluginRecord, import_plugin: Callable[[], object]) -> PluginRecord:
        entry = _Entry(record)
        self._append(entry)
        started = time.perf_counter()
        try:
            with _stdout_kept_clean():
                plugin = import_plugin()
                hooks = self._hooks_of(plugin)
                self._pluggy.register(plugin, entry.key)
        except KeyboardInterrupt:
            # Ctrl-C and SIGTERM are nobody's failure.
            raise
        except BaseException as error:  # noqa: BLE001 - a stranger's code, which may call sys.exit()
            self._break(entry, _import_cause(error), error)
            return entry.record
        entry.change(hooks=hooks)
        self._trace(f"{entry.record}: loaded in {_since(started)}; {', '.join(hooks) or 'no hooks'}")
        return entry.record

    def _hooks_of(self, plugin: object) -> tuple[str, ...]:
        hooks = []
        for attribute in dir(plugin):
            marks = self._pluggy.parse_hookimpl_opts(plugin, attribute)
            if marks is None:
                continue
            name = marks.get("specname") or attribute
            if not any(name == kind.hook for kind in KINDS):
                near = difflib.get_close_matches(name, [kind.hook for kind in KINDS], n=1)
                nearest = near[0] if near else "one of " + ", ".join(kind.hook for kind in KINDS)
                raise BadDeclarationError(f"unknown hook {name}; did you mean {nearest}?")
            if marks.get("wrapper") or marks.get("hookwrapper"):
                raise BadDeclarationError(f"{name} is a hook wrapper, which the toolkit does not call")
            hooks.append(name)
        return tuple(sorted(hooks))

    def _call(self, entry: _Entry, kind: Kind[Any]) -> None:
        started = time.perf_counter()
        declarations: list[Any] = []
        try:
            with _stdout_kept_clean():
                for implementation in getattr(self._pluggy.hook, kind.hook).get_hookimpls():
                    if implementation.plugin_name == entry.key:
                        declarations.extend(_checked(kind, implementation.function()))
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - a stranger's code, as above
            self._break(entry, _hook_cause(kind, error), error)
            return
        entry.declarations[kind.hook] = tuple(declarations)
        if declarations:
            names = ", ".join(declaration.name for declaration in declarations)
            self._trace(f"{entry.record}: {kind.hook} in {_since(started)}: {names}")

    def _break(self, entry: _Entry, cause: str, error: BaseException | None = None) -> None:
        # Older pluggy registers name and some hooks before it refuses the next one.
        if self._pluggy.has_plugin(entry.key):
            self._pluggy.unregister(name=entry.key)
        entry.declarations.clear()
        entry.change(
            state="broken",
            cause=cause,
            traceback="" if error is None else "".join(traceback.format_exception(error)),
        )
        self._trace(f"{entry.record}: broken: {cause}")
        if self._settings.raise_errors:
            raise PluginError(
                f"plugin {entry.record}: {cause}",
                hint="unset TOOLKIT_PLUGIN_ERRORS to go on without it",
            ) from error

    def _trace(self, text: str) -> None:
        if self._settings.trace:
            print(f"toolkit: plugin {text}", file=sys.stderr)


def load_plugins(environ: Mapping[str, str] | None = None) -> PluginManager:
    """Load every installed plugin that the environment allows.

    Args:
        environ: Environment variables; None for the process's own.

    Raises:
        ConfigurationError: If a variable has a value that it cannot have.
        PluginError: If a plugin is broken and ``TOOLKIT_PLUGIN_ERRORS`` is ``raise``.
    """
    settings = PluginSettings.from_environment(os.environ if environ is None else environ)
    manager = PluginManager(settings)
    plugins = installed_plugins()
    for plugin in plugins:
        manager.load(plugin)
    known = {name for plugin in plugins for name in (plugin.name, f"{plugin.distribution}:{plugin.name}")}
    for name in sorted((settings.allowed or frozenset()) - known):
        manager.report_missing(name)
    return manager


def _checked(kind: Kind[Any], result: object) -> list[Any]:
    if isinstance(result, str | Mapping) or not isinstance(result, Iterable):
        raise BadDeclarationError(
            f"{kind.hook} returned {type(result).__name__}, expected an iterable of "
            f"{kind.declaration.__name__}"
        )
    declarations: list[Any] = []
    for declaration in result:
        checked = check_declaration(kind, declaration)
        if any(other.name == checked.name for other in declarations):
            raise BadDeclarationError(f"{kind.word} {checked.name!r} is declared twice")
        declarations.append(checked)
    return declarations


def _import_cause(error: BaseException) -> str:
    if isinstance(error, BadDeclarationError | pluggy.PluginValidationError):
        return one_line(error)
    return f"import failed: {_named(error)}"


def _hook_cause(kind: Kind[Any], error: BaseException) -> str:
    if isinstance(error, BadDeclarationError | PluginError):
        return one_line(error)
    return f"{kind.hook} failed: {_named(error)}"


def _named(error: BaseException) -> str:
    text = one_line(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _since(started: float) -> str:
    return f"{(time.perf_counter() - started) * 1000:.1f} ms"


def _stdout_kept_clean() -> contextlib.AbstractContextManager[object]:
    """What a plugin prints while it is loaded goes to stderr: stdout holds one JSON document."""
    return contextlib.redirect_stdout(sys.stderr)
