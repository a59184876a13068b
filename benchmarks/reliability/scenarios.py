"""What is being written while the process is killed or the disk refuses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

import numpy as np

from toolkit.data.dataset import Dataset
from toolkit.errors import StorageError
from toolkit.host.kinds import MODEL_FORMATS
from toolkit.library import cache as cache_module
from toolkit.library.cache import Divided, Splits, cached_splits
from toolkit.library.fingerprint import Fingerprint
from toolkit.model import Card, Model
from toolkit.model.card_file import checked_card, publish_model, write_card
from toolkit.store import publish_text
from toolkit.tensors import weights_digest
from toolkit.training.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from toolkit.training.history import EpochRecord

_OLD_TEXT = "the old content\n" * 40
_NEW_TEXT = "the new content, which is longer\n" * 40


@dataclass(frozen=True, slots=True)
class Scenario:
    """One overwriting of one published thing.

    Attributes:
        name: For the table.
        make_old: Puts the old state into an empty folder.
        write_new: Overwrites it; this is what is disturbed.
        state: Tells ``old`` from ``new``; anything else describes what a reader got instead.
        control: Breaks the writer on purpose: with it, the series must find a broken promise.
    """

    name: str
    make_old: Callable[[Path], None]
    write_new: Callable[[Path], None]
    state: Callable[[Path], str]
    control: Callable[[], AbstractContextManager[None]] = field(default_factory=lambda: plain_open)


def text() -> Scenario:
    """A text file, such as a report, a class mapping or a history."""

    def state(folder: Path) -> str:
        content = (folder / "report.json").read_text()
        return {_OLD_TEXT: "old", _NEW_TEXT: "new"}.get(content, f"{len(content)} characters of neither")

    return Scenario(
        "text",
        lambda folder: publish_text(folder / "report.json", _OLD_TEXT),
        lambda folder: publish_text(folder / "report.json", _NEW_TEXT),
        state,
    )


def card() -> Scenario:
    """The card of a model that is there already."""

    def make_old(folder: Path) -> None:
        (folder / "model.h5").write_bytes(b"a model")
        write_card(folder / "model.h5", Card(name="old"))

    def write_new(folder: Path) -> None:
        write_card(folder / "model.h5", Card(name="new", dataset="byclass"))

    return Scenario(
        "card",
        make_old,
        write_new,
        lambda folder: _card_name(folder / "model.h5"),
    )


def pair() -> Scenario:
    """A model with its card, by a writer that is nothing but bytes."""
    contents = {"old": b"old weights" * 400, "new": b"new weights" * 500}

    def put(folder: Path, which: str) -> None:
        publish_model(folder / "model.h5", lambda staging: _write(staging, contents[which]), Card(name=which))

    def state(folder: Path) -> str:
        name = _card_name(folder / "model.h5")
        content = (folder / "model.h5").read_bytes()
        return name if contents.get(name) == content else f"card {name!r} with another model"

    return Scenario(
        "model and card", lambda folder: put(folder, "old"), lambda folder: put(folder, "new"), state
    )


def fresh_pair() -> Scenario:
    """A model with its card where there was nothing: ``old`` is that there is no model."""
    whole = pair()

    def state(folder: Path) -> str:
        return whole.state(folder) if (folder / "model.h5").exists() else "old"

    return Scenario("model and card, new", lambda _: None, whole.write_new, state)


def over_a_model_without_card() -> Scenario:
    """A model over one without a card, which must not be called damaged meanwhile."""
    whole = pair()

    def state(folder: Path) -> str:
        if checked_card(folder / "model.h5") is None:
            return "old" if (folder / "model.h5").read_bytes() == b"another program's model" else "neither"
        return whole.state(folder)

    return Scenario(
        "model over one without a card",
        lambda folder: _write(folder / "model.h5", b"another program's model"),
        whole.write_new,
        state,
    )


def checkpoint() -> Scenario:
    """The checkpoint of a training."""
    states = {1: "old", 2: "new"}

    def put(folder: Path, epochs: int) -> None:
        weights = {"conv/kernel": np.full((3, 3, 8), epochs, np.float32)}
        records = tuple(
            EpochRecord(epoch, 0.5, 0.8, 0.4, 0.9, 0.001, 1e4, 1.0) for epoch in range(1, epochs + 1)
        )
        write_checkpoint(
            folder / "checkpoint", Checkpoint("configuration", records, epochs, weights, weights)
        )

    def state(folder: Path) -> str:
        found = read_checkpoint(folder / "checkpoint")
        if found is None or not np.all(found.state["conv/kernel"] == found.epochs):
            return "no checkpoint, or one with another epoch's weights"
        return states[found.epochs]

    return Scenario("checkpoint", lambda folder: put(folder, 1), lambda folder: put(folder, 2), state)


def cache() -> Scenario:
    """The cache of a data set whose file has changed: old until the new entry is complete."""
    fills = {"old": 1, "new": 2}

    def key(which: str) -> Fingerprint:
        return Fingerprint("emnist byclass train", "p" * 64, which * 10)

    def made(which: str) -> Divided:
        images = np.full((6, 28, 28), fills[which], np.uint8)
        dataset = Dataset("byclass", ("0", "1"), images, np.arange(6, dtype=np.int32) % 2)
        return Divided(dataset, {"fit": np.arange(4), "validation": np.arange(4, 6)})

    def kept(folder: Path, which: str) -> Splits | None:
        def not_there() -> Divided:
            raise StorageError("whether the entry is written or not, what the caller got was right")

        try:
            return cached_splits(folder, key(which), not_there)
        except StorageError:
            return None

    def put(folder: Path, which: str) -> None:
        cached_splits(folder, key(which), lambda: made(which))

    def write_new(folder: Path) -> None:
        put(folder, "new")
        if kept(folder, "new") is None:
            raise StorageError("the new entry could not be kept: it may be that none is written")

    def state(folder: Path) -> str:
        for which in ("new", "old"):
            found = kept(folder, which)
            if found is not None:
                right = np.all(found["fit"].images == fills[which]) and len(found["validation"]) == 2
                return which if right else f"an entry called {which} with other images"
        return "no entry"

    return Scenario(
        "data cache",
        lambda folder: put(folder, "old"),
        write_new,
        state,
        old_entry_first,
    )


@dataclass(frozen=True, slots=True)
class Sample:
    """Two small models of one format, and how they are written.

    Attributes:
        name: Of the format.
        suffix: Of its files, with the dot.
        old: With a card named ``old``.
        new: With a card named ``new`` and other weights.
        write: The plugin's writer.
        read: The plugin's reader.
    """

    name: str
    suffix: str
    old: Model
    new: Model
    write: Callable[[Model, Path], None]
    read: Callable[[Path], Model]


def formats() -> tuple[Sample, ...]:
    """A sample of every format of the built-in plugins."""
    from benchmarks.reliability.samples import keras_model, onnx_model
    from toolkit.host.catalog import Catalog

    catalog = Catalog.load()
    makers = {"h5": keras_model, "keras": keras_model, "onnx": onnx_model}
    samples = []
    for name, make in makers.items():
        declared = catalog.get(MODEL_FORMATS, name)
        assert declared.write is not None
        samples.append(
            Sample(name, declared.suffixes[0], make("old"), make("new"), declared.write, declared.read)
        )
    return tuple(samples)


def of_format(sample: Sample) -> Scenario:
    """A model with its card, by a plugin's writer; a reader reads every tensor."""
    target = f"model{sample.suffix}"
    digests = {"old": weights_digest(sample.old.tensors), "new": weights_digest(sample.new.tensors)}

    def put(folder: Path, model: Model) -> None:
        publish_model(folder / target, lambda staging: sample.write(model, staging), model.card)

    def state(folder: Path) -> str:
        found = _card_name(folder / target)
        digest = weights_digest(sample.read(folder / target).tensors)
        return found if digests.get(found) == digest else f"card {found!r} with another model"

    return Scenario(
        sample.name, lambda folder: put(folder, sample.old), lambda folder: put(folder, sample.new), state
    )


@contextmanager
def plain_open(pause: Callable[[float], None] | None = None) -> Iterator[None]:
    """A control: the atomic writer is replaced by one that writes to the target itself.

    Args:
        pause: Called with seconds before anything is written, to make it slow.
    """

    @contextmanager
    def publish(
        target: Path, *, verify: Callable[[Path], None] | None = None, suffix: str | None = None
    ) -> Iterator[Path]:
        del suffix
        target.parent.mkdir(parents=True, exist_ok=True)
        # Moved aside and not removed: a removed file would make room on a full disk.
        if target.exists():
            target.replace(target.with_name(f".{target.name}.replaced"))
        if pause is not None:
            pause(0.5)
        yield target
        if verify is not None:
            verify(target)

    with (
        mock.patch("toolkit.store.publish.publish", publish),
        mock.patch("toolkit.model.card_file.publish", publish),
        mock.patch("toolkit.library.cache.publish", publish),
    ):
        yield


@contextmanager
def old_entry_first() -> Iterator[None]:
    """A control for the cache, whose new entry is another folder: the old entry is moved away first."""
    store = cache_module._store  # noqa: SLF001 - a control replaces it

    def store_after_moving(entry: Path, key: Fingerprint, made: Divided) -> None:
        for old in entry.parent.glob("*-*"):
            old.replace(old.with_name(f".{old.name}"))
        store(entry, key, made)

    with mock.patch("toolkit.library.cache._store", store_after_moving):
        yield


def built_in() -> tuple[Scenario, ...]:
    """Every scenario that needs no plugin."""
    return (text(), card(), pair(), fresh_pair(), over_a_model_without_card(), checkpoint(), cache())


def _card_name(model: Path) -> str:
    found = checked_card(model)
    return "no card" if found is None else found.name


def _write(path: Path, content: bytes) -> None:
    """Write in several calls, as model writers do."""
    with path.open("xb", buffering=1500) as file:
        for start in range(0, len(content), 1000):
            file.write(content[start : start + 1000])
