"""Walking through folders and links."""

from __future__ import annotations

import os
from pathlib import Path

from toolkit.store import walk_folders


def make(root: Path, *files: str) -> None:
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).touch()


def seen(root: Path, **limits: int) -> list[str]:
    return [
        (visited.path / name).relative_to(root).as_posix()
        for visited in walk_folders(root, **limits)
        for name in visited.files
    ]


def test_near_folders_come_first_and_hidden_ones_never(tmp_path: Path) -> None:
    make(tmp_path, "a/deep/1", "b/2", "3", ".git/4", ".5")
    assert seen(tmp_path) == [".5", "3", "b/2", "a/deep/1"]


def test_a_link_is_followed_once_and_cycles_end(tmp_path: Path) -> None:
    make(tmp_path, "top/real/file", "outside/other")
    top = tmp_path / "top"
    for name, target in (("again", top / "real"), ("loop", top), ("out", tmp_path / "outside")):
        (top / name).symlink_to(target, target_is_directory=True)
    (top / "self").symlink_to(top / "self")
    (top / "broken").symlink_to(top / "nowhere")
    assert seen(top) == ["real/file", "out/other"]


def test_depth_and_number_are_limited(tmp_path: Path) -> None:
    make(tmp_path, "1/2/3/file", "1/near", "x", "y")
    assert seen(tmp_path, max_depth=1) == ["x", "y", "1/near"]
    assert len(seen(tmp_path, max_entries=4)) == 3
    assert seen(tmp_path / "nowhere") == []


def test_a_caller_may_skip_folders(tmp_path: Path) -> None:
    make(tmp_path, "keep/1", "skip/2")
    names = []
    for visited in walk_folders(tmp_path):
        names += visited.files
        visited.folders[:] = [name for name in visited.folders if name != "skip"]
    assert names == ["1"]


def test_pipes_and_folders_that_may_not_be_read_are_skipped(tmp_path: Path) -> None:
    make(tmp_path, "closed/1", "2")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "closed").chmod(0)
    try:
        assert set(seen(tmp_path)) <= {"2", "closed/1"}
    finally:
        (tmp_path / "closed").chmod(0o700)
