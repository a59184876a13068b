"""Real child processes, and a format that harms whoever reads it."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from toolkit.errors import LimitReachedError, ToolkitError, UnreadableInputError
from toolkit.sandbox.sandbox import Sandbox, SandboxLimits
from toolkit.store import Workspace

PLUGIN = Path(__file__).parent.parent / "data" / "plugins" / "native-crash"
IMPATIENT = SandboxLimits(seconds=4.0, start_seconds=120.0)


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    paths = [str(PLUGIN), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    return Workspace(tmp_path)


def file(workspace: Workspace, name: str, what: str) -> Path:
    path = workspace.root / name
    path.write_text(what)
    return path


@pytest.mark.parametrize(
    ("what", "error", "said"),
    [
        ("crash", UnreadableInputError, "reading it crashed a process"),
        ("circle", LimitReachedError, "reading it took longer than 4 s"),
        ("memory", LimitReachedError, "reading it took more than 1,024 MiB"),
        ("disk", UnreadableInputError, "crashed"),
    ],
)
def test_a_file_that_harms_its_reader_is_refused(
    workspace: Workspace, what: str, error: type[ToolkitError], said: str
) -> None:
    path = file(workspace, "bad.crash", what)
    with pytest.raises(error, match=said) as caught:
        Sandbox(workspace, IMPATIENT)(path)
    assert str(path) in str(caught.value)
    assert caught.value.hint
    assert not path.with_suffix(".grown").exists() or not path.with_suffix(".grown").stat().st_size


@pytest.mark.parametrize("what", ["nothing", "say"])
def test_what_does_no_harm_is_left_to_the_reader(workspace: Workspace, what: str) -> None:
    Sandbox(workspace, IMPATIENT)(file(workspace, "odd.crash", what))


def test_secrets_are_kept_from_the_child(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    path = file(workspace, "curious.crash", "secret")
    monkeypatch.setenv("SECRET", "1")
    with pytest.raises(UnreadableInputError):
        Sandbox(workspace, IMPATIENT)(path)
    Sandbox(workspace, IMPATIENT, secrets=("SECRET",))(path)


def test_a_module_in_the_working_directory_is_not_run(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    (workspace.root / "toolkit.py").write_text("open('ran', 'w')")
    monkeypatch.chdir(workspace.root)
    Sandbox(workspace, IMPATIENT)(file(workspace, "fine.crash", "fine"))
    assert not (workspace.root / "ran").exists()


def test_a_file_that_is_gone_is_left_to_the_reader(workspace: Workspace) -> None:
    Sandbox(workspace, IMPATIENT)(workspace.root / "gone.crash")


def test_bad_files_do_not_keep_the_others_from_being_checked(workspace: Workspace) -> None:
    names = ["crash", "fine", "memory", "circle", "well"]
    paths = [file(workspace, f"{name}.crash", name) for name in names]
    sandbox = Sandbox(workspace, IMPATIENT)
    sandbox.check(paths)
    refused = []
    for name, path in zip(names, paths, strict=True):
        try:
            sandbox(path)
        except ToolkitError:
            refused.append(name)
    assert refused == ["crash", "memory", "circle"]


def test_each_state_of_a_file_is_checked_once(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    path = file(workspace, "model.crash", "crash")
    sandbox = Sandbox(workspace, IMPATIENT)
    with pytest.raises(UnreadableInputError):
        sandbox(path)
    path.write_text("repaired")
    sandbox(path)

    def no_child(*_: object, **__: object) -> None:
        pytest.fail("checked again")

    monkeypatch.setattr(subprocess, "Popen", no_child)
    sandbox(path)


def test_the_child_ends_with_its_parent(workspace: Workspace) -> None:
    path = file(workspace, "circle.crash", "circle")
    program = (
        "import sys\nfrom pathlib import Path\n"
        "from toolkit.sandbox import sandbox\nfrom toolkit.store import Workspace\n"
        "real = sandbox.subprocess.Popen\n"
        "def told(*a, **k):\n    p = real(*a, **k)\n    print(p.pid, flush=True)\n    return p\n"
        "sandbox.subprocess.Popen = told\n"
        "limits = sandbox.SandboxLimits(seconds=3600)\n"
        "sandbox.Sandbox(Workspace(Path(sys.argv[1])), limits)(Path(sys.argv[2]))\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(workspace.root), str(path)], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        deadline = time.monotonic() + 120
        while not path.with_suffix(".begun").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        parent.kill()
    while time.monotonic() < deadline:
        try:
            os.kill(child, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    pytest.fail(f"process {child} is still there")
