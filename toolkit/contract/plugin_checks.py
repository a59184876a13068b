"""Checks of a plugin: its declarations, its import, and what its callables do."""

from __future__ import annotations

import importlib.util
import inspect
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from toolkit.contract.loader_checks import loader_problems
from toolkit.declarations import Command, DatasetLoader, Exporter, MergeStrategy, ModelFormat, Routes
from toolkit.errors import ToolkitError, one_line
from toolkit.host.catalog import Catalog
from toolkit.host.checks import result_problem
from toolkit.host.kinds import COMMANDS, KINDS, ROUTES, Kind
from toolkit.host.manager import Contribution, PluginRecord
from toolkit.options import describe_options, options_as_json, options_from_mapping
from toolkit.records import dataclass
from toolkit.store.content import content_of

HEAVY_PACKAGES = (
    *("cv2", "flask", "h5py", "keras", "matplotlib", "numpy", "onnx", "onnxruntime"),
    *("pandas", "scipy", "tensorflow", "tf2onnx", "torch"),
)
"""Packages that the import of a plugin must not import, because it delays every start."""

_IMPORT_LIMIT_S = 60.0
_IMPORT_SCRIPT = """\
import importlib, sys
plugin = importlib.import_module(sys.argv[1])
for name in ("toolkit_commands", "toolkit_routes"):
    list(getattr(plugin, name, tuple)())
print("heavy:", *sorted(set(sys.argv[2:]) & set(sys.modules)))
"""


@dataclass(frozen=True)
class Finding:
    """One way in which a plugin, or ``merge strategy 'mean'`` of it, breaks its contract."""

    subject: str
    text: str

    def __str__(self) -> str:
        return f"{self.subject}: {self.text}"


def findings(catalog: Catalog, plugin: PluginRecord) -> tuple[Finding, ...]:
    """Check one of the catalog's plugins; a disabled one has no findings.

    Nothing is trained or downloaded, nothing is written outside temporary folders, and no run
    listener is called.
    """
    if plugin.state == "disabled":
        return ()
    if plugin.state == "broken":
        return (Finding("plugin", plugin.cause),)
    found: list[Finding] = []
    module = plugin.module.partition(":")[0]
    if module in sys.modules:
        texts = (*_hook_problems(plugin, sys.modules[module]), *_import_problems(module))
        found.extend(Finding("plugin", text) for text in texts)
    for contribution in catalog.all_contributions():
        if contribution.owner == plugin:
            subject = f"{contribution.kind.word} {contribution.name!r}"
            others = ", ".join(str(other.owner) for other in catalog.namesakes(contribution))
            if others:
                text = f"the name is also taken by {others}; only {contribution.qualified_name} works"
                found.append(Finding(subject, text))
            found.extend(Finding(subject, text) for text in _contribution_problems(contribution))
    return tuple(found)


def _hook_problems(plugin: PluginRecord, module: ModuleType) -> Iterator[str]:
    for kind in KINDS:
        if kind.hook not in plugin.hooks and inspect.isfunction(getattr(module, kind.hook, None)):
            yield f"{kind.hook} is not marked with @hookimpl"
    if not plugin.hooks:
        yield "implements no hook"


def _import_problems(module: str) -> Iterator[str]:
    """What the import of the plugin and its commands import, in a process of its own."""
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
        yield f"cannot be imported in a new process: {last}"
        return
    heavy = ", ".join(lines[-1].removeprefix("heavy:").split())
    if heavy:
        yield f"its import imports {heavy}; import them inside the functions that use them"


def _contribution_problems(contribution: Contribution[Any]) -> Iterator[str]:
    declaration = contribution.declaration
    yield from _signature_problems(contribution.kind, declaration)
    if hasattr(declaration, "options"):
        wrong = list(_options_problems(declaration.options))
        yield from wrong
        if wrong:
            return
    try:
        yield from filter(None, _behaviour_problems(declaration))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - a plugin may raise anything, SystemExit too
        yield f"its check failed: {type(error).__name__}: {one_line(error)}"


def _behaviour_problems(declaration: Any) -> Iterator[str]:
    """What the callables do wrong, among empty strings."""
    match declaration:
        case DatasetLoader():
            yield from loader_problems(declaration)
        case ModelFormat():
            yield from _model_format_problems(declaration)
        case MergeStrategy():
            # NumPy is not needed to check other plugins.
            from toolkit.contract.strategy_checks import strategy_problems

            yield from strategy_problems(declaration)
        case Exporter():
            # Nor onnx and onnxruntime.
            from toolkit.contract.exporter_checks import exporter_problems

            yield from exporter_problems(declaration)
        case Command():
            yield result_problem(COMMANDS, "load", declaration.load())
        case Routes() if importlib.util.find_spec("flask"):
            yield result_problem(ROUTES, "load", declaration.load())


def _signature_problems(kind: Kind[Any], declaration: Any) -> Iterator[str]:
    for field, call in kind.calls.items():
        function = getattr(declaration, field)
        try:
            signature = inspect.signature(function)
        except (TypeError, ValueError):
            # None, or written in C without a signature.
            continue
        try:
            signature.bind(*[None] * call.arity)
        except TypeError:
            plural = "s" if call.arity != 1 else ""
            yield f"{field}{signature} cannot be called with {call.arity} positional argument{plural}"


def _options_problems(options: type) -> Iterator[str]:
    for described in describe_options(options):
        if not described.help.strip():
            yield f"option {described.name} has no help text; declare it with toolkit.options.option"
    try:
        defaults = options()
        if options_from_mapping(options, options_as_json(defaults), owner="the check") != defaults:
            yield "its options are not equal to themselves after JSON; declare them as a frozen dataclass"
    except Exception as error:  # noqa: BLE001 - __post_init__ may raise anything
        yield f"its default options are not valid: {type(error).__name__}: {one_line(error)}"


def _model_format_problems(model_format: ModelFormat) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as name:
        for suffix in model_format.suffixes:
            for what, content in (("an empty file", b""), ("a file of random bytes", bytes(range(256)) * 4)):
                path = Path(name) / f"sample{suffix}"
                path.write_bytes(content)
                yield from _recognising_problems(model_format, path, what)
                try:
                    model_format.read(path)
                    yield f"read accepts {what} ({suffix}) as a model"
                except ToolkitError:
                    pass
                except Exception as error:  # noqa: BLE001 - the finding is that it is not a ToolkitError
                    raised = type(error).__name__
                    yield f"read raises {raised} for {what} ({suffix}), expected UnreadableInputError"


def _recognising_problems(model_format: ModelFormat, path: Path, what: str) -> Iterator[str]:
    """A format that takes every file for its own would hide all the others."""
    if model_format.recognises is None:
        return
    try:
        with content_of(path) as content:
            if model_format.recognises(content):
                yield f"recognises takes {what} ({path.suffix}) for a model"
    except Exception as error:  # noqa: BLE001 - the finding is that it raises
        yield f"recognises raises {type(error).__name__} for {what} ({path.suffix}), expected False"
