"""``GET /plugins/sheet/<dataset>.png``."""

from __future__ import annotations

from dataclasses import dataclass

import flask

from toolkit.errors import MissingInputError
from toolkit.options import option, parse_options
from toolkit.types import SplitName
from toolkit_sheet.drawing import sheet_png


@dataclass(frozen=True)
class SheetOptions:
    """Parameters of the query."""

    split: SplitName = option("test", help="split to draw")
    per_class: int = option(10, help="images of each class", minimum=1, maximum=40)


def make_blueprint() -> flask.Blueprint:
    """The routes of the plugin."""
    blueprint = flask.Blueprint("sheet", __name__)
    blueprint.get("/<dataset>.png")(_sheet)
    return blueprint


def _sheet(dataset: str) -> flask.Response:
    pairs = [f"{name}={value}" for name, value in flask.request.args.items()]
    options = parse_options(SheetOptions, pairs, owner="a contact sheet")
    toolkit = flask.current_app.extensions["toolkit"]
    names = {
        name for found in toolkit.list_datasets() for name in (found.name, f"{found.loader}-{found.name}")
    }
    # The toolkit would also open a path, which a client must not name.
    if dataset not in names:
        raise MissingInputError(
            f"there is no data set {dataset[:40]!r}", hint=f"available: {', '.join(sorted(names))}"
        )
    content = sheet_png(toolkit.open_dataset(dataset, options.split), options.per_class)
    return flask.Response(content, mimetype="image/png")
