"""Stops a child process at its n-th system call: kills it there, or lets that call fail.

With the kernel's ptrace a step is a step for C libraries too: HDF5's writes are seen as well as
Python's. Works on Linux on x86-64.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass

_TRACEME, _PEEKUSER, _POKEUSER, _SYSCALL, _SETOPTIONS = 0, 3, 6, 24, 0x4200
_SYSGOOD, _EXITKILL = 0x1, 0x100000
_ORIG_RAX, _RAX, _RDI = 15 * 8, 10 * 8, 14 * 8  # offsets in struct user
_REPORT = 200  # the descriptor on which a child says how it ended
_NUMBER_OF_NOTHING = (1 << 64) - 1

# Every call through which a file or a folder changes or is flushed, locked or closed ...
_CHANGES = {
    "write": 1,
    "open": 2,
    "close": 3,
    "pwrite64": 18,
    "writev": 20,
    "sendfile": 40,
    "flock": 73,
    "fsync": 74,
    "fdatasync": 75,
    "truncate": 76,
    "ftruncate": 77,
    "rename": 82,
    "mkdir": 83,
    "creat": 85,
    "link": 86,
    "unlink": 87,
    "chmod": 90,
    "fchmod": 91,
    "fadvise64": 221,
    "openat": 257,
    "mkdirat": 258,
    "unlinkat": 263,
    "renameat": 264,
    "fchmodat": 268,
    "fallocate": 285,
    "pwritev": 296,
    "renameat2": 316,
    "copy_file_range": 326,
}
# ... and those through which one is looked at.
_LOOKS = {"read": 0, "stat": 4, "fstat": 5, "lstat": 6, "lseek": 8, "pread64": 17, "newfstatat": 262}
CHANGES = frozenset(_CHANGES.values())
CALLS = CHANGES | frozenset(_LOOKS.values())
NAMES = {number: name for name, number in {**_CHANGES, **_LOOKS}.items()}

DONE, REFUSED, CRASHED = 0, 3, 4


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a traced child ended.

    Attributes:
        calls: How many of the counted system calls it began.
        stopped_at: Name of the call at which it was killed or that failed; empty if it got by.
        status: DONE, REFUSED (a named error of the toolkit's), CRASHED (any other exception),
            or minus a signal's number.
        errors: What it said on its way out.
    """

    calls: int
    stopped_at: str
    status: int
    errors: str = ""


def is_supported() -> bool:
    """Whether children can be traced here."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return False
    try:
        return run_traced(lambda: None, CHANGES).status == DONE
    except OSError:
        return False


def run_traced(
    action: Callable[[], None],
    counted: frozenset[int],
    *,
    kill_at: int | None = None,
    fail_at: int | None = None,
    fail_with: int = errno.EIO,
) -> Outcome:
    """Run an action in a forked child, and stop it at one of the counted system calls.

    Args:
        action: Has imported all it needs; starts no thread.
        counted: Numbers of the system calls that count.
        kill_at: Kill it with SIGKILL before it makes its n-th call, from 0.
        fail_at: Let its n-th call fail, from 0.
        fail_with: The error number of the failing call.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        os.dup2(writing, _REPORT)
        os.close(writing)
        _be_child(action)
    os.close(writing)
    try:
        return _trace(child, reading, counted, kill_at, fail_at, fail_with)
    finally:
        os.close(reading)


def _be_child(action: Callable[[], None]) -> None:
    from toolkit.errors import ToolkitError

    status = CRASHED
    said = ""
    try:
        _ptrace(_TRACEME, 0, 0, 0)
        os.kill(os.getpid(), signal.SIGSTOP)
        action()
        status = DONE
    except ToolkitError as error:
        status, said = REFUSED, str(error)
    except BaseException:  # noqa: BLE001 - the parent reports it
        said = traceback.format_exc()
    finally:
        try:
            os.write(_REPORT, said.encode()[-4000:])
        finally:
            os._exit(status)


def _trace(
    child: int,
    reading: int,
    counted: frozenset[int],
    kill_at: int | None,
    fail_at: int | None,
    fail_with: int,
) -> Outcome:
    os.waitpid(child, 0)
    _ptrace(_SETOPTIONS, child, 0, _SYSGOOD | _EXITKILL)
    calls, stopped_at, entering, failing, pending = 0, "", True, False, 0
    while True:
        _ptrace(_SYSCALL, child, 0, pending)
        pending = 0
        _, status = os.waitpid(child, 0)
        if os.WIFEXITED(status) or os.WIFSIGNALED(status):
            return Outcome(calls, stopped_at, os.waitstatus_to_exitcode(status), _said(reading))
        if os.WSTOPSIG(status) != signal.SIGTRAP | 0x80:
            pending = os.WSTOPSIG(status)
            continue
        if entering:
            number = _ptrace(_PEEKUSER, child, _ORIG_RAX, 0)
            if number in counted and not _is_report(child, number):
                if calls == kill_at:
                    os.kill(child, signal.SIGKILL)
                    os.waitpid(child, 0)
                    return Outcome(calls, NAMES[number], -signal.SIGKILL)
                if calls == fail_at:
                    failing, stopped_at = True, NAMES[number]
                    _ptrace(_POKEUSER, child, _ORIG_RAX, _NUMBER_OF_NOTHING)
                calls += 1
        elif failing:
            failing = False
            _ptrace(_POKEUSER, child, _RAX, (1 << 64) - fail_with)
        entering = not entering


def _is_report(child: int, number: int) -> bool:
    """Whether the child writes to its pipe: that is the experiment, not the subject."""
    return number == _CHANGES["write"] and _ptrace(_PEEKUSER, child, _RDI, 0) == _REPORT


def _said(reading: int) -> str:
    with os.fdopen(os.dup(reading), errors="replace") as file:
        return file.read()


def _ptrace(request: int, pid: int, address: int, data: int) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)
    libc.ptrace.restype = ctypes.c_long
    ctypes.set_errno(0)
    result = int(libc.ptrace(request, pid, address, data))
    number = ctypes.get_errno()
    if result == -1 and number:
        raise OSError(number, os.strerror(number))
    return result
