"""The built-in commands, listed without importing them."""

from __future__ import annotations

from typing import NamedTuple


class BuiltinCommand(NamedTuple):
    """The module whose attribute ``command`` is a ``click.Command``, and the line in the list of commands."""

    module: str
    summary: str


BUILTIN_COMMANDS: dict[str, BuiltinCommand] = {
    "demo": BuiltinCommand("toolkit.cli.demo", "Run the whole flow on the embedded data set."),
    "datasets": BuiltinCommand("toolkit.cli.datasets", "List, show, download and make data sets."),
    "train": BuiltinCommand("toolkit.cli.train", "Train a network, or fine-tune one."),
    "runs": BuiltinCommand("toolkit.cli.runs", "List, show and remove training runs."),
    "models": BuiltinCommand("toolkit.cli.models", "Find, show, compare and verify model files."),
    "merge": BuiltinCommand("toolkit.cli.merge", "Merge models into one."),
    "export": BuiltinCommand("toolkit.cli.export", "Write a model for other programs: ONNX, Keras."),
    "evaluate": BuiltinCommand("toolkit.cli.evaluate", "Evaluate models on a data set."),
    "predict": BuiltinCommand("toolkit.cli.predict", "Predict the characters in pictures."),
    "serve": BuiltinCommand("toolkit.web.command", "Serve the models over HTTP."),
    "plugins": BuiltinCommand("toolkit.cli.plugins", "List, show and check the plugins."),
    "doctor": BuiltinCommand("toolkit.cli.doctor", "Check the installation and the workspace."),
}
"""In the order in which they are used."""
