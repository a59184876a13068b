"""``toolkit merge`` as a process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from quarters import save_reader


def command(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    code = (
        "import sys; from toolkit.cli.main import main\n"
        "heavy = {'tensorflow', 'keras', 'onnxruntime', 'cv2', 'PIL'}\n"
        "try:\n    main()\n"
        "finally:\n    print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    return subprocess.run(
        [sys.executable, "-c", code, "merge", *arguments],
        cwd=folder, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def test_the_command_merges_without_a_framework_and_the_same_way_each_time(
    family: list[Path], tmp_path: Path
) -> None:
    names = [str(path.relative_to(tmp_path)) for path in family]
    digests = set()
    for order in (names, names[::-1]):
        done = command(tmp_path, *order, "--strategy", "mean", "--dataset", "none", "--output", "json")
        assert done.returncode == 0, done.stderr
        document = json.loads(done.stdout)
        assert document["merged"] == "models/emnist_model.h5"
        assert done.stderr.splitlines()[-1] == "[]", "no TensorFlow, no onnxruntime, no OpenCV"
        digests.add(document["report"]["weights_digest"])
    assert len(digests) == 1


def test_the_command_prints_a_plan_with_its_problems_and_exits_as_the_error_would(
    family: list[Path], tmp_path: Path
) -> None:
    other = save_reader(tmp_path / "models" / "other.h5", 6, noise=0.1, classes=3, dataset="quarters")
    done = command(tmp_path, str(family[0]), str(other), "--plan", "--output", "json")
    assert done.returncode == 4
    assert json.loads(done.stdout)["plan"]["problems"][0]["code"] == "incompatible_models"
    refused = command(tmp_path, str(family[0]), str(other), "--output", "json")
    assert (refused.returncode, json.loads(refused.stdout)["error"]["code"]) == (4, "incompatible_models")


def test_an_output_that_no_format_writes_is_a_usage_error(tmp_path: Path) -> None:
    done = command(tmp_path, "a.h5", "b.h5", "--out", "q.txt")
    assert done.returncode == 2
    assert (
        "q.txt: no model format has this suffix (use an output with suffix .h5, .hdf5"
        in done.stderr.replace("\n", " ")
    )


def test_a_printed_plan_runs_where_it_was_printed(family: list[Path], tmp_path: Path) -> None:
    names = [str(path.relative_to(tmp_path)) for path in family]
    settings = ("--strategy", "mean", "--dataset", "none", "--out", "merged/new.h5")
    plan = command(tmp_path, *names, *settings, "--plan")
    assert plan.returncode == 0, plan.stderr
    (tmp_path / "plan.toml").write_text(plan.stdout)
    done = command(tmp_path, "--recipe", "plan.toml", "--output", "json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["merged"] == "merged/new.h5"
    again = command(tmp_path, "--recipe", "plan.toml", "--plan")
    assert again.returncode == 0, "nothing is written"
    assert "# - merged/new.h5: exists already" in again.stdout
    assert again.stdout.partition("#")[0] == plan.stdout.partition("#")[0]
    assert command(tmp_path, "--recipe", "plan.toml").returncode == 2


def test_a_recipe_of_very_many_models_is_refused_before_any_is_opened(tmp_path: Path) -> None:
    models = '[[ingredients]]\nname = "a"\npath = "a.h5"\n' * 20_000
    (tmp_path / "plan.toml").write_text("schema = 1\n" + models)
    done = command(tmp_path, "--recipe", "plan.toml")
    assert done.returncode == 8
    assert "20,000 models to merge, at most 1,000" in done.stderr


def test_a_number_of_images_that_is_none_is_a_usage_error(tmp_path: Path) -> None:
    done = command(tmp_path, "a.h5", "b.h5", "--recalibrate", "some")
    assert done.returncode == 2
    assert "'some' is not a valid n|off" in done.stderr


def test_a_mean_of_unrelated_models_without_images_exits_with_4(tmp_path: Path) -> None:
    names = ["a.h5", "b.h5"]
    for seed, name in enumerate(names):
        save_reader(tmp_path / name, seed, noise=3.0, batch_norm=False)
    plan = command(tmp_path, *names, "--plan")
    assert plan.returncode == 4
    assert "have nothing in common (cosine of kernels" in plan.stdout
    refused = command(tmp_path, *names, "--output", "json")
    assert (refused.returncode, json.loads(refused.stdout)["error"]["code"]) == (4, "incompatible_models")
    assert not (tmp_path / "models").exists()
    kept = command(tmp_path, *names, "--keep-worse")
    assert kept.returncode == 0
    assert "warning: b.h5 and a.h5 have nothing in common" in kept.stderr.replace(
        "a.h5 and b.h5", "b.h5 and a.h5"
    )


def test_the_result_is_short_and_says_nothing_twice(family: list[Path], tmp_path: Path) -> None:
    names = [str(path.relative_to(tmp_path)) for path in family]
    done = command(tmp_path, *names, "--strategy", "mean", "--dataset", "none", "--quiet")
    assert done.returncode == 0
    lines = [line for line in done.stdout.splitlines() if line]
    assert len(set(lines)) == len(lines) <= 14
    assert lines[-3:] == [
        "model   models/emnist_model.h5",
        "report  models/emnist_model.report.html",
        "recipe  models/emnist_model.recipe.toml",
    ]
    assert done.stdout.count("batch statistics") == 1


def test_all_remarks_are_printed_with_verbose_only(family: list[Path], tmp_path: Path) -> None:
    names = [str(path.relative_to(tmp_path)) for path in family]
    for name in ("copy-1.h5", "copy-2.h5", "copy-3.h5"):
        (tmp_path / name).write_bytes(family[0].read_bytes())
    copies = ["copy-1.h5", "copy-2.h5", "copy-3.h5"]
    settings = [*names, *copies, "--strategy", "mean", "--dataset", "none", "--quiet"]
    short, full = (command(tmp_path, *settings, *more).stdout.splitlines() for more in ([], ["--verbose"]))
    assert sum(line.startswith("- ") for line in short) == 3
    assert sum("has the same weights as" in line for line in full) == 3
    assert len(full) > len(short)


SLEEPING = """
import sys, time
from toolkit import hookimpl
from toolkit.types import MergeResult, MergeStrategy, tensorwise

def sleep(arrays, spec):
    print("sleeping", file=sys.stderr, flush=True)
    time.sleep(60)
    return arrays[0]

def merge(request):
    return MergeResult(tensorwise(request.ingredients, sleep))

@hookimpl
def toolkit_merge_strategies():
    yield MergeStrategy(name="sleeping", summary="Sleeps", merge=merge)
"""


def test_sigterm_during_a_merge_exits_with_143_and_leaves_the_files(
    family: list[Path], tmp_path: Path
) -> None:
    plugin = tmp_path / "plugin"
    (plugin / "sleeping-1.dist-info").mkdir(parents=True)
    (plugin / "sleeping.py").write_text(SLEEPING)
    (plugin / "sleeping-1.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: sleeping\nVersion: 1\n"
    )
    (plugin / "sleeping-1.dist-info" / "entry_points.txt").write_text("[toolkit]\nsleeping = sleeping\n")
    models = [str(path) for path in family]
    assert command(tmp_path, *models, "--strategy", "mean", "--dataset", "none").returncode == 0
    before = {path: path.read_bytes() for path in (tmp_path / "models").rglob("*") if path.is_file()}
    arguments = [*models, "--strategy", "sleeping", "--dataset", "none", "--force"]
    with subprocess.Popen(
        [sys.executable, "-m", "toolkit", "merge", *arguments],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(plugin)}, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stderr is not None
        said = iter(process.stderr.readline, "")
        assert "sleeping\n" in said
        process.terminate()
        _, rest = process.communicate(timeout=30)
    assert (process.returncode, rest.splitlines()[-1]) == (143, "error: terminated")
    assert {path: path.read_bytes() for path in (tmp_path / "models").rglob("*") if path.is_file()} == before
