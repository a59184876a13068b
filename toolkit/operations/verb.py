"""A verb as a method: called with a request, or with the request's fields as keywords."""

from __future__ import annotations

import importlib
from typing import Any, Generic, TypeVar

from toolkit.operations.resources import Resources
from toolkit.options import options_from_mapping
from toolkit.vocabulary import Progress, SilentProgress

Q = TypeVar("Q")
R = TypeVar("R")


class Verb(Generic[Q, R]):
    """A method that imports its verb on the first call, by its name below ``toolkit.operations``.

    The request of ``models.find_models`` is ``toolkit.requests.models.FindModels``.
    """

    def __init__(self, name: str, resources: Resources | None = None) -> None:
        self.name = name
        self.module, _, self.function = name.partition(".")
        self.request = self.function.title().replace("_", "")
        self.resources = resources

    def __get__(self, resources: Resources | None, owner: type[Resources]) -> Verb[Q, R]:
        return self if resources is None else Verb(self.name, resources)

    def __call__(self, request: Q | None = None, *, progress: Progress | None = None, **fields: Any) -> R:
        """Do what is requested, by a request or by its fields; both are checked and converted as JSON is.

        Raises:
            UsageError: If a field is unknown, missing or not allowed.
            ToolkitError: See the verb's function in :mod:`toolkit.operations`.
        """
        if self.resources is None:
            raise TypeError(f"call {self.function} on a Toolkit: Toolkit(workspace).{self.function}(…)")
        if request is not None and fields:
            raise TypeError(f"give {type(request).__name__} or its fields, not both: {', '.join(fields)}")
        from toolkit.store.limits import limited_to

        operations = importlib.import_module(f"toolkit.operations.{self.module}")
        kind = getattr(importlib.import_module(f"toolkit.requests.{self.module}"), self.request)
        given = fields if request is None else vars(request)
        checked = options_from_mapping(kind, given, owner=self.function)
        with limited_to(self.resources.max_size):
            result: R = getattr(operations, self.function)(
                self.resources, checked, progress or SilentProgress()
            )
        return result
