"""Imports TensorFlow; nothing else in training does at module level."""

from __future__ import annotations

import importlib.util
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from types import ModuleType

from toolkit.errors import ConfigurationError

_HINT = "pip install 'modelops-toolkit[train]'"


def require_framework(what: str = "training") -> None:
    """Check that TensorFlow and Keras are installed, without importing them; ``what`` needs them."""
    missing = [name for name in ("tensorflow", "keras") if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigurationError(
            f"{what} needs {' and '.join(missing)}, not installed in this environment", hint=_HINT
        )


@cache
def load_tensorflow() -> ModuleType:
    """Import TensorFlow without the messages that it prints at start-up."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    try:
        with _standard_error_held_back():
            import tensorflow as tf

            # Half of the messages come with the first operation.
            tf.constant(0)
    except ImportError as error:
        raise ConfigurationError(f"TensorFlow cannot be imported: {error}", hint=_HINT) from error
    return sys.modules["tensorflow"]


def make_deterministic(seed: int) -> None:
    """Switch on TensorFlow's determinism for the whole process, and seed what has no seed of its own."""
    tf = load_tensorflow()
    import keras

    keras.utils.set_random_seed(seed % 2**32)
    tf.config.experimental.enable_op_determinism()


@contextmanager
def _standard_error_held_back() -> Iterator[None]:
    """Hold back what native code writes to standard error; show it if the body fails."""
    sys.stderr.flush()
    try:
        real = os.dup(2)
    except OSError:  # standard error is closed
        yield
        return
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except Exception:  # not for an interruption
            held.seek(0)
            os.write(real, held.read())
            raise
        finally:
            os.dup2(real, 2)
            os.close(real)
