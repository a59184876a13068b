"""Looking over an installation and a workspace, and sweeping what crashes left behind."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from toolkit.operations.models import find_models
from toolkit.operations.toolkit import Toolkit
from toolkit.store.clean_staging import sweep

State = Literal["ok", "note", "problem"]

_NEEDED = (
    "numpy",
    "h5py",
    "onnx",
    "onnxruntime",
    "pandas",
    "isal",
    "click",
    "pluggy",
    "rich",
    "pillow",
    "matplotlib",
    "filelock",
    "protobuf",
)
_EXTRA = {
    "tensorflow": ("train", "training and fine-tuning"),
    "keras": ("train", "training and fine-tuning"),
    "tf2onnx": ("convert", "export --to onnx-tf2onnx"),
    "flask": ("serve", "serving over HTTP"),
    "waitress": ("serve", "serving over HTTP"),
}
_LITTLE_SPACE = 1 << 30


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        subject: What.
        state: ``ok``; ``note``, worth knowing; ``problem``, to be mended.
        detail: What was found, and what to do about it.
    """

    subject: str
    state: State
    detail: str


def examine(toolkit: Toolkit) -> tuple[Finding, ...]:
    """Look over the installation and the workspace; remove staging files whose writers are gone."""
    return (*_packages(), *_plugins(toolkit), *_workspace(toolkit))


def _packages() -> Iterator[Finding]:
    yield Finding("python", "ok", f"{platform.python_version()} on {platform.system()} {platform.machine()}")
    yield Finding(
        "processors",
        "ok",
        f"{len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()}",
    )
    for name in _NEEDED:
        version = _version(name)
        if version is None:
            yield Finding(name, "problem", "not installed; pip install modelops-toolkit")
        else:
            yield Finding(name, "ok", version)
    for name, (extra, purpose) in _EXTRA.items():
        version = _version(name)
        if version is None:
            yield Finding(
                name, "note", f"not installed; for {purpose}: pip install 'modelops-toolkit[{extra}]'"
            )
        else:
            yield Finding(name, "ok", version)


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _plugins(toolkit: Toolkit) -> Iterator[Finding]:
    for record in toolkit.catalog.records:
        if record.state == "loaded":
            yield Finding(f"plugin {record.name}", "ok", f"{record.distribution} {record.version}")
        elif record.state == "disabled":
            yield Finding(f"plugin {record.name}", "note", f"disabled: {record.cause}")
        else:
            yield Finding(f"plugin {record.name}", "problem", f"{record.distribution}: {record.cause}")


def _workspace(toolkit: Toolkit) -> Iterator[Finding]:
    workspace = toolkit.workspace
    if not os.access(workspace.root, os.W_OK | os.X_OK):
        yield Finding("workspace", "problem", "may not be written to: change its permissions, or --workspace")
    free = shutil.disk_usage(workspace.root).free
    detail = f"{free / 1e9:.1f} GB free"
    yield Finding("disk", "problem" if free < _LITTLE_SPACE else "ok", detail)
    names = ", ".join(source.name for source in toolkit.data.sources())
    yield Finding("data sets", "ok" if names else "note", names or "none; toolkit datasets get byclass")
    models = find_models(toolkit)
    bad = [model for model in models if model.problem]
    yield Finding(
        "models", "ok" if models else "note", f"{len(models)} found, {len(models) - len(bad)} usable"
    )
    for model in bad:
        yield Finding(model.path.name, "problem", model.problem)
    folders = [workspace.models, workspace.runs, workspace.cache, workspace.datasets]
    swept = [path for folder in folders if folder.is_dir() for path in sweep(folder)]
    if swept:
        yield Finding(
            "leftovers", "note", f"{len(swept)} unfinished files of processes that are gone: removed"
        )
    else:
        yield Finding("leftovers", "ok", "none")
