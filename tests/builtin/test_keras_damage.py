"""Whatever the bytes: a result or a named error, in bounded time and memory, never a traceback."""

from __future__ import annotations

import copy
import io
import json
import random
import resource
import subprocess
import sys
import time
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from toolkit.errors import ToolkitError
from toolkit.graph.onnx_form import to_onnx
from toolkit_keras.read_h5 import read_h5
from toolkit_keras.read_keras import read_keras

EACH = 200
SECONDS_EACH = 10.0
MEMORY = 1 << 30


def layer(kind: str, name: str, *sources: str, **settings: Any) -> dict[str, Any]:
    """A layer of a Functional model, in the words of Keras 3."""
    tensors = [
        {"class_name": "__keras_tensor__", "config": {"shape": [None], "keras_history": [source, 0, 0]}}
        for source in sources
    ]
    node = (
        {"args": [tensors if len(tensors) > 1 else tensors[0]], "kwargs": {"mask": None}} if tensors else None
    )
    return {
        "class_name": kind,
        "config": {"name": name, "trainable": True, **settings},
        "name": name,
        "inbound_nodes": [node] if node else [],
    }


def configuration() -> dict[str, Any]:
    """A network with most kinds of layers in it."""
    inner = {
        "name": "inner",
        "trainable": True,
        "layers": [
            {"class_name": "InputLayer", "config": {"name": "in", "batch_shape": [None, 6, 6, 2]}},
            {
                "class_name": "DepthwiseConv2D",
                "config": {"name": "depth", "kernel_size": [3, 3], "padding": "same"},
            },
            {"class_name": "PReLU", "config": {"name": "slope", "shared_axes": [1, 2]}},
        ],
    }
    layers = [
        layer("InputLayer", "start", batch_shape=[None, 8, 8, 1]),
        layer("Conv2D", "conv", "start", filters=2, kernel_size=[3, 3], strides=[1, 1], activation="relu"),
        layer("BatchNormalization", "norm", "conv", axis=-1, epsilon=1e-3),
        {**layer("Sequential", "inner", "norm"), "config": inner},
        layer("Add", "sum", "norm", "inner"),
        layer("ZeroPadding2D", "pad", "sum", padding=[[1, 1], [1, 1]]),
        layer("AveragePooling2D", "pool", "pad", pool_size=[2, 2], strides=[2, 2], padding="same"),
        layer("LayerNormalization", "even", "pool", axis=[-1]),
        layer("Permute", "turned", "even", dims=[2, 1, 3]),
        layer("Reshape", "row", "turned", target_shape=[-1]),
        layer("Flatten", "flat", "pool"),
        layer("Concatenate", "both", "row", "flat", axis=-1),
        layer("Rescaling", "scaled", "both", scale=0.5, offset=0.0),
        layer("Dropout", "drop", "scaled", rate=0.5),
        layer("Dense", "head", "drop", units=3, activation="softmax", use_bias=True),
    ]
    config = {
        "name": "net",
        "trainable": True,
        "layers": layers,
        "input_layers": [["start", 0, 0]],
        "output_layers": [["head", 0, 0]],
    }
    return {"class_name": "Functional", "config": config}


SHAPES: dict[str, dict[str, tuple[int, ...]]] = {
    "conv": {"kernel": (3, 3, 1, 2), "bias": (2,)},
    "norm": {"gamma": (2,), "beta": (2,), "moving_mean": (2,), "moving_variance": (2,)},
    "inner": {"depth/kernel": (3, 3, 2, 1), "depth/bias": (2,), "slope/alpha": (1, 1, 2)},
    "even": {"gamma": (2,), "beta": (2,)},
    "head": {"kernel": (64, 3), "bias": (3,)},
}
GROUPS = {
    "conv": "conv2d",
    "norm": "batch_normalization",
    "even": "layer_normalization",
    "head": "dense",
}


def write_h5(path: Path, config: Any) -> Path:
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"] = "3.15.1"
        file.attrs["model_config"] = json.dumps(config)
        for owner, weights in SHAPES.items():
            group = file.create_group(f"model_weights/{owner}")
            group.attrs["weight_names"] = [f"{owner}/{name}".encode() for name in weights]
            for name, shape in weights.items():
                group[f"{owner}/{name}"] = np.ones(shape, np.float32)
    return path


def weights_file() -> bytes:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for owner, group in GROUPS.items():
            for index, shape in enumerate(SHAPES[owner].values()):
                file[f"layers/{group}/vars/{index}"] = np.ones(shape, np.float32)
        inner = "layers/sequential/layers"
        for place, name in (
            ("depthwise_conv2d/vars/0", "depth/kernel"),
            ("depthwise_conv2d/vars/1", "depth/bias"),
        ):
            file[f"{inner}/{place}"] = np.ones(SHAPES["inner"][name], np.float32)
        file[f"{inner}/p_re_lu/vars/0"] = np.ones(SHAPES["inner"]["slope/alpha"], np.float32)
    return buffer.getvalue()


def write_archive(path: Path, config: Any, weights: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", '{"keras_version": "3.15.1"}')
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("model.weights.h5", weights)
    return path


def use(path: Path) -> str:
    """Read a file and everything in it; the outcome in one word."""
    try:
        model = read_keras(path) if path.suffix == ".keras" else read_h5(path)
        to_onnx(model.build_graph(), model.tensors)
        for name in model.tensors:
            model.tensors.read(name)
    except ToolkitError as error:
        text = str(error)
        assert "\n" not in text, text
        assert len(text) < 1500, text
        assert str(path.parent) not in text, text
        return type(error).__name__
    return "read"


def damaged(content: bytes, seed: int) -> Iterator[bytes]:
    """The file cut off at 200 places, and with bits flipped at 200."""
    chance = random.Random(seed)
    for _ in range(EACH):
        yield content[: chance.randrange(len(content))]
    for _ in range(EACH):
        flipped = bytearray(content)
        for _ in range(chance.choice([1, 1, 1, 4, 16])):
            flipped[chance.randrange(len(flipped))] ^= 1 << chance.randrange(8)
        yield bytes(flipped)


def run_all(source: Path, how: str) -> None:
    """Try every damaged form of a file; prints the outcomes as JSON."""
    target = source.with_name(f"damaged{source.suffix}")
    inner = weights_file() if how == "inside" else b""
    outcomes: Counter[str] = Counter()
    slowest = 0.0
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for content in damaged(inner or source.read_bytes(), seed=11):
        if inner:
            write_archive(target, configuration(), content)
        else:
            target.write_bytes(content)
        started = time.process_time()
        outcomes[use(target)] += 1
        slowest = max(slowest, time.process_time() - started)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    print(json.dumps({"outcomes": outcomes, "slowest": slowest, "grown": grown}))


@pytest.mark.parametrize(("suffix", "how"), [("h5", "whole"), ("keras", "whole"), ("keras", "inside")])
def test_cut_off_and_flipped_files(suffix: str, how: str, tmp_path: Path) -> None:
    """In another process: a crash of HDF5's parser would end the tests."""
    source = tmp_path / f"a.{suffix}"
    if suffix == "h5":
        write_h5(source, configuration())
    else:
        write_archive(source, configuration(), weights_file())
    assert use(source) == "read"
    done = subprocess.run(
        [sys.executable, __file__, str(source), how], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    report = json.loads(done.stdout)
    outcomes = report["outcomes"]
    assert sum(outcomes.values()) == 2 * EACH
    assert report["slowest"] < SECONDS_EACH
    assert report["grown"] < MEMORY
    assert outcomes["UnreadableInputError"] > EACH / 2
    if suffix == "keras" and how == "whole":
        assert outcomes.get("read", 0) <= 0.05 * EACH, "the archive's checksums find flipped bits"


def test_a_heap_that_would_never_end_is_found_before_hdf5_walks_it(tmp_path: Path) -> None:
    """HDF5 1.14 steps over a heap's objects by their sizes, and never ends at a size of 0."""
    path = write_h5(tmp_path / "a.h5", configuration())
    content = bytearray(path.read_bytes())
    first_object = content.find(b"GCOL") + 16
    content[first_object : first_object + 16] = bytes(16)
    path.write_bytes(content)
    program = (
        "import sys\nfrom pathlib import Path\n"
        "from test_keras_damage import use\nprint(use(Path(sys.argv[1])))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    assert done.stdout.strip() == "UnreadableInputError"


STRANGE: list[Any] = [
    *(None, True, False, 0, 1, -1, 7, 10**9, 10**40, 0.5, float("inf"), float("nan"), "", "same", "softmax"),
    *(
        "start",
        "../x",
        "é",
        [],
        [1],
        [1, 2],
        [None],
        [[1, 2], [3, 4]],
        [10**9, 10**9],
        {},
        {"class_name": "Dense"},
    ),
    {"class_name": "LeakyReLU", "config": {}},
]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where something can be changed in a JSON value."""
    if path:
        yield path
    if isinstance(value, dict):
        for key, item in value.items():
            yield from places(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from places(item, (*path, index))


def changed(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    value = copy.deepcopy(value)
    inner = value
    for step in path[:-1]:
        inner = inner[step]
    if new is ...:
        del inner[path[-1]]
    else:
        inner[path[-1]] = new
    return value


@pytest.mark.parametrize("suffix", ["h5", "keras"])
def test_strange_configurations(suffix: str, tmp_path: Path) -> None:
    """Every place in the configuration left out once, and filled with strange values at random."""
    chance = random.Random(5)
    config = configuration()
    spots = list(places(config))
    changes: list[tuple[tuple[Any, ...], Any]] = [(spot, ...) for spot in spots]
    changes += [(chance.choice(spots), chance.choice(STRANGE)) for _ in range(300)]
    outcomes: Counter[str] = Counter()
    path = tmp_path / f"a.{suffix}"
    weights = weights_file()
    step = 6 if suffix == "h5" else 1  # both formats go through one parser, and HDF5 files take long to write
    for spot, new in changes[::step]:
        strange = changed(config, spot, new)
        if suffix == "h5":
            write_h5(path, strange)
        else:
            write_archive(path, strange, weights)
        started = time.process_time()
        try:
            outcomes[use(path)] += 1
        except Exception as error:
            error.add_note(f"{'/'.join(map(str, spot))} = {new!r}")
            raise
        assert time.process_time() - started < SECONDS_EACH, (spot, new)
    assert outcomes["read"] > 0
    assert outcomes["UnreadableInputError"] > 150 / step


if __name__ == "__main__":
    run_all(Path(sys.argv[1]), sys.argv[2])
