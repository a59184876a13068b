"""How a failure ends the program: one line, or one JSON document, and an exit status."""

from __future__ import annotations

import errno
import json
import os
import re
import select
import shutil
import sys
import textwrap
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from toolkit.cli.output import is_terminal
from toolkit.cli.visible import visible, visible_lines
from toolkit.errors import ToolkitError, bounded, shortened

if TYPE_CHECKING:
    from toolkit.cli.output import Output
    from toolkit.host.manager import PluginRecord

BUG, USAGE, NOT_FOUND, STORAGE, LIMIT, INTERRUPTED, TERMINATED = 1, 2, 3, 7, 8, 130, 143

_DISK = {"ENOSPC", "EDQUOT", "EFBIG", "EIO", "EROFS", "EACCES", "EPERM", "EMFILE", "ENFILE"}
_NO_PATH = {"ENAMETOOLONG", "ENOTDIR", "ELOOP"}
_SHOWN_OF_A_NAME = 40


class Terminated(KeyboardInterrupt):
    """SIGTERM was received; raised like Ctrl-C, so that every clean-up is done."""


class Failure(NamedTuple):
    """How the program ends; the traceback of an expected failure is empty without ``--debug``."""

    code: str
    message: str
    hint: str
    exit_status: int
    traceback: str = ""


def failure_of(error: BaseException, *, debug: bool, plugins: Sequence[PluginRecord] = ()) -> Failure:
    """How an exception ends the program; a bug is attributed to one of the loaded plugins or to us."""
    known = _expected(error)
    if known is None:
        return _bug(error, plugins)
    shown = "".join(traceback.format_exception(error)) if debug else ""
    return known._replace(message=bounded(known.message), hint=bounded(known.hint), traceback=shown)


def _expected(error: BaseException) -> Failure | None:
    """How an exception that is not a bug ends the program."""
    error = _interruption(error) or error
    if isinstance(error, ToolkitError):
        return Failure(error.code, error.message, error.hint, error.exit_status)
    if isinstance(error, click.FileError):
        return Failure("not_found", error.format_message(), "check the name", NOT_FOUND)
    if isinstance(error, click.ClickException):
        context = getattr(error, "ctx", None)
        command = "toolkit" if context is None else context.command_path
        return Failure("usage", error.format_message(), f"see {command} --help", USAGE)
    if isinstance(error, Terminated):
        return Failure("terminated", "terminated", "", TERMINATED)
    if isinstance(error, KeyboardInterrupt | EOFError | click.Abort):
        return Failure("interrupted", "interrupted", "", INTERRUPTED)
    if isinstance(error, MemoryError):
        return Failure("limit", "there is not enough memory", "use smaller inputs or fewer models", LIMIT)
    if isinstance(error, UnicodeEncodeError) and error.reason == "surrogates not allowed":
        # A file name that is not UTF-8, where text must be written.
        name = error.object[max(error.start - _SHOWN_OF_A_NAME, 0) : error.end + _SHOWN_OF_A_NAME]
        return Failure("usage", f"a file name is not in UTF-8: {name!a}", "rename the file", USAGE)
    return _system_failure(error) if isinstance(error, OSError) else None


def _interruption(error: BaseException | None) -> BaseException | None:
    """The interruption that an exception was raised from.

    A native module that is interrupted while it is imported raises an ImportError from it.
    """
    seen = []  # a plugin's exception may be its own cause
    while error is not None and not isinstance(error, KeyboardInterrupt):
        seen.append(error)
        error = error.__cause__ or error.__context__
        if any(error is earlier for earlier in seen):
            return None
    return error


def report(failure: Failure, output: Output) -> None:
    """Print a failure: for people on stderr, for programs on stdout, where it is the only document."""
    output.log(f"{failure.traceback}error: {failure.message} {failure.hint}".rstrip())
    if failure.traceback:
        _say(visible_lines(failure.traceback.rstrip("\n")))
    if output.json and not output.answered:
        document = {"error": {"code": failure.code, "message": failure.message, "hint": failure.hint}}
        print(json.dumps(document, indent=2), flush=True)
    else:
        _say(_for_people(failure))


def reader_has_gone() -> bool:
    """Whether a broken pipe is that of stdout or stderr, and not one of the program's own."""
    for number in (1, 2):
        poll = select.poll()
        poll.register(number, 0)
        if any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0)):
            return True
    return False


def silence_closed_streams() -> None:
    """Let the program end quietly after its reader has gone."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            # What is left in the buffer would be written, and fail again, when Python ends.
            os.dup2(nowhere, stream.fileno())


def _say(text: str) -> None:
    try:
        print(text, file=sys.stderr, flush=True)
    except BrokenPipeError:
        raise
    except OSError:
        # A log on a full disk; the exit status is still right.
        return


def _system_failure(error: OSError) -> Failure | None:
    """A failure that the operating system reports; None if it is a bug."""
    name, path = errno.errorcode.get(error.errno or 0, ""), error.filename
    message = f"{shortened(str(path), 300)}: {error.strerror}" if path else str(error.strerror)
    if name in _NO_PATH:
        return Failure("usage", message, "choose another path", USAGE)
    if name == "EACCES" and isinstance(path, str) and Path(path).exists() and not os.access(path, os.R_OK):
        return Failure("unreadable", message, "change its permissions", NOT_FOUND)
    if name in _DISK:
        return Failure("storage", message, "check the disk and its permissions", STORAGE)
    return None


def _bug(error: BaseException, plugins: Sequence[PluginRecord]) -> Failure:
    message = bounded(f"{type(error).__name__}: {' '.join(str(error).split())}".rstrip(": "))
    owner = _owner(error, plugins)
    where = "; please report it" if owner is None else f" in the plugin {owner}; please report it there"
    hint = f"this is a bug{where} with the traceback"
    return Failure("bug", message, hint, BUG, "".join(traceback.format_exception(error)))


def _owner(error: BaseException, plugins: Sequence[PluginRecord]) -> PluginRecord | None:
    """The plugin whose code raised the exception, if one did."""
    packages = {plugin.module.partition(":")[0].partition(".")[0]: plugin for plugin in plugins}
    owner = None
    for frame, _ in traceback.walk_tb(error.__traceback__):
        package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if package == "toolkit":
            owner = None
        elif package in packages:
            owner = packages[package]
    return owner


def _for_people(failure: Failure) -> str:
    """One line, or on a terminal paragraphs that fit."""
    # The lines of a list are indented; any other line break belongs to a name.
    paragraphs = [*map(visible, re.split(r"\n(?=  )", failure.message.expandtabs(4)))]
    separate = len(paragraphs) > 1
    paragraphs += [visible(f"({failure.hint})")] if failure.hint else []
    text = ("\n" if separate else " ").join(paragraphs)
    label = "error:"
    if is_terminal(sys.stderr):
        width, indent = max(shutil.get_terminal_size().columns, 40), " " * len("error: ")
        if separate or len(indent + text) > width:
            wrapper = textwrap.TextWrapper(
                width, indent, indent, break_long_words=False, break_on_hyphens=False
            )
            text = "\n".join(map(wrapper.fill, paragraphs)).lstrip()
        label = label if os.environ.get("NO_COLOR") else click.style(label, fg="red", bold=True)
    return f"{label} {text}"
