"""Plots of a training: accuracy and loss over the epochs, and the confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from toolkit.store import publish
from toolkit.training.history import EpochRecord
from toolkit.vocabulary import percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_FIT = "#8a97a8"
_VALIDATION = "#c2410c"
_INK = "#1f2937"
_GRID = "#e5e7eb"
_SHORT_TRAINING = 8  # epochs


def draw_history(path: Path, records: Sequence[EpochRecord], *, best_epoch: int, title: str) -> None:
    """Plot accuracy and loss over the epochs as PNG; the best epoch is marked in both panels."""
    figure = _figure(9.6, 4.2, title)
    left, right = figure.subplots(1, 2)
    best = records[best_epoch - 1]
    accuracy = [100 * record.accuracy for record in records]
    val_accuracy = [100 * record.val_accuracy for record in records]
    loss, val_loss = [record.loss for record in records], [record.val_loss for record in records]
    _panel(left, "Accuracy, %", accuracy, val_accuracy, best_epoch, percent(best.val_accuracy))
    _panel(right, "Loss, nats", loss, val_loss, best_epoch, f"{best.val_loss:.3f}")
    left.legend(frameon=False, loc="lower right", fontsize=9, labelcolor=_INK)
    note = "Fit: augmented images, with dropout and smoothed targets. Validation: images as they are."
    figure.text(0.06, 0.02, note, fontsize=8, color=_FIT)
    figure.subplots_adjust(left=0.07, right=0.97, top=0.86, bottom=0.18, wspace=0.2)
    _save(figure, path)


def draw_confusion(path: Path, confusion: NDArray[np.int64], classes: Sequence[str], *, title: str) -> None:
    """Plot a confusion matrix (rows are true classes) as PNG, and list the most frequent mistakes."""
    from matplotlib.colors import LinearSegmentedColormap

    count = len(classes)
    figure = _figure(11.0, 8.6, title)
    matrix = figure.add_axes((0.05, 0.06, 0.69, 0.85))
    shares = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    colours = LinearSegmentedColormap.from_list("share", ["#ffffff", "#fdba74", "#c2410c", "#431407"])
    # The root shows mistakes of a few per cent.
    matrix.imshow(np.sqrt(shares), cmap=colours, vmin=0.0, vmax=1.0, interpolation="nearest")
    size = float(np.clip(420 / max(count, 1), 5.5, 12))
    for axis in (matrix.xaxis, matrix.yaxis):
        axis.set_ticks(range(count), [_shown(name) for name in classes], fontsize=size, color=_INK)
        axis.set_ticks(np.arange(count + 1) - 0.5, minor=True)
        axis.set_tick_params(which="both", length=0)
    matrix.grid(which="minor", color="#f3f4f6", linewidth=0.4)
    matrix.set_xlabel("predicted", color=_INK)
    matrix.set_ylabel("true", color=_INK)
    for spine in matrix.spines.values():
        spine.set_color(_GRID)
    _list_mistakes(figure, confusion, classes)
    _save(figure, path)


def _figure(width: float, height: float, title: str) -> Figure:
    """A figure without pyplot, which has a global state."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=120, facecolor="white")
    figure.suptitle(title, x=0.06, ha="left", fontsize=12, fontweight="bold", color=_INK)
    return figure


def _panel(
    axes: Axes, label: str, fit: Sequence[float], validation: Sequence[float], best_epoch: int, best: str
) -> None:
    """One metric over the epochs.

    In a longer training, the range leaves out the first epoch, which is far from all others.
    """
    from matplotlib.ticker import MaxNLocator

    epochs = range(1, len(fit) + 1)
    marker = "o" if len(epochs) <= 30 else ""
    axes.plot(epochs, fit, color=_FIT, linewidth=1.6, marker=marker, markersize=3, label="fit")
    axes.plot(
        epochs, validation, color=_VALIDATION, linewidth=2, marker=marker, markersize=3.5, label="validation"
    )
    axes.axvline(best_epoch, color=_VALIDATION, linewidth=0.8, linestyle=(0, (3, 3)), alpha=0.7, zorder=0)
    point = validation[best_epoch - 1]
    axes.plot([best_epoch], [point], "o", color=_VALIDATION, markersize=7, markeredgecolor="white", zorder=5)
    axes.set_title(label, loc="left", fontsize=10, color=_INK)
    axes.set_title(f"{best} at epoch {best_epoch}", loc="right", fontsize=10, color=_VALIDATION)
    axes.set_xlabel("epoch", color=_INK, fontsize=9)
    axes.set_xlim(0.5, len(epochs) + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    first = 1 if len(epochs) > _SHORT_TRAINING else 0
    shown = [*fit[first:], *validation[first:]]
    margin = max(max(shown) - min(shown), 1e-3) * 0.15
    axes.set_ylim(min(shown) - margin, max(shown) + margin)
    axes.grid(color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=_INK, labelsize=8.5, length=0)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(_GRID)


def _list_mistakes(figure: Figure, confusion: NDArray[np.int64], classes: Sequence[str]) -> None:
    mistakes = confusion.copy()
    np.fill_diagonal(mistakes, 0)
    total, wrong = int(confusion.sum()), int(mistakes.sum())
    figure.text(0.77, 0.885, f"{percent(1 - wrong / max(total, 1))} correct", fontsize=15, color=_INK)
    figure.text(0.77, 0.86, f"{wrong:,} of {total:,} wrong", fontsize=9.5, color=_FIT)
    if wrong:
        figure.text(0.77, 0.81, "Most frequent mistakes", fontsize=10.5, fontweight="bold", color=_INK)
    for line, flat in enumerate(np.argsort(-mistakes, axis=None, kind="stable")[:14]):
        true, predicted = divmod(int(flat), len(classes))
        times, height = int(mistakes[true, predicted]), 0.78 - line * 0.026
        if times:
            pair = f"{_shown(classes[true])} → {_shown(classes[predicted])}"
            of_all = f"{percent(times / int(confusion[true].sum()), 0)} of all {_shown(classes[true])}"
            for x, text, colour in ((0.77, pair, _INK), (0.845, f"{times:,}×", _INK), (0.9, of_all, _FIT)):
                figure.text(x, height, text, fontsize=9.5, color=colour)


def _shown(name: str) -> str:
    """A class name without mathematics for matplotlib."""
    return name.replace("$", r"\$")


def _save(figure: Figure, path: Path) -> None:
    with publish(path) as staging:
        # Without the program's name: equal pictures are equal files.
        figure.savefig(staging, format="png", metadata={"Software": None})
