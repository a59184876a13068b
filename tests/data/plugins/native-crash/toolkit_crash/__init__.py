"""A model format that crashes its process, as a bug in a native library would."""

import os
import time

from toolkit import hookimpl
from toolkit.errors import UnreadableInputError
from toolkit.types import ModelFormat


def read(path):
    match path.read_text():
        case "crash":
            os.abort()
        case "circle":
            path.with_suffix(".begun").touch()
            time.sleep(3600)
        case "memory":
            bytearray(1 << 40)
        case "disk":
            path.with_suffix(".grown").write_bytes(b"x")
        case "secret" if "SECRET" in os.environ:
            os.abort()
        case "say":
            print("crashed")
    raise UnreadableInputError(f"{path}: no model")


def write(model, path):
    raise NotImplementedError


@hookimpl
def toolkit_model_formats():
    yield ModelFormat(
        name="crash",
        summary="Crashes the process that reads it",
        suffixes=(".crash",),
        read=read,
        write=write,
    )
