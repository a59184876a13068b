"""What every plugin must do: checks that anyone runs on their own, and ``toolkit plugins check`` on all."""

from __future__ import annotations

import importlib.util
import inspect
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolkit.declarations import Command, DatasetLoader, DatasetSource, MergeStrategy, ModelFormat, Routes
from toolkit.errors import ToolkitError, one_line
from toolkit.host.catalog import Catalog
from toolkit.host.kinds import KINDS, Kind
from toolkit.host.manager import Contribution, PluginRecord
from toolkit.options import describe_options

HEAVY_PACKAGES = (
    "flask",
    "h5py",
    "keras",
    "matplotlib",
    "numpy",
    "onnx",
    "onnxruntime",
    "pandas",
    "scipy",
    "tensorflow",
    "tf2onnx",
    "torch",
)
"""What the import of a plugin must not pull in: every start of the program pays for it."""

_IMPORT_LIMIT_S = 60.0
_ARGUMENTS = {"write": 2}
_IMPORT_SCRIPT = """\
import importlib, sys
plugin = importlib.import_module(sys.argv[1])
for name in ("toolkit_commands", "toolkit_routes"):
    list(getattr(plugin, name, tuple)())
print("heavy:", *sorted(set(sys.argv[2:]) & set(sys.modules)))
"""


@dataclass(frozen=True, slots=True)
class Problem:
    """A promise that a plugin breaks.

    Attributes:
        subject: Which part of it: ``plugin``, or ``merge strategy 'mean'``.
        text: What it does and what it should do.
    """

    subject: str
    text: str

    def __str__(self) -> str:
        return f"{self.subject}: {self.text}"


def problems_of(catalog: Catalog, plugin: PluginRecord) -> tuple[Problem, ...]:
    """Check one plugin: what its declarations are and what its callables do.

    Nothing is trained, downloaded or written outside temporary folders, and no run listener is
    told anything.

    Args:
        catalog: With the plugin in it, and all those that it could clash with.
        plugin: One of the catalog's records.
    """
    if plugin.state == "disabled":
        return ()
    if plugin.state == "broken":
        return (Problem("plugin", plugin.cause),)
    problems = [Problem("plugin", text) for text in (*_hook_problems(plugin), *_import_problems(plugin))]
    for kind in KINDS:
        clashes = catalog.clashes(kind)
        for contribution in catalog.contributions(kind):
            if contribution.owner != plugin:
                continue
            subject = f"{kind.word} {contribution.name!r}"
            others = [
                str(other.owner) for other in clashes.get(contribution.name, ()) if other != contribution
            ]
            if others:
                text = (
                    f"the name is also taken by {', '.join(others)}; only {contribution.qualified_name} works"
                )
                problems.append(Problem(subject, text))
            problems.extend(Problem(subject, text) for text in _contribution_problems(contribution))
    return tuple(problems)


def _hook_problems(plugin: PluginRecord) -> Iterator[str]:
    module = sys.modules.get(plugin.module.partition(":")[0])
    if module is None:
        return
    for kind in KINDS:
        if kind.hook not in plugin.hooks and inspect.isfunction(getattr(module, kind.hook, None)):
            yield f"{kind.hook} is not marked with @hookimpl"
    if not plugin.hooks:
        yield "implements no hook"


def _import_problems(plugin: PluginRecord) -> Iterator[str]:
    """What the plugin's import, and the hooks that every start calls, pull in; in a fresh process."""
    module = plugin.module.partition(":")[0]
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        spec = None
    if spec is None:
        return
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
    command = [sys.executable, "-c", _IMPORT_SCRIPT, module, *HEAVY_PACKAGES]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, env=environ, timeout=_IMPORT_LIMIT_S, check=False
        )
    except subprocess.TimeoutExpired:
        yield f"its import takes more than {_IMPORT_LIMIT_S:g} s"
        return
    lines = [line for line in done.stdout.splitlines() if line.startswith("heavy:")]
    if done.returncode or not lines:
        last = (done.stderr.strip().splitlines() or ["no output"])[-1]
        yield f"cannot be imported in a fresh process: {last}"
        return
    heavy = lines[-1].removeprefix("heavy:").split()
    if heavy:
        yield f"its import pulls in {', '.join(heavy)}; import them inside the functions that use them"


def _contribution_problems(contribution: Contribution[Any]) -> Iterator[str]:
    kind, declaration = contribution.kind, contribution.declaration
    for field in (*kind.callables, *kind.optional_callables):
        yield from _signature_problems(kind, field, getattr(declaration, field))
    if hasattr(declaration, "options"):
        for described in describe_options(declaration.options):
            if not described.help.strip():
                yield f"option {described.name} has no help text; declare it with toolkit.options.option"
        yield from _default_options_problems(declaration.options)
    check = _BEHAVIOUR.get(kind.declaration)
    if check is None:
        return
    try:
        yield from check(declaration)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - all that a stranger's code can raise is a finding
        yield f"its check failed: {type(error).__name__}: {one_line(error)}"


def _default_options_problems(options: type) -> Iterator[str]:
    try:
        options()
    except Exception as error:  # noqa: BLE001 - a stranger's __post_init__ may fail in any way
        yield f"its options cannot be left as they are by default: {type(error).__name__}: {one_line(error)}"


def _signature_problems(kind: Kind[Any], field: str, function: Any) -> Iterator[str]:
    if function is None:
        return
    number = 0 if field == "load" and kind.declaration in (Command, Routes) else _ARGUMENTS.get(field, 1)
    try:
        signature = inspect.signature(function)
    except ValueError:
        # Written in C, without a signature to look at.
        return
    try:
        signature.bind(*[None] * number)
    except TypeError:
        yield f"{field}{signature} cannot be called with {number} positional argument{'s'[: number != 1]}"


def _dataset_loader_problems(loader: DatasetLoader) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sources: Iterable[object] = loader.detect(folder)
        written = sorted(path.name for path in folder.iterdir())
    if written:
        yield f"detect writes into the folder that it looks at: {', '.join(written)}"
    names = []
    for source in sources:
        if not isinstance(source, DatasetSource):
            yield f"detect returned {type(source).__name__}, expected sources of type DatasetSource"
            return
        if source.loader != loader.name:
            yield f"source {source.name!r} says that its loader is {source.loader!r}"
        names.append(source.name)
    if len(set(names)) != len(names):
        yield f"detect returned two sources of one name: {', '.join(sorted(names))}"


def _model_format_problems(model_format: ModelFormat) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as name:
        for suffix in model_format.suffixes:
            for what, content in (("an empty file", b""), ("a file of noise", bytes(range(256)) * 4)):
                path = Path(name) / f"strange{suffix}"
                path.write_bytes(content)
                try:
                    model_format.read(path)
                except ToolkitError:
                    continue
                except Exception as error:  # noqa: BLE001 - the finding is that it is no ToolkitError
                    yield (
                        f"read raises {type(error).__name__} for {what} ({suffix}), "
                        "expected UnreadableInputError"
                    )
                else:
                    yield f"read accepts {what} ({suffix}) as a model"


def _merge_strategy_problems(strategy: MergeStrategy) -> Iterator[str]:
    from toolkit.contract.strategy_checks import strategy_problems

    return strategy_problems(strategy)


def _command_problems(command: Command) -> Iterator[str]:
    import click

    loaded: object = command.load()
    if not isinstance(loaded, click.Command):
        yield f"load returned {type(loaded).__name__}, expected click.Command"


def _routes_problems(routes: Routes) -> Iterator[str]:
    if importlib.util.find_spec("flask") is None:
        return
    import flask

    loaded: object = routes.load()
    if not isinstance(loaded, flask.Blueprint):
        yield f"load returned {type(loaded).__name__}, expected flask.Blueprint"


_BEHAVIOUR: dict[type, Callable[[Any], Iterator[str]]] = {
    DatasetLoader: _dataset_loader_problems,
    ModelFormat: _model_format_problems,
    MergeStrategy: _merge_strategy_problems,
    Command: _command_problems,
    Routes: _routes_problems,
}
