"""A workspace with little models, and its app."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from toolkit.web import WebSettings, create_app

# Tests are imported by path, each for itself; what they share is imported by name.
sys.path.insert(0, str(Path(__file__).parent))

from toy_site import Site, add_model, left_or_right, make_toolkit


@pytest.fixture
def make_site(tmp_path: Path) -> Callable[..., Site]:
    def make(*plugins: Any, **settings: Any) -> Site:
        toolkit = make_toolkit(tmp_path, *plugins)
        settings.setdefault("sandbox", None)
        return Site(tmp_path, toolkit, create_app(toolkit, WebSettings(**settings)))

    return make


@pytest.fixture
def site(make_site: Callable[..., Site]) -> Site:
    made = make_site()
    add_model(made.models, "emnist_byclass_model.h5")
    add_model(made.models, "emnist_letters_model.h5", left_or_right(0.03))
    add_model(made.models, "other.h5", left_or_right(0.02))
    return made
