"""For authors of plugins: the contract checks, and a fixture for pytest.

A test checks a plugin with ``check_plugin("toolkit_mine")``. ``pytest_plugins = ["toolkit.testing"]`` in
a ``conftest.py`` gives the fixture ``run_events``.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

try:
    import pytest
except ModuleNotFoundError:
    raise ImportError("toolkit.testing needs pytest; install it with: pip install pytest") from None

from toolkit.contract.plugin_checks import Finding, findings
from toolkit.contract.strategy_checks import small_ingredients
from toolkit.declarations import RunEvent
from toolkit.errors import PluginError
from toolkit.host.catalog import Catalog
from toolkit.host.discovery import installed_plugins
from toolkit.host.manager import PluginManager

if TYPE_CHECKING:
    import keras

    from toolkit.data import Dataset
    from toolkit.declarations import Architecture, DatasetLoader, DatasetSource

__all__ = [
    "catalog_of",
    "check_architecture",
    "check_dataset",
    "check_plugin",
    "plugin_findings",
    "run_events",
    "small_ingredients",
]


def plugin_findings(plugin: ModuleType | str) -> tuple[Finding, ...]:
    """What :func:`check_plugin` finds; empty for a good plugin."""
    manager = PluginManager()
    if isinstance(plugin, ModuleType):
        manager.register(plugin, name=plugin.__name__)
    elif installed := [entry for entry in installed_plugins() if plugin in entry.names]:
        manager.load(installed[0])
    else:
        manager.register(_imported(plugin), name=plugin)
    catalog = Catalog(manager)
    return findings(catalog, catalog.records[0])


def check_plugin(plugin: ModuleType | str) -> None:
    """Fail if a plugin, given as a module or by the name of an entry point or a module, breaks its contract.

    ``docs/plugins.md`` lists what is checked.
    """
    found = plugin_findings(plugin)
    if found:
        name = plugin if isinstance(plugin, str) else plugin.__name__
        raise AssertionError("\n".join([f"plugin {name} breaks its contract:", *map(str, found)]))


def check_architecture(architecture: Architecture, *, classes: int = 5) -> keras.Model:
    """Build a network twice with default options; fail if it breaks the contract. Imports TensorFlow.

    Every layer has an explicit name, the same seed gives the same weights, and the outputs are
    probabilities.
    """
    import numpy as np

    from toolkit.declarations import BuildRequest

    request = BuildRequest(classes, options=architecture.options(), seed=7)
    network, again = architecture.build(request), architecture.build(request)
    names, names_again = ([layer.name for layer in built.layers] for built in (network, again))
    automatic = [name for name, other in zip(names, names_again, strict=True) if name != other]
    assert not automatic, f"layers without an explicit name: {', '.join(automatic)}"
    for one, other in zip(network.get_weights(), again.get_weights(), strict=True):
        assert np.array_equal(one, other), "the same seed gives different weights"
    images = np.random.default_rng(0).random((2, *request.input_shape), dtype=np.float32)
    outputs = np.asarray(network(images, training=False))
    assert outputs.shape == (2, classes), f"outputs have the shape {outputs.shape}, expected (2, {classes})"
    sums = outputs.sum(axis=1)
    assert (outputs >= 0).all() and np.allclose(sums, 1.0, atol=1e-4), "outputs are not probabilities"  # noqa: PT018
    return network


def check_dataset(loader: DatasetLoader, source: DatasetSource) -> tuple[Dataset, Dataset]:
    """Load both parts of a source that ``detect`` returned; fail if they break the contract."""
    from toolkit.contract.loader_checks import dataset_problems
    from toolkit.declarations import LoadRequest

    train, test = (loader.load(LoadRequest(source, part, loader.options())) for part in ("train", "test"))
    problems = "; ".join(dataset_problems(train, test))
    assert not problems, problems
    return train, test


def catalog_of(*plugins: object, distribution: str = "unpacked") -> Catalog:
    """A catalog of these plugins only: modules, or objects whose attributes implement hooks."""
    manager = PluginManager()
    for number, plugin in enumerate(plugins):
        name = getattr(plugin, "__name__", f"plugin-{number}")
        manager.register(plugin, name=name, distribution=distribution)
    return Catalog(manager)


@pytest.fixture
def run_events(tmp_path: Path) -> Iterable[RunEvent]:
    """The events of a training of two epochs, with a folder that exists."""
    run = tmp_path / "runs" / "a-run"
    run.mkdir(parents=True)
    started = RunEvent("started", run, 0, 2, details={"architecture": "small", "seed": 0})
    metrics = {"loss": 0.5, "accuracy": 0.6, "val_loss": 0.4, "val_accuracy": 0.7}
    metrics |= {"learning_rate": 0.001, "images_per_second": 5000.0, "seconds": 1.5}
    epochs = [RunEvent("epoch", run, epoch, 2, metrics) for epoch in (1, 2)]
    return (started, *epochs, RunEvent("finished", run, 2, 2, {"test_accuracy": 0.75}))


def _imported(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise
        known = ", ".join(entry.entry_point.name for entry in installed_plugins())
        raise PluginError(f"there is no plugin and no module {name!r}", hint=f"installed: {known}") from error
