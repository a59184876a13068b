"""The state of a run after an epoch, in one file."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import DamagedFileError, UnsupportedError
from toolkit.records import dataclass
from toolkit.store import publish_bytes
from toolkit.store.opening import open_file
from toolkit.training.history import EpochRecord

_MAGIC = b"toolkit checkpoint 1\n"
_DIGEST_BYTES = 32
_STATE, _BEST = "state/", "best/"


@dataclass(frozen=True)
class Checkpoint:
    """What a resumed run starts from; one file, so that a kill leaves all of an epoch or nothing.

    ``run`` is the digest of the run's record; ``state`` is network and optimizer after the last epoch,
    ``best`` the network after the best epoch, counted from 1.
    """

    run: str
    records: tuple[EpochRecord, ...]
    best_epoch: int
    state: Mapping[str, NDArray[Any]]
    best: Mapping[str, NDArray[Any]]

    @property
    def epochs(self) -> int:
        """Number of epochs done."""
        return len(self.records)

    @property
    def best_accuracy(self) -> float:
        """The best validation accuracy so far, 0 to 1."""
        return self.records[self.best_epoch - 1].val_accuracy


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Publish a checkpoint."""
    head = {
        "run": checkpoint.run,
        "best_epoch": checkpoint.best_epoch,
        "records": [asdict(record) for record in checkpoint.records],
    }
    arrays = {f"{_STATE}{name}": array for name, array in checkpoint.state.items()}
    arrays |= {f"{_BEST}{name}": array for name, array in checkpoint.best.items()}
    arrays["head"] = np.frombuffer(json.dumps(head).encode(), dtype=np.uint8)
    body = io.BytesIO()
    np.savez(body, allow_pickle=False, **arrays)
    content = body.getvalue()
    publish_bytes(path, _MAGIC + hashlib.sha256(content).digest() + content)


def read_checkpoint(path: Path) -> Checkpoint | None:
    """Read a checkpoint; None if there is no such file."""
    if not path.exists():
        return None
    with np.load(io.BytesIO(_content(path)), allow_pickle=False) as arrays:
        head = json.loads(arrays["head"].tobytes())
        state, best = (
            {name.removeprefix(prefix): arrays[name] for name in arrays if name.startswith(prefix)}
            for prefix in (_STATE, _BEST)
        )
        records = tuple(EpochRecord(**record) for record in head["records"])
        return Checkpoint(head["run"], records, head["best_epoch"], state, best)


def _content(path: Path) -> bytes:
    """The body of a checkpoint file, returned only if its digest is right."""
    with open_file(path) as file:
        whole = file.read()
    if whole.startswith(_MAGIC.split(b" 1", maxsplit=1)[0]) and not whole.startswith(_MAGIC):
        raise UnsupportedError(
            f"{path} was written by another version of the toolkit", hint="resume with that version"
        )
    start = len(_MAGIC) + _DIGEST_BYTES
    content = whole[start:]
    if whole[:start] != _MAGIC + hashlib.sha256(content).digest():
        raise DamagedFileError(
            f"{path} is damaged: its digest differs",
            hint="start a new run; model.h5 beside it is the best epoch's network",
        )
    return content
