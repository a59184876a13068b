"""``toolkit plugins``, with real distributions on the path."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

BAD = ("broken-import", "misspelt-hook", "name-taken")


def plugin_named(document: Any, name: str) -> Any:
    (found,) = (plugin for plugin in document["plugins"] if plugin["name"] == name)
    return found


def test_list_shows_the_bad_ones_with_their_cause_and_affects_no_other(
    run_toolkit: Callable[..., Any],
) -> None:
    done = run_toolkit("plugins", "list", "--output", "json", plugins=[*BAD, "good"])
    assert done.status == 0
    assert done.err == ""
    assert plugin_named(done.document, "broken") == {
        "name": "broken",
        "distribution": "broken-import",
        "version": "0.3",
        "state": "broken",
        "cause": "import failed: ModuleNotFoundError: No module named 'a_package_that_nobody_has'",
        "contributes": {},
    }
    assert plugin_named(done.document, "misspelt")["cause"].startswith("unknown hook toolkit_exportes")
    assert plugin_named(done.document, "taken")["contributes"] == {
        "merge strategy": ["first", "name-taken:mean"]
    }
    assert plugin_named(done.document, "good")["contributes"] == {
        "dataset loader": ["stripes"],
        "architecture": ["tiny-cnn"],
        "model format": ["linear"],
        "merge strategy": ["trimmed-mean"],
        "exporter": ["weights-table"],
        "run listener": ["accuracies"],
        "command": ["ink"],
        "routes": ["good"],
    }
    assert "greedy" in plugin_named(done.document, "soups")["contributes"]["merge strategy"]


def test_list_for_people(run_toolkit: Callable[..., Any]) -> None:
    done = run_toolkit("plugins", "list", plugins=BAD, environ={"COLUMNS": "80"})
    assert done.status == 0
    assert "misspelt-hook 1.2" in done.out
    assert max(len(line.rstrip()) for line in done.out.splitlines()) <= 80


def test_list_shows_what_the_environment_switches_off(run_toolkit: Callable[..., Any]) -> None:
    done = run_toolkit("plugins", "list", "--output", "json", environ={"TOOLKIT_DISABLE_PLUGINS": "soups"})
    assert plugin_named(done.document, "soups")["state"] == "disabled"


def test_show_a_contribution_with_its_options(run_toolkit: Callable[..., Any]) -> None:
    done = run_toolkit("plugins", "show", "trimmed-mean", "--output", "json", plugins=["good"])
    (contribution,) = done.document["contributions"]
    assert (contribution["kind"], contribution["distribution"]) == ("merge strategy", "toolkit-good")
    (option,) = contribution["options"]
    assert (option["name"], option["default"], option["minimum"]) == ("trim", 1, 0)
    shown = run_toolkit("plugins", "show", "trimmed-mean", plugins=["good"]).out
    assert "how many of the lowest" in shown


def test_show_a_plugin_with_everything_it_adds(run_toolkit: Callable[..., Any]) -> None:
    done = run_toolkit("plugins", "show", "good", "--output", "json", plugins=["good"])
    assert [plugin["name"] for plugin in done.document["plugins"]] == ["good"]
    assert len(done.document["contributions"]) == 8


def test_show_a_broken_plugin_with_its_traceback(run_toolkit: Callable[..., Any]) -> None:
    shown = run_toolkit("plugins", "show", "broken", plugins=["broken-import"]).out
    assert "cause: import failed" in shown
    assert "import a_package_that_nobody_has" in shown


def test_show_tells_namesakes_apart(run_toolkit: Callable[..., Any]) -> None:
    both = run_toolkit("plugins", "show", "mean", "--output", "json", plugins=["name-taken"]).document
    assert [c["also_claimed_by"] for c in both["contributions"]] == [["name-taken"], ["modelops-toolkit"]]
    one = run_toolkit(
        "plugins", "show", "name-taken:mean", "--output", "json", plugins=["name-taken"]
    ).document
    assert [c["plugin"] for c in one["contributions"]] == ["taken"]


def test_show_something_unknown(run_toolkit: Callable[..., Any]) -> None:
    done = run_toolkit("plugins", "show", "sups")
    assert done.status == 2
    assert done.err.startswith("error: there is no plugin and no contribution 'sups' (did you mean soups?")
    assert len(done.err.splitlines()) == 1


def test_check_finds_the_built_in_plugins_and_the_example_good(run_toolkit: Callable[..., Any]) -> None:
    done = run_toolkit("plugins", "check", "--output", "json", plugins=["good"])
    problems = [
        (plugin["plugin"], problem) for plugin in done.document["plugins"] for problem in plugin["problems"]
    ]
    assert problems == []
    assert done.document["ok"] is True
    assert done.status == 0


def test_check_ends_with_status_2_for_a_broken_plugin(run_toolkit: Callable[..., Any]) -> None:
    environ = {"TOOLKIT_LOAD_PLUGINS": "broken,misspelt,taken,soups,good"}
    done = run_toolkit("plugins", "check", "--output", "json", plugins=[*BAD, "good"], environ=environ)
    assert done.status == 2
    found = {plugin["plugin"]: plugin["problems"] for plugin in done.document["plugins"]}
    assert found["good"] == []
    assert found["misspelt"][0]["text"].startswith("unknown hook")
    assert found["taken"][0]["text"].startswith("the name is also taken by soups")


def test_a_clash_breaks_only_its_name(run_toolkit: Callable[..., Any]) -> None:
    shown = run_toolkit("plugins", "show", "greedy", plugins=["name-taken"])
    assert shown.status == 0


def test_show_the_options_of_every_training(run_toolkit: Callable[..., Any]) -> None:
    (shown,) = run_toolkit("plugins", "show", "train", "--output", "json").document["contributions"]
    options = {option["name"]: option for option in shown["options"]}
    assert options["batch_size"]["default"] == 256
    assert (options["warmup"]["minimum"], options["warmup"]["maximum"]) == (0.0, 0.9)
    table = run_toolkit("plugins", "show", "train").out
    header = next(line for line in table.splitlines() if "option" in line and "default" in line)
    assert header.split() == ["option", "type", "default", "range", "what", "it", "does"]
    assert "from 0 to 0.9" in table  # as in errors
