"""The built-in commands: a table that is read without importing any of them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BuiltinCommand:
    """One built-in command.

    Attributes:
        module: Where its attribute ``command`` is, a ``click.Command``.
        summary: Its line in the list of commands.
    """

    module: str
    summary: str


BUILTIN_COMMANDS: dict[str, BuiltinCommand] = {
    "demo": BuiltinCommand("toolkit.cli.demo", "Run the whole flow on the embedded data set."),
    "datasets": BuiltinCommand("toolkit.cli.datasets", "List, show, download and make data sets."),
    "train": BuiltinCommand("toolkit.cli.train", "Train a network, or fine-tune one."),
    "models": BuiltinCommand("toolkit.cli.models", "Find, show, compare and verify model files."),
    "merge": BuiltinCommand("toolkit.cli.merge", "Make one model of several."),
    "export": BuiltinCommand("toolkit.cli.export", "Write a model for other programs: ONNX, Keras."),
    "evaluate": BuiltinCommand("toolkit.cli.evaluate", "Score models on a data set."),
    "predict": BuiltinCommand("toolkit.cli.predict", "Recognise the characters in pictures."),
    "serve": BuiltinCommand("toolkit.web.command", "Serve the models over HTTP."),
    "plugins": BuiltinCommand("toolkit.cli.plugins", "List, show and check the plugins."),
    "doctor": BuiltinCommand("toolkit.cli.doctor", "Check the installation and the workspace."),
}
"""In the order in which they are used."""
