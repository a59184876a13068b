"""Every snippet of the documentation is run, and every link leads somewhere."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from docs.generate import PAGES as PAGES_MADE
from toolkit.operations import Toolkit
from toolkit.store import Workspace
from toolkit.vocabulary import SplitName

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
BLOCK = re.compile(r"^```(?P<language>[a-z]+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?:|#|mailto:)(?P<target>[^)#\s]+)")

# Small enough for a test; every option of every command can be set so.
SMALL = {"TOOLKIT_TRAIN_EPOCHS": "1", "TOOLKIT_TRAIN_OPTION": "batch_size=64"}


def snippets(page: Path, language: str) -> list[str]:
    return [match["text"] for match in BLOCK.finditer(page.read_text()) if match["language"] == language]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_file(page: Path) -> None:
    targets = LINK.findall(page.read_text())
    missing = [target for target in targets if not (page.parent / target).exists()]
    assert not missing


def test_the_first_screen_of_the_readme_shows_the_two_commands() -> None:
    first_screen = "\n".join((ROOT / "README.md").read_text().splitlines()[:24])
    makefile = (ROOT / "Makefile").read_text()
    for target in ("demo", "test"):
        assert f"make {target}" in first_screen
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)


@pytest.fixture(scope="session")
def small_emnist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a tiny data set under EMNIST's names, and a picture."""
    root = tmp_path_factory.mktemp("documentation")
    (root / "datasets").mkdir()
    toolkit = Toolkit(Workspace(root))
    # An image's split is a property of its pixels, so each split comes from the same one.
    for name, splits in (("train", {"fit": 12, "validation": 3}), ("test", {"test": 3})):
        rows = [row for split, count in splits.items() for row in rows_of(toolkit, split, count)]
        (root / "datasets" / f"emnist-byclass-{name}.csv").write_text("\n".join(rows) + "\n")
    images = toolkit.data.open("glyphs", "test").images
    Image.fromarray(images[3]).resize((120, 120)).save(root / "picture.png")
    return root


def rows_of(toolkit: Toolkit, split: SplitName, count: int) -> Iterator[str]:
    """The first images of each class, as lines of EMNIST's CSV."""
    data = toolkit.data.open("glyphs", split)
    for label in range(len(data.classes)):
        for image in data.images[data.labels == label][:count]:
            yield ",".join(map(str, [label, *image.T.ravel()]))


@pytest.mark.train
@pytest.mark.parametrize("page", [page for page in PAGES if snippets(page, "sh")], ids=lambda page: page.name)
def test_the_commands_of_the_documentation_run(page: Path, small_emnist: Path, tmp_path: Path) -> None:
    workspace = tmp_path / "workspace"
    shutil.copytree(small_emnist, workspace)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    script = ["set -euo pipefail", "trap 'kill $(jobs -p) 2>/dev/null || true' EXIT"]
    for text in snippets(page, "sh"):
        for line in text.splitlines():
            serves = line.startswith("toolkit serve")
            script.append(f"{line.split('#')[0]} & sleep 3; kill -0 $!" if serves else line)
    done = subprocess.run(
        ["bash", "-c", "\n".join(script)],
        cwd=workspace,
        env=os.environ | SMALL | {"PATH": path, "TOOLKIT_SERVE_PORT": "0"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"


@pytest.mark.parametrize(
    "page", [page for page in PAGES if snippets(page, "python")], ids=lambda page: page.name
)
def test_the_python_of_the_documentation_runs(page: Path, small_emnist: Path, tmp_path: Path) -> None:
    shutil.copy(small_emnist / "picture.png", tmp_path)
    for text in snippets(page, "python"):
        done = subprocess.run(
            [sys.executable, "-c", text],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"{text}\n{done.stderr[-4000:]}"


@pytest.mark.parametrize("name", sorted(PAGES_MADE))
def test_the_generated_pages_are_those_of_the_code(name: str) -> None:
    assert (ROOT / "docs" / name).read_text() == PAGES_MADE[name](), "run `make docs`"
