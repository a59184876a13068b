"""The manager loads each plugin by itself and records the broken ones."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
from plugin_records import by_name

from toolkit import hookimpl
from toolkit.declarations import Architecture, Exporter, MergeStrategy, ModelFormat, RunListener
from toolkit.errors import PluginError
from toolkit.host.discovery import PluginSettings
from toolkit.host.kinds import COMMANDS, EXPORTERS, RUN_LISTENERS
from toolkit.host.manager import PluginManager


@dataclass(frozen=True)
class Undefaulted:
    value: int


def one(*_arguments: object) -> Any:
    return None


def listener(name: str = "ear") -> RunListener:
    return RunListener(name=name, summary="Hears everything", hear=one)


def plugin(**hooks: Callable[[], object]) -> SimpleNamespace:
    """An object that implements hooks, as a module would."""
    return SimpleNamespace(**{name: hookimpl(function) for name, function in hooks.items()})


def test_ctrl_c_is_not_the_failure_of_a_plugin() -> None:
    manager = PluginManager()
    manager.register(_raising(KeyboardInterrupt()), name="interrupted")
    with pytest.raises(KeyboardInterrupt):
        manager.contributions(EXPORTERS)


def _raising(error: BaseException) -> SimpleNamespace:
    def toolkit_exporters() -> Iterable[Exporter]:
        raise error

    return plugin(toolkit_exporters=toolkit_exporters)


def test_an_exception_in_a_hook_disables_that_plugin_alone() -> None:
    manager = PluginManager()
    manager.register(
        _raising(ValueError("three\nlines\nlong")), name="bad", distribution="bad-dist", version="7"
    )
    manager.register(plugin(toolkit_run_listeners=lambda: [listener()]), name="good")
    records = by_name(manager)
    assert records["bad"].cause == "toolkit_exporters failed: ValueError: three lines long"
    assert (records["bad"].distribution, records["bad"].version) == ("bad-dist", "7")
    assert [contribution.name for contribution in manager.contributions(RUN_LISTENERS)] == ["ear"]


def test_a_plugin_that_breaks_late_loses_what_it_had_contributed() -> None:
    def toolkit_exporters() -> Iterable[Exporter]:
        yield Exporter(name="fine", summary="Fine", suffix=".x", export=one)
        raise RuntimeError("after the first one")

    manager = PluginManager()
    manager.register(
        plugin(toolkit_run_listeners=lambda: [listener()], toolkit_exporters=toolkit_exporters), name="late"
    )
    assert [contribution.name for contribution in manager.contributions(RUN_LISTENERS)] == ["ear"]
    assert manager.contributions(EXPORTERS) == ()
    assert manager.contributions(RUN_LISTENERS) == ()
    assert by_name(manager)["late"].state == "broken"


def test_a_hook_is_called_when_its_kind_is_asked_for_and_once() -> None:
    calls: list[str] = []

    def toolkit_exporters() -> Iterable[Exporter]:
        calls.append("exporters")
        return ()

    manager = PluginManager()
    manager.register(plugin(toolkit_exporters=toolkit_exporters), name="counted")
    manager.contributions(COMMANDS)
    assert calls == []
    manager.contributions(EXPORTERS)
    manager.contributions(EXPORTERS)
    assert calls == ["exporters"]


BAD_DECLARATIONS: dict[str, tuple[str, Callable[[], object], str]] = {
    "wrong type": ("toolkit_exporters", lambda: [listener()], "yielded RunListener, expected Exporter"),
    "no iterable": ("toolkit_run_listeners", listener, "returned RunListener, expected an iterable"),
    "nothing": ("toolkit_run_listeners", lambda: None, "returned NoneType, expected an iterable"),
    "capital letters": (
        "toolkit_run_listeners",
        lambda: [listener("Ear")],
        "the name 'Ear', expected lower-case",
    ),
    "a colon": ("toolkit_run_listeners", lambda: [listener("a:b")], "the name 'a:b'"),
    "empty name": ("toolkit_run_listeners", lambda: [listener("")], "the name ''"),
    "twice": ("toolkit_run_listeners", lambda: [listener(), listener()], "'ear' is declared twice"),
    "empty summary": (
        "toolkit_run_listeners",
        lambda: [RunListener(name="ear", summary=" ", hear=one)],
        "run listener 'ear': summary is ' ', expected one line",
    ),
    "not callable": (
        "toolkit_run_listeners",
        lambda: [RunListener(name="ear", summary="Hears", hear="me")],  # type: ignore[arg-type]
        "run listener 'ear': hear is str 'me', expected Callable",
    ),
    "options no dataclass": (
        "toolkit_merge_strategies",
        lambda: [MergeStrategy(name="s", summary="S", merge=one, options=dict)],
        "merge strategy 's': options are declared by a dataclass",
    ),
    "options without default": (
        "toolkit_merge_strategies",
        lambda: [MergeStrategy(name="s", summary="S", merge=one, options=Undefaulted)],
        "Undefaulted.value has no default",
    ),
    "needs no frozenset": (
        "toolkit_merge_strategies",
        lambda: [MergeStrategy(name="s", summary="S", merge=one, needs={"scores"})],  # type: ignore[arg-type]
        "needs is set {'scores'}, expected frozenset[Need]",
    ),
    "one ingredient": (
        "toolkit_merge_strategies",
        lambda: [MergeStrategy(name="s", summary="S", merge=one, exactly=1)],
        "exactly is 1",
    ),
    "rank a text": (
        "toolkit_merge_strategies",
        lambda: [MergeStrategy(name="s", summary="S", merge=one, rank="low")],  # type: ignore[arg-type]
        "merge strategy 's': rank is str 'low', expected int",
    ),
    "suffix without a dot": (
        "toolkit_exporters",
        lambda: [Exporter(name="e", summary="E", suffix="onnx", export=one)],
        "suffix is 'onnx', expected lower case with a dot",
    ),
    "suffixes a text": (
        "toolkit_model_formats",
        lambda: [ModelFormat(name="f", summary="F", suffixes=".h5", read=one)],  # type: ignore[arg-type]
        "suffixes is str '.h5', expected tuple[str, ...]",
    ),
    "convention a text": (
        "toolkit_architectures",
        lambda: [Architecture(name="a", summary="A", build=one, convention="upright")],  # type: ignore[arg-type]
        "convention is str 'upright', expected Convention",
    ),
}


@pytest.mark.parametrize("case", BAD_DECLARATIONS)
def test_a_bad_declaration_disables_the_plugin_and_is_explained(case: str) -> None:
    hook, function, said = BAD_DECLARATIONS[case]
    manager = PluginManager()
    manager.register(plugin(**{hook: function}), name="bad")
    manager.register(plugin(toolkit_run_listeners=lambda: [listener("other")]), name="good")
    records = by_name(manager)
    assert records["bad"].state == "broken"
    assert said in records["bad"].cause
    assert records["good"].state == "loaded"


def test_a_hook_with_an_argument_is_refused() -> None:
    def toolkit_exporters(config: object) -> Iterable[Exporter]:
        return ()

    manager = PluginManager()
    manager.register(plugin(toolkit_exporters=toolkit_exporters), name="asks")  # type: ignore[arg-type]
    record = by_name(manager)["asks"]
    assert record.state == "broken"
    assert "config" in record.cause


def test_hook_wrappers_cannot_change_what_others_contribute() -> None:
    def toolkit_exporters() -> Any:
        result = yield
        return [*result, "more"]

    wrapper = SimpleNamespace(toolkit_exporters=hookimpl(wrapper=True)(toolkit_exporters))
    manager = PluginManager()
    assert "hook wrapper" in manager.register(wrapper, name="wraps").cause


def test_a_half_made_registration_is_undone(monkeypatch: pytest.MonkeyPatch) -> None:
    manager = PluginManager()
    half = plugin(toolkit_run_listeners=lambda: [listener()])
    inner = manager._pluggy

    def register_and_fail(module: object, name: str) -> None:
        type(inner).register(inner, module, name)
        raise RuntimeError("halfway")

    monkeypatch.setattr(inner, "register", register_and_fail)
    assert manager.register(half, name="half").state == "broken"
    assert inner.hook.toolkit_run_listeners.get_hookimpls() == []
    assert not inner.has_plugin("unpacked:half")


def test_plugin_errors_in_a_hook_can_end_the_program_too() -> None:
    manager = PluginManager(PluginSettings(raise_errors=True))
    manager.register(_raising(ValueError("no")), name="bad")
    with pytest.raises(PluginError) as caught:
        manager.contributions(EXPORTERS)
    assert isinstance(caught.value.__cause__, ValueError)


def test_what_a_plugin_prints_does_not_reach_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    def toolkit_run_listeners() -> Iterable[RunListener]:
        print("welcome to my plugin")
        return [listener()]

    manager = PluginManager()
    manager.register(plugin(toolkit_run_listeners=toolkit_run_listeners), name="chatty")
    manager.contributions(RUN_LISTENERS)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "welcome" in captured.err


def test_an_error_that_is_not_an_exception_stays_inside_its_hook() -> None:
    manager = PluginManager()
    manager.register(_raising(GeneratorExit()), name="bad")
    assert by_name(manager)["bad"].cause == "toolkit_exporters failed: GeneratorExit"


class UnspeakableError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (UnspeakableError(), "UnspeakableError: its text cannot be read: RuntimeError"),
        (ValueError("\x1b[31mred\udcff\x07"), "ValueError: ?[31mred??"),
        (ValueError("many words " * 100), "ValueError: many words many words"),
        (ValueError("ends with:"), "ValueError: ends with:"),
    ],
)
def test_a_cause_is_one_short_line_of_plain_text(error: Exception, said: str) -> None:
    manager = PluginManager()
    manager.register(_raising(error), name="bad")
    cause = by_name(manager)["bad"].cause
    assert cause.startswith(f"toolkit_exporters failed: {said}")
    assert cause.isprintable()
    assert len(cause) < 350


def test_threads_that_ask_at_once_call_each_hook_once() -> None:
    calls: list[str] = []
    inside, go_on = threading.Event(), threading.Event()

    def toolkit_run_listeners() -> Iterable[RunListener]:
        calls.append("listeners")
        inside.set()
        go_on.wait(60)
        return [listener()]

    manager = PluginManager()
    manager.register(plugin(toolkit_run_listeners=toolkit_run_listeners), name="slow")
    stdout = sys.stdout
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(manager.contributions, RUN_LISTENERS)
        assert inside.wait(60)
        second = pool.submit(manager.contributions, RUN_LISTENERS)
        go_on.set()
        assert first.result(60) == second.result(60) != ()
    assert calls == ["listeners"]
    assert sys.stdout is stdout
