"""What can be expected to go wrong, each kind with a code and an exit status.

An expected failure says what, where, what was received, and what to do about it.
Anything that is not a :class:`ToolkitError` is a bug and keeps its traceback.
"""

from __future__ import annotations

from typing import ClassVar

_LONGEST_LINE = 300


class ToolkitError(Exception):
    """An expected failure.

    Args:
        message: One sentence: what failed, in which file or tensor, and what was received.
        hint: What to do about it; shown behind the message.
    """

    code: ClassVar[str] = "error"
    exit_status: ClassVar[int] = 2

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class UsageError(ToolkitError):
    """An argument or an option that cannot be used."""

    code = "usage"
    exit_status = 2


class ConfigurationError(ToolkitError):
    """A setting, an environment variable or an installation that cannot be used."""

    code = "configuration"
    exit_status = 2


class PluginError(ToolkitError):
    """A plugin that is missing, broken, ambiguous or unknown."""

    code = "plugin"
    exit_status = 2


class PlanRefusedError(ToolkitError):
    """A plan that would not do what was asked for."""

    code = "plan_refused"
    exit_status = 2


class MissingInputError(ToolkitError):
    """A file, folder, model or data set that is not there."""

    code = "not_found"
    exit_status = 3


class UnreadableInputError(ToolkitError):
    """An input that is there but is not what it should be."""

    code = "unreadable"
    exit_status = 3


class UnsupportedError(UnreadableInputError):
    """A valid input that needs something the toolkit does not do; names what is supported."""

    code = "unsupported"


class IncompatibleModelsError(ToolkitError):
    """Models that cannot be merged with one another."""

    code = "incompatible_models"
    exit_status = 4


class WorseMergeError(IncompatibleModelsError):
    """A merge that is less accurate than its best ingredient; it was not saved."""

    code = "worse_merge"


class DamagedFileError(ToolkitError):
    """A file whose digest differs from the recorded one."""

    code = "damaged"
    exit_status = 5


class ProofError(ToolkitError):
    """A written file that did not do what its source does; it was not published."""

    code = "proof_failed"
    exit_status = 5


class BusyError(ToolkitError):
    """Somebody else is writing the same output."""

    code = "busy"
    exit_status = 6


class StorageError(ToolkitError):
    """A disk that is full, an I/O error, a permission that is missing."""

    code = "storage"
    exit_status = 7


class LimitReachedError(ToolkitError):
    """A limit on size, number or time was reached."""

    code = "limit"
    exit_status = 8


def one_line(error: BaseException) -> str:
    """What anyone's exception says, in one line that a terminal and a table can show.

    Args:
        error: Of a stranger's code: its text may be long, have several lines or control
            characters, or raise in its turn.

    Returns:
        At most 300 characters; empty if the exception says nothing.
    """
    try:
        text = str(error)
    except Exception as failed:  # noqa: BLE001 - a stranger's __str__ may fail in any way
        text = f"its text cannot be read: {type(failed).__name__}"
    line = " ".join(text.split())
    printable = "".join(character if character.isprintable() else "?" for character in line)
    return printable if len(printable) <= _LONGEST_LINE else f"{printable[: _LONGEST_LINE - 1]}…"
