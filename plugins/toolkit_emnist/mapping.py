"""Which label is which character: from the mapping file, or EMNIST's own mapping."""

from __future__ import annotations

import string
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import MissingInputError, UnreadableInputError

LABELS = 256
_LARGEST_FILE = 64 * 1024
_BYMERGE = string.digits + string.ascii_uppercase + "abdefghnqrt"

STANDARD: dict[str, dict[int, str]] = {
    "byclass": dict(enumerate(string.digits + string.ascii_uppercase + string.ascii_lowercase)),
    "bymerge": dict(enumerate(_BYMERGE)),
    "balanced": dict(enumerate(_BYMERGE)),
    "letters": dict(enumerate(string.ascii_uppercase, start=1)),
    "digits": dict(enumerate(string.digits)),
    "mnist": dict(enumerate(string.digits)),
}


@dataclass(frozen=True, slots=True)
class LabelMapping:
    """Labels and their classes.

    Attributes:
        labels: The labels in the files, ascending: 1 to 26 for ``letters``.
        classes: The character of each label; a position here is a class index.
    """

    labels: tuple[int, ...]
    classes: tuple[str, ...]

    @classmethod
    def of(cls, characters: Mapping[int, str]) -> LabelMapping:
        """The mapping with these characters by label."""
        labels = tuple(sorted(characters))
        return cls(labels, tuple(characters[label] for label in labels))

    def index_by_label(self) -> NDArray[np.int32]:
        """Class index by label, shape (256,); -1 for labels that are not in the mapping."""
        table = np.full(LABELS, -1, np.int32)
        table[list(self.labels)] = np.arange(len(self.labels), dtype=np.int32)
        return table

    def __str__(self) -> str:
        first, last = self.labels[0], self.labels[-1]
        if last - first + 1 == len(self.labels):
            return f"a label from {first} to {last}"
        return f"one of the {len(self.labels)} labels of the mapping, from {first} to {last}"


def mapping_of(variant: str, file: Path | None) -> LabelMapping:
    """The mapping in the file; EMNIST's own for the variant if there is no file.

    Raises:
        UnreadableInputError: The file is not a mapping; names the line.
        MissingInputError: There is no file, and the variant is not one of EMNIST's.
    """
    if file is not None:
        return read_mapping(file)
    if variant not in STANDARD:
        raise MissingInputError(
            f"emnist-{variant}-mapping.txt: there is no such file in the data's folder, and EMNIST has no"
            f" variant {variant!r} ({', '.join(STANDARD)})",
            hint="write one line 'label code-point' for each class",
        )
    return LabelMapping.of(STANDARD[variant])


def read_mapping(path: Path) -> LabelMapping:
    """Read ``label code-point [second code-point]`` lines; the first code point is the class.

    Raises:
        MissingInputError: There is no such file.
        UnreadableInputError: A line is invalid; names it.
    """
    characters: dict[int, str] = {}
    for number, line in enumerate(_text(path).splitlines(), start=1):
        if not line.strip():
            continue
        label, character, problem = _entry(line)
        if not problem and (label in characters or character in characters.values()):
            twice = f"label {label}" if label in characters else f"character {character!r}"
            problem = f"{twice} is in the mapping twice"
        if problem:
            raise UnreadableInputError(
                f"{path}: row {number}: {problem}",
                hint="each line is 'label code-point'; without the file, EMNIST's own mapping is used",
            )
        characters[label] = character
    if len(characters) < 2:
        raise UnreadableInputError(
            f"{path}: expected a mapping of 2 classes or more, received {len(characters)}",
            hint="one line 'label code-point' for each class",
        )
    return LabelMapping.of(characters)


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST_FILE + 1)
        if len(content) <= _LARGEST_FILE:
            return content.decode("utf-8-sig")
        problem = f"expected a mapping of at most {_LARGEST_FILE:,} bytes, received more"
    except FileNotFoundError as error:
        raise MissingInputError(f"{path}: there is no such file") from error
    except OSError as error:
        problem = f"cannot be read: {error.strerror or error}"
    except UnicodeDecodeError as error:
        problem = f"expected a text file, received byte 0x{content[error.start]:02x} at {error.start}"
    raise UnreadableInputError(f"{path}: {problem}")


def _entry(line: str) -> tuple[int, str, str]:
    """The label, its character, and what is wrong with the line."""
    fields = line.split()
    if len(fields) < 2 or not all(field.isascii() and field.isdigit() and len(field) < 8 for field in fields):
        return 0, "", f"expected 'label code-point', received {line[:40]!r}"
    label, code = int(fields[0]), int(fields[1])
    if label >= LABELS:
        return label, "", f"expected a label from 0 to {LABELS - 1}, received {label}"
    if code > 0x10FFFF or not chr(code).isprintable() or chr(code).isspace():
        return label, "", f"expected the code point of a visible character, received {code}"
    return label, chr(code), ""
