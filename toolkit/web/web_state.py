"""What the routes of one app share."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import field
from pathlib import Path
from typing import Generic, TypeVar

from toolkit.operations.toolkit import Toolkit
from toolkit.records import dataclass
from toolkit.sandbox.sandbox import Sandbox
from toolkit.web.http_problem import refuse
from toolkit.web.settings import TOKEN_VARIABLE, WebSettings

V = TypeVar("V")


class Recent(Generic[V]):
    """Keeps the values that were used last, none of which is None."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._values: dict[Hashable, V] = {}
        self._looking = threading.Lock()
        self._making = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], V]) -> V:
        """The value of a key, made if it is not kept; one value is made at a time."""
        value = self._find(key)
        if value is not None:
            return value
        with self._making:
            value = self._find(key)
            if value is None:
                value = make()
                with self._looking:
                    self._values[key] = value
                    while len(self._values) > self._most:
                        del self._values[next(iter(self._values))]
            return value

    def _find(self, key: Hashable) -> V | None:
        with self._looking:
            value = self._values.pop(key, None)
            if value is not None:
                self._values[key] = value  # now the one used last
            return value


@dataclass(frozen=True)
class WebState:
    """The toolkit, the settings and what is kept between requests.

    Attributes:
        toolkit: Follows no links, and reads files in the sandbox first.
        plugin_problems: Why a plugin's routes are not served, by their name.
    """

    toolkit: Toolkit
    settings: WebSettings
    sandbox: Sandbox | None = None
    plugin_problems: dict[str, str] = field(default_factory=dict)
    _heavy: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def of(cls, toolkit: Toolkit | None, settings: WebSettings | None) -> WebState:
        """With the installed plugins and the working directory by default."""
        chosen = settings or WebSettings.from_environment()
        used = toolkit or Toolkit()
        sandbox = None
        if chosen.sandbox is not None:
            sandbox = Sandbox(
                used.workspace, chosen.sandbox, secrets=(TOKEN_VARIABLE,), max_size=used.max_size
            )
        served = Toolkit(
            used.workspace, lambda: used.catalog, sandbox, follow_links=False, max_size=used.max_size
        )
        return cls(served, chosen, sandbox)

    @contextmanager
    def heavy_job(self) -> Iterator[None]:
        """Refuse the request with 429 if another heavy job is running."""
        if not self._heavy.acquire(blocking=False):
            raise refuse(429, "too_many_requests", Retry_After=str(self.settings.limits.retry_after_s))
        try:
            yield
        finally:
            self._heavy.release()

    def check_files(self, files: Iterable[Path]) -> None:
        """Let one child process read all these files, instead of one child for each."""
        if self.sandbox is not None:
            self.sandbox.check(files)

    @property
    def roots(self) -> tuple[Path, ...]:
        """The folders with files that a request may name."""
        return (self.toolkit.workspace.models,)

    @property
    def folders(self) -> tuple[Path, ...]:
        """Folders that are cut out of messages."""
        return (self.toolkit.workspace.root,)
