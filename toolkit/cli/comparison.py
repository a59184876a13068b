"""How ``toolkit models compare`` prints what it found."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.cli.jsonable import shown_path
from toolkit.cli.tables import print_rows
from toolkit.cli.visible import visible
from toolkit.vocabulary import sizes

if TYPE_CHECKING:
    from rich.console import Console

    from toolkit.operations.compare import ComparedPair, ModelComparison

_SHOWN = 6
_PAIRS = 3  # the differences of more pairs fill pages


def print_comparison(comparison: ModelComparison, console: Console) -> None:
    """A table of the models, then which are the same, related or unrelated."""
    rows = [
        (
            shown_path(model.path),
            model.network,
            sizes(model.input_shape) if model.network else "",
            str(model.classes or ""),
            str(model.convention or ""),
            f"{model.parameters:,}" if model.network else "",
            model.digest[:8],
        )
        for model in comparison.models
    ]
    titles = ("model", "net", "input", "classes", "format", "parameters", "weights")
    print_rows(console, titles, rows, numbers=("classes", "parameters"), folded=("model", "format"))
    for model in comparison.models:
        if model.problem:
            console.print(visible(model.problem), style="red")
    console.print()
    for line in _lines(comparison):
        console.print(visible(line), soft_wrap=False)
    if len(comparison.pairs) <= _PAIRS:
        for pair in comparison.pairs:
            _print_differences(pair, console)
    elif any(pair.differences for pair in comparison.pairs):
        console.print("--output json lists the differences of every two models")


def _print_differences(pair: ComparedPair, console: Console) -> None:
    for difference in pair.differences[:_SHOWN]:
        console.print(visible(f"{shown_path(pair.second)} {difference}"))
    if len(pair.differences) > _SHOWN:
        more = len(pair.differences) - _SHOWN
        console.print(f"and {more} more differences; --output json lists them")


def _lines(comparison: ModelComparison) -> Iterator[str]:
    copies: dict[Path, list[str]] = {}
    for model in comparison.models:
        if model.same_weights_as is not None:
            copies.setdefault(model.same_weights_as, []).append(shown_path(model.path))
    for original, names in copies.items():
        yield f"same weights: {shown_path(original)}, {', '.join(names)}"
    for letter in dict.fromkeys(model.network for model in comparison.models if model.network):
        members = [model.path for model in comparison.models if model.network == letter]
        pairs = [pair for pair in comparison.pairs if pair.first in members and pair.second in members]
        families = _families(members, pairs)
        for family in families:
            inner = [
                pair for pair in pairs if pair.first in family and pair.related and not pair.same_weights
            ]
            if inner:
                turned = ", some rewritten for transposed images" if any(p.transposed for p in inner) else ""
                relatives = ", ".join(map(shown_path, family))
                yield f"net {letter}, related: {relatives} (cosine of kernels {_range(inner)}{turned})"
        apart = [pair for pair in pairs if pair.related is False]
        if len(families) > 1 and apart:
            heads = "; ".join(
                shown_path(family[0]) + (" and its relatives" if family[1:] else "") for family in families
            )
            yield f"net {letter}, unrelated: {heads} (cosine of kernels {_range(apart)}): a mean is useless"


def _families(members: list[Path], pairs: list[ComparedPair]) -> list[list[Path]]:
    """The members, those together that are related."""
    family = {path: {path} for path in members}
    for pair in pairs:
        if pair.related:
            joined = family[pair.first] | family[pair.second]
            family |= dict.fromkeys(joined, joined)
    found: list[list[Path]] = []
    for path in dict.fromkeys(members):
        if not any(path in other for other in found):
            found.append([other for other in dict.fromkeys(members) if other in family[path]])
    return found


def _range(pairs: list[ComparedPair]) -> str:
    cosines = [round(pair.cosine, 2) + 0.0 for pair in pairs if pair.cosine is not None]
    low, high = min(cosines, default=0.0), max(cosines, default=0.0)
    return f"{low:.2f}" if low == high else f"{low:.2f} to {high:.2f}"
