"""Parts of data sets, kept as memory-mapped arrays; everything here can be made again."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import re
import shutil
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.data.dataset import Dataset
from toolkit.errors import BusyError, MissingInputError, StorageError, ToolkitError
from toolkit.library.fingerprint import Fingerprint, size_and_times
from toolkit.records import dataclass
from toolkit.store import exclusive, file_sha256, publish, publish_text
from toolkit.store.opening import read_file
from toolkit.vocabulary import SplitName

SCHEMA = 2
_INDEX = "entry.json"
_ARRAYS = ("images", "labels")
_ROWS_AT_ONCE = 2_048  # fit a core's own cache
_WAIT_FOR_OTHERS_S = 600.0

_log = logging.getLogger(__name__)

Splits = Mapping[SplitName, Dataset]


@dataclass(frozen=True)
class Divided:
    """A part of a data set, and the ascending indices of the rows of each split."""

    dataset: Dataset
    rows: Mapping[SplitName, NDArray[np.intp]]

    def splits(self) -> Splits:
        """The splits in memory; a split that is the whole part is not copied."""
        whole = len(self.dataset)
        return {
            name: self.dataset if len(rows) == whole else self.dataset.take(rows)
            for name, rows in self.rows.items()
        }


def cached_splits(folder: Path, key: Fingerprint, make: Callable[[], Divided]) -> Splits:
    """The splits of a part, memory-mapped; made and stored first if there is no entry for its state.

    An entry is a folder with ``images.npy`` and ``labels.npy``, ordered by split, and
    ``entry.json``, which is written last and holds shapes, types, digests and the size of each
    split. Without a valid ``entry.json`` there is no entry.

    A second process that needs the same entry waits for the first one. If the cache cannot
    be written, a warning is logged and the splits are returned in memory.
    """
    name = re.sub(r"[^a-z0-9]+", "-", key.title.lower())[:60].strip("-")
    same_place = f"{name}-{key.place[:12]}-"
    entry = folder / f"{same_place}{key.state[:24]}"
    if found := _open(entry, key):
        return found
    with ExitStack() as stack:
        try:
            stack.enter_context(exclusive(entry, wait_s=_WAIT_FOR_OTHERS_S))
        except (BusyError, StorageError) as error:
            _log.warning("warning: not cached: %s", error)
            return make().splits()
        if found := _open(entry, key):
            return found
        made = make()
        try:
            _store(entry, key, made)
        except (StorageError, OSError) as error:
            _log.warning("warning: not cached: %s", error)
            shutil.rmtree(entry, ignore_errors=True)
            return made.splits()
        with suppress(OSError):
            for old in folder.glob(f"{same_place}*"):  # earlier states; open maps stay valid
                if old != entry:
                    shutil.rmtree(old)
    return _open(entry, key) or made.splits()


def _store(entry: Path, key: Fingerprint, made: Divided) -> None:
    dataset = made.dataset
    order = np.concatenate(list(made.rows.values()))
    index = {
        "schema": SCHEMA,
        "state": key.state,
        "name": dataset.name,
        "classes": list(dataset.classes),
        "splits": {name: len(rows) for name, rows in made.rows.items()},
        "files": {name: _write(entry / f"{name}.npy", getattr(dataset, name), order) for name in _ARRAYS},
    }
    content = json.dumps(index, indent=1)
    publish_text(entry / _INDEX, f"{hashlib.sha256(content.encode()).hexdigest()}\n{content}")


def _write(path: Path, array: NDArray[Any], order: NDArray[np.intp]) -> dict[str, Any]:
    """Publish rows in an order as a .npy file; returns what the index holds about it."""
    shape = (len(order), *array.shape[1:])
    from concurrent.futures import ThreadPoolExecutor

    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": np.lib.format.dtype_to_descr(array.dtype), "fortran_order": False, "shape": shape}
    )
    digest = hashlib.sha256()
    with publish(path) as staging, staging.open("xb") as file, ThreadPoolExecutor(1) as thread:
        file.write(header.getvalue())
        digested = thread.submit(digest.update, header.getvalue())
        for begin in range(0, len(order), _ROWS_AT_ONCE):
            rows = array[order[begin : begin + _ROWS_AT_ONCE]].data.cast("B")
            digested.result()
            # Digesting and writing take about the same time, and both release the interpreter's lock.
            digested = thread.submit(digest.update, rows)
            file.write(rows)
    return {
        "shape": list(shape),
        "dtype": array.dtype.str,
        "sha256": digest.hexdigest(),
        "signature": size_and_times(path),
    }


def _open(entry: Path, key: Fingerprint) -> Splits | None:
    """The splits; None if there is no entry, or a damaged one, which is then made again."""
    try:
        recorded, _, content = read_file(entry / _INDEX).partition(b"\n")
        if hashlib.sha256(content).hexdigest().encode() != recorded:
            return None
        index = json.loads(content)
        if index["schema"] != SCHEMA or index["state"] != key.state:
            return None
        images, labels = (_map(entry / f"{name}.npy", index["files"][name]) for name in _ARRAYS)
        splits: dict[SplitName, Dataset] = {}
        begin = 0
        for name, size in index["splits"].items():
            rows = slice(begin, begin + size)
            splits[name] = Dataset(index["name"], tuple(index["classes"]), images[rows], labels[rows])
            begin += size
    except (MissingInputError, FileNotFoundError):
        return None
    except (ToolkitError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        _log.info("%s: damaged cache entry ignored: %s", entry, error)
        return None
    return splits


def _map(path: Path, recorded: dict[str, Any]) -> NDArray[Any]:
    array = np.lib.format.open_memmap(path, mode="r")  # takes .npy only, and no objects
    if list(array.shape) != recorded["shape"] or array.dtype.str != recorded["dtype"]:
        raise ValueError(f"{path.name} has another shape or type")
    if size_and_times(path) != recorded["signature"] and file_sha256(path) != recorded["sha256"]:
        raise ValueError(f"{path.name} has other content")
    return np.asarray(array)
