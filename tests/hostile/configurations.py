"""Hostile configurations and cards, in files that are otherwise as they should be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from registry import hostile
from small_networks import DENSE, FLAT, INPUT, SMALL, layer, sequential, write_h5

JSON = "JSON"
EVIL = "\x1b]0;gone\x07\x9b2J\r\nerror: all\u202efine\u200f"


@hostile(JSON, "deep-list.h5", "a configuration of 200,000 nested lists")
def _(path: Path) -> None:
    write_h5(path, '{"class_name": "Sequential", "config": ' + "[" * 200_000 + "]" * 200_000 + "}")


@hostile(JSON, "deep-object.h5", "a configuration nested 900 levels deep")
def _(path: Path) -> None:
    write_h5(path, '{"a":' * 900 + "1" + "}" * 900)


@hostile(JSON, "many-lists.h5", "a configuration of 2.5 million empty lists")
def _(path: Path) -> None:
    write_h5(path, '{"class_name": "Sequential", "config": [' + "[]," * 2_500_000 + "[]]}")


@hostile(JSON, "long-configuration.h5", "a configuration of 20 MB")
def _(path: Path) -> None:
    write_h5(path, json.dumps(SMALL) + " " * (20 << 20))


@hostile(JSON, "no-object.h5", "a configuration that is a list")
def _(path: Path) -> None:
    write_h5(path, "[1, 2]")


@hostile(JSON, "no-json.h5", "a configuration that is not JSON")
def _(path: Path) -> None:
    write_h5(path, "{'class_name': Sequential()}")


@hostile(JSON, "lambda.h5", "a Lambda layer with byte code", "refused")
def _(path: Path) -> None:
    code = {"class_name": "__lambda__", "config": {"code": "4wEAAAAAAAAA", "defaults": None}}
    write_h5(path, sequential(INPUT, layer("Lambda", "run", function=code), FLAT, DENSE))


@hostile(JSON, "hidden-lambda.h5", "byte code as the activation of a layer", "refused")
def _(path: Path) -> None:
    code = {"class_name": "__lambda__", "config": {"code": "4wEAAAAAAAAA"}}
    write_h5(path, sequential(INPUT, FLAT, layer("Dense", "dense", units=10, activation=code)))


@hostile(JSON, "too-many-layers.h5", "a network of 100,000 layers")
def _(path: Path) -> None:
    write_h5(path, sequential(INPUT, FLAT, *(layer("ReLU", f"r{index}") for index in range(100_000)), DENSE))


@hostile(JSON, "many-layers.h5", "a network of 1,900 layers", "read")
def _(path: Path) -> None:
    write_h5(path, sequential(INPUT, FLAT, *(layer("ReLU", f"r{index}") for index in range(1897)), DENSE))


def _nested(depth: int, calls: int) -> dict[str, Any]:
    """Models inside one another, each of which calls the next several times."""
    inner = layer("ReLU", "end") if depth == 0 else _nested(depth - 1, calls)
    name = inner["config"]["name"]
    start = {**layer("InputLayer", "start", batch_shape=[None, 3]), "name": "start", "inbound_nodes": []}
    called = {**inner, "name": name, "inbound_nodes": [[["start", 0, 0, {}]]] * calls}
    config = {
        "name": f"model{depth}",
        "layers": [start, called],
        "input_layers": [["start", 0, 0]],
        "output_layers": [[name, calls - 1, 0]],
    }
    return {"class_name": "Functional", "config": config}


@hostile(JSON, "deep-models.h5", "40 models inside one another")
def _(path: Path) -> None:
    write_h5(path, _nested(40, 1), {})


@hostile(JSON, "many-calls.h5", "18 models inside one another, each called twice by the one before")
def _(path: Path) -> None:
    write_h5(path, _nested(18, 2), {})


@hostile(JSON, "cycle.h5", "two layers that are each other's input")
def _(path: Path) -> None:
    config = {
        "name": "net",
        "layers": [
            {**INPUT, "name": "start", "inbound_nodes": []},
            {**layer("ReLU", "one"), "name": "one", "inbound_nodes": [[["two", 0, 0, {}]]]},
            {**layer("ReLU", "two"), "name": "two", "inbound_nodes": [[["one", 0, 0, {}]]]},
        ],
        "input_layers": [["start", 0, 0]],
        "output_layers": [["two", 0, 0]],
    }
    write_h5(path, {"class_name": "Functional", "config": config})


@hostile(JSON, "huge-units.h5", "a Dense layer of 10³⁰ units")
def _(path: Path) -> None:
    write_h5(path, sequential(INPUT, FLAT, layer("Dense", "dense", units=10**30)))


@hostile(JSON, "negative-units.h5", "a Dense layer of -10 units")
def _(path: Path) -> None:
    write_h5(path, sequential(INPUT, FLAT, layer("Dense", "dense", units=-10)))


@hostile(JSON, "other-units.h5", "a Dense layer of a billion units and a kernel for ten")
def _(path: Path) -> None:
    write_h5(path, sequential(INPUT, FLAT, layer("Dense", "dense", units=10**9)))


@hostile(JSON, "zero-stride.h5", "a pooling layer with strides of 0")
def _(path: Path) -> None:
    pool = layer("MaxPooling2D", "pool", pool_size=[2, 2], strides=[0, 0])
    write_h5(path, sequential(INPUT, pool, FLAT, DENSE))


@hostile(JSON, "huge-padding.h5", "padding by a million pixels on each side", "shown")
def _(path: Path) -> None:
    pad = layer("ZeroPadding2D", "pad", padding=[[10**6, 10**6], [10**6, 10**6]])
    write_h5(path, sequential(INPUT, pad, layer("GlobalAveragePooling2D", "mean"), DENSE), _ONE_CHANNEL)


@hostile(JSON, "huge-images.h5", "an image enlarged 5,000 times in both directions", "shown")
def _(path: Path) -> None:
    larger = layer("UpSampling2D", "larger", size=[5000, 5000])
    write_h5(path, sequential(INPUT, larger, layer("GlobalAveragePooling2D", "mean"), DENSE), _ONE_CHANNEL)


@hostile(JSON, "large-images.h5", "ten layers that each double an image", "shown")
def _(path: Path) -> None:
    larger = (layer("UpSampling2D", f"larger{index}", size=[2, 2]) for index in range(10))
    write_h5(path, sequential(INPUT, *larger, layer("GlobalAveragePooling2D", "mean"), DENSE), _ONE_CHANNEL)


_ONE_CHANNEL = {"dense": {"kernel": np.ones((1, 10), np.float32), "bias": np.zeros(10, np.float32)}}


@hostile(JSON, "control-characters.h5", "layers named with control characters and marks of direction", "read")
def _(path: Path) -> None:
    names = (EVIL + "/a", "b" + EVIL, EVIL)
    parts = (layer("ReLU", names[0]), FLAT, layer("ReLU", names[1]), layer("Dense", names[2], units=10))
    arrays = {EVIL: {"kernel": np.ones((784, 10), np.float32), "bias": np.ones(10, np.float32)}}
    write_h5(path, sequential(INPUT, *parts), arrays)


@hostile(JSON, "control-characters-in-an-error.h5", "a wrong layer named with control characters")
def _(path: Path) -> None:
    write_h5(path, sequential(INPUT, FLAT, layer("Dense", EVIL, units="ten" + EVIL)))


@hostile(
    JSON, "control-characters-in-a-kind.h5", "an unknown layer of a class with control characters", "shown"
)
def _(path: Path) -> None:
    write_h5(path, sequential(INPUT, layer("Strange" + EVIL, "strange"), FLAT, DENSE))


@hostile(JSON, "long-name.h5", "a layer with a name of 60,000 letters")
def _(path: Path) -> None:
    write_h5(path, sequential(INPUT, FLAT, layer("Dense", "x" * 60_000, units="ten")))


@hostile(JSON, "surrogates.h5", "a layer with half of a character as its name")
def _(path: Path) -> None:
    write_h5(path, json.dumps(sequential(INPUT, layer("ReLU", "\ud800 \udc1b"), FLAT, DENSE)))


@hostile(JSON, "not-a-number.h5", "weights that are NaN", "shown")
def _(path: Path) -> None:
    weights = {"kernel": np.full((784, 10), np.nan, np.float32), "bias": np.zeros(10, np.float32)}
    write_h5(path, SMALL, {"dense": weights})


def _with_card(path: Path, card: str | bytes) -> None:
    write_h5(path)
    with h5py.File(path, "a", libver="latest") as file:
        file.attrs["toolkit_card"] = card


@hostile(JSON, "embedded-card.h5", "an embedded card of 300 nested lists, which is left out", "read")
def _(path: Path) -> None:
    _with_card(path, "[" * 300 + "]" * 300)


@hostile(JSON, "embedded-card-of-60-kB.h5", "class names with control characters in an embedded card", "read")
def _(path: Path) -> None:
    _with_card(path, json.dumps({"schema": 1, "classes": [f"{EVIL}{index}" for index in range(10)]}))


def _beside(path: Path, card: bytes) -> None:
    write_h5(path)
    path.with_name(f"{path.stem}.card.json").write_bytes(card)


@hostile(JSON, "large-card.h5", "a card of 9 MB beside the file")
def _(path: Path) -> None:
    _beside(path, json.dumps({"file": path.name, "notes": "x" * (9 << 20)}).encode())


@hostile(JSON, "deep-card.h5", "a card of 100,000 nested lists beside the file")
def _(path: Path) -> None:
    _beside(path, b'{"file": "%s", "a": ' % path.name.encode() + b"[" * 100_000 + b"]" * 100_000 + b"}")


@hostile(JSON, "other-digest.h5", "a card with the digest of another file beside the file")
def _(path: Path) -> None:
    _beside(path, json.dumps({"schema": 1, "file": path.name, "file_sha256": "0" * 64}).encode())


@hostile(JSON, "wrong-card.h5", "a card of the wrong types beside the file")
def _(path: Path) -> None:
    _beside(path, json.dumps({"schema": "one", "file": path.name, "classes": {"a": EVIL}}).encode())
