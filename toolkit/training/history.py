"""The history of a run, epoch by epoch, and tables as CSV."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolkit.errors import MissingInputError, UnreadableInputError
from toolkit.records import dataclass
from toolkit.store.opening import read_file

if TYPE_CHECKING:
    import pandas as pd

_FORMULA = ("=", "+", "-", "@")


@dataclass(frozen=True)
class EpochRecord:
    """Metrics of one epoch, counted from 1.

    ``loss`` and ``accuracy`` are on augmented images, with dropout, label smoothing and class weights;
    losses are in nats. ``learning_rate`` is that of the last step; ``seconds`` include the evaluation.
    """

    epoch: int
    loss: float
    accuracy: float
    val_loss: float
    val_accuracy: float
    learning_rate: float
    images_per_second: float
    seconds: float


def history_csv(records: Sequence[EpochRecord]) -> str:
    """One row for each epoch."""
    import pandas as pd

    return csv_text(pd.DataFrame([asdict(record) for record in records]))


def read_history(path: Path) -> tuple[EpochRecord, ...]:
    """The epochs in a ``history.csv``; none if there is no such file."""
    import msgspec

    try:
        rows = list(csv.DictReader(read_file(path).decode().splitlines()))
        return msgspec.convert(rows, tuple[EpochRecord, ...], strict=False)
    except MissingInputError:
        return ()
    except (UnicodeError, csv.Error, msgspec.ValidationError) as error:
        raise UnreadableInputError(f"{path}: not a history of epochs: {error}", hint="delete it") from error


def csv_text(table: pd.DataFrame, index: str | None = None) -> str:
    """A table as CSV; texts that a spreadsheet would run as a formula get a leading ``'``.

    ``index`` is the title of the column of row names.
    """

    def inert(value: Any) -> Any:
        return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value

    safe = table.map(inert).rename(index=inert, columns=inert)
    return str(
        safe.to_csv(index=index is not None, index_label=index, float_format="%.6g", lineterminator="\n")
    )
