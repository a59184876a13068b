"""The catalog: names, clashes, suffixes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from toolkit import hookimpl
from toolkit.declarations import MergeStrategy, ModelFormat
from toolkit.errors import PluginError, UnsupportedError
from toolkit.host.catalog import Catalog
from toolkit.host.kinds import KINDS, MERGE_STRATEGIES
from toolkit.host.manager import PluginManager


def nothing(*_arguments: object) -> Any:
    return None


def strategies(*names: str) -> SimpleNamespace:
    def toolkit_merge_strategies() -> Iterable[MergeStrategy]:
        return [MergeStrategy(name=name, summary=f"The {name}", merge=nothing) for name in names]

    return SimpleNamespace(toolkit_merge_strategies=hookimpl(toolkit_merge_strategies))


def formats(**suffixes: tuple[str, ...]) -> SimpleNamespace:
    def toolkit_model_formats() -> Iterable[ModelFormat]:
        return [ModelFormat(name=n, summary=n, suffixes=s, read=nothing) for n, s in suffixes.items()]

    return SimpleNamespace(toolkit_model_formats=hookimpl(toolkit_model_formats))


def catalog(**plugins: SimpleNamespace) -> Catalog:
    """Each plugin in a distribution of its own: ``a`` in ``dist-a``."""
    manager = PluginManager()
    for name, plugin in plugins.items():
        manager.register(plugin, name=name, distribution=f"dist-{name}", version="1.0")
    return Catalog(manager)


def test_contributions_are_found_by_name() -> None:
    found = catalog(a=strategies("mean", "median"), b=strategies("greedy"))
    assert list(found.all(MERGE_STRATEGIES)) == ["greedy", "mean", "median"]
    assert found.get(MERGE_STRATEGIES, "median").summary == "The median"
    assert str(found.find(MERGE_STRATEGIES, "greedy").owner) == "b (dist-b 1.0)"


def test_the_distribution_may_precede_any_name() -> None:
    assert catalog(a=strategies("mean")).get(MERGE_STRATEGIES, "dist-a:mean").name == "mean"


def test_two_plugins_with_one_name_fail_in_that_name_only() -> None:
    clashing = catalog(a=strategies("mean", "median"), b=strategies("mean", "greedy"))
    with pytest.raises(PluginError) as caught:
        clashing.get(MERGE_STRATEGIES, "mean")
    assert caught.value.message == "merge strategy 'mean' is claimed by dist-a 1.0 and dist-b 1.0"
    assert caught.value.hint == "use dist-a:mean or dist-b:mean"
    assert clashing.get(MERGE_STRATEGIES, "median").name == "median"
    assert clashing.find(MERGE_STRATEGIES, "dist-b:mean").owner.name == "b"
    assert list(clashing.all(MERGE_STRATEGIES)) == ["greedy", "dist-a:mean", "dist-b:mean", "median"]


def test_a_clash_inside_one_distribution_is_solved_by_disabling_one() -> None:
    manager = PluginManager()
    for name in ("one", "two"):
        manager.register(strategies("mean"), name=name, distribution="both")
    with pytest.raises(PluginError, match="disable one of one, two with TOOLKIT_DISABLE_PLUGINS"):
        Catalog(manager).get(MERGE_STRATEGIES, "mean")


def test_an_unknown_name_lists_what_there_is_and_the_nearest() -> None:
    with pytest.raises(PluginError) as caught:
        catalog(a=strategies("mean", "greedy", "slerp")).get(MERGE_STRATEGIES, "gredy")
    assert caught.value.message == "there is no merge strategy 'gredy'"
    assert caught.value.hint == "did you mean greedy? available: greedy, mean, slerp"


def test_an_unknown_name_of_an_empty_kind_points_to_plugins_that_are_not_loaded() -> None:
    def toolkit_merge_strategies() -> Iterable[MergeStrategy]:
        raise RuntimeError("broken")

    broken = SimpleNamespace(toolkit_merge_strategies=hookimpl(toolkit_merge_strategies))
    with pytest.raises(PluginError, match="not loaded: a; see toolkit plugins list"):
        catalog(a=broken).get(MERGE_STRATEGIES, "mean")


def test_the_longest_suffix_decides_the_format() -> None:
    found = catalog(a=formats(h5=(".h5", ".hdf5")), b=formats(weights=(".weights.h5",)))
    assert found.format_for(Path("models/a.h5")).name == "h5"
    assert found.format_for(Path("A.HDF5")).name == "h5"
    assert found.format_for(Path("a.weights.h5")).name == "weights"


def test_an_unknown_suffix_lists_those_that_are_known() -> None:
    with pytest.raises(UnsupportedError, match=r"model\.pt: no model format has this suffix.*\.h5, \.keras"):
        catalog(a=formats(h5=(".h5",), keras=(".keras",))).format_for(Path("model.pt"))


def test_two_formats_of_one_suffix_name_their_owners() -> None:
    with pytest.raises(PluginError, match=r"claimed by dist-a 1\.0 and dist-b 1\.0"):
        catalog(a=formats(h5=(".h5",)), b=formats(mine=(".h5",))).format_for(Path("a.h5"))


def test_every_kind_is_found_by_the_same_three_methods() -> None:
    empty = Catalog(PluginManager())
    for kind in KINDS:
        assert empty.all(kind) == {}
        with pytest.raises(PluginError, match=f"there is no {kind.word} 'x'"):
            empty.get(kind, "x")
