"""A verb as a method: called with a request, or with the request's fields as keywords."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, overload

from toolkit.operations.resources import Resources
from toolkit.options import options_from_mapping
from toolkit.vocabulary import Progress, SilentProgress

Q = TypeVar("Q")
R = TypeVar("R")


@dataclass(frozen=True)
class BoundVerb(Generic[Q, R]):
    """A verb of one toolkit."""

    resources: Resources
    module: str
    function: str
    request: str

    def __call__(self, request: Q | None = None, *, progress: Progress | None = None, **fields: Any) -> R:
        """Do it.

        Args:
            request: What to do; without one, it is made of the fields.
            progress: Where long work reports its progress; by default nowhere.
            **fields: Of the request; lists, strings and JSON values are converted.

        Raises:
            UsageError: If a field is unknown, missing or not allowed.
            ToolkitError: See the verb's function in :mod:`toolkit.operations`.
        """
        operations = importlib.import_module(f"toolkit.operations.{self.module}")
        if request is None:
            kind = getattr(importlib.import_module(f"toolkit.requests.{self.module}"), self.request)
            request = options_from_mapping(kind, fields, owner=self.function)
        elif fields:
            raise TypeError(f"give {type(request).__name__} or its fields, not both: {', '.join(fields)}")
        result: R = getattr(operations, self.function)(self.resources, request, progress or SilentProgress())
        return result


class Verb(Generic[Q, R]):
    """A method that imports its verb on the first call.

    Args:
        function: ``module.function`` below ``toolkit.operations``; the request is in the module of the
            same name below ``toolkit.requests``.
        request: Name of the request's class.
    """

    def __init__(self, function: str, request: str) -> None:
        self.module, _, self.function = function.partition(".")
        self.request = request

    @overload
    def __get__(self, resources: None, owner: type[Resources]) -> Verb[Q, R]: ...

    @overload
    def __get__(self, resources: Resources, owner: type[Resources]) -> BoundVerb[Q, R]: ...

    def __get__(self, resources: Resources | None, owner: type[Resources]) -> Verb[Q, R] | BoundVerb[Q, R]:
        if resources is None:
            return self
        return BoundVerb(resources, self.module, self.function, self.request)
