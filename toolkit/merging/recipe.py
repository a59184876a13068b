"""A whole merge as one file, with every default resolved."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from toolkit.errors import DamagedFileError, UnreadableInputError, shown
from toolkit.options import option, options_as_json, options_from_mapping
from toolkit.records import dataclass
from toolkit.store.opening import parse_json, parse_toml, read_file
from toolkit.store.workspace import MERGED_MODEL
from toolkit.vocabulary import Convention

SCHEMA = 1
_LARGEST = 1 << 20  # bytes


@dataclass(frozen=True)
class RecipeIngredient:
    """One model of a recipe."""

    name: str = option(help="name in the report")
    path: str = option(help="model file, relative to the recipe")
    weights_digest: str = option("", help="the file must have this weights digest")
    convention: Convention | None = option(None, help="input format, if it is known")


@dataclass(frozen=True)
class Recipe:
    """A merge that can be run again."""

    schema: int = option(SCHEMA, help="version of this file's layout", minimum=1)
    strategy: str = option("mean", help="merge strategy")
    dataset: str = option("none", help="data set: a name, a path relative to the recipe, or none")
    output: str = option(MERGED_MODEL, help="the merged model, relative to the recipe")
    seed: int = option(0, help="random seed", minimum=0)
    test: bool = option(False, help="score on the test split as well")  # noqa: FBT003
    keep_worse: bool = option(False, help="save a result that is worse than its best ingredient")  # noqa: FBT003
    or_best: bool = option(False, help="save the best ingredient if the result is worse")  # noqa: FBT003
    ingredients: tuple[RecipeIngredient, ...] = option((), help="the models, in the order of the user")
    arch: str = option(
        "", help="architecture of models with weights only: a name, or a file relative to the recipe"
    )
    options: Mapping[str, Any] = option({}, help="options of the strategy")
    stages: Mapping[str, Mapping[str, Any]] = option({}, help="options of the stages, by name")

    def to_toml(self) -> str:
        """The recipe as TOML, which has no null: what is None is left out."""
        import tomli_w

        return tomli_w.dumps(_without_none(options_as_json(self)))


def relative(path: Path, folder: Path) -> str:
    """A path relative to a recipe's folder, with ``/``."""
    return Path(os.path.relpath(path, folder)).as_posix()


def read_recipe(path: Path) -> Recipe:
    """Read a recipe, TOML or JSON."""
    content = read_file(path, most=_LARGEST)
    try:
        data = parse_json(content, str(path)) if path.suffix == ".json" else parse_toml(content)
    except ValueError as error:
        raise UnreadableInputError(f"{path}: not a recipe: {error}", hint="name a recipe file") from error
    schema = data.get("schema") if isinstance(data, dict) else None
    if schema != SCHEMA:
        raise UnreadableInputError(
            f"{path}: not a recipe of this version: schema {shown(schema)}, expected {SCHEMA}",
            hint="update the toolkit, or plan the merge again",
        )
    return options_from_mapping(Recipe, data, owner=f"recipe {path}")


def check_digests(recipe: Recipe, found: Sequence[str]) -> None:
    """Refuse ingredients that are not those the recipe was written for."""
    changed = [
        item.path
        for item, digest in zip(recipe.ingredients, found, strict=True)
        if item.weights_digest not in ("", digest)
    ]
    if changed:
        raise DamagedFileError(
            f"{', '.join(changed)}: the weights differ from those in the recipe",
            hint="restore the files, or plan the merge again",
        )


def _without_none(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    return [_without_none(item) for item in value] if isinstance(value, list | tuple) else value
