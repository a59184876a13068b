"""One limit on the size of tensors for the command line, the Python API and the server's sandbox."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from quarters import save_reader

import toolkit_keras
import toolkit_onnx
from toolkit import Toolkit
from toolkit.cli.context import CommandLine
from toolkit.cli.main import toolkit as program
from toolkit.errors import LimitReachedError, UsageError
from toolkit.sandbox.sandbox import Sandbox
from toolkit.store import Workspace
from toolkit.store.limits import DEFAULT_MAX_SIZE
from toolkit.testing import catalog_of

CATALOG = catalog_of(toolkit_keras, toolkit_onnx)


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A network with 1.2 kB of tensors and more."""
    monkeypatch.chdir(tmp_path)
    save_reader(tmp_path / "models" / "net.h5", 1, noise=0.1)
    return Path("models/net.h5")


def run(*arguments: str, **environ: str) -> Result:
    line = CommandLine(lambda: CATALOG)
    return CliRunner().invoke(
        program, list(arguments), obj=line, env=dict(environ), auto_envvar_prefix="TOOLKIT"
    )


@pytest.mark.parametrize("suffix", ["h5", "keras", "onnx"])
def test_every_format_has_the_limit(path: Path, suffix: str) -> None:
    if suffix != "h5":
        assert (
            run("export", str(path), "--to", suffix, "--out", f"net.{suffix}", "--dataset", "none").exit_code
            == 0
        )
        path = Path(f"net.{suffix}")
    for verb in (("models", "show"), ("models", "compare", str(path))):
        refused = run(*verb, str(path), "--max-size", "700B")
        assert refused.exit_code == 8
        assert re.search(r"the limit is 700 B \(for a file that you trust, --max-size", refused.stderr)
    assert run("models", "show", str(path), "--max-size", "1MB").exit_code == 0


def test_the_option_is_common_and_has_a_variable(path: Path) -> None:
    assert run("--max-size", "700", "models", "show", str(path)).exit_code == 8
    assert run("models", "show", str(path), TOOLKIT_MAX_SIZE="700 B").exit_code == 8
    wrong = run("models", "show", str(path), "--max-size", "lots")
    assert wrong.exit_code == 2
    assert "'lots' is not a size" in wrong.stderr
    found = run("models", "find", "--max-size", "700B", "--output", "json")
    assert '"state": "unreadable"' in found.stdout


def test_the_help_text_has_the_default() -> None:
    assert DEFAULT_MAX_SIZE == 2_000_000_000
    assert "by default 2 GB" in " ".join(run("models", "show", "--help").stdout.split())


def test_the_python_api_has_it_too(path: Path) -> None:
    with pytest.raises(LimitReachedError, match="the limit is 700 B"):
        Toolkit(load_catalog=lambda: CATALOG, max_size=700).show(model=path)
    with pytest.raises(LimitReachedError, match="the limit is 1 kB"):
        Toolkit(load_catalog=lambda: CATALOG, max_size="1kB").show(model=path)
    with pytest.raises(UsageError, match="is not a size"):
        Toolkit(load_catalog=lambda: CATALOG, max_size="much").show(model=path)
    assert Toolkit(load_catalog=lambda: CATALOG).show(model=path).parameters


def test_what_is_written_is_read_back_under_the_same_limit(path: Path) -> None:
    toolkit = Toolkit(load_catalog=lambda: CATALOG, max_size="1MB")
    size = toolkit.show(model=path).parameters * np.dtype(np.float32).itemsize
    toolkit = Toolkit(load_catalog=lambda: CATALOG, max_size=size)
    toolkit.export(model=path, to="h5", out=Path("copy.h5"), dataset="none")
    assert toolkit.show(model=Path("copy.h5")).parameters


def test_the_sandbox_reads_under_the_same_limit(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from toolkit.sandbox import sandbox

    started: list[list[str]] = []

    def record(arguments: list[str], *_: object) -> object:
        started.append(arguments)
        raise RuntimeError("enough")

    monkeypatch.setattr(sandbox, "_child", record)
    with pytest.raises(RuntimeError):
        Sandbox(Workspace(Path.cwd()), max_size=700)(path)
    assert started == [[str(Path.cwd()), "700"]]
