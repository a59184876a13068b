"""R2: truncated files and flipped bits, with and without a digest to compare with."""

from __future__ import annotations

import random
import resource
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from unittest import mock

from benchmarks.reliability.disturbances import Figures, scratch_folder
from benchmarks.reliability.scenarios import Sample
from benchmarks.reliability.tracing import DONE, REFUSED, run_traced
from toolkit.errors import DamagedFileError, ToolkitError
from toolkit.model import Card
from toolkit.model.card_file import checked_card, publish_model

_SECONDS = 10
_MEMORY = 1 << 30  # bytes beyond what the process has already


def damage_everywhere(sample: Sample, times: int, *, broken: bool = False) -> Iterator[Figures]:
    """Truncate a model file and flip bits in it, at places spread over the whole file.

    If its digest is known, every damaged file must be refused. If it is not, reading all of it must
    end within ten seconds and a gigabyte, in a model or in a named error.

    Args:
        sample: Of one format.
        times: Number of truncations, and of flipped bits.
        broken: Compare no digest, and read with a reader that does not name its errors: the control.
    """
    read = _read_carelessly if broken else _read_all
    folder = scratch_folder()
    try:
        target = folder / f"model{sample.suffix}"
        card = publish_model(target, lambda staging: sample.write(sample.old, staging), Card(name="whole"))
        recorded = card.file_sha256
        whole = target.read_bytes()
        stray = folder / f"stray{sample.suffix}"
        for kind, damaged in (
            ("truncation", _truncated(whole, times)),
            ("flipped bit", _flipped(whole, times)),
        ):
            known = Figures(sample.name, f"{kind}, digest known")
            unknown = Figures(sample.name, f"{kind}, no digest")
            for where, content in damaged:
                target.write_bytes(content)
                stray.write_bytes(content)
                with (
                    mock.patch("toolkit.model.card_file.file_sha256", lambda _, at=recorded: at)
                    if broken
                    else nullcontext()
                ):
                    _refused(known, where, target)
                _bounded(unknown, where, lambda: read(sample, stray))
            yield known
            yield unknown
    finally:
        shutil.rmtree(folder)


def _truncated(whole: bytes, times: int) -> Iterator[tuple[str, bytes]]:
    for number in range(times):
        length = len(whole) * number // times
        yield f"cut to {length:,} bytes", whole[:length]


def _flipped(whole: bytes, times: int) -> Iterator[tuple[str, bytes]]:
    generator = random.Random(len(whole))
    for number in range(times):
        # Half of them in the first kilobytes, where the structure is.
        end = min(len(whole), 4096) if number % 2 else len(whole)
        place, bit = generator.randrange(end), generator.randrange(8)
        content = bytearray(whole)
        content[place] ^= 1 << bit
        yield f"bit {bit} of byte {place:,} flipped", bytes(content)


def _refused(figures: Figures, where: str, target: Path) -> None:
    figures.trials += 1
    try:
        checked_card(target)
    except DamagedFileError:
        figures.old += 1
    else:
        figures.new += 1
        figures.violations.append(f"{figures.scenario}, {where}: was not noticed")


def _bounded(figures: Figures, where: str, read: Callable[[], None]) -> None:
    def limited() -> None:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(_SECONDS)
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + _MEMORY, resource.RLIM_INFINITY))
        read()

    figures.trials += 1
    outcome = run_traced(limited, frozenset())
    if outcome.status == REFUSED:
        figures.old += 1
    elif outcome.status == DONE:
        figures.new += 1
    else:
        figures.violations.append(
            f"{figures.scenario}, {where}: ended with {outcome.status} {outcome.errors[-600:]}"
        )


def _read_carelessly(sample: Sample, path: Path) -> None:
    try:
        _read_all(sample, path)
    except ToolkitError as error:
        raise ValueError("an error without a name") from error


def _read_all(sample: Sample, path: Path) -> None:
    model = sample.read(path)
    for name in model.tensors:
        model.tensors.read(name)
