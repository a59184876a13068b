"""Which output of a network stands for which character: the usual orders, and orders found from answers."""

from __future__ import annotations

import itertools
import string
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from toolkit.records import dataclass

_DIGITS, _CAPITALS, _SMALL = string.digits, string.ascii_uppercase, string.ascii_lowercase
_MERGED = "abdefghnqrt"  # the small letters that EMNIST's merged variants keep
_BLOCKS = (
    (_DIGITS,),
    (_CAPITALS,),
    (_SMALL,),
    (_DIGITS, _CAPITALS),
    (_DIGITS, _SMALL),
    (_CAPITALS, _SMALL),
    (_CAPITALS, _MERGED),
    (_DIGITS, _CAPITALS, _SMALL),
    (_DIGITS, _CAPITALS, _MERGED),
)
_PAIRS = "".join(map("".join, zip(_CAPITALS, _SMALL, strict=True)))  # AaBb…
_NAMES = {_DIGITS: "digits", _CAPITALS: "capitals", _SMALL: "small letters", _MERGED: "merged small letters"}
_FEWEST = 10  # outputs that must have images, if the network has as many


@dataclass(frozen=True)
class ClassOrder:
    """The characters of a network's outputs.

    Attributes:
        classes: Character by output; empty for an output that stands for no class.
        how: Where the order comes from, for a sentence: ``the data set's order``.
        both_cases: Whether images of a letter in the other case count as this letter, if the network
            has it in one case only.
    """

    classes: tuple[str, ...]
    how: str
    both_cases: bool = True

    def outputs(self, characters: Sequence[str]) -> NDArray[np.int64]:
        """(characters,) The output of each character; -1 for one that the network does not have."""
        place = {character: index for index, character in enumerate(self.classes) if character}
        other = place if self.both_cases else {}
        return np.asarray([place.get(one, other.get(one.swapcase(), -1)) for one in characters], np.int64)


def known_orders(outputs: int, characters: Sequence[str]) -> tuple[ClassOrder, ...]:
    """The orders that networks of this number of outputs usually have, the likeliest first.

    Orders that the images cannot tell apart are given once.

    Args:
        outputs: Number of outputs.
        characters: The classes of the images by which an order can be recognised.
    """
    found: dict[tuple[int, ...], ClassOrder] = {}
    for classes, how in _sequences(outputs, characters):
        for both_cases in (True, False):
            order = ClassOrder(classes, how if both_cases else f"{how}, this case only", both_cases)
            places = order.outputs(characters)
            if len({*places.tolist()} - {-1}) >= min(_FEWEST, outputs - 1):
                found.setdefault(tuple(places.tolist()), order)
    return tuple(found.values())


def _sequences(outputs: int, characters: Sequence[str]) -> Iterator[tuple[tuple[str, ...], str]]:
    for classes, how in _bases(characters):
        if len(classes) == outputs:
            yield classes, how
        elif len(classes) == outputs - 1:
            yield ("", *classes), f"{how} from output 1 on"
            yield (*classes, ""), f"{how}, the last output unused"
    for classes, how in _bases(characters):
        if len(classes) == outputs:
            for first in (0, 1):
                places = sorted(range(outputs), key=lambda place: str(place + first))
                yield tuple(classes[place] for place in places), f"{how}, sorted as text by label"


def _bases(characters: Sequence[str]) -> Iterator[tuple[tuple[str, ...], str]]:
    yield tuple(characters), "the data set's order"
    for blocks in _BLOCKS:
        for permuted in itertools.permutations(blocks):
            yield tuple("".join(permuted)), ", ".join(_NAMES[block] for block in permuted)
    for pairs in (_PAIRS, _PAIRS.swapcase()):
        yield tuple(pairs), "letters in pairs"
        yield (*_DIGITS, *pairs), "digits, letters in pairs"
        yield (*pairs, *_DIGITS), "letters in pairs, digits"


def found_order(
    answers: NDArray[np.int64],
    truth: NDArray[np.int32],
    outputs: int,
    characters: Sequence[str],
    *,
    both_cases: bool,
) -> ClassOrder:
    """The order under which most answers are right.

    Args:
        answers: (n,) the most probable output for each image.
        truth: (n,) index into ``characters`` of each image.
        both_cases: Whether small letters count as capitals, if there are both.
    """
    names = [one.upper() if both_cases and one.upper() in characters else one for one in characters]
    classes = list(dict.fromkeys(names))
    place = np.asarray([classes.index(name) for name in names])
    counts = np.zeros((outputs, len(classes)), np.int64)
    np.add.at(counts, (answers, place[truth]), 1)
    found = assignment(counts)
    order = ["" if own < 0 or not counts[output, own] else classes[own] for output, own in enumerate(found)]
    return ClassOrder(tuple(order), "found from the answers", both_cases)


def assignment(gains: NDArray[np.int64]) -> NDArray[np.int64]:
    """The column for each row, all different, with the largest sum of gains; -1 for rows without one.

    The Hungarian method with shortest augmenting paths (Jonker and Volgenant, Computing 38, 1987).

    Args:
        gains: (rows, columns).
    """
    if gains.shape[0] > gains.shape[1]:
        owners = assignment(gains.T)
        found = np.full(gains.shape[0], -1, np.int64)
        found[owners] = np.arange(len(owners))
        return found
    costs = -gains.astype(np.float64)
    rows, columns = costs.shape
    row_price, column_price = np.zeros(rows), np.zeros(columns)
    owner, found = np.full(columns, -1), np.full(rows, -1, np.int64)
    for start in range(rows):
        reach = np.full(columns, np.inf)
        came_from = np.full(columns, -1)
        done = np.zeros(columns, np.bool_)
        row, column = start, -1
        low = 0.0
        while row >= 0:
            reduced = low + costs[row] - row_price[row] - column_price
            better = ~done & (reduced < reach)
            reach[better], came_from[better] = reduced[better], column
            column = int(np.where(done, np.inf, reach).argmin())
            low = float(reach[column])
            done[column] = True
            row = int(owner[column])
        inside = done & (owner >= 0)
        row_price[owner[inside]] += low - reach[inside]
        row_price[start] += low
        column_price[done] -= low - reach[done]
        while column >= 0:
            before = int(came_from[column])
            owner[column] = start if before < 0 else owner[before]
            column = before
    taken = owner >= 0
    found[owner[taken]] = np.flatnonzero(taken)
    return found
