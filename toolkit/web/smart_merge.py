"""Merges for HTTP clients."""

from __future__ import annotations

import time
from contextlib import ExitStack

from toolkit.errors import LimitReachedError, StorageError
from toolkit.options import option
from toolkit.records import dataclass
from toolkit.requests.merge import Merge
from toolkit.store.opening import name_of, open_confined, output_path
from toolkit.store.workspace import MERGED_MODEL
from toolkit.vocabulary import SilentProgress
from toolkit.web.http_problem import refuse
from toolkit.web.listing import listed_models
from toolkit.web.web_state import WebState


class Deadline(SilentProgress):
    """A silent progress that ends the work if it reports progress after its time is up."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._end = time.monotonic() + seconds

    def note(self, text: str) -> None:
        """Check the time."""
        del text
        if time.monotonic() > self._end:
            raise LimitReachedError(
                f"the job took longer than {self._seconds:g} s", hint="merge fewer or smaller models"
            )

    def advance(self, done: int, detail: str = "") -> None:
        """Check the time."""
        del done
        self.note(detail)


@dataclass(frozen=True)
class SmartMerge:
    """The merge that a client of the original project asks for."""

    model_paths: tuple[str, ...] | None = option(
        None, help="models as /find_models lists them; by default those that belong together"
    )
    output_path: str | None = option(None, help="the merged model; by default models/emnist_model.h5")


def merge_named(state: WebState, asked: SmartMerge) -> tuple[str, str]:
    """Merge models by their names; returns the result's name and a sentence about the merge."""
    from toolkit.operations.merge import is_replaceable

    names = _checked_names(state, asked.model_paths)
    out = output_path(asked.output_path or MERGED_MODEL, state.roots)
    with state.heavy_job(), ExitStack() as held:
        files = [held.enter_context(open_confined(name, state.roots)) for name in names]
        state.check_files(
            [file.path for file in files] if names else [model.file for model in listed_models(state)]
        )
        paths = tuple(file.path for file in files)
        request = Merge(models=paths, out=out, force=is_replaceable(out))
        merged = state.toolkit.merge(request, progress=Deadline(state.settings.limits.merge_seconds))
        if not all(file.is_still_there() for file in files):
            what = "a model was replaced during the merge"
            raise refuse(409, "busy", f"{what}: check the result, or merge again")
    name = name_of(out, state.roots) or out.name
    if merged.failure:
        raise refuse(507, StorageError.code, f"{name} was saved, its report could not be written")
    verdict = "" if merged.report is None else f". {merged.report.verdict.sentence}"
    recipe = merged.recipe
    return name, f"{len(recipe.ingredients)} models merged with strategy {recipe.strategy}{verdict}"


def _checked_names(state: WebState, models: tuple[str, ...] | None) -> tuple[str, ...]:
    most = state.settings.limits.models_in_merge
    if models is None:
        if len(listed_models(state)) > most:
            raise refuse(413, "limit", f"more than {most} models: name those to merge in model_paths")
        return ()
    if not 2 <= len(models) <= most:
        raise refuse(400, "usage", f"{len(models)} in model_paths: 2 to {most} models are merged")
    return models
