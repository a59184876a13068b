"""Time and memory are bounded for every file, measured in a child process."""

from __future__ import annotations

import pytest
from hostile import HOSTILE, jpeg_of_many_scans, png_of_many_parts, read_in_a_child, text_bomb

from toolkit.errors import LimitReachedError
from toolkit.pictures import prepare_picture

# About twenty and two times what the most expensive picture takes on an idle machine.
CPU_SECONDS = 10.0
MEMORY = 600_000_000


@pytest.fixture(scope="module")
def readings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, float, int]]:
    return read_in_a_child(tmp_path_factory.mktemp("hostile"))


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_picture_costs_little(name: str, readings: dict[str, tuple[str, float, int]]) -> None:
    outcome, seconds, memory = readings[name]
    assert outcome in ("prepared", "unreadable", "limit")
    assert seconds < CPU_SECONDS
    assert memory < MEMORY


@pytest.mark.parametrize(
    ("content", "message"),
    [(jpeg_of_many_scans(60, 101), "more than 100 scans"), (png_of_many_parts(20_000), "20,000 parts")],
    ids=["scans", "parts"],
)
def test_what_is_slow_to_decode_is_refused_by_name(content: bytes, message: str) -> None:
    with pytest.raises(LimitReachedError, match=f"the picture has more than .*{message[-9:]}"):
        prepare_picture(content)


def test_metadata_does_not_reach_the_decoder() -> None:
    """Pillow refuses a text that unpacks to so much."""
    assert prepare_picture(text_bomb()).max() == 255
