"""The verb ``doctor``: check the installation and the workspace."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import shutil
from collections.abc import Iterator
from typing import Literal

from toolkit.operations.models import find_models
from toolkit.operations.resources import Resources
from toolkit.records import dataclass
from toolkit.store.staging import clean_staging

State = Literal["ok", "note", "problem"]

_DISTRIBUTION = "modelops-toolkit"
_NAME = re.compile(r"[A-Za-z0-9._-]+")
_LITTLE_SPACE = 1 << 30


@dataclass(frozen=True)
class Diagnosis:
    """One thing that was checked, what was found, and what to do about it."""

    subject: str
    state: State
    detail: str


def check_installation(toolkit: Resources) -> tuple[Diagnosis, ...]:
    """Check the installation and the workspace; remove staging files of processes that ended."""
    return (*_packages(), *_plugins(toolkit), *_workspace(toolkit))


def _packages() -> Iterator[Diagnosis]:
    yield Diagnosis(
        "python", "ok", f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    )
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    yield Diagnosis("processors", "ok", str(processors))
    try:
        requirements = importlib.metadata.requires(_DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:
        yield Diagnosis(_DISTRIBUTION, "problem", f"not installed; pip install {_DISTRIBUTION}")
        return
    for requirement in requirements:
        name = _NAME.match(requirement)
        extra = re.search(r"extra == .(\w+)", requirement)
        if name is None or name[0] == _DISTRIBUTION or (extra and extra[1] in ("all", "test")):
            continue
        try:
            yield Diagnosis(name[0], "ok", importlib.metadata.version(name[0]))
        except importlib.metadata.PackageNotFoundError:
            package = f"{_DISTRIBUTION}[{extra[1]}]" if extra else _DISTRIBUTION
            yield Diagnosis(
                name[0], "note" if extra else "problem", f"not installed; pip install '{package}'"
            )


def _plugins(toolkit: Resources) -> Iterator[Diagnosis]:
    for record in toolkit.catalog.records:
        if record.state == "loaded":
            yield Diagnosis(f"plugin {record.name}", "ok", f"{record.distribution} {record.version}")
        elif record.state == "disabled":
            yield Diagnosis(f"plugin {record.name}", "note", f"disabled: {record.cause}")
        else:
            yield Diagnosis(f"plugin {record.name}", "problem", f"{record.distribution}: {record.cause}")


def _workspace(toolkit: Resources) -> Iterator[Diagnosis]:
    workspace = toolkit.workspace
    if not os.access(workspace.root, os.W_OK | os.X_OK):
        yield Diagnosis(
            "workspace", "problem", "no permission to write: change it, or choose another --workspace"
        )
    free = shutil.disk_usage(workspace.root).free
    yield Diagnosis("disk", "problem" if free < _LITTLE_SPACE else "ok", f"{free / 1e9:.1f} GB free")
    names = ", ".join(source.name for source in toolkit.data.sources())
    yield Diagnosis("data sets", "ok" if names else "note", names or "none; `toolkit datasets get byclass`")
    models = find_models(toolkit)
    bad = [model for model in models if model.problem]
    yield Diagnosis(
        "models", "ok" if models else "note", f"{len(models)} found, {len(models) - len(bad)} usable"
    )
    for model in bad:
        yield Diagnosis(model.path.name, "problem", model.problem)
    folders = (workspace.models, workspace.runs, workspace.cache, workspace.datasets)
    removed = clean_staging(workspace.root, recursive=False)
    removed += [path for folder in folders for path in clean_staging(folder)]
    detail = f"{len(removed)} unfinished files of processes that ended: removed" if removed else "none"
    yield Diagnosis("leftovers", "note" if removed else "ok", detail)
