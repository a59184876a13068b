"""``GET /plugins/sheet/<dataset>.png``."""

from __future__ import annotations

import flask

from toolkit.errors import MissingInputError, UsageError
from toolkit.types import SplitName
from toolkit_sheet.drawing import sheet_png
from toolkit_sheet.host import HasData, open_dataset

SPLITS: dict[str, SplitName] = {"fit": "fit", "validation": "validation", "test": "test"}
MOST_PER_CLASS = 40


def make_blueprint() -> flask.Blueprint:
    """The routes, to be mounted by the host."""
    blueprint = flask.Blueprint("sheet", __name__)
    blueprint.get("/<dataset>.png")(_sheet)
    return blueprint


def _sheet(dataset: str) -> flask.Response:
    host = flask.current_app.extensions.get("toolkit")
    _check_name(host, dataset)
    split = flask.request.args.get("split", "test")
    if split not in SPLITS:
        raise UsageError(f"there is no split {split[:20]!r}", hint=f"choose one of: {', '.join(SPLITS)}")
    per_class = flask.request.args.get("per_class", "10")
    if not per_class.isascii() or not per_class.isdecimal() or not 1 <= int(per_class[:9]) <= MOST_PER_CLASS:
        raise UsageError(
            f"per_class is {per_class[:20]!r}, expected a number from 1 to {MOST_PER_CLASS}",
            hint="leave it out for 10",
        )
    content = sheet_png(open_dataset(host, dataset, SPLITS[split]), int(per_class))
    return flask.Response(content, mimetype="image/png")


def _check_name(host: object, name: str) -> None:
    """Data sets are named; what a library would also take, a path, is nothing that a client may give."""
    sources = host.data.sources() if isinstance(host, HasData) else ()
    names = {source.name for source in sources} or {"glyphs"}
    # Where two loaders have a data set of one name, the loader's own name in front tells them apart.
    if name not in names | {f"{source.loader}-{source.name}" for source in sources}:
        raise MissingInputError(
            f"there is no data set {name[:40]!r}", hint=f"there are {', '.join(sorted(names))}"
        )
