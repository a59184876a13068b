"""The files of one merge: model, card, report and recipe, which are one outcome."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from toolkit.errors import ToolkitError, UsageError
from toolkit.merging.recipe import Recipe, recipe_path
from toolkit.merging.report import MergeReport
from toolkit.model.card_file import card_path, checked_card, read_card
from toolkit.store import publish_text
from toolkit.store.opening import read_file

_GENERATOR = b'<meta name="generator" content="modelops-toolkit merge report">'


@dataclass(frozen=True, slots=True)
class Outputs:
    """Where a merge writes.

    Attributes:
        model: The merged model.
        replaceable: Whether an earlier merge there may be replaced.
    """

    model: Path
    replaceable: bool

    @property
    def page(self) -> Path:
        """The report as HTML."""
        return self.model.with_name(f"{self.model.stem}.report.html")

    @property
    def document(self) -> Path:
        """The report as JSON."""
        return self.model.with_name(f"{self.model.stem}.report.json")

    @property
    def recipe(self) -> Path:
        """The recipe."""
        return recipe_path(self.model)

    def check(self, ingredients: Sequence[Path], *, force: bool) -> None:
        """Refuse to replace anything that the user made.

        Args:
            ingredients: Paths of the models.
            force: Whether everything may be replaced but an ingredient.

        Raises:
            UsageError: Naming the file.
            DamagedFileError: If the model that would be replaced was changed since it was written.
        """
        if any(path.resolve() == self.model.resolve() for path in ingredients):
            raise UsageError(
                f"{self.model}: the merge would replace one of its own ingredients",
                hint="choose another --out",
            )
        if force:
            return
        if self.model.exists():
            self._check_model()
        else:
            self._check_card()
        for path, mine in (
            (self.page, self._is_page),
            (self.document, self._names_model),
            (self.recipe, self._names_model),
        ):
            if path.exists() and not mine(path):
                raise UsageError(
                    f"{path}: exists and is not of an earlier merge to {self.model.name}",
                    hint="move it away, choose another --out, or use --force",
                )

    def write(self, report: MergeReport, recipe: Recipe) -> None:
        """Write report and recipe; the model is there already.

        Raises:
            StorageError: If the disk refuses.
        """
        from toolkit.merging.report_html import page

        publish_text(self.recipe, recipe.to_toml())
        publish_text(self.document, report.to_json())
        publish_text(self.page, page(report))

    def _check_model(self) -> None:
        if not self.replaceable:
            raise UsageError(f"{self.model}: exists already", hint="choose another --out, or use --force")
        card = read_card(self.model) if self.model.is_file() else None
        if card is None or card.made_by != "merge":
            raise UsageError(
                f"{self.model}: exists and is not a merge of this toolkit",
                hint="move it away, choose another --out, or use --force",
            )
        checked_card(self.model)

    def _check_card(self) -> None:
        """A card that its model has left behind must not stop the merge after its work."""
        path = card_path(self.model)
        if not path.exists():
            return
        try:
            read_card(self.model)
        except ToolkitError as error:
            raise UsageError(
                f"{path}: a card without its model that cannot be replaced: {error.message}",
                hint="delete it, or choose another --out",
            ) from error

    def _is_page(self, path: Path) -> bool:
        try:
            return _GENERATOR in read_file(path)
        except ToolkitError:
            return False

    def _names_model(self, path: Path) -> bool:
        try:
            text = read_file(path).decode()
            data = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
        except (ToolkitError, ValueError, RecursionError):
            return False
        return isinstance(data, dict) and "schema" in data and data.get("output") == self.model.name
