"""The report opens alone, says what matters, and trusts no name."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from toolkit.declarations import MergeStep
from toolkit.merging.report import IngredientScores, MergeReport, Score
from toolkit.merging.report_html import report_html
from toolkit.merging.state import StageReport
from toolkit.merging.verdict import Comparison, Verdict
from toolkit.vocabulary import Convention


def score(accuracy: float, split: str = "validation") -> Score:
    return Score(split, 8499, accuracy, accuracy - 0.007, accuracy + 0.007, 0.4)  # type: ignore[arg-type]


def report(name: str = "byclass-1.h5", *, measured: bool = True) -> MergeReport:
    return MergeReport(
        output="emnist_model.h5",
        weights_digest="0123456789abcdef" * 4,
        strategy="greedy",
        options={"tie": "strict", "passes": 1, "replacement": False, "floor": None, "weights": []},
        classes=62,
        parameters=450_526,
        convention=Convention(),
        dataset="byclass" if measured else "",
        ingredients=(
            IngredientScores(name, "ab" * 32, 0.5, 0.8644, (score(0.8644),) if measured else ()),
            IngredientScores("byclass-2.h5", "cd" * 32, 0.5, None, (score(0.8621),) if measured else ()),
            IngredientScores("byclass-3.h5", "ef" * 32, 0.0, 0.02, (score(0.0201),) if measured else ()),
        ),
        effective_number=2.0,
        steps=(
            MergeStep(name, 0.8644, accepted=True),
            MergeStep("byclass-2.h5", 0.8672, accepted=True),
            MergeStep("byclass-3.h5", 0.02, accepted=False),
        )
        if measured
        else (),
        stages=(StageReport("recalibrate", True, "recalibrated on 5,000 images"),),
        scores=(score(0.8672),) if measured else (),
        plain_mean=(score(0.0226),) if measured else (),
        verdict=Verdict(
            "better",
            "The merge is better than the best ingredient.",
            name,
            "validation",
            0.0028,
            Comparison(90, 50, 1e-3),
        )
        if measured
        else Verdict("not measured", "Not measured."),
        test_verdict=None,
        choices=("strategy: greedy (validation images available)",),
        notes=("byclass-3.h5 is no better than chance",),
        seed=0,
        seconds=4.2,
        versions={"toolkit": "0.1.0", "numpy": "2.0"},
    )


class Reader(HTMLParser):
    """Collects tags, addresses and text, and sees that every element is closed."""

    VOID = frozenset({"meta", "line", "circle", "rect", "path"})

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.addresses: list[str] = []
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.addresses += [str(value) for key, value in attrs if key in ("src", "href", "action", "data")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def read(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    reader.close()
    assert reader.open == []
    return reader


@pytest.mark.parametrize("measured", [True, False])
def test_the_page_needs_nothing_beside_itself(measured: bool) -> None:
    text = report_html(report(measured=measured))
    reader = read(text)
    assert reader.tags.isdisjoint({"script", "link", "img", "iframe", "object"})
    assert reader.addresses == []
    assert "url(" not in text
    assert text.count("ecalibrated on 5,000") == 1
    assert "http" not in text.replace("http-equiv", "")
    assert ("svg" in reader.tags) == measured


def test_the_page_says_what_matters() -> None:
    text = read(report_html(report())).text
    for wanted in (
        "better than the best ingredient",
        "86.72 %",
        "+0.28",
        "byclass-2.h5",
        "450,526",
        "✓ kept",
    ):
        assert wanted in text


def test_names_are_text_and_never_markup() -> None:
    text = report_html(report(name="<script>alert(1)</script>.h5"))
    assert "script" not in read(text).tags
    assert "&lt;script&gt;" in text


def test_the_document_is_json_and_holds_no_absolute_path() -> None:
    document = json.loads(report().to_json())
    assert (document["schema"], document["strategy"], document["effective_number"]) == (2, "greedy", 2.0)
    assert document["ingredients"][0]["scores"][0]["accuracy"] == 0.8644
    assert document["steps"][1] == {"ingredient": "byclass-2.h5", "score": 0.8672, "accepted": True}


@pytest.mark.parametrize(
    "accuracies", [[0.86], [0.0, 0.0], [1.0, 1.0], [0.86, 0.02], [0.8672, 0.8671, 0.867], [0.5, 0.1, 0.99]]
)
@pytest.mark.parametrize(("kind", "start", "end"), [("wide", 249.0, 711.0), ("narrow", 19.0, 341.0)])
def test_every_mark_lies_inside_the_chart(
    accuracies: list[float], kind: str, start: float, end: float
) -> None:
    found = [
        Score("validation", 8499, accuracy, max(0.0, accuracy - 0.005), min(1.0, accuracy + 0.005), 0.4)
        for accuracy in accuracies
    ]
    ingredients = tuple(
        IngredientScores(f"{place}.h5", "ab" * 32, 0.5, None, (one,)) for place, one in enumerate(found[1:])
    )
    merged = dataclasses.replace(report(), scores=(found[0],), ingredients=ingredients, plain_mean=())
    chart = report_html(merged).split(f'<svg class="{kind}"')[1].split("</svg>")[0]
    places: list[float] = []

    class Marks(HTMLParser):
        def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            places.extend(float(value or 0) for key, value in attrs if key in ("cx", "x1", "x2"))

    Marks().feed(f"<svg{chart}</svg>")
    assert places
    assert all(start <= place <= end for place in places)


def test_every_chart_is_there_for_a_phone_too() -> None:
    text = report_html(report())
    assert text.count('<svg class="wide"') == text.count('<svg class="narrow"') == 1
    assert "svg.wide, .bar, .digest { display: none; } svg.narrow { display: block; }" in text


def test_the_compiled_template_is_kept_and_made_again_if_it_is_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.setattr(sys, "pycache_prefix", str(tmp_path))
    folder = Path(importlib.util.cache_from_source(report_html.__code__.co_filename)).parent
    first = report_html(report())  # the folder is missing, so nothing is kept
    folder.mkdir(parents=True)
    assert report_html(report()) == first
    (kept,) = folder.iterdir()
    whole = kept.read_bytes()
    for damaged in (b"", whole[: len(whole) // 2], whole[:16] + b"\xff" * 64):
        kept.write_bytes(damaged)
        assert report_html(report()) == first
    kept.unlink()
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert report_html(report()) == first
    assert list(folder.iterdir()) == []
