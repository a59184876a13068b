"""examples/toolkit-sheet: contact sheets, from a distribution of its own."""

from __future__ import annotations

import importlib
import io
import json
import tomllib
from pathlib import Path
from types import ModuleType

import flask
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import toolkit_glyphs
from toolkit.cli.context import CommandLine
from toolkit.data import Dataset
from toolkit.errors import MissingInputError, ToolkitError, UsageError
from toolkit.host.catalog import Catalog
from toolkit.host.kinds import COMMANDS, ROUTES
from toolkit.testing import catalog_of, check_plugin

EXAMPLE = Path(__file__).parents[1] / "examples" / "toolkit-sheet"


@pytest.fixture(autouse=True)
def toolkit_sheet(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(EXAMPLE)
    return importlib.import_module("toolkit_sheet")


@pytest.fixture
def drawing() -> ModuleType:
    return importlib.import_module("toolkit_sheet.drawing")


def small(classes: int = 3, each: int = 4) -> Dataset:
    labels = np.arange(classes * each, dtype=np.int32) % classes
    images = np.zeros((len(labels), 28, 28), np.uint8)
    images[:] = (100 + 10 * labels)[:, None, None]
    return Dataset("small", tuple("ABCDEFGH"[:classes]), images, labels)


@pytest.fixture
def command_line(tmp_path: Path) -> CommandLine:
    """What the host gives to commands; its toolkit is what routes get."""
    made = CommandLine(lambda: catalog_of(toolkit_glyphs))
    made.toolkit.folder = tmp_path
    return made


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts the distribution on the path, as its pyproject.toml describes it."""
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
    information = tmp_path / "toolkit_sheet-1.0.dist-info"
    information.mkdir()
    entry_points = "".join(
        f"{name} = {module}\n" for name, module in project["entry-points"]["toolkit"].items()
    )
    (information / "entry_points.txt").write_text(f"[toolkit]\n{entry_points}")
    (information / "METADATA").write_text(f"Name: {project['name']}\nVersion: {project['version']}\n")
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.usefixtures("installed")
def test_the_installed_plugin_keeps_the_contract() -> None:
    check_plugin("sheet")
    catalog = Catalog.load({})
    for kind in (COMMANDS, ROUTES):
        assert str(catalog.find(kind, "sheet").owner) == "sheet (toolkit-sheet 1.0)"


def cell(drawing: ModuleType, sheet: Image.Image, row: int, column: int) -> np.ndarray:
    size, step = drawing.CELL, drawing.CELL + drawing.GAP
    top, left = drawing.MARGIN + row * step, drawing.MARGIN + drawing.LABEL_WIDTH + column * step
    return np.asarray(sheet)[top : top + size, left : left + size]


def test_rows_are_classes_and_columns_examples(drawing: ModuleType) -> None:
    sheet = drawing.draw_sheet(small(), 4)
    for row in range(3):
        for column in range(4):
            assert (cell(drawing, sheet, row, column) == 100 + 10 * row).all()
    label = np.asarray(sheet)[
        drawing.MARGIN : drawing.MARGIN + drawing.CELL, drawing.MARGIN : drawing.MARGIN + drawing.LABEL_WIDTH
    ]
    assert label.max() > 200


def test_an_example_is_upright_and_twice_its_size(drawing: ModuleType) -> None:
    dataset = small(1, 1)
    dataset.images[0] = np.arange(784).reshape(28, 28) % 251
    shown = cell(drawing, drawing.draw_sheet(dataset, 1), 0, 0)
    assert np.array_equal(shown[::2, ::2], dataset.images[0])


def test_a_class_with_fewer_images_leaves_cells_empty(drawing: ModuleType) -> None:
    shown = cell(drawing, drawing.draw_sheet(small(2, 1), 3), 0, 2)
    assert len(np.unique(shown)) == 1
    assert shown[0, 0] < 100


def test_examples_are_spread_over_the_data_set(drawing: ModuleType) -> None:
    labels = np.zeros(100, np.int32)
    assert drawing.examples_of(labels, 0, 4).tolist() == [0, 25, 50, 75]
    assert drawing.examples_of(labels, 1, 4).tolist() == []


def test_many_classes_are_in_two_columns(drawing: ModuleType) -> None:
    classes = tuple(chr(0x100 + index) for index in range(62))
    dataset = Dataset("many", classes, np.zeros((62, 28, 28), np.uint8), np.arange(62, dtype=np.int32))
    sheet = drawing.draw_sheet(dataset, 2)
    assert sheet.height < 32 * (drawing.CELL + drawing.GAP) + 2 * drawing.MARGIN
    assert sheet.width > 2 * (drawing.LABEL_WIDTH + 2 * drawing.CELL)


def test_png_is_a_picture(drawing: ModuleType) -> None:
    with Image.open(io.BytesIO(drawing.sheet_png(small(), 2))) as image:
        assert image.format == "PNG"
        assert image.mode == "L"


def test_the_command_writes_a_sheet(
    toolkit_sheet: ModuleType, command_line: CommandLine, tmp_path: Path
) -> None:
    (declared,) = toolkit_sheet.toolkit_commands()
    out = tmp_path / "glyphs.png"
    arguments = ["--dataset", "glyphs", "--out", str(out), "--per-class", "3"]
    result = CliRunner().invoke(declared.load(), arguments, obj=command_line, catch_exceptions=False)
    assert result.exit_code == 0
    assert "62 classes" in result.stdout
    with Image.open(out) as image:
        assert image.format == "PNG"


def test_the_command_answers_in_json(
    toolkit_sheet: ModuleType, command_line: CommandLine, tmp_path: Path
) -> None:
    (declared,) = toolkit_sheet.toolkit_commands()
    command_line.output.json = True
    arguments = ["--dataset", "glyphs", "--out", str(tmp_path / "s.png")]
    result = CliRunner().invoke(declared.load(), arguments, obj=command_line, catch_exceptions=False)
    assert json.loads(result.stdout)["classes"] == 62


def test_the_command_names_an_unknown_data_set(
    toolkit_sheet: ModuleType, command_line: CommandLine, tmp_path: Path
) -> None:
    (declared,) = toolkit_sheet.toolkit_commands()
    result = CliRunner().invoke(
        declared.load(), ["--dataset", "glyps", "--out", str(tmp_path / "s.png")], obj=command_line
    )
    assert isinstance(result.exception, MissingInputError)
    assert "glyphs" in str(result.exception)
    assert not (tmp_path / "s.png").exists()


def test_the_command_replaces_no_file_that_is_not_its_default(
    toolkit_sheet: ModuleType, command_line: CommandLine, tmp_path: Path
) -> None:
    (declared,) = toolkit_sheet.toolkit_commands()
    out = tmp_path / "mine.png"
    out.write_text("mine")
    arguments = ["--dataset", "glyphs", "--out", str(out)]
    refused = CliRunner().invoke(declared.load(), arguments, obj=command_line)
    assert isinstance(refused.exception, UsageError)
    assert "--force" in refused.exception.hint
    assert out.read_text() == "mine"
    assert CliRunner().invoke(declared.load(), [*arguments, "--force"], obj=command_line).exit_code == 0
    assert out.read_bytes().startswith(b"\x89PNG")


@pytest.fixture
def client(toolkit_sheet: ModuleType, command_line: CommandLine) -> flask.testing.FlaskClient:
    (declared,) = toolkit_sheet.toolkit_routes()
    app = flask.Flask(__name__)
    app.extensions["toolkit"] = command_line.toolkit
    app.register_blueprint(declared.load(), url_prefix="/plugins/sheet")
    app.register_error_handler(ToolkitError, lambda error: ({"code": error.code}, 400))
    return app.test_client()


@pytest.mark.parametrize("name", ["glyphs", "glyphs-glyphs"])
def test_a_sheet_over_http(client: flask.testing.FlaskClient, name: str) -> None:
    answer = client.get(f"/plugins/sheet/{name}.png?per_class=2&split=validation")
    assert answer.status_code == 200
    assert answer.mimetype == "image/png"
    assert Image.open(io.BytesIO(answer.data)).format == "PNG"


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("nothing.png", MissingInputError.code),
        ("...png", MissingInputError.code),
        ("..%5Cglyphs.png", MissingInputError.code),
        ("glyphs.png?per_class=0", UsageError.code),
        ("glyphs.png?per_class=999999999999999", UsageError.code),
        ("glyphs.png?per_class=-1", UsageError.code),
        ("glyphs.png?split=all", UsageError.code),
        ("glyphs.png?perclass=3", UsageError.code),
    ],
)
def test_requests_that_are_refused(client: flask.testing.FlaskClient, address: str, code: str) -> None:
    answer = client.get(f"/plugins/sheet/{address}")
    assert answer.get_json()["code"] == code
