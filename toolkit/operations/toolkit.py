"""The public Python API: one object with a method for each verb."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.operations.resources import Resources
from toolkit.operations.verb import Verb
from toolkit.vocabulary import SplitName

if TYPE_CHECKING:
    from toolkit.data import Dataset
    from toolkit.operations import (
        adopt,
        compare,
        datasets,
        demo,
        evaluate,
        export,
        merge,
        models,
        plugins,
        predict,
        runs,
        train,
    )
    from toolkit.requests.adopt import Adopt
    from toolkit.requests.compare import CompareModels
    from toolkit.requests.datasets import GetDataset, ListDatasets, MakeDataset, ShowDataset
    from toolkit.requests.demo import Demo
    from toolkit.requests.evaluate import Evaluate
    from toolkit.requests.export import Export
    from toolkit.requests.merge import Merge
    from toolkit.requests.models import FindModels, ShowModel, VerifyModels
    from toolkit.requests.plugins import CheckPlugins, ListPlugins, ShowPlugin
    from toolkit.requests.predict import Predict
    from toolkit.requests.runs import ListRuns, RemoveRuns, ShowRun
    from toolkit.requests.train import Train


class Toolkit(Resources):
    """The toolkit for programs: ``Toolkit(workspace=".").merge(models=["a.h5", "b.h5"])``.

    Each verb takes its request from :mod:`toolkit.requests`, or the request's fields as keywords, and
    ``progress``. It returns what the command line prints with ``--output json``, as dataclasses.
    """

    list_datasets: Verb[ListDatasets, tuple[datasets.FoundDataset, ...]] = Verb("datasets.list_datasets")
    show_dataset: Verb[ShowDataset, datasets.DatasetDetails] = Verb("datasets.show_dataset")
    get_dataset: Verb[GetDataset, datasets.WrittenDataset] = Verb("datasets.get_dataset")
    make_dataset: Verb[MakeDataset, datasets.WrittenDataset] = Verb("datasets.make_dataset")
    train: Verb[Train, train.TrainedModel] = Verb("train.train")
    list_runs: Verb[ListRuns, tuple[runs.Run, ...]] = Verb("runs.list_runs")
    show_run: Verb[ShowRun, runs.RunDetails] = Verb("runs.show_run")
    remove_runs: Verb[RemoveRuns, tuple[str, ...]] = Verb("runs.remove_runs")
    evaluate: Verb[Evaluate, tuple[evaluate.EvaluatedModel, ...]] = Verb("evaluate.evaluate")
    demo: Verb[Demo, demo.DemoResult] = Verb("demo.demo")
    find: Verb[FindModels, tuple[models.FoundModel, ...]] = Verb("models.find_models")
    show: Verb[ShowModel, models.ModelDetails] = Verb("models.show_model")
    adopt: Verb[Adopt, adopt.Adopted] = Verb("adopt.adopt")
    verify: Verb[VerifyModels, tuple[models.FoundModel, ...]] = Verb("models.verify_models")
    export: Verb[Export, export.Exported] = Verb("export.export")
    compare: Verb[CompareModels, compare.ModelComparison] = Verb("compare.compare_models")
    merge: Verb[Merge, merge.Merged] = Verb("merge.merge")
    predict: Verb[Predict, predict.Predictions] = Verb("predict.predict")
    list_plugins: Verb[ListPlugins, tuple[plugins.PluginSummary, ...]] = Verb("plugins.list_plugins")
    show_plugin: Verb[ShowPlugin, plugins.PluginDetails] = Verb("plugins.show_plugin")
    check_plugins: Verb[CheckPlugins, tuple[plugins.PluginCheck, ...]] = Verb("plugins.check_plugins")

    def open_dataset(self, name: str | None, split: SplitName) -> Dataset:
        """Open one split of a data set, through the cache.

        Args:
            name: Name or path; None for the best in the workspace.
            split: ``fit``, ``validation`` or ``test``.

        Raises:
            MissingInputError: If there is no such data set.
            UnreadableInputError: If its files are damaged.
        """
        return self.data.open(self.data.find(name), split)


def open_dataset(name: str | None, split: SplitName, workspace: str | Path = ".") -> Dataset:
    """Open one split of a data set of a workspace: :meth:`Toolkit.open_dataset`."""
    return Toolkit(workspace).open_dataset(name, split)
