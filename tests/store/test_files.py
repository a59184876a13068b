import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from toolkit.errors import BusyError, LimitReachedError, MissingInputError, StorageError
from toolkit.store import Workspace, exclusive, file_sha256, find_files, publish


def test_digest_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")

    assert file_sha256(tmp_path / "a") == hashlib.sha256(b"abc").hexdigest()


def test_digest_of_nothing_is_a_named_error(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="no such file"):
        file_sha256(tmp_path / "a")


def test_finds_by_suffix_sorted_and_whatever_the_case(tmp_path: Path) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    for name in ("b.H5", "a.onnx", "deep/er/c.keras", "d.txt"):
        (tmp_path / name).write_text("12345")

    found = find_files([tmp_path], [".h5", ".keras", ".onnx"])

    assert [str(file.path.relative_to(tmp_path)) for file in found] == ["a.onnx", "b.H5", "deep/er/c.keras"]
    assert {file.size for file in found} == {5}


def test_passes_over_links_hidden_things_and_staging_files(tmp_path: Path) -> None:
    (tmp_path / ".venv").mkdir()
    for name in (".venv/a.h5", ".hidden.h5", "real.h5"):
        (tmp_path / name).touch()
    (tmp_path / "link.h5").symlink_to(tmp_path / "real.h5")
    (tmp_path / "loop").symlink_to(tmp_path)

    with publish(tmp_path / "b.h5") as staging:
        staging.touch()
        assert [file.path.name for file in find_files([tmp_path], [".h5"])] == ["real.h5"]


def test_follows_links_where_that_is_wanted_and_enters_a_folder_once(tmp_path: Path) -> None:
    models, elsewhere = tmp_path / "models", tmp_path / "elsewhere"
    models.mkdir()
    elsewhere.mkdir()
    for file in (models / "own.h5", elsewhere / "far.h5", tmp_path / "single.h5"):
        file.write_text(file.name)
    (models / "more").symlink_to(elsewhere)
    (models / "again").symlink_to(elsewhere)
    (models / "loop").symlink_to(models)
    (models / "endless").symlink_to("endless")
    (models / "single.h5").symlink_to(tmp_path / "single.h5")
    (models / "another-name.h5").symlink_to(models / "own.h5")
    (models / "nothing.h5").symlink_to("nothing")
    (models / "zero.h5").symlink_to("/dev/zero")

    found = find_files([models], [".h5"], follow_links=True)

    assert sorted(file.path.name for file in found) == ["far.h5", "own.h5", "single.h5"]
    assert [file.size for file in found if file.path.name == "single.h5"] == [9]
    assert [file.path.name for file in find_files([models], [".h5"])] == ["own.h5"]


def test_a_root_may_be_missing_a_link_or_a_file_and_overlaps_count_once(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "a.h5").touch()
    (tmp_path / "link").symlink_to(tmp_path / "models")
    roots = [tmp_path / "nothing", tmp_path / "link", tmp_path, tmp_path / "models" / "a.h5"]

    assert [file.path for file in find_files(roots, [".h5"])] == [tmp_path / "link" / "a.h5"]


def test_depth_number_and_time_are_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "one" / "two").mkdir(parents=True)
    for name in ("a.h5", "one/b.h5", "one/two/c.h5"):
        (tmp_path / name).touch()

    monkeypatch.setattr("toolkit.store.find._MOST_FILES", 2)
    with pytest.raises(LimitReachedError, match="more than 2 files"):
        find_files([tmp_path], [".h5"])
    monkeypatch.setattr("toolkit.store.find._MOST_LEVELS", 1)
    assert [file.path.name for file in find_files([tmp_path], [".h5"])] == ["a.h5", "b.h5"]
    monkeypatch.setattr("toolkit.store.find._MOST_SECONDS", 0)
    with pytest.raises(LimitReachedError, match="took too long"):
        find_files([tmp_path], [".h5"])


def test_only_one_holds_a_lock(tmp_path: Path) -> None:
    with exclusive(tmp_path / "a.h5"):
        with (
            pytest.raises(BusyError, match="another process is writing it") as caught,
            exclusive(tmp_path / "a.h5"),
        ):
            pass
        with exclusive(tmp_path / "b.h5"):
            pass
    with exclusive(tmp_path / "a.h5"):
        pass
    assert caught.value.exit_status == 6


def test_a_lock_ends_with_its_process(tmp_path: Path) -> None:
    script = (
        "import pathlib, sys, time, toolkit.store\n"
        "with toolkit.store.exclusive(pathlib.Path(sys.argv[1])):\n"
        "    print('held', flush=True)\n"
        "    time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "a.h5")], stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(BusyError), exclusive(tmp_path / "a.h5"):
            pass
        holder.kill()
        holder.wait()
    with exclusive(tmp_path / "a.h5", wait_s=60):
        pass


def test_the_workspace_names_its_folders(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)

    assert workspace.models == tmp_path / "models"
    assert workspace.runs == tmp_path / "runs"
    assert workspace.cache == tmp_path / ".toolkit" / "cache"
    assert workspace.dataset_folders == (tmp_path / "datasets", tmp_path / "data", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_lock_file_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    locks = tmp_path / ".toolkit/locks"
    locks.mkdir(parents=True)
    (locks / "a.h5.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StorageError, match=r"a\.h5 could not be locked"), exclusive(tmp_path / "a.h5"):
        pass
    assert not (tmp_path / "elsewhere").exists()
