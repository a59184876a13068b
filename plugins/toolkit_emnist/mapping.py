"""Which label is which character: from the mapping file, or EMNIST's own mapping."""

from __future__ import annotations

import string
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import MissingInputError, UnreadableInputError
from toolkit.records import dataclass
from toolkit.store.opening import read_file

LABELS = 256
_LARGEST_FILE = 64 * 1024
_HINT = "write one line 'label code-point' for each class"
_BYMERGE = string.digits + string.ascii_uppercase + "abdefghnqrt"

STANDARD: dict[str, dict[int, str]] = {
    "byclass": dict(enumerate(string.digits + string.ascii_uppercase + string.ascii_lowercase)),
    "bymerge": dict(enumerate(_BYMERGE)),
    "balanced": dict(enumerate(_BYMERGE)),
    "letters": dict(enumerate(string.ascii_uppercase, start=1)),
    "digits": dict(enumerate(string.digits)),
    "mnist": dict(enumerate(string.digits)),
}


@dataclass(frozen=True)
class LabelMapping:
    """The character of each label in the files, labels ascending: 1 to 26 for ``letters``."""

    characters: Mapping[int, str]

    @property
    def classes(self) -> tuple[str, ...]:
        """The characters; a position here is a class index."""
        return tuple(self.characters.values())

    def index_by_label(self) -> NDArray[np.int32]:
        """Class index by label, shape (256,); -1 for labels that are not in the mapping."""
        table = np.full(LABELS, -1, np.int32)
        table[list(self.characters)] = np.arange(len(self.characters))
        return table

    def __str__(self) -> str:
        first, *_, last = self.characters
        if last - first + 1 == len(self.characters):
            return f"a label from {first} to {last}"
        return f"one of the {len(self.characters)} labels of the mapping, from {first} to {last}"


def mapping_of(variant: str, file: Path | None) -> LabelMapping:
    """The mapping in the file; EMNIST's own for the variant if there is no file."""
    if file is not None:
        return read_mapping(file)
    if variant not in STANDARD:
        raise MissingInputError(
            f"emnist-{variant}-mapping.txt: there is no such file in the data's folder, and EMNIST has no"
            f" variant {variant!r} ({', '.join(STANDARD)})",
            hint=_HINT,
        )
    return LabelMapping(STANDARD[variant])


def read_mapping(path: Path) -> LabelMapping:
    """Read ``label code-point [second code-point]`` lines; the first code point is the class."""
    try:
        text = read_file(path, most=_LARGEST_FILE).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableInputError(f"{path}: expected a text file: {error}") from error
    characters: dict[int, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            label, character = _entry(line, characters)
        except ValueError as error:
            raise UnreadableInputError(f"{path}: row {number}: {error}", hint=_HINT) from error
        characters[label] = character
    if len(characters) < 2:
        raise UnreadableInputError(
            f"{path}: expected a mapping of 2 classes or more, received {len(characters)}", hint=_HINT
        )
    return LabelMapping(dict(sorted(characters.items())))


def _entry(line: str, others: Mapping[int, str]) -> tuple[int, str]:
    """The label and its character; a ValueError says what is wrong with the line."""
    fields = line.split()
    if len(fields) < 2 or not all(field.isascii() and field.isdigit() and len(field) < 8 for field in fields):
        raise ValueError(f"expected 'label code-point', received {line[:40]!r}")
    label, code = int(fields[0]), int(fields[1])
    if label >= LABELS:
        raise ValueError(f"expected a label from 0 to {LABELS - 1}, received {label}")
    if code > 0x10FFFF or not chr(code).isprintable() or chr(code).isspace():
        raise ValueError(f"expected the code point of a visible character, received {code}")
    if label in others or chr(code) in others.values():
        twice = f"label {label}" if label in others else f"character {chr(code)!r}"
        raise ValueError(f"{twice} is in the mapping twice")
    return label, chr(code)
