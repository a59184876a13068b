"""The tables of ``formats.md`` that are made from the code: formats, other files, layers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

PAGE = Path(__file__).parent / "formats.md"

_TABLE = re.compile(r"^<!-- table: (\w+) -->\n(?:\|.*\n)*", re.MULTILINE)


def formats_page() -> str:
    """The page with its tables as they are now."""

    def table_of(match: re.Match[str]) -> str:
        return f"<!-- table: {match[1]} -->\n" + "".join(f"{row}\n" for row in _TABLES[match[1]]())

    return _TABLE.sub(table_of, PAGE.read_text())


def _formats() -> Iterator[str]:
    from toolkit.host.catalog import Catalog
    from toolkit.host.kinds import EXPORTERS, MODEL_FORMATS

    catalog = Catalog.load({})
    exporters = catalog.all(EXPORTERS)
    yield "| format | suffixes | | written by |"
    yield "|---|---|---|---|"
    for name, one in catalog.all(MODEL_FORMATS).items():
        suffixes = ", ".join(f"`{suffix}`" for suffix in one.suffixes)
        verbs = ["merge"] if one.write is not None else []
        verbs += [f"export --to {other}" for other, item in exporters.items() if item.suffix in one.suffixes]
        yield f"| `{name}` | {suffixes} | {one.summary} | {', '.join(f'`{verb}`' for verb in verbs)} |"


def _others() -> Iterator[str]:
    from toolkit.store.other_files import FOLDERS, OTHERS

    yield "| the file is | what to do |"
    yield "|---|---|"
    for other in OTHERS:
        yield f"| {other.what} | {other.hint} |"
    for _, what, hint in FOLDERS:
        yield f"| {what} | {hint} |"


def _layers() -> Iterator[str]:
    from toolkit_keras.architecture import LAYERS_BY_GROUP

    yield "| | layers |"
    yield "|---|---|"
    for group, layers in LAYERS_BY_GROUP.items():
        yield f"| {group} | {', '.join(sorted(layers))} |"


_TABLES: Mapping[str, Callable[[], Iterator[str]]] = {
    "formats": _formats,
    "others": _others,
    "layers": _layers,
}
