"""The files of one merge: model, card, report and recipe, which are one outcome."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

from toolkit.errors import ToolkitError, UsageError
from toolkit.merging.recipe import Recipe
from toolkit.merging.report import MergeReport
from toolkit.model.card_file import checked_card
from toolkit.model.saving import check_output
from toolkit.records import dataclass
from toolkit.store import publish_text
from toolkit.store.opening import parse_toml, read_file, real_path

_GENERATOR = b'<meta name="generator" content="modelops-toolkit merge report">'


@dataclass(frozen=True)
class Outputs:
    """Where a merge writes: the model, and beside it the report as HTML and JSON, and the recipe."""

    model: Path
    report_html: Path
    report_json: Path
    recipe: Path

    @classmethod
    def of(cls, model: Path) -> Outputs:
        """The files of a merge to ``model``."""
        endings = ("report.html", "report.json", "recipe.toml")
        return cls(model, *(model.with_name(f"{model.stem}.{ending}") for ending in endings))

    def are_of_a_merge(self) -> bool:
        """Whether all of them that exist were written by one merge of this toolkit, the model included."""
        card = checked_card(self.model) if self.model.is_file() else None
        return card is not None and card.made_by == "merge" and not self._foreign()

    def check(self, ingredients: Sequence[Path], *, replaceable: bool, force: bool) -> None:
        """Refuse to replace a file of the user's.

        ``replaceable`` allows to replace an earlier merge, ``force`` everything but an ingredient.
        """
        name = self.model
        if any(real_path(path) == real_path(name) for path in ingredients):
            raise UsageError(
                f"{name}: the merge would replace one of its own ingredients", hint="choose another --out"
            )
        card = check_output(name, is_default=replaceable, force=force)
        hint = "move it away, choose another --out, or use --force"
        if card is not None and card.made_by != "merge":
            raise UsageError(f"{name}: exists and is not a merge of this toolkit", hint=hint)
        for path in () if force else self._foreign():
            raise UsageError(f"{path}: exists and is not of an earlier merge to {name.name}", hint=hint)

    def write(self, report: MergeReport, recipe: Recipe) -> None:
        """Write report and recipe; the model is there already."""
        from toolkit.merging.report_html import report_html

        publish_text(self.recipe, recipe.to_toml())
        publish_text(self.report_json, report.to_json())
        publish_text(self.report_html, report_html(report))

    def _foreign(self) -> list[Path]:
        """Files beside the model that no merge to it wrote."""
        beside = (self.report_html, self.report_json, self.recipe)
        return [path for path in beside if os.path.lexists(path) and not self._is_mine(path)]

    def _is_mine(self, path: Path) -> bool:
        try:
            content = read_file(path)
            if path == self.report_html:
                return _GENERATOR in content
            data = json.loads(content) if path == self.report_json else parse_toml(content)
        except (ToolkitError, ValueError, RecursionError):
            return False
        return isinstance(data, dict) and "schema" in data and data.get("output") == self.model.name
