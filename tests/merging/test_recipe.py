"""A recipe is text that can be read back, and whatever does not belong in it is refused by name."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from toolkit.errors import DamagedFileError, MissingInputError, ToolkitError, UnreadableInputError
from toolkit.merging.recipe import Recipe, RecipeIngredient, check_digests, read_recipe
from toolkit.options import options_as_json
from toolkit.vocabulary import Convention

SCHEMA = Path(__file__).resolve().parents[2] / "docs" / "schemas" / "recipe.schema.json"
RECIPE = Recipe(
    strategy="weighted",
    dataset="byclass",
    output="merged.h5",
    seed=3,
    ingredients=(
        RecipeIngredient("a.h5", "../a.h5", "ab" * 32, Convention("transposed")),
        RecipeIngredient("b.h5", "b.h5", "cd" * 32),
    ),
    options={"power": 2.0, "floor": None, "weights": []},
    stages={"recalibrate": {"images": 5000, "seed": 3}},
)


@pytest.mark.parametrize("suffix", ["toml", "json"])
def test_it_reads_back(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"r.{suffix}"
    path.write_text(RECIPE.to_toml() if suffix == "toml" else json.dumps(options_as_json(RECIPE)))
    found = read_recipe(path)
    assert found.options.get("floor") is None, "TOML has no null"
    assert found.to_toml() == RECIPE.to_toml()


def test_toml_and_json_have_the_same_fields_and_follow_the_schema() -> None:
    document = options_as_json(RECIPE)
    table = tomllib.loads(RECIPE.to_toml())
    assert table.keys() == document.keys()
    schema = json.loads(SCHEMA.read_text())
    jsonschema.validate(document, schema)
    jsonschema.validate(table, schema)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"strateggy": "mean"}, "strateggy"),
        ({"seed": -1}, "seed"),
        ({"ingredients": [{"path": "a.h5"}]}, "name"),
        ({"ingredients": [{"name": "a", "path": "a.h5", "wieght": 1}]}, "wieght"),
        ({"stages": {"recalibrate": 5}}, "stages"),
        ({"ingredients": [{"name": "a", "path": "a\0.h5"}]}, "path must be text without NUL"),
        ({"schema": 99}, "schema 99"),
        ({"schema": None}, "schema None"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    path = tmp_path / "r.json"
    path.write_text(json.dumps(options_as_json(RECIPE) | change))
    with pytest.raises(ToolkitError, match=message):
        read_recipe(path)


def test_what_is_no_recipe_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError):
        read_recipe(tmp_path / "none.toml")
    for name, content in (("r.toml", b"= what"), ("r.json", b"[1]"), ("big.toml", b"#" * 2_000_000)):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UnreadableInputError):
            read_recipe(tmp_path / name)


def test_an_ingredient_that_changed_is_refused() -> None:
    check_digests(RECIPE, ["ab" * 32, "cd" * 32])
    with pytest.raises(DamagedFileError, match=r"^b\.h5: the weights differ"):
        check_digests(RECIPE, ["ab" * 32, "00" * 32])
