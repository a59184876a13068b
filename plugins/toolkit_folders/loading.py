"""Reads one part of a folder of pictures."""

from __future__ import annotations

import logging
import os
import struct
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from toolkit.data import Dataset, pixel_hash
from toolkit.errors import LimitReachedError, MissingInputError, UnreadableInputError
from toolkit.pictures import prepare_picture
from toolkit.types import LoadRequest
from toolkit_folders import FolderOptions
from toolkit_folders.layout import pictures_of

Ink = Literal["auto", "light", "dark"]
_Read = NDArray[np.uint8] | UnreadableInputError | LimitReachedError

_SIDE = 28
_AT_ONCE = 1_024
_GREY_28 = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sIIBB", 13, b"IHDR", _SIDE, _SIDE, 8, 0)

_log = logging.getLogger(__name__)


def load(request: LoadRequest) -> Dataset:
    """Read the train or the test part; without a test folder, the pixels decide which is which."""
    source, part = request.source, request.part
    options = request.options if isinstance(request.options, FolderOptions) else FolderOptions()
    parts = pictures_of(source.files["pictures"])
    classes = tuple(sorted(set().union(*parts.values())))
    divided = "test" not in parts
    chosen = parts.get("train" if divided else part) or parts.get("", {})
    pictures = [(path, label) for label, name in enumerate(classes) for path in chosen.get(name, ())]
    paths = tuple(path for path, _ in pictures)
    states = tuple((status.st_size, status.st_mtime_ns) for status in map(os.stat, paths))
    images, readable = _read_all(source.name, paths, states, options)
    wanted = readable
    if divided:
        testing = pixel_hash(images) / 2.0**64 >= 1 - options.test_share
        wanted = readable & (testing if part == "test" else ~testing)
    if not wanted.any():
        hint = f"put them into {source.name}/{part}/A, {source.name}/{part}/B, …"
        raise MissingInputError(f"{source.name}: there are no {part} pictures", hint=hint)
    labels = np.array([label for _, label in pictures], np.int32)
    return Dataset(source.name, classes, images[wanted], labels[wanted])


# Without a test folder, both parts are made of the same pictures.
@lru_cache(maxsize=1)
def _read_all(
    name: str, paths: tuple[Path, ...], _states: tuple[tuple[int, int], ...], options: FolderOptions
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """All pictures, (n, 28, 28) uint8, and which of them are readable."""
    images = np.zeros((len(paths), _SIDE, _SIDE), np.uint8)
    readable = np.zeros(len(paths), np.bool_)
    for number, picture in enumerate(_read_in_order(paths, options.ink)):
        if isinstance(picture, np.ndarray):
            images[number], readable[number] = picture, True
        elif not options.skip_unreadable:
            hint = "replace or remove it, or set -o loader.skip_unreadable=true"
            raise UnreadableInputError(picture.message, hint=hint) from picture
    if not readable.all():
        skipped = len(paths) - np.count_nonzero(readable)
        first = paths[int(np.argmin(readable))]
        _log.warning("warning: %s: skipped %d of %d pictures, such as %s", name, skipped, len(paths), first)
    return images, readable


def _read_in_order(paths: Sequence[Path], ink: Ink) -> Iterator[_Read]:
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1), thread_name_prefix="pictures") as pool:
        for begin in range(0, len(paths), _AT_ONCE):
            yield from pool.map(partial(_read, ink=ink), paths[begin : begin + _AT_ONCE])


def _read(path: Path, ink: Ink) -> _Read:
    try:
        grey = _as_it_is(path, ink)
        return prepare_picture(path, ink=ink) if grey is None else grey
    except (UnreadableInputError, LimitReachedError) as error:  # which the caller may skip
        return error


def _as_it_is(path: Path, ink: Ink) -> NDArray[np.uint8] | None:
    """A grey PNG of 28×28, only inverted if its strokes are dark; None for other or damaged files."""
    from PIL import Image

    try:
        with path.open("rb") as file:
            if file.read(len(_GREY_28)) != _GREY_28:
                return None
            file.seek(0)
            grey = np.array(Image.open(file, formats=("PNG",)), np.uint8)
    except (OSError, SyntaxError, ValueError):
        return None
    border = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    dark = np.median(border) > 127 if ink == "auto" else ink == "dark"
    return 255 - grey if dark else grey
