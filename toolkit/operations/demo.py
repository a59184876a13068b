"""The whole flow on the embedded data set."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from operator import eq
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.operations.evaluate import evaluate
from toolkit.operations.export import export
from toolkit.operations.merge import merge
from toolkit.operations.predict import ImagePredictions, predict
from toolkit.operations.resources import Resources
from toolkit.operations.runs import remove_runs
from toolkit.operations.train import train
from toolkit.records import dataclass
from toolkit.requests.demo import Demo
from toolkit.requests.evaluate import Evaluate
from toolkit.requests.export import Export
from toolkit.requests.merge import Merge
from toolkit.requests.predict import Predict
from toolkit.requests.runs import RemoveRuns
from toolkit.requests.train import Train
from toolkit.store import publish, publish_bytes
from toolkit.vocabulary import Progress, file_size

if TYPE_CHECKING:
    from toolkit.training.task import TrainedModel

DATASET = "glyphs"
# Few common epochs, then more at a full learning rate: the fine-tuned models differ enough to gain
# from a merge.
BASE_EPOCHS = 3
FINE_TUNING_EPOCHS = 4
FINE_TUNING_OPTIONS = ("learning_rate=0.004",)
CHARACTERS = "A7gRkQ3m"
_SIDE = 224  # pixels


@dataclass(frozen=True)
class Step:
    """One step of the demo: a verb, and its result relative to the demo's folder."""

    name: str
    file: Path
    seconds: float
    detail: str
    accuracy: float | None = None


@dataclass(frozen=True)
class DemoResult:
    """The results of the demo.

    ``scores`` is the test accuracy, 0 to 1, by file name. ``pictures`` are predictions of the ONNX model
    for pictures of test images, of which ``recognised`` are correct. ``verdict`` compares the merged model
    with the best ingredient on validation images, ``test_verdict`` on test images.
    """

    models: tuple[Path, ...]
    merged: Path
    onnx: Path
    report: Path | None
    scores: Mapping[str, float]
    pictures: tuple[ImagePredictions, ...]
    recognised: int
    steps: tuple[Step, ...]
    verdict: str
    test_verdict: str
    seconds: float


def demo(toolkit: Resources, request: Demo, progress: Progress) -> DemoResult:
    """Train a network and fine-tune it twice, merge the three, export ONNX, and read pictures with it.

    Everything is written to one folder; files of an earlier demo in it are replaced.
    """
    started = time.monotonic()
    folder = request.folder or toolkit.workspace.root / "demo"
    folder.mkdir(parents=True, exist_ok=True)
    here = Resources(folder, lambda: toolkit.catalog)
    trained, done = _train(here, progress)
    paths = tuple(item.model for item in trained)

    progress.note("merging the three models")
    request_to_merge = Merge(models=paths, dataset=DATASET, test=True, keep_worse=True, force=True)
    merged = merge(here, request_to_merge, progress)
    report = merged.report
    assert report is not None
    assert merged.path is not None
    done.append(time.monotonic())

    progress.note("exporting to ONNX")
    exported = export(here, Export(merged.path, "onnx", dataset=DATASET, force=True), progress)
    done.append(time.monotonic())

    files = (*paths, merged.path, exported.path)
    scores = evaluate(here, Evaluate(models=files, dataset=DATASET), progress)
    done.append(time.monotonic())
    drawn = _draw(here, folder / "pictures")
    pictures = predict(here, Predict(exported.path, drawn, top=3), progress).images
    read = [picture.predictions[0].character for picture in pictures]
    recognised = sum(map(eq, read, CHARACTERS))
    done.append(time.monotonic())
    _tidy(here, trained, progress)

    details = [
        *(f"{item.epochs} epochs, {item.images_per_second:,.0f} images/s" for item in trained),
        f"strategy {report.strategy}",
        f"{file_size(exported.size)}, verified",
        f"{len(scores)} models, {scores[0].images:,} test images",
        f"{recognised} of {len(pictures)} pictures correct",
    ]
    names = ("train", "fine-tune", "fine-tune", "merge", "export", "evaluate", "predict")
    results = (*(path.relative_to(folder) for path in files), Path("models"), Path("pictures"))
    accuracies = [*(score.accuracy for score in scores), None, None]
    seconds = [after - before for before, after in pairwise([started, *done])]
    return DemoResult(
        models=paths,
        merged=merged.path,
        onnx=exported.path,
        report=merged.report_html,
        scores={path.name: score.accuracy for path, score in zip(files, scores, strict=True)},
        pictures=pictures,
        recognised=recognised,
        steps=tuple(map(Step, names, results, seconds, details, accuracies)),
        verdict=report.verdict.sentence,
        test_verdict="" if report.test_verdict is None else report.test_verdict.sentence,
        seconds=time.monotonic() - started,
    )


def _train(toolkit: Resources, progress: Progress) -> tuple[list[TrainedModel], list[float]]:
    """The base model and its fine-tunings, with their plots in ``plots/``, and when each was done."""
    base = Train(dataset=DATASET, epochs=BASE_EPOCHS, name="glyphs_base", force=True)
    tuned = replace(
        base,
        options=FINE_TUNING_OPTIONS,
        epochs=FINE_TUNING_EPOCHS,
        from_model=toolkit.workspace.models / "glyphs_base.h5",
    )
    trained, done = [], []
    for request in (base, *(replace(tuned, seed=seed, name=f"glyphs_tuned_{seed}") for seed in (1, 2))):
        progress.note(f"training {request.name}")
        trained.append(train(toolkit, request, progress))
        for kind, plot in (("history", trained[-1].history_plot), ("confusion", trained[-1].confusion_plot)):
            target = toolkit.workspace.root / "plots" / f"{request.name}-{kind}.png"
            publish_bytes(target, plot.read_bytes())
        done.append(time.monotonic())
    return trained, done


def _tidy(toolkit: Resources, trained: list[TrainedModel], progress: Progress) -> None:
    """Remove the runs of the demo and the files of locks; models, report, pictures and plots are kept."""
    remove_runs(toolkit, RemoveRuns(tuple(item.run.name for item in trained)), progress)
    for name in {item.history_plot for item in trained}:
        name.unlink(missing_ok=True)
    for locks in list(toolkit.workspace.root.rglob(".toolkit")):
        if locks.parent != toolkit.workspace.root:
            shutil.rmtree(locks, ignore_errors=True)
    with suppress(OSError):
        toolkit.workspace.runs.rmdir()


def _draw(toolkit: Resources, folder: Path) -> tuple[Path, ...]:
    """Write test images as scans look: larger, dark ink on light paper."""
    from PIL import Image

    data = toolkit.data.open(DATASET, "test")
    paths = tuple(folder / f"glyph-{number}.png" for number in range(len(CHARACTERS)))
    for path, character in zip(paths, CHARACTERS, strict=True):
        glyph = data.images[int((data.labels == data.classes.index(character)).argmax())]
        picture = Image.fromarray(255 - glyph).resize((_SIDE, _SIDE), Image.Resampling.BICUBIC)
        with publish(path) as staging:
            picture.save(staging, format="PNG")
    return paths
