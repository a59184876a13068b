import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from toolkit.errors import StorageError
from toolkit.store import publish, publish_bytes, publish_text
from toolkit.store.staging import clean_staging


def test_writes_the_whole_content(tmp_path: Path) -> None:
    publish_bytes(tmp_path / "a.bin", b"\0\1\2")
    publish_text(tmp_path / "a.txt", "Größe\n")

    assert (tmp_path / "a.bin").read_bytes() == b"\0\1\2"
    assert (tmp_path / "a.txt").read_bytes() == "Größe\n".encode()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.bin", "a.txt"]


def test_makes_the_folders_that_are_missing(tmp_path: Path) -> None:
    publish_text(tmp_path / "one" / "two" / "a.txt", "a")

    assert (tmp_path / "one" / "two" / "a.txt").read_text() == "a"


def test_the_staging_file_is_hidden_beside_the_target_and_has_its_suffix(tmp_path: Path) -> None:
    with publish(tmp_path / "model.h5") as staging:
        assert staging.parent == tmp_path
        assert staging.name.startswith(".model.")
        assert staging.suffix == ".h5"
        assert not staging.exists()
        staging.write_text("x")


def test_a_long_name_still_has_room_for_its_staging_name(tmp_path: Path) -> None:
    target = tmp_path / ("ü" * 120 + ".txt")

    publish_text(target, "a")

    assert target.read_text() == "a"


@pytest.mark.parametrize("failure", [ValueError("no"), KeyboardInterrupt(), SystemExit(3)])
def test_a_failing_writer_leaves_the_old_file_and_no_staging(tmp_path: Path, failure: BaseException) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")

    def fail() -> None:
        with publish(target) as staging:
            staging.write_text("half")
            raise failure

    with pytest.raises(type(failure)):
        fail()

    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_failing_check_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")

    def refuse(staging: Path) -> None:
        raise ValueError(staging.read_text())

    with pytest.raises(ValueError, match="new"), publish(target, verify=refuse) as staging:
        staging.write_text("new")

    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize(
    ("leave", "said"),
    [
        (lambda staging: staging.symlink_to("elsewhere"), "a link"),
        (lambda staging: (staging / "inner").mkdir(parents=True), "a folder"),
        (os.mkfifo, "a special file"),
    ],
)
def test_a_writer_that_leaves_no_file_of_its_own_is_told_so(
    leave: Callable[[Path], None], said: str, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").write_text("somebody's")
    target = tmp_path / "a.txt"
    target.write_text("old")
    with (
        pytest.raises(StorageError, match=rf"a\.txt was not written: its writer wrote {said}"),
        publish(target) as staging,
    ):
        leave(staging)
    assert target.read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.txt", "elsewhere"]


def test_a_writer_that_writes_nothing_is_told_so(tmp_path: Path) -> None:
    with (
        pytest.raises(StorageError, match=r"a\.txt was not written: its writer wrote no file"),
        publish(tmp_path / "a.txt"),
    ):
        pass


def test_permissions_of_the_replaced_file_are_kept(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    target.chmod(0o600)

    publish_text(target, "new")

    assert stat.S_IMODE(target.stat().st_mode) == 0o600


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "other.txt").write_text("other")
    (tmp_path / "a.txt").symlink_to(tmp_path / "other.txt")

    publish_text(tmp_path / "a.txt", "new")

    assert not (tmp_path / "a.txt").is_symlink()
    assert (tmp_path / "other.txt").read_text() == "other"


def test_an_error_names_the_target_and_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "models").write_text("a file")

    with pytest.raises(StorageError) as caught:
        publish_text(tmp_path / "models" / "a.txt", "a")

    assert "models/a.txt was not written: Not a directory" in caught.value.message
    assert "staging" not in caught.value.message
    assert caught.value.hint
    assert caught.value.exit_status == 7


def test_a_folder_of_the_targets_name_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "a.txt").mkdir()

    with pytest.raises(StorageError, match="Is a directory"):
        publish_text(tmp_path / "a.txt", "a")

    assert list(tmp_path.iterdir()) == [tmp_path / "a.txt"]


def test_the_number_in_hdf5s_own_errors_is_understood(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="No space left on device"), publish(tmp_path / "a.h5"):
        raise RuntimeError(
            "Can't decrement id ref count (file write failed: errno = 28, error message = 'x')"
        )


def test_a_bug_keeps_its_traceback(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="a bug"), publish(tmp_path / "a.h5"):
        raise RuntimeError("a bug")


def test_cleaning_spares_what_is_being_written(tmp_path: Path) -> None:
    with publish(tmp_path / "a.txt") as staging:
        staging.write_text("half")
        assert clean_staging(tmp_path) == []
        assert staging.exists()


def test_cleaning_removes_what_a_killed_writer_left(tmp_path: Path) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    child = os.fork()
    if child == 0:
        with publish(folder / "a.txt") as staging:
            staging.write_text("half")
            os.kill(os.getpid(), 9)
    os.waitpid(child, 0)
    (left,) = folder.iterdir()
    (folder / ".hidden.txt").write_text("the user's own")

    assert clean_staging(tmp_path) == [left]
    assert [path.name for path in folder.iterdir()] == [".hidden.txt"]
