"""Exports of the workspace's models."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace

import pytest
from quarters import CLASSES, quarters_plugin, save_reader

import toolkit_ensemble
import toolkit_int8
import toolkit_keras
import toolkit_onnx
import toolkit_soups
from toolkit import hookimpl
from toolkit.declarations import Exporter, ExportRequest, ExportResult
from toolkit.errors import IncompatibleModelsError, PluginError, UnsupportedError, UsageError
from toolkit.model.card_file import read_card
from toolkit.operations.toolkit import Toolkit
from toolkit.store import Workspace
from toolkit.testing import catalog_of
from toolkit.vocabulary import Convention


def test_an_export_is_verified_on_the_training_data_or_on_noise_alone(
    toolkit: Toolkit, family: list[Path]
) -> None:
    facts = toolkit.export(model=family[0], to="onnx").facts
    assert facts["real_images"] > 0
    without = toolkit.export(model=family[0], to="onnx", dataset="none", force=True).facts
    assert (without["real_images"], without["random_images"]) == (0, facts["random_images"])


def test_a_model_without_a_card_is_verified_on_a_data_set_with_as_many_classes(
    toolkit: Toolkit, tmp_path: Path
) -> None:
    four = save_reader(tmp_path / "models" / "bare.h5", 1, noise=0.1)
    three = save_reader(tmp_path / "models" / "three.h5", 1, noise=0.1, classes=2)
    assert toolkit.export(model=four, to="onnx").facts["real_images"] > 0
    facts = toolkit.export(model=three, to="onnx").facts
    assert (facts["real_images"], facts["drawn_images"]) == (0, 12)


def test_a_network_from_onnx_is_not_written_as_keras(toolkit: Toolkit, family: list[Path]) -> None:
    exported = toolkit.export(model=family[0], to="onnx").path
    for name in ("keras", "h5"):
        with pytest.raises(UnsupportedError, match=r"is an ONNX model.*export --to onnx") as refused:
            toolkit.export(model=exported, to=name, out=exported.with_name(f"again.{name}"))
        assert refused.value.__cause__ is not refused.value


def test_an_unknown_exporter_is_answered_with_all_of_them(toolkit: Toolkit, family: list[Path]) -> None:
    with pytest.raises(
        PluginError, match=r"no exporter 'onxn' \(did you mean onnx\? available: h5, keras, onnx\)"
    ):
        toolkit.export(model=family[0], to="onxn")


def test_a_file_has_no_proof_of_another_file_in_its_card(family: list[Path], tmp_path: Path) -> None:
    def write(request: ExportRequest) -> ExportResult:
        request.path.write_bytes(b"anything")
        return ExportResult(request.path)

    @hookimpl
    def toolkit_exporters() -> Iterable[Exporter]:
        yield Exporter(name="bare", summary="bytes", suffix=".bare", export=write)

    plugins = (
        toolkit_keras,
        toolkit_onnx,
        quarters_plugin(),
        SimpleNamespace(toolkit_exporters=toolkit_exporters),
    )
    toolkit = Toolkit(Workspace(tmp_path), lambda: catalog_of(*plugins))
    first = toolkit.export(model=family[0], to="onnx", conform=Convention("transposed")).path
    proof = read_card(first).verification
    assert (proof["compared_with"], proof["conformed_to"]) == ("the model's graph", "transposed/unit/light")
    bare = toolkit.export(model=first, to="bare").path
    assert read_card(bare).verification == {}


def test_an_output_that_exists_names_the_option(toolkit: Toolkit, family: list[Path], tmp_path: Path) -> None:
    (tmp_path / "mine.onnx").write_bytes(b"mine")
    with pytest.raises(UsageError, match="another --out"):
        toolkit.export(model=family[0], to="onnx", out=tmp_path / "mine.onnx")


@pytest.mark.parametrize("to", ["onnx", "h5", "keras"])
def test_an_export_is_rewritten_for_another_convention(toolkit: Toolkit, family: list[Path], to: str) -> None:
    wanted = Convention("transposed", "raw", "dark")
    out = family[0].with_name(f"other.{to}")
    exported = toolkit.export(model=family[0], to=to, out=out, conform=wanted)
    assert exported.facts["conformed_from"] == "upright/unit/light"
    assert exported.facts["conformed_to"] == "transposed/raw/dark"
    assert exported.facts["conformed_difference"] < 1e-5
    assert "rewritten from upright/unit/light to transposed/raw/dark" in exported.verified
    card = toolkit.show(model=out).card
    assert card.convention == wanted
    assert card.verification["conformed_from"] == "upright/unit/light"
    known, other = toolkit.evaluate(models=[family[0], out], dataset="quarters")
    assert other.accuracy == known.accuracy
    assert other.log_loss == pytest.approx(known.log_loss, abs=1e-4)


def test_a_network_in_the_convention_is_exported_as_it_is(toolkit: Toolkit, family: list[Path]) -> None:
    exported = toolkit.export(model=family[0], to="keras", conform=Convention())
    assert "conformed_to" not in exported.facts
    assert toolkit.show(model=exported.path).digest == toolkit.show(model=family[0]).digest


def test_an_unknown_input_format_is_not_rewritten(toolkit: Toolkit, tmp_path: Path) -> None:
    path = save_reader(tmp_path / "models" / "bare.h5", 1, noise=0.1)
    with pytest.raises(UsageError, match=r"bare\.h5: its input format is not known"):
        toolkit.export(model=path, to="onnx", conform=Convention("transposed"))
    stated = toolkit.export(model=path, to="onnx", convention=Convention(), conform=Convention("transposed"))
    assert stated.facts["conformed_to"] == "transposed/unit/light"


def test_an_export_in_integers_is_measured_named_and_used_like_any_model(
    family: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("toolkit_int8.export.seconds_per_run", lambda *_: (0.002, 0.001))
    plugins = (toolkit_keras, toolkit_onnx, toolkit_int8, quarters_plugin())
    toolkit = Toolkit(Workspace(tmp_path), lambda: catalog_of(*plugins))
    exported = toolkit.export(model=family[0], to="onnx-int8")
    assert exported.path == family[0].with_name("net-1.int8.onnx")
    card = read_card(exported.path)
    assert card is not None
    assert card.metrics["validation_accuracy"] == exported.facts["accuracy"]
    assert card.verification["compared_with"] == "the float32 network"
    assert (card.name, card.classes, card.dataset) == ("net-1.int8", CLASSES, "quarters")
    first, second = toolkit.evaluate(models=[family[0], exported.path], dataset="quarters")
    assert abs(first.accuracy - second.accuracy) < 0.02


def test_an_ensemble_and_a_network_of_integers_are_models_but_cannot_be_merged(
    family: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("toolkit_int8.export.seconds_per_run", lambda *_: (0.002, 0.001))
    plugins = (toolkit_keras, toolkit_onnx, toolkit_int8, toolkit_ensemble, toolkit_soups, quarters_plugin())
    toolkit = Toolkit(Workspace(tmp_path), lambda: catalog_of(*plugins))
    ensemble = toolkit.export(model=family[0], others=family[1:], to="onnx-ensemble").path
    assert ensemble.name == "net-1.ensemble.onnx"
    card = read_card(ensemble)
    assert card is not None
    assert [parent.name for parent in card.parents] == ["net-1.h5", "net-2.h5", "net-3.h5"]
    scores = toolkit.evaluate(models=[*family, ensemble], dataset="quarters")
    assert scores[-1].accuracy > max(score.accuracy for score in scores[:-1])
    integers = toolkit.export(model=family[0], to="onnx-int8").path
    for bad, why in (
        (ensemble, r"ensemble of net-1\.h5, net-2\.h5, net-3\.h5.*merge its models"),
        (integers, r"quantised network \(DequantizeLinear, QuantizeLinear\).*merge the float32 models"),
    ):
        with pytest.raises(IncompatibleModelsError, match=why):
            toolkit.merge(models=[family[0], bad], out=tmp_path / "merged.h5", dataset="none")


def test_an_unknown_input_format_is_found_if_the_file_depends_on_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("toolkit_int8.export.seconds_per_run", lambda *_: (0.002, 0.001))
    plugins = (toolkit_keras, toolkit_onnx, toolkit_int8, toolkit_ensemble, quarters_plugin())
    toolkit = Toolkit(Workspace(tmp_path), lambda: catalog_of(*plugins))
    model = save_reader(tmp_path / "net.h5", 1, noise=0.01)
    for name, options in (("onnx-int8", ("budget=5",)), ("onnx-ensemble", ())):
        exported = toolkit.export(model=model, to=name, options=options, dataset="quarters")
        card = read_card(exported.path)
        assert card is not None
        assert (card.convention, card.classes) == (Convention(), CLASSES)
    assert exported.facts["real_images"] > 0
    plain = read_card(toolkit.export(model=model, to="onnx").path)
    assert plain is not None
    assert plain.convention is None
    stated = Convention(scale="raw")
    exported = toolkit.export(model=model, to="onnx-ensemble", convention=stated, force=True)
    assert exported.facts["conventions"] == ["upright/raw/light"]


def test_an_untrained_network_is_named_if_its_input_format_is_needed(tmp_path: Path) -> None:
    plugins = (toolkit_keras, toolkit_onnx, toolkit_ensemble, quarters_plugin())
    toolkit = Toolkit(Workspace(tmp_path), lambda: catalog_of(*plugins))
    model = save_reader(tmp_path / "net.h5", 1, noise=50.0)
    with pytest.raises(UnsupportedError, match=r"net\.h5: untrained: no convention .*leave it out"):
        toolkit.export(model=model, to="onnx-ensemble", dataset="quarters")
    assumed = toolkit.export(model=model, to="onnx-ensemble", dataset="none")
    assert assumed.facts["conventions_assumed"] == ["net.h5"]
