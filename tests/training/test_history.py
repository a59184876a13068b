"""Histories and tables as CSV."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from toolkit.errors import UnreadableInputError
from toolkit.training.history import EpochRecord, csv_text, history_csv, read_history

RECORDS = tuple(
    EpochRecord(epoch, 1 / epoch, 0.5, 2 / epoch, accuracy, 0.001, 1000.0, 1.5)
    for epoch, accuracy in ((1, 0.6), (2, 0.8), (3, 0.7))
)


def test_the_history_is_a_table_with_a_header() -> None:
    lines = history_csv(RECORDS).splitlines()
    assert lines[0].split(",")[:5] == ["epoch", "loss", "accuracy", "val_loss", "val_accuracy"]
    assert lines[2].startswith("2,0.5,0.5,1,0.8,0.001,")
    assert len(lines) == 4


def test_a_history_is_read_as_it_was_written(tmp_path: Path) -> None:
    (tmp_path / "history.csv").write_text(history_csv(RECORDS))
    found = read_history(tmp_path / "history.csv")
    assert [record.epoch for record in found] == [1, 2, 3]
    assert found[2].loss == pytest.approx(1 / 3, rel=1e-5)
    assert read_history(tmp_path / "absent.csv") == ()


@pytest.mark.parametrize("content", ["epoch,loss\n1,2\n", history_csv(RECORDS).replace("1.5", "x")])
def test_what_is_not_a_history_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "history.csv").write_text(content)
    with pytest.raises(UnreadableInputError, match=r"history\.csv: not a history"):
        read_history(tmp_path / "history.csv")


def test_a_table_has_its_row_names_and_no_formulas() -> None:
    text = csv_text(pd.DataFrame([[3, 1], [0, 2]], ["=", "b"], ["=", "b"]), index="true \\ predicted")
    assert text.splitlines() == ["true \\ predicted,'=,b", "'=,3,1", "b,0,2"]
