"""The request of a training as a TOML file: ``--config FILE``, and the ``run.toml`` of each run."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from toolkit.errors import ConfigurationError, UsageError
from toolkit.options import option_pairs, options_as_json, options_from_mapping
from toolkit.requests.train import Train
from toolkit.store import Workspace, publish_text
from toolkit.store.opening import parse_toml, read_file

_NOT_IN_A_FILE = ("resume", "config", "force")


def read_config(path: Path) -> Train:
    """Read a request from a file; paths in it are relative to its folder."""
    content = read_file(path)
    try:
        table = parse_toml(content)
    except ValueError as error:
        raise ConfigurationError(f"{path}: not a TOML file: {error}", hint="see docs/training.md") from error
    for key in _NOT_IN_A_FILE:
        if key in table:
            raise ConfigurationError(f"{path}: {key} is for the command line only", hint="delete it")
    for name in _paths(table):
        if not os.path.isabs(table[name]):  # noqa: PTH117
            table[name] = os.path.relpath(path.parent / table[name])
    return options_from_mapping(Train, table, owner=str(path))


def write_config(path: Path, request: Train, workspace: Workspace) -> None:
    """Publish a request; paths in the workspace are relative to the file, so that it can be moved."""
    import tomli_w

    fields = options_as_json(request).items()
    # TOML has no null.
    table = {key: value for key, value in fields if value is not None and key not in _NOT_IN_A_FILE}
    for name in _paths(table):
        table[name] = os.path.abspath(table[name])  # noqa: PTH100 - Path.resolve follows links
        if Path(table[name]).is_relative_to(os.path.abspath(workspace.root)):  # noqa: PTH100
            table[name] = os.path.relpath(table[name], path.parent)
    publish_text(path, tomli_w.dumps(table))


def _paths(table: Mapping[str, Any]) -> list[str]:
    """The keys that have paths; a data set's name has no slash, its path in a file has one."""
    texts = [name for name in ("dataset", "from_model") if isinstance(table.get(name), str)]
    return [name for name in texts if name == "from_model" or "/" in table[name]]


def with_config(request: Train) -> Train:
    """A request completed from its config file; its own fields and options take precedence."""
    if request.config is None:
        return request
    file = read_config(request.config)
    given = given_options(request)
    kept = {
        key: value
        for key, value in given_options(file).items()
        if not any(key == other or key.endswith(f".{other}") or other.endswith(f".{key}") for other in given)
    }
    changes = {key: value for key, value in vars(request).items() if value is not None and value is not False}
    return dataclasses.replace(file, **changes | {"options": kept | given, "config": None})


def given_options(request: Train) -> dict[str, Any]:
    """The options of a request by key, as ``width`` or ``arch.width``; texts as typed, or values."""
    options: dict[str, Any] = {}
    for key, value in option_pairs(request.options):
        tables = value.items() if isinstance(value, Mapping) else [("", value)]
        for below, part in tables:
            name = (f"{key}.{below}" if below else key).strip().replace("-", "_")
            if name in options:
                raise UsageError(f"option {name} is given twice", hint="give it once")
            options[name] = part
    return options
