"""Shares and sizes have one form, wherever people read them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from toolkit.vocabulary import file_size, percent

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("share", "digits", "text"),
    [(0.8536, 2, "85.36 %"), (1.0, 2, "100.00 %"), (0.8481, 1, "84.8 %"), (None, 2, "–")],
)
def test_a_share_has_a_space_before_its_sign(share: float | None, digits: int, text: str) -> None:
    assert percent(share, digits) == text


def test_a_size_is_in_mebibytes() -> None:
    assert file_size(1_720_000) == "1.64 MiB"
    assert file_size(4 << 30) == "4.00 GiB"
    assert file_size(1234) == "1,234 bytes"
    assert file_size(2**64 - 1) == "16.00 EiB"
    assert file_size(2**2000) == "more than 1,024 EiB"


def test_no_message_formats_a_share_itself() -> None:
    own = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for folder in ("toolkit", "plugins")
        for path in (ROOT / folder).rglob("*.py")
        if path.name != "figures.py"
        for line in path.read_text().splitlines()
        if re.search(r":[,.\d]*[f%]\} ?%|:[.\d]*%\}", line)
    ]
    assert own == []
