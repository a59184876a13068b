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

_LEARNING = "#8a97a8"
_VALIDATION = "#c2410c"
_INK = "#1f2937"
_GRID = "#e5e7eb"
_WORST_SHOWN = 14
_DOTS_PER_INCH = 120
_NO_PROGRAM = {"Software": None}  # so that equal pictures are equal files


def draw_history(path: Path, records: Sequence[EpochRecord], *, best_epoch: int, title: str) -> None:
    """Plot accuracy and loss over the epochs as PNG; the best epoch is marked in both panels."""
    figure = _figure(9.6, 4.2)
    figure.suptitle(title, x=0.06, ha="left", fontsize=12, fontweight="bold", color=_INK)
    left, right = figure.subplots(1, 2)
    epochs = [record.epoch for record in records]
    best = records[best_epoch - 1]
    accuracy = [100 * record.accuracy for record in records]
    validation = [100 * record.val_accuracy for record in records]
    _panel(left, "Accuracy, %", epochs, accuracy, validation)
    _mark(left, best_epoch, 100 * best.val_accuracy, percent(best.val_accuracy))
    _close_up(left, accuracy[1:] + validation[1:] or accuracy + validation)
    loss, val_loss = [record.loss for record in records], [record.val_loss for record in records]
    _panel(right, "Loss, nats", epochs, loss, val_loss)
    _mark(right, best_epoch, best.val_loss, f"{best.val_loss:.3f}")
    _close_up(right, loss[1:] + val_loss[1:] or loss + val_loss)
    left.legend(frameon=False, loc="lower right", fontsize=9, labelcolor=_INK)
    figure.text(
        0.06,
        0.02,
        "Fit: augmented images, with dropout and smoothed targets. Validation: images as they are.",
        fontsize=8,
        color=_LEARNING,
    )
    figure.subplots_adjust(left=0.07, right=0.97, top=0.86, bottom=0.18, wspace=0.2)
    _save(figure, path)


def draw_confusion(path: Path, confusion: NDArray[np.int64], classes: Sequence[str], *, title: str) -> None:
    """Plot a confusion matrix as PNG, and list the most frequent mistakes.

    Args:
        path: PNG to publish.
        confusion: (k, k) counts, rows are true classes.
        classes: k characters.
        title: Above the plot.
    """
    from matplotlib.colors import LinearSegmentedColormap

    count = len(classes)
    figure = _figure(11.0, 8.6)
    figure.suptitle(title, x=0.05, ha="left", fontsize=12, fontweight="bold", color=_INK)
    matrix = figure.add_axes((0.05, 0.06, 0.69, 0.85))
    shares = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    colours = LinearSegmentedColormap.from_list("share", ["#ffffff", "#fdba74", "#c2410c", "#431407"])
    # The root shows mistakes of a few per cent.
    matrix.imshow(np.sqrt(shares), cmap=colours, vmin=0.0, vmax=1.0, interpolation="nearest")
    size = float(np.clip(420 / max(count, 1), 5.5, 12))
    for axis in (matrix.xaxis, matrix.yaxis):
        axis.set_ticks(range(count), [_shown(name) for name in classes], fontsize=size, color=_INK)
        axis.set_tick_params(length=0)
    matrix.set_xticks(np.arange(count + 1) - 0.5, minor=True)
    matrix.set_yticks(np.arange(count + 1) - 0.5, minor=True)
    matrix.grid(which="minor", color="#f3f4f6", linewidth=0.4)
    matrix.tick_params(which="minor", length=0)
    matrix.set_xlabel("predicted", color=_INK)
    matrix.set_ylabel("true", color=_INK)
    for spine in matrix.spines.values():
        spine.set_color(_GRID)
    _list_mistakes(figure, confusion, classes)
    _save(figure, path)


def _figure(width: float, height: float) -> Figure:
    """A figure without pyplot, which has a global state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=_DOTS_PER_INCH, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def _panel(
    axes: Axes, label: str, epochs: Sequence[int], fit: Sequence[float], validation: Sequence[float]
) -> None:
    from matplotlib.ticker import MaxNLocator

    marker = "o" if len(epochs) <= 30 else ""
    axes.plot(epochs, fit, color=_LEARNING, linewidth=1.6, marker=marker, markersize=3, label="fit")
    axes.plot(
        epochs,
        validation,
        color=_VALIDATION,
        linewidth=2.0,
        marker=marker,
        markersize=3.5,
        label="validation",
    )
    axes.set_title(label, loc="left", fontsize=10, color=_INK)
    axes.set_xlabel("epoch", color=_INK, fontsize=9)
    axes.set_xlim(0.5, max(len(epochs), 2) + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=_INK, labelsize=8.5, length=0)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(_GRID)


def _mark(axes: Axes, epoch: int, value: float, text: str) -> None:
    axes.axvline(epoch, color=_VALIDATION, linewidth=0.8, linestyle=(0, (3, 3)), alpha=0.7, zorder=0)
    axes.plot([epoch], [value], "o", color=_VALIDATION, markersize=7, markeredgecolor="white", zorder=5)
    axes.set_title(f"{text} at epoch {epoch}", loc="right", fontsize=10, color=_VALIDATION, fontweight="bold")


def _close_up(axes: Axes, values: Sequence[float]) -> None:
    """Fit the range to all epochs but the first."""
    low, high = min(values), max(values)
    room = max(high - low, 1e-3) * 0.15
    axes.set_ylim(low - room, high + room)


def _list_mistakes(figure: Figure, confusion: NDArray[np.int64], classes: Sequence[str]) -> None:
    mistakes = confusion.copy()
    np.fill_diagonal(mistakes, 0)
    total = int(confusion.sum())
    wrong = int(mistakes.sum())
    order = np.argsort(-mistakes, axis=None, kind="stable")[:_WORST_SHOWN]
    figure.text(0.77, 0.885, f"{percent(1 - wrong / max(total, 1))} correct", fontsize=15, color=_INK)
    figure.text(0.77, 0.86, f"{wrong:,} of {total:,} wrong", fontsize=9.5, color=_LEARNING)
    if not wrong:
        return
    figure.text(0.77, 0.81, "Most frequent mistakes", fontsize=10.5, fontweight="bold", color=_INK)
    for line, flat in enumerate(order):
        true, taken = divmod(int(flat), len(classes))
        times = int(mistakes[true, taken])
        if not times:
            break
        height = 0.78 - line * 0.026
        share = times / max(int(confusion[true].sum()), 1)
        figure.text(
            0.77, height, f"{_shown(classes[true])} → {_shown(classes[taken])}", fontsize=10, color=_INK
        )
        figure.text(0.845, height, f"{times:,}×", fontsize=9.5, color=_INK)
        figure.text(
            0.9, height, f"{percent(share, 0)} of all {_shown(classes[true])}", fontsize=9.5, color=_LEARNING
        )


def _shown(name: str) -> str:
    """A class name without mathematics for matplotlib."""
    return name.replace("$", r"\$")


def _save(figure: Figure, path: Path) -> None:
    with publish(path) as staging:
        figure.savefig(staging, format="png", metadata=_NO_PROGRAM)
