"""Other people's networks merged: relatives average well, and equal shapes prove nothing."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from merge_orders import Run

import toolkit_keras
import toolkit_soups
from toolkit.data import Dataset
from toolkit.declarations import MergeRequest
from toolkit.engine import Network, evaluate
from toolkit.errors import IncompatibleModelsError
from toolkit.host.kinds import MERGE_STRATEGIES
from toolkit.merging.ingredients import ingredient
from toolkit.model import Card, Model
from toolkit.model.card_file import write_card
from toolkit.operations.merge import merge
from toolkit.operations.open_model import open_model
from toolkit.operations.toolkit import Toolkit
from toolkit.requests.merge import Merge
from toolkit.store import Workspace
from toolkit.testing import catalog_of
from toolkit.vocabulary import Convention, SilentProgress


def test_the_letters_pair_averages_without_a_framework(shared: Path, run: Run, toolkit: Toolkit) -> None:
    pair = [shared / "models" / f"khanhtran2000-letters{tail}.h5" for tail in ("", "-augmented")]
    outcome = run(*pair, dataset="none")
    assert outcome.path is not None
    merged: Model = open_model(toolkit, outcome.path)
    with h5py.File(pair[0]) as one, h5py.File(pair[1]) as two:
        for name in merged.tensors:
            layer, part = name.split("/")
            place = f"model_weights/{layer}/{layer}/{part}:0"
            expected = (one[place][()].astype(np.float64) + two[place][()]) / 2
            assert np.array_equal(merged.tensors.read(name), expected.astype(np.float32)), name
    assert merged.dropped == ()


@pytest.fixture(scope="module")
def byclass(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Toolkit:
    """A workspace with the shared images, read once."""
    import toolkit_emnist

    root = tmp_path_factory.mktemp("byclass")
    (root / "datasets").symlink_to(shared / "data" / "emnist")
    return Toolkit(Workspace(root), lambda: catalog_of(toolkit_keras, toolkit_soups, toolkit_emnist))


def test_the_letters_pair_averages_well(shared: Path, byclass: Toolkit) -> None:
    """Relatives: their mean is about as good as each, on letters of either case."""
    test = byclass.data.open("byclass", "test")
    alphabet = "abcdefghijklmnopqrstuvwxyz"
    place = np.asarray([alphabet.find(name.lower()) for name in test.classes], np.int32)
    labels = place[test.labels]
    letters = np.flatnonzero(labels >= 0)[:2000]
    images = Dataset("letters", tuple(alphabet), np.asarray(test.images[letters]), labels[letters])
    names = ("letters", "letters-augmented")
    pair = tuple(
        ingredient(name, open_model(byclass, shared / "models" / f"khanhtran2000-{name}.h5"), place)
        for place, name in enumerate(names)
    )
    mean = byclass.catalog.get(MERGE_STRATEGIES, "mean").merge(MergeRequest(pair)).model
    *each, merged = (
        evaluate(Network.of(model), images, Convention()).accuracy
        for model in (*(item.model for item in pair), mean)
    )
    assert min(each) > 0.93
    assert merged > min(each) - 0.005


def test_equal_shapes_prove_nothing_and_the_guard_says_so(
    shared: Path, byclass: Toolkit, tmp_path: Path
) -> None:
    """Two networks of one shape by two authors, one of which never learnt."""
    models = []
    for name in ("kayode004-byclass.h5", "msbrdmr-byclass.h5"):
        models.append(tmp_path / name)
        models[-1].write_bytes((shared / "models" / name).read_bytes())
        convention = Convention("transposed")
        write_card(
            models[-1], Card(classes=byclass.data.open("byclass", "test").classes, convention=convention)
        )
    for strategy, outcome in (("mean", "worse"), ("greedy", "unchanged")):
        request = Merge(
            tuple(models), strategy, dataset="byclass", out=tmp_path / f"{strategy}.h5", keep_worse=True
        )
        report = merge(byclass, request, SilentProgress()).report
        assert report is not None
        assert report.verdict.outcome == outcome
        assert report.verdict.best == "msbrdmr-byclass.h5"
        notes = "\n".join(report.notes)
        assert "kayode004-byclass.h5 is no better than chance" in notes
        assert "kayode004-byclass.h5 is untrained: no convention gives more than" in notes
        assert "have nothing in common (cosine of kernels 0.00)" in notes


def test_a_network_that_never_learnt_is_named_and_left_out(
    shared: Path, byclass: Toolkit, tmp_path: Path
) -> None:
    models = []
    for name in ("kayode004-byclass.h5", "msbrdmr-byclass.h5"):
        models.append(tmp_path / name)
        models[-1].write_bytes((shared / "models" / name).read_bytes())
    with pytest.raises(IncompatibleModelsError, match=r"kayode004-byclass\.h5: untrained: no convention"):
        merge(byclass, Merge(tuple(models), "mean", out=tmp_path / "out.h5"), SilentProgress())
    copy = tmp_path / "copy.h5"
    copy.write_bytes(models[1].read_bytes())
    merged = merge(byclass, Merge((*models, copy), "mean", out=tmp_path / "out.h5"), SilentProgress())
    assert merged.report is not None
    assert len(merged.report.ingredients) == 2
    assert merged.report.convention == Convention("transposed")
    notes = "\n".join(merged.report.notes)
    assert "kayode004-byclass.h5 is left out: untrained: no convention gives" in notes
    assert "msbrdmr-byclass.h5: input format transposed/unit/light (certain)" in notes
