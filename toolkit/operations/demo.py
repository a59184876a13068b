"""The whole flow on the data set that is always there."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.operations.evaluate import Score, evaluate
from toolkit.operations.export import Exported, export
from toolkit.operations.merge import Merged, merge
from toolkit.operations.predict import ImagePredictions, predict
from toolkit.operations.toolkit import Toolkit
from toolkit.operations.train import Trained, TrainOrder, train
from toolkit.requests.export import Export
from toolkit.requests.merge import Merge
from toolkit.requests.predict import Predict
from toolkit.store import Workspace, publish_bytes
from toolkit.vocabulary import Progress

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DATASET = "glyphs"
# A short beginning together, and the larger part of the way apart at a full learning rate: relatives
# that differ enough to have something to give each other.
ANCESTOR_EPOCHS = 3
RELATIVE_EPOCHS = 4
RELATIVE_OPTIONS = ("learning_rate=0.004",)
PICTURES = "A7gRkQ3m"
_ZOOM = 8


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the demo.

    Attributes:
        name: What was done.
        score: Test accuracy, 0 to 1; None for a step that makes no model.
        detail: What is worth knowing of it.
        path: Where its file is.
        seconds: How long it took.
    """

    name: str
    score: float | None
    detail: str
    path: Path
    seconds: float


@dataclass(frozen=True, slots=True)
class Demo:
    """What the demo did.

    Attributes:
        models: The ingredients.
        merged: The model that was made of them.
        onnx: The same as ONNX.
        report: The merge's report.
        scores: Test accuracy, 0 to 1, by file name.
        pictures: What the ONNX model saw in pictures that no network was trained on.
        recognised: How many of them it got right.
        steps: In order.
        verdict: What the merge says of itself, by the validation images that it was chosen by.
        test_verdict: The same by the test images.
        seconds: Of the whole.
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


def demo(toolkit: Toolkit, folder: Path, progress: Progress) -> Demo:
    """Train three relatives, merge them, export ONNX, and recognise pictures with it.

    Args:
        toolkit: Its plugins are used; its workspace is not.
        folder: Workspace of the demo; made if it is missing. Its models are overwritten.
        progress: Told of everything.

    Raises:
        ConfigurationError: If TensorFlow is not installed.
        StorageError: If the disk refuses.
    """
    started = time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    here = Toolkit(Workspace(folder), lambda: toolkit.catalog)
    trained, training_seconds = _train(here, progress)
    paths = tuple(item.model for item in trained)

    progress.note("merging the three")
    merging = time.monotonic()
    merged_path = here.workspace.models / "emnist_model.h5"
    merged = merge(
        here, Merge(models=paths, dataset=DATASET, out=merged_path, test=True, keep_worse=True), progress
    )
    merging_seconds = time.monotonic() - merging
    report = merged.report
    assert report is not None

    progress.note("exporting ONNX")
    exporting = time.monotonic()
    exported = export(here, Export(merged_path, "onnx", dataset=DATASET))
    exporting_seconds = time.monotonic() - exporting

    files = (*paths, merged_path, exported.path)
    scores = evaluate(here, files, dataset=DATASET, split="test", progress=progress)
    drawing = time.monotonic()
    drawn = Predict(exported.path, tuple(_draw(here, folder / "pictures")), top=3)
    pictures = predict(here, drawn, progress).images
    recognised = sum(
        item.predictions[0].character == wanted for item, wanted in zip(pictures, PICTURES, strict=True)
    )
    steps = (
        *_training_steps(trained, training_seconds, scores),
        _merging_step(merged, scores[3], merging_seconds),
        _exporting_step(exported, scores[4], exporting_seconds),
        Step(
            "recognise",
            None,
            f"{recognised} of {len(pictures)} pictures",
            folder / "pictures",
            time.monotonic() - drawing,
        ),
    )
    return Demo(
        models=paths,
        merged=merged_path,
        onnx=exported.path,
        report=merged.page,
        scores={path.name: score.accuracy for path, score in zip(files, scores, strict=True)},
        pictures=pictures,
        recognised=recognised,
        steps=steps,
        verdict=report.verdict.sentence,
        test_verdict="" if report.test_verdict is None else report.test_verdict.sentence,
        seconds=time.monotonic() - started,
    )


def _train(toolkit: Toolkit, progress: Progress) -> tuple[list[Trained], list[float]]:
    ancestor = TrainOrder(dataset=DATASET, epochs=ANCESTOR_EPOCHS, name="glyphs_ancestor")
    start = toolkit.workspace.models / "glyphs_ancestor.h5"
    orders = [
        ancestor,
        *(
            TrainOrder(
                dataset=DATASET,
                options=RELATIVE_OPTIONS,
                epochs=RELATIVE_EPOCHS,
                seed=seed,
                start_from=start,
                name=f"glyphs_relative_{seed}",
            )
            for seed in (1, 2)
        ),
    ]
    trained, seconds = [], []
    for order in orders:
        progress.note(f"training {order.name}")
        begun = time.monotonic()
        trained.append(train(toolkit, order, progress))
        seconds.append(time.monotonic() - begun)
    return trained, seconds


def _training_steps(
    trained: Sequence[Trained], seconds: Sequence[float], scores: Sequence[Score]
) -> list[Step]:
    return [
        Step(
            "train" if number == 0 else "fine-tune",
            scores[number].accuracy,
            f"{item.epochs} epochs, {item.images_per_second:,.0f}/s",
            item.model,
            seconds[number],
        )
        for number, item in enumerate(trained)
    ]


def _merging_step(merged: Merged, score: Score, seconds: float) -> Step:
    assert merged.path is not None
    assert merged.report is not None
    return Step("merge", score.accuracy, f"by {merged.report.strategy}", merged.path, seconds)


def _exporting_step(exported: Exported, score: Score, seconds: float) -> Step:
    return Step("export", score.accuracy, f"{exported.size / 1e6:.2f} MB, verified", exported.path, seconds)


def _draw(toolkit: Toolkit, folder: Path) -> list[Path]:
    """Write test images as pictures a person could have drawn: larger, dark ink on light paper."""
    folder.mkdir(parents=True, exist_ok=True)
    data = toolkit.data.open(DATASET, "test")
    paths = []
    for number, character in enumerate(PICTURES):
        index = int((data.labels == data.classes.index(character)).argmax())
        path = folder / f"glyph-{number}.png"
        publish_bytes(path, _picture(data.images[index]))
        paths.append(path)
    return paths


def _picture(glyph: NDArray[np.uint8]) -> bytes:
    import io

    from PIL import Image

    height, width = glyph.shape
    picture = Image.fromarray(255 - glyph).resize((width * _ZOOM, height * _ZOOM), Image.Resampling.BICUBIC)
    content = io.BytesIO()
    picture.save(content, format="PNG")
    return content.getvalue()
