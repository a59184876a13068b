"""The only use of onnxruntime."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as runtime_errors

from toolkit.errors import LimitReachedError, UnsupportedError
from toolkit.graph.onnx_form import first_line

BATCH = 256
"""Images per run; larger batches need more memory and are not faster."""

_FATAL_ONLY = 4  # errors are raised; onnxruntime would also print them to stderr

_NAMES = (
    *("EPFail", "EngineError", "Fail", "InvalidArgument", "InvalidGraph", "InvalidProtobuf"),
    *("ModelLoaded", "NoModel", "NoSuchFile", "NotImplemented", "RuntimeException"),
)
_REFUSED = tuple(getattr(runtime_errors, name) for name in _NAMES)


def usable_processors() -> int:
    """Number of processors that this process may use, 1 or above."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Session:
    """One network in onnxruntime, on the processor; safe to run from several threads.

    ``inputs`` and ``outputs`` are their names, in order.

    Args:
        model: A complete ONNX model, or its bytes; never a path, so that no file beside it is read.
        name: For error messages.
        threads: Number of threads for one operation, 1 or above.
        weights: Given for inputs of these names at each run, without a copy. They are not listed in
            ``inputs``.

    Raises:
        UnsupportedError: If onnxruntime refuses the network.
    """

    def __init__(
        self,
        model: onnx.ModelProto | bytes,
        name: str,
        *,
        threads: int = 1,
        weights: Mapping[str, NDArray[Any]] | None = None,
    ) -> None:
        content = model if isinstance(model, bytes) else model.SerializeToString()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.enable_cpu_mem_arena = False
        options.log_severity_level = _FATAL_ONLY
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._name = name
        self._weights = dict(weights or {})
        try:
            self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except _REFUSED as error:
            raise UnsupportedError(
                f"{name}: onnxruntime {onnxruntime.__version__} refuses the network: {first_line(error)}",
                hint="export it again with an exporter that checks its output",
            ) from error
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        self._values = {value.name: value for value in (*inputs, *outputs)}
        self.inputs: tuple[str, ...] = tuple(
            value.name for value in inputs if value.name not in self._weights
        )
        self.outputs: tuple[str, ...] = tuple(value.name for value in outputs)

    def shape(self, name: str) -> tuple[int | str | None, ...]:
        """Axes of an input or output: a number, a name, or None if the file does not say."""
        return tuple(self._values[name].shape)

    def type(self, name: str) -> str:
        """Type of an input or output as onnxruntime calls it, such as ``tensor(float)``."""
        return str(self._values[name].type)

    def run(self, feeds: dict[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """Run the network once on an array for each input; returns the outputs in order.

        Raises:
            UnsupportedError: If onnxruntime refuses the inputs or fails.
            LimitReachedError: If memory runs out.
        """
        try:
            return [np.asarray(value) for value in self._session.run(None, feeds | self._weights)]
        except MemoryError as error:
            raise LimitReachedError(
                f"{self._name}: not enough memory to run the network", hint="run fewer images at once"
            ) from error
        except _REFUSED as error:
            shapes = ", ".join(f"{name} {feed.dtype}{list(feed.shape)}" for name, feed in feeds.items())
            raise UnsupportedError(
                f"{self._name}: onnxruntime cannot run the network on {shapes}: {first_line(error)}",
                hint="the file's graph contradicts itself; export it again",
            ) from error
