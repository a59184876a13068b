"""The images that an exporter calibrates and measures on."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from quarters import CLASSES, quarters, quarters_plugin, save_reader

import toolkit_keras
import toolkit_onnx
from toolkit import hookimpl
from toolkit.data import Dataset
from toolkit.declarations import DatasetLoader, DatasetSource, Exporter, ExportRequest, ExportResult
from toolkit.errors import MissingInputError, UsageError
from toolkit.operations.toolkit import Toolkit
from toolkit.store import Workspace
from toolkit.testing import catalog_of
from toolkit.vocabulary import Convention


def loader(name: str, classes: tuple[str, ...], *, files: bool) -> SimpleNamespace:
    """A data set of quarters with other class names, in files or computed."""

    def load(request: Any) -> Dataset:
        return dataclasses.replace(quarters(400, seed=1), name=name, classes=classes)

    @hookimpl
    def toolkit_dataset_loaders() -> Iterable[DatasetLoader]:
        source = DatasetSource(
            name, name, "for tests", {"train": Path(__file__)} if files else {}, 1 if files else -1
        )
        yield DatasetLoader(
            name=name, summary="for tests", detect=lambda _: [source], load=load, cacheable=False
        )

    return SimpleNamespace(toolkit_dataset_loaders=toolkit_dataset_loaders)


class Asked(SimpleNamespace):
    """Two exporters that only keep their request: ``one`` takes one model, ``some`` takes several."""

    def __init__(self) -> None:
        self.requests: list[ExportRequest] = []

        def export(request: ExportRequest) -> ExportResult:
            self.requests.append(request)
            request.path.write_text("exported")
            return ExportResult(request.path)

        @hookimpl
        def toolkit_exporters() -> Iterable[Exporter]:
            yield Exporter(name="one", summary="for tests", suffix=".txt", ending=".one.txt", export=export)
            yield Exporter(name="some", summary="for tests", suffix=".txt", export=export, several=True)

        super().__init__(toolkit_exporters=toolkit_exporters)

    @property
    def draw(self) -> Any:
        return self.requests[-1].draw


@pytest.fixture
def asked() -> Asked:
    return Asked()


def toolkit_with(root: Path, asked: Asked, *plugins: Any) -> Toolkit:
    return Toolkit(Workspace(root), lambda: catalog_of(toolkit_keras, toolkit_onnx, asked, *plugins))


def test_the_training_data_are_drawn_from_first(tmp_path: Path, asked: Asked) -> None:
    toolkit = toolkit_with(tmp_path, asked, loader("files", CLASSES, files=True), quarters_plugin())
    model = save_reader(tmp_path / "net.h5", 1, noise=0.1, dataset="quarters")
    toolkit.export(model=model, to="one")
    fit, validation = asked.draw("fit", 10), asked.draw("validation", 10_000)
    assert (fit.name, len(fit)) == ("quarters", 10)
    assert 200 < len(validation) < 1000
    assert np.array_equal(asked.draw("fit", 10).images, fit.images)


def test_then_files_with_the_models_classes_and_only_then_computed_images(
    tmp_path: Path, asked: Asked
) -> None:
    model = save_reader(tmp_path / "net.h5", 1, noise=0.1, metrics={})
    computed, files = loader("computed", CLASSES, files=False), loader("files", CLASSES, files=True)
    others = loader("aliens", ("p", "q", "r", "s"), files=True)
    toolkit_with(tmp_path, asked, computed, others, files).export(model=model, to="one")
    assert asked.draw("fit", 5).name == "files"
    toolkit_with(tmp_path, asked, computed, others).export(model=model, to="one", force=True)
    assert asked.draw("fit", 5).name == "computed"
    toolkit_with(tmp_path, asked, others).export(model=model, to="one", force=True)
    with pytest.raises(MissingInputError, match="no data set with the 4 classes"):
        asked.draw("fit", 5)


def test_only_images_of_the_models_classes_are_drawn(tmp_path: Path, asked: Asked) -> None:
    toolkit = toolkit_with(tmp_path, asked, quarters_plugin())
    model = save_reader(tmp_path / "net.h5", 1, noise=0.1, classes=2, dataset="quarters")
    toolkit.export(model=model, to="one")
    assert set(asked.draw("fit", 300).labels) == {0, 1}


def test_no_images_are_drawn_without_a_data_set(tmp_path: Path, asked: Asked) -> None:
    toolkit = toolkit_with(tmp_path, asked, quarters_plugin())
    model = save_reader(tmp_path / "net.h5", 1, noise=0.1, dataset="quarters")
    toolkit.export(model=model, to="one", dataset="none")
    assert asked.draw is None


def test_the_default_output_has_the_exporters_ending(tmp_path: Path, asked: Asked) -> None:
    model = save_reader(tmp_path / "net.h5", 1, noise=0.1)
    assert toolkit_with(tmp_path, asked).export(model=model, to="one").path == tmp_path / "net.one.txt"


def test_several_models_go_to_an_exporter_that_takes_them(tmp_path: Path, asked: Asked) -> None:
    toolkit = toolkit_with(tmp_path, asked)
    first, second = (save_reader(tmp_path / f"{name}.h5", 1, noise=0.1) for name in "ab")
    stated = {"b": Convention(orientation="transposed")}
    toolkit.export(model=first, others=[second], to="some", conventions=stated)
    (request,) = asked.requests
    assert [model.name for model in (request.model, *request.others)] == ["a.h5", "b.h5"]
    assert [model.card.convention for model in (request.model, *request.others)] == [None, stated["b"]]
    with pytest.raises(UsageError, match=r"exporter one takes one model, received 2 .*some takes several"):
        toolkit.export(model=first, others=[second], to="one")


def test_a_source_of_an_export_is_not_replaced(tmp_path: Path, asked: Asked) -> None:
    toolkit = toolkit_with(tmp_path, asked)
    first = save_reader(tmp_path / "a.h5", 1, noise=0.1)
    second = save_reader(tmp_path / "b.h5", 1, noise=0.1)
    link = tmp_path / "link.txt"
    link.symlink_to(second)
    with pytest.raises(UsageError, match="replace its own source"):
        toolkit.export(model=first, others=[second], to="some", out=link, force=True)
