"""The hooks, one for each kind. A hook takes no argument, does no work, and yields declarations."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pluggy

from toolkit.host.discovery import GROUP
from toolkit.host.kinds import KINDS, Kind

hookimpl = pluggy.HookimplMarker(GROUP)
_hookspec = pluggy.HookspecMarker(GROUP)


def _specification(kind: Kind[Any]) -> Callable[[], Any]:
    def hook() -> Any:
        raise AssertionError("a specification is not called")

    hook.__name__ = kind.hook
    hook.__annotations__ = {"return": f"Iterable[{kind.declaration.__name__}]"}
    return _hookspec(hook)


HOOKS = ModuleType("hooks")
"""The specifications of all hooks, as pluggy takes them."""

for _kind in KINDS:
    setattr(HOOKS, _kind.hook, _specification(_kind))
