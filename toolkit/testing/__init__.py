"""For authors of plugins: the contract checks and fixtures for pytest.

Name this module in a ``conftest.py`` to get the fixtures::

    pytest_plugins = ["toolkit.testing"]

and check a plugin with one line::

    def test_plugin_keeps_the_contract() -> None:
        check_plugin("toolkit_mine")
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

from toolkit.contract.plugin_checks import Problem, problems_of
from toolkit.declarations import RunEvent
from toolkit.errors import PluginError
from toolkit.host.catalog import Catalog
from toolkit.host.discovery import installed_plugins
from toolkit.host.manager import PluginManager

if TYPE_CHECKING:
    import keras

    from toolkit.data import Dataset
    from toolkit.declarations import Architecture, DatasetLoader, DatasetSource, Ingredient

__all__ = [
    "catalog_of",
    "check_architecture",
    "check_dataset",
    "check_plugin",
    "empty_catalog",
    "make_catalog",
    "plugin_problems",
    "run_events",
    "small_ingredients",
]


def plugin_problems(plugin: ModuleType | str) -> tuple[Problem, ...]:
    """Check a plugin against its contract, by itself.

    Args:
        plugin: A module, or the name of an installed entry point, or of a module.

    Returns:
        What it breaks; empty for a good plugin.

    Raises:
        PluginError: If there is no plugin and no module of that name.
    """
    manager = PluginManager()
    if isinstance(plugin, str):
        installed = [entry for entry in installed_plugins() if entry.name == plugin]
        if installed:
            manager.load(installed[0])
        else:
            manager.register(_imported(plugin), name=plugin)
    else:
        manager.register(plugin, name=plugin.__name__)
    catalog = Catalog(manager)
    return problems_of(catalog, catalog.records[0])


def check_plugin(plugin: ModuleType | str) -> None:
    """Fail with everything that a plugin breaks of its contract.

    The declarations are valid; every option has a default, a help text and an annotation that
    can be resolved; the import pulls in no heavy package; every callable takes its one request;
    ``detect`` copes with an empty folder; ``read`` refuses what is no model; copies of one model
    merge to that model bit for bit, and a merge keeps shapes, writes into no input and repeats
    itself; commands and routes load.

    Args:
        plugin: A module, or the name of an installed entry point, or of a module.

    Raises:
        AssertionError: With one line for each broken promise.
        PluginError: If there is no plugin and no module of that name.
    """
    problems = plugin_problems(plugin)
    if problems:
        name = plugin if isinstance(plugin, str) else plugin.__name__
        raise AssertionError("\n".join([f"plugin {name} breaks its contract:", *map(str, problems)]))


def check_architecture(architecture: Architecture, *, classes: int = 5) -> keras.Model:
    """Build a network and fail if it breaks the contract of an architecture; imports TensorFlow.

    Every layer is named explicitly, the same seed gives the same weights, the outputs are
    probabilities.

    Args:
        architecture: With the options that it has by default.
        classes: Number of outputs, 2 or above.

    Returns:
        The network.

    Raises:
        AssertionError: If it breaks the contract.
    """
    import numpy as np

    from toolkit.declarations import BuildRequest

    request = BuildRequest(classes, options=architecture.options(), seed=7)
    network, again = architecture.build(request), architecture.build(request)
    names, names_again = ([layer.name for layer in built.layers] for built in (network, again))
    automatic = [name for name, other in zip(names, names_again, strict=True) if name != other]
    assert not automatic, f"layers without a name of their own: {', '.join(automatic)}"
    for one, other in zip(network.get_weights(), again.get_weights(), strict=True):
        assert np.array_equal(one, other), "the same seed gives two networks"
    images = np.random.default_rng(0).random((2, *request.input_shape), dtype=np.float32)
    outputs = np.asarray(network(images, training=False))
    assert outputs.shape == (2, classes), f"outputs have the shape {outputs.shape}, expected (2, {classes})"
    assert np.allclose(outputs.sum(axis=1), 1.0, atol=1e-4), "outputs are no probabilities"
    assert (outputs >= 0).all(), "outputs are no probabilities"
    return network


def check_dataset(loader: DatasetLoader, source: DatasetSource) -> tuple[Dataset, Dataset]:
    """Load both parts of a data set and fail if they break the contract of a loader.

    Args:
        loader: With the options that it has by default.
        source: One that its ``detect`` returned.

    Returns:
        The train part and the test part.

    Raises:
        AssertionError: If they break the contract.
    """
    import numpy as np

    from toolkit.declarations import LoadRequest

    train = loader.load(LoadRequest(source, "train", loader.options()))
    test = loader.load(LoadRequest(source, "test", loader.options()))
    for dataset in (train, test):
        assert len(dataset) > 0, "there are no images"
        assert dataset.images.dtype == np.uint8, f"images are {dataset.images.dtype}, expected uint8"
        assert dataset.images.shape == (len(dataset), 28, 28), f"images have the shape {dataset.images.shape}"
        assert dataset.labels.dtype == np.int32, f"labels are {dataset.labels.dtype}, expected int32"
        assert dataset.labels.shape == (len(dataset),), f"labels have the shape {dataset.labels.shape}"
        assert dataset.labels.min() >= 0, "a label is below 0"
        assert dataset.labels.max() < len(dataset.classes), "a label is beyond the classes"
        assert len(set(dataset.classes)) == len(dataset.classes) >= 2, (
            "classes are not two or more different ones"
        )
    assert train.classes == test.classes, "the two parts have different classes"
    return train, test


def catalog_of(*plugins: object, distribution: str = "unpacked") -> Catalog:
    """A catalog of nothing but the given plugins.

    Args:
        plugins: Modules, or objects whose attributes implement hooks.
        distribution: As if they were installed with it.
    """
    manager = PluginManager()
    for number, plugin in enumerate(plugins):
        name = getattr(plugin, "__name__", f"plugin-{number}")
        manager.register(plugin, name=name, distribution=distribution)
    return Catalog(manager)


@pytest.fixture
def empty_catalog() -> Catalog:
    """A catalog without any plugin."""
    return catalog_of()


@pytest.fixture
def make_catalog() -> Callable[..., Catalog]:
    """Makes a catalog of nothing but the plugins that it is given."""
    return catalog_of


@pytest.fixture
def run_events(tmp_path: Path) -> Iterable[RunEvent]:
    """What a listener hears of a training of two epochs, in a folder that exists."""
    run = tmp_path / "runs" / "a-run"
    run.mkdir(parents=True)
    started = RunEvent("started", run, 0, 2, details={"architecture": "small", "seed": 0})
    epochs = [
        RunEvent("epoch", run, epoch, 2, {"loss": 1.0 / epoch, "accuracy": 0.5 + epoch / 10, "seconds": 1.5})
        for epoch in (1, 2)
    ]
    return (started, *epochs, RunEvent("finished", run, 2, 2, {"test_accuracy": 0.75}))


@pytest.fixture
def small_ingredients() -> Callable[[tuple[int, ...]], tuple[Ingredient, ...]]:
    """Makes ingredients of a few numbers, one a seed; equal seeds make copies."""
    from toolkit.contract.strategy_checks import small_ingredients

    return small_ingredients


def _imported(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise
        known = ", ".join(entry.name for entry in installed_plugins())
        raise PluginError(
            f"there is no plugin and no module {name!r}", hint=f"installed are {known}"
        ) from error
