"""What the routes of one app share."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

from toolkit.operations.toolkit import Toolkit
from toolkit.sandbox.sandbox import Sandbox
from toolkit.store import Workspace
from toolkit.web.heavy import HeavyGate
from toolkit.web.settings import TOKEN_VARIABLE, WebSettings

V = TypeVar("V")


class Recent(Generic[V]):
    """Keeps the few values that were used last.

    Args:
        most: How many.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._values: OrderedDict[Hashable, V] = OrderedDict()
        self._looking = threading.Lock()
        self._making = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], V]) -> V:
        """The value of a key, made now if it is not kept; one value is made at a time."""
        found = self._find(key)
        if found:
            return found[0]
        with self._making:
            found = self._find(key)
            return found[0] if found else self._keep(key, make())

    def _find(self, key: Hashable) -> tuple[V] | None:
        with self._looking:
            if key not in self._values:
                return None
            self._values.move_to_end(key)
            return (self._values[key],)

    def _keep(self, key: Hashable, value: V) -> V:
        with self._looking:
            self._values[key] = value
            while len(self._values) > self._most:
                self._values.popitem(last=False)
            return value


@dataclass(frozen=True)
class WebState:
    """The toolkit, the settings and what is kept between requests.

    Attributes:
        toolkit: Plugins and workspace.
        settings: Of the server.
        gate: Before the heavy jobs.
        trial: Reads model files before this process does; the toolkit asks it about each.
        plugin_problems: Why a plugin's routes are not there, by their name.
    """

    toolkit: Toolkit
    settings: WebSettings
    gate: HeavyGate
    trial: Sandbox | None = None
    plugin_problems: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, toolkit: Toolkit | None, settings: WebSettings | None) -> WebState:
        """With the installed plugins and the working directory where nothing else is given."""
        chosen = settings if settings is not None else WebSettings.from_environment()
        used = toolkit if toolkit is not None else Toolkit(Workspace(Path()))
        gate = HeavyGate(chosen.limits.retry_after_s)
        if chosen.trial is None:
            return cls(used, chosen, gate)
        trial = Sandbox(used.workspace, chosen.trial, secrets=(TOKEN_VARIABLE,))
        return cls(Toolkit(used.workspace, lambda: used.catalog, trial), chosen, gate, trial)

    def read_first(self, files: Iterable[Path]) -> None:
        """Let one child process try all the files that are about to be read, and not one each."""
        if self.trial is not None:
            self.trial.read_first(files)

    @property
    def roots(self) -> tuple[Path, ...]:
        """The folders that a request may name files of."""
        return (self.toolkit.workspace.models,)

    @property
    def folders(self) -> tuple[Path, ...]:
        """Folders that may stand in a message and are cut out of it."""
        return (self.toolkit.workspace.root,)
