"""Functions that are imported when they are called."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any


def lazy(address: str) -> Callable[..., Any]:
    """Name a function without importing its module: ``lazy("my_plugin.reading:read")``.

    Plugins are loaded for every list of names, so what is slow to import waits until it is called.
    """
    module, _, name = address.partition(":")

    def call(*arguments: Any) -> Any:
        return getattr(importlib.import_module(module), name)(*arguments)

    call.__module__, call.__name__, call.__qualname__ = module, name, name
    return call
