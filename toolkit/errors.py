"""Expected failures, each kind with a code and an exit status.

An expected failure says what failed, where, what was received, and what to do about it.
Anything that is not a :class:`ToolkitError` is a bug and keeps its traceback.
"""

from __future__ import annotations

import copy
import difflib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar, Self

_LONGEST_LINE = 300
_LONGEST_PARAGRAPH = 2000
_LONGEST_MESSAGE = 20_000


class ToolkitError(Exception):
    """An expected failure.

    Args:
        message: One sentence: what failed, in which file or tensor, and what was received.
        hint: What to do about it; shown after the message.
    """

    code: ClassVar[str] = "error"
    exit_status: ClassVar[int] = 2

    def __init_subclass__(cls, code: str = "", exit_status: int = 0) -> None:
        super().__init_subclass__()
        cls.code = code or cls.code
        cls.exit_status = exit_status or cls.exit_status

    def __init__(self, message: str, *, hint: str = "") -> None:
        message, self.hint = bounded(message), bounded(hint)
        super().__init__(message)
        self.message = message

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message

    def named(self, where: str) -> Self:
        """The same error with the name of a file before its message."""
        named = copy.copy(self)
        named.message = bounded(f"{where}: {self.message}")
        named.args = (named.message,)
        return named


class UsageError(ToolkitError, code="usage", exit_status=2):
    """An argument or an option that cannot be used."""


class ConfigurationError(ToolkitError, code="configuration", exit_status=2):
    """A setting, an environment variable or an installation that cannot be used."""


class PluginError(ToolkitError, code="plugin", exit_status=2):
    """A plugin that is missing, broken, ambiguous or unknown."""


class PlanRefusedError(ToolkitError, code="plan_refused", exit_status=2):
    """A plan that cannot do what was requested."""


class MissingInputError(ToolkitError, code="not_found", exit_status=3):
    """A file, folder, model or data set that does not exist."""


class UnreadableInputError(ToolkitError, code="unreadable", exit_status=3):
    """An input that exists but is not valid."""


class UnsupportedError(UnreadableInputError, code="unsupported"):
    """A valid input that needs something the toolkit does not do; names what is supported."""


class WeightsOnlyError(UnsupportedError):
    """A file with weights and without the architecture that they belong to.

    Attributes:
        stored: Shapes of the file's tensors, by name.
        description: The architecture, if the file has one in a form that its format does not read itself:
            a ``Model.description``.
    """

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        stored: Mapping[str, tuple[int, ...]] | None = None,
        description: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.stored = stored or {}
        self.description = description


class IncompatibleModelsError(ToolkitError, code="incompatible_models", exit_status=4):
    """Models that cannot be merged with one another."""


class WorseMergeError(IncompatibleModelsError, code="worse_merge"):
    """A merge that is less accurate than its best ingredient; it was not saved."""


class DamagedFileError(ToolkitError, code="damaged", exit_status=5):
    """A file whose digest differs from the recorded one."""


class ProofError(ToolkitError, code="proof_failed", exit_status=5):
    """A written file that differs from its source; it was not published."""


class BusyError(ToolkitError, code="busy", exit_status=6):
    """Another process is writing the same output."""


class StorageError(ToolkitError, code="storage", exit_status=7):
    """A full disk, an I/O error or a missing permission."""


class LimitReachedError(ToolkitError, code="limit", exit_status=8):
    """A limit on size, number or time was reached."""


@contextmanager
def naming(file: str) -> Iterator[None]:
    """Put a file's name before the messages of errors: what finds one may not know the name."""
    try:
        yield
    except ToolkitError as error:
        raise error.named(file) from error


def shown(value: object) -> str:
    """A received value as Python writes it, shortened to 100 characters."""
    return shortened(repr(value))


def shortened(text: str, most: int = 100) -> str:
    """A text of at most ``most`` characters: the beginning and the end of a longer one."""
    end = most // 4
    return text if len(text) <= most else f"{text[: most - end - 1]}…{text[-end:]}"


def bounded(text: str) -> str:
    """A message of at most 20,000 characters, 2,000 a paragraph, whatever untrusted text it repeats.

    Paragraphs begin with two spaces.
    """
    parts = (shortened(part, _LONGEST_PARAGRAPH) for part in text.split("\n  "))
    return shortened("\n  ".join(parts), _LONGEST_MESSAGE)


def did_you_mean(name: str, known: Iterable[str], *, cutoff: float = 0.6) -> str:
    """The question after the nearest of the known names; empty if none is as similar as ``cutoff``."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=cutoff)
    return f"did you mean {near[0]}?" if near else ""


def one_line(error: BaseException) -> str:
    """The text of any exception in one printable line of at most 300 characters; may be empty.

    The text of a plugin's exception may be long, have several lines or control characters, or raise
    an exception itself.
    """
    try:
        text = str(error)
    except Exception as failed:  # noqa: BLE001 - a plugin's __str__ may raise anything
        text = f"its text cannot be read: {type(failed).__name__}"
    line = " ".join(text.split())
    printable = "".join(character if character.isprintable() else "?" for character in line)
    return printable if len(printable) <= _LONGEST_LINE else f"{printable[: _LONGEST_LINE - 1]}…"
