"""Dataclasses of options: flat, nested, and those of two owners."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from toolkit.options import (
    option,
)
from toolkit.vocabulary import Convention


@dataclass(frozen=True)
class Everything:
    share: float = option(0.5, help="a share", minimum=0.0, maximum=1.0)
    rounds: int = option(3, help="how often", minimum=1)
    tie: Literal["strict", "accept-equal"] = option("strict", help="what an equal score is worth")
    loud: bool = option(False, help="whether to shout")
    title: str = option("", help="what to call it")
    weights: tuple[float, ...] = option((), help="one a model")
    floor: float | None = option(None, help="none for chance")
    colour: str = option("red", help="which one", choices=("red", "green"))
    max_norm: int = option(0, help="with a hyphen on the command line")


@dataclass(frozen=True)
class Schedule:
    warmup: float = option(0.1, help="share of the steps", minimum=0.0, maximum=1.0)
    steps: int = option(5, help="how many", minimum=1)


@dataclass(frozen=True)
class Ingredient:
    model: Path = option(help="model file")
    share: float = option(1.0, help="its share", minimum=0.0)


@dataclass(frozen=True)
class Job:
    """A request with everything that options may hold."""

    models: tuple[Ingredient, ...] = option((), help="what to merge")
    schedule: Schedule = option(Schedule(), help="of the training")
    out: Path | None = option(None, help="output file")
    convention: Convention | None = option(None, help="input format")
    shares: Mapping[str, float] = option({}, help="share of each data set")
    options: Mapping[str, Any] = option({}, help="of the plugins")
    given: tuple[str, ...] | Mapping[str, int] = option((), help="texts or a table")


@dataclass(frozen=True)
class Arch:
    width: int = option(32, help="channels", minimum=1)
    dropout: float = option(0.5, help="share left out", minimum=0.0, maximum=1.0)


@dataclass(frozen=True)
class Training:
    learning_rate: float = option(0.001, help="highest learning rate", minimum=0.0)
    dropout: float = option(0.0, help="of the labels", minimum=0.0, maximum=1.0)
    schedule: Schedule = option(Schedule(), help="of the learning rate")


OWNERS = {"arch": Arch, "train": Training}


JOB = Job(
    models=(Ingredient(Path("a.h5")), Ingredient(Path("b.h5"), 2.0)),
    schedule=Schedule(steps=9),
    out=Path("c.h5"),
    convention=Convention("transposed", "standard", "dark", 0.13066048, 0.30810775),
    shares={"emnist": 0.5},
    options={"arch": {"width": 48}},
)
