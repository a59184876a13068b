"""Failures: statuses, codes, the line for people and the document for programs."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import NoReturn

import click
import pytest
from try_out import raising, reporting, run

from toolkit import errors
from toolkit.cli.context import CommandLine, pass_command_line
from toolkit.cli.failures import Terminated, failure_of


def caused(error: BaseException, cause: BaseException) -> BaseException:
    error.__cause__ = cause
    return error


ENDS: list[tuple[BaseException, int, str]] = [
    (errors.UsageError("no"), 2, "usage"),
    (errors.PlanRefusedError("no"), 2, "plan_refused"),
    (errors.MissingInputError("no"), 3, "not_found"),
    (errors.UnreadableInputError("no"), 3, "unreadable"),
    (errors.IncompatibleModelsError("no"), 4, "incompatible_models"),
    (errors.DamagedFileError("no"), 5, "damaged"),
    (errors.BusyError("no"), 6, "busy"),
    (errors.StorageError("no"), 7, "storage"),
    (errors.LimitReachedError("no"), 8, "limit"),
    (click.UsageError("no"), 2, "usage"),
    (click.BadParameter("no"), 2, "usage"),
    (click.FileError("a.txt"), 3, "not_found"),
    (OSError(errno.ENOSPC, "No space left on device", "models/a.h5"), 7, "storage"),
    (OSError(errno.ENAMETOOLONG, "File name too long", "a" * 300), 2, "usage"),
    (OSError(errno.ENOTDIR, "Not a directory", "a.png/b"), 2, "usage"),
    (UnicodeEncodeError("utf-8", "bad\udcff.h5", 3, 4, "surrogates not allowed"), 2, "usage"),
    (UnicodeEncodeError("ascii", "ä", 0, 1, "ordinal not in range(128)"), 1, "bug"),
    (MemoryError(), 8, "limit"),
    (KeyboardInterrupt(), 130, "interrupted"),
    (click.Abort(), 130, "interrupted"),
    (Terminated(), 143, "terminated"),
    (caused(ImportError("initialization failed"), Terminated()), 143, "terminated"),
    (caused(errors.UnreadableInputError("no"), KeyboardInterrupt()), 130, "interrupted"),
    (ValueError("a bug"), 1, "bug"),
    (FileNotFoundError(errno.ENOENT, "No such file", "x"), 1, "bug"),
]


@pytest.mark.parametrize(("error", "status", "code"), ENDS, ids=[repr(end[0]) for end in ENDS])
def test_every_failure_has_its_status_and_its_code(error: BaseException, status: int, code: str) -> None:
    result = run(raising(error), "try-out", "--output", "json")
    assert result.exit_code == status
    document = json.loads(result.stdout)
    assert list(document) == ["error"]
    assert document["error"]["code"] == code
    assert set(document["error"]) == {"code", "message", "hint"}


def test_an_exception_that_is_its_own_cause_ends_the_program() -> None:
    first, second = errors.UsageError("first"), errors.UsageError("second")
    for error in (caused(first, first), caused(second, caused(errors.UsageError("third"), second))):
        assert failure_of(error, debug=False).code == "usage"


def test_an_input_without_permission_is_unreadable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Whoever runs the tests may be root, who may read everything.
    monkeypatch.setattr(os, "access", lambda *_arguments: False)
    (tmp_path / "a.csv").touch()
    error = PermissionError(errno.EACCES, "Permission denied", str(tmp_path / "a.csv"))
    assert failure_of(error, debug=False).exit_status == 3
    error = PermissionError(errno.EACCES, "Permission denied", str(tmp_path / "new.csv"))
    assert failure_of(error, debug=False).exit_status == 7


def test_an_expected_failure_is_one_line_on_stderr() -> None:
    result = run(
        raising(errors.DamagedFileError("a.h5: its digest differs", hint="train it again")), "try-out"
    )
    assert result.stdout == ""
    assert result.stderr == "error: a.h5: its digest differs (train it again)\n"


@pytest.mark.parametrize(
    "error",
    [
        errors.UsageError(f"{'x' * 70_000}: no such thing", hint="y" * 70_000),
        click.BadParameter(f"{'x' * 70_000}: no such thing"),
        OSError(errno.ENOSPC, "no such thing", "x" * 70_000),
        errors.UsageError("x\n  x" * 10_000 + ": no such thing"),
    ],
)
def test_a_message_is_short_whatever_it_repeats(error: Exception, tmp_path: Path) -> None:
    log = tmp_path / "log"
    limit = 25_000 if "\n" in str(error) else 4_200
    for form in ("text", "json"):
        result = run(raising(error), "try-out", "--output", form, "--log-file", str(log))
        said = result.stdout + result.stderr
        assert len(said) < limit
        assert "no such thing" in said, "the end of a message says what is wrong"
    assert log.stat().st_size < 2 * limit


def test_what_was_received_is_shortened() -> None:
    assert errors.shown("a" * 70_000) == f"'{'a' * 73}…{'a' * 24}'"
    assert errors.shown(["a"]) == "['a']"
    assert errors.shortened("a" * 100) == "a" * 100
    assert len(errors.shortened("a" * 101)) == 100


def test_debug_adds_the_traceback() -> None:
    for arguments in (("--debug", "try-out"), ("try-out", "--debug")):
        result = run(raising(errors.BusyError("held")), *arguments)
        assert "Traceback (most recent call last)" in result.stderr
        assert result.stderr.endswith("error: held\n")
        assert result.exit_code == 6


def test_a_bug_keeps_its_traceback_and_names_its_plugin() -> None:
    result = run(raising(ValueError("oh no")), "try-out")
    assert result.exit_code == 1
    assert "Traceback (most recent call last)" in result.stderr
    last = result.stderr.splitlines()[-1]
    assert last.startswith("error: ValueError: oh no (this is a bug in the plugin tries (tries-dist 1.0)")


def test_a_bug_of_ours_is_called_ours() -> None:
    def load() -> click.Command:
        @click.command()
        @pass_command_line
        def command(command_line: CommandLine) -> None:
            command_line.toolkit.no_such_verb  # type: ignore[attr-defined]  # noqa: B018

        return command

    result = run(load, "try-out", "--output", "json")
    assert json.loads(result.stdout)["error"]["hint"] == "this is a bug; please report it with the traceback"


def test_errors_while_arguments_are_parsed_are_json_too() -> None:
    for arguments in (
        ("--output", "json", "try-out", "--no-such"),
        ("try-out", "--no-such", "--output=json"),
        ("--output", "json", "--no-such"),
        ("--output", "json", "trian"),
        ("--output", "json"),
        ("--output", "json", "plugins"),
    ):
        result = run(reporting, *arguments)
        assert result.exit_code == 2, arguments
        assert json.loads(result.stdout)["error"]["code"] == "usage"


def test_a_failure_after_the_result_makes_no_second_document() -> None:
    @click.command()
    @pass_command_line
    def command(command_line: CommandLine) -> None:
        command_line.output.result({"done": True}, lambda _console: None)
        raise errors.StorageError("the report could not be written")

    result = run(lambda: command, "try-out", "--output", "json")
    assert json.loads(result.stdout) == {"done": True}
    assert result.stderr == "error: the report could not be written\n"
    assert result.exit_code == 7


def test_a_usage_error_says_where_help_is() -> None:
    result = run(reporting, "try-out", "--times", "many")
    assert result.stderr.startswith("error: Invalid value for '--times'")
    assert result.stderr.endswith("(see toolkit try-out --help)\n")
    assert result.exit_code == 2


def test_an_unknown_command_names_the_nearest() -> None:
    assert run(reporting, "trian").stderr == "error: there is no command 'trian' (did you mean train?)\n"


def test_version_without_hyphens_suggests_the_option() -> None:
    assert "did you mean --version?" in run(reporting, "version").stderr
    assert "did you mean --help?" in run(reporting, "help").stderr


def test_a_failure_is_in_the_log_file_with_its_hint(tmp_path: Path) -> None:
    log = tmp_path / "toolkit.log"
    for arguments in (("--log-file", str(log), "try-out"), ("try-out", "--log-file", str(log))):
        run(raising(errors.DamagedFileError("a.h5: its digest differs", hint="restore it")), *arguments)
    lines = log.read_text().splitlines()
    assert [line.partition(" ")[2] for line in lines] == ["error: a.h5: its digest differs restore it"] * 2


def test_a_workspace_that_is_not_there_is_missing_input() -> None:
    result = run(reporting, "--workspace", "nowhere", "try-out")
    assert result.exit_code == 3
    assert "nowhere: the workspace is not a folder" in result.stderr


def test_a_command_that_cannot_be_loaded_names_its_plugin() -> None:
    def load() -> NoReturn:
        raise ImportError("no module named left-pad")

    result = run(load, "try-out")
    assert result.exit_code == 2
    assert "of the plugin tries (tries-dist 1.0): load failed: ImportError: no module" in result.stderr
    assert "load returned int 3, expected click.Command" in run(lambda: 3, "try-out").stderr
