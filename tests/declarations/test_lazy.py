"""Functions that are named without importing their module."""

from __future__ import annotations

import subprocess
import sys

from toolkit.types import lazy


def test_a_lazy_function_is_called_and_has_the_names_of_its_own():
    call = lazy("posixpath:join")
    assert call("a", "b") == "a/b"
    assert (call.__module__, call.__name__) == ("posixpath", "join")


def test_the_module_is_imported_by_the_call():
    code = (
        "import sys; from toolkit.types import lazy; call = lazy('wave:open'); "
        "before = 'wave' in sys.modules; "
        "call.__name__ == 'open' or sys.exit('name'); "
        "print(before)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "False\n"
