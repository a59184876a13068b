"""The built-in commands, listed without importing them."""

from __future__ import annotations

BUILTIN_COMMANDS: dict[str, str] = {
    "demo": "Run the whole flow on the embedded data set.",
    "datasets": "List, show, download and make data sets.",
    "train": "Train a network, or fine-tune one.",
    "runs": "List, show and remove training runs.",
    "models": "Find, show, compare, adopt and verify model files.",
    "merge": "Merge models into one.",
    "export": "Write a model for other programs: ONNX, Keras.",
    "evaluate": "Evaluate models on a data set.",
    "predict": "Predict the characters in pictures.",
    "serve": "Serve the models over HTTP.",
    "plugins": "List, show and check the plugins.",
    "doctor": "Check the installation and the workspace.",
}
"""Their summaries, in the order in which they are used."""


def module_of(name: str) -> str:
    """The module whose attribute ``command`` is the built-in command."""
    return "toolkit.web.command" if name == "serve" else f"toolkit.cli.{name}"
