"""A verb as a method: called with a request, or with the request's fields as keywords."""

from __future__ import annotations

import importlib
from typing import Any, Generic, TypeVar, overload

from toolkit.operations.resources import Resources
from toolkit.options import options_from_mapping
from toolkit.records import dataclass
from toolkit.vocabulary import Progress, SilentProgress

Q = TypeVar("Q")
R = TypeVar("R")


@dataclass(frozen=True)
class BoundVerb(Generic[Q, R]):
    """A verb of one toolkit."""

    resources: Resources
    verb: Verb[Q, R]

    def __call__(self, request: Q | None = None, *, progress: Progress | None = None, **fields: Any) -> R:
        """Do what is requested, by a request or by its fields; both are checked and converted as JSON is.

        Raises:
            UsageError: If a field is unknown, missing or not allowed.
            ToolkitError: See the verb's function in :mod:`toolkit.operations`.
        """
        module, function = self.verb.module, self.verb.function
        operations = importlib.import_module(f"toolkit.operations.{module}")
        if request is not None and fields:
            raise TypeError(f"give {type(request).__name__} or its fields, not both: {', '.join(fields)}")
        kind = getattr(importlib.import_module(f"toolkit.requests.{module}"), self.verb.request)
        checked = options_from_mapping(kind, fields if request is None else vars(request), owner=function)
        result: R = getattr(operations, function)(self.resources, checked, progress or SilentProgress())
        return result


class Verb(Generic[Q, R]):
    """A method that imports its verb on the first call, by its name below ``toolkit.operations``.

    The request of ``models.find_models`` is ``toolkit.requests.models.FindModels``.
    """

    def __init__(self, name: str) -> None:
        self.module, _, self.function = name.partition(".")
        self.request = self.function.title().replace("_", "")

    @overload
    def __get__(self, resources: None, owner: type[Resources]) -> Verb[Q, R]: ...

    @overload
    def __get__(self, resources: Resources, owner: type[Resources]) -> BoundVerb[Q, R]: ...

    def __get__(self, resources: Resources | None, owner: type[Resources]) -> Verb[Q, R] | BoundVerb[Q, R]:
        return self if resources is None else BoundVerb(resources, self)
