"""Disturb every writer, damage files of every format, and count.

    python -m benchmarks.reliability                 the whole series, a quarter of an hour
    python -m benchmarks.reliability --publish       the same, and writes the table in docs/reliability.md
    python -m benchmarks.reliability --json --quick --only text --kind kill

Each series has a negative control of its own: the same series with a broken writer or reader, which
must find a broken promise. The status is 1 if a promise was broken or a control found none.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.reliability import commands, damage, disturbances, scenarios, table, tracing
from benchmarks.reliability.disturbances import Figures

_DOCUMENT = Path("docs/reliability.md")
_FORMATS = ("h5", "keras", "onnx")
_KINDS = ("kill", "fault", "full disk", "small disk", *commands.SIGNALS, "damage")
_CONTROL_TRIALS = 10


def main() -> int:
    """Run the series that was asked for.

    Returns:
        The exit status.
    """
    arguments = _arguments()
    if not tracing.is_supported():
        print("child processes cannot be traced: Linux on x86-64 with ptrace is needed", file=sys.stderr)
        return 2
    # A shell's background jobs ignore Ctrl-C, and so would the commands that are to be interrupted.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    figures = []
    for row in _series(arguments):
        figures.append(row)
        print(
            f"{row.scenario}, {row.kind}: {row.trials} trials, {len(row.violations)} violations; "
            f"control: {row.control}",
            file=sys.stderr,
        )
    broken = [violation for row in figures for violation in row.violations]
    blind = [row for row in figures if row.control.startswith("0 ")]
    if arguments.publish:
        table.write(_DOCUMENT, figures)
    elif arguments.json:
        print(json.dumps([dataclasses.asdict(row) for row in figures], indent=2))
    else:
        print(table.as_markdown(figures))
    for violation in broken[:20]:
        print(violation, file=sys.stderr)
    for row in blind:
        print(f"{row.scenario}, {row.kind}: the control found no broken promise", file=sys.stderr)
    return int(bool(broken or blind))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.reliability", description=__doc__.splitlines()[0]
    )
    names = [*(scenario.name for scenario in scenarios.built_in()), *_FORMATS, *commands.COMMANDS]
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--publish", action="store_true", help=f"write the table in {_DOCUMENT}")
    parser.add_argument("--quick", action="store_true", help="fewer trials")
    parser.add_argument("--no-control", action="store_true", help="leave out the negative controls")
    parser.add_argument("--stride", type=int, default=1, metavar="N", help="every n-th step and call only")
    parser.add_argument("--only", action="append", metavar="NAME", choices=names, help="may be repeated")
    parser.add_argument("--kind", action="append", choices=_KINDS, help="may be repeated")
    arguments = parser.parse_args()
    part = (
        arguments.quick or arguments.no_control or arguments.stride != 1 or arguments.only or arguments.kind
    )
    if arguments.publish and part:
        parser.error("--publish needs the whole series: no other option but --json")
    arguments.only = arguments.only or names
    arguments.kind = arguments.kind or list(_KINDS)
    return arguments


def _series(arguments: argparse.Namespace) -> Iterator[Figures]:
    quick, kinds, only = arguments.quick, arguments.kind, arguments.only
    # Loading the plugins for the samples takes a second.
    samples = [item for item in scenarios.formats() if item.name in only] if {*_FORMATS} & {*only} else []
    built_in = [scenario for scenario in scenarios.built_in() if scenario.name in only]
    for scenario in (*built_in, *(scenarios.of_format(sample) for sample in samples)):
        for kind in kinds:
            yield from _disturbed(scenario, kind, arguments)
    for name in commands.COMMANDS:
        for kind in commands.SIGNALS:
            if name in only and kind in kinds:
                row = commands.end_command(name, kind, 3 if quick else 50)
                if not arguments.no_control:
                    _control(row, commands.end_command(name, kind, _CONTROL_TRIALS, broken=True))
                yield row
    if "damage" in kinds:
        for sample in samples:
            rows = list(damage.damage_everywhere(sample, 20 if quick else 200))
            if not arguments.no_control:
                broken = damage.damage_everywhere(sample, _CONTROL_TRIALS, broken=True)
                for row, control in zip(rows, broken, strict=True):
                    _control(row, control)
            yield from rows


def _disturbed(scenario: scenarios.Scenario, kind: str, arguments: argparse.Namespace) -> Iterator[Figures]:
    errors = disturbances.FAULTS[:1] if arguments.quick else disturbances.FAULTS
    steps = 10 if arguments.quick else 100
    runs: dict[str, Callable[[int], Figures | None]] = {
        "kill": lambda stride: disturbances.kill_at_every_step(scenario, stride),
        "fault": lambda stride: disturbances.fail_every_call(scenario, errors, stride),
        "full disk": lambda _: disturbances.fill_the_disk(scenario, steps),
        "small disk": lambda _: disturbances.fill_a_small_disk(scenario, steps),
    }
    if kind not in runs:
        return
    row = runs[kind](arguments.stride)
    if row is None:
        print(f"{scenario.name}, {kind}: not run, mounting a file system needs root", file=sys.stderr)
        return
    if not arguments.no_control:
        with scenario.control():
            control = runs[kind](1 if kind == "kill" else arguments.stride)
        assert control is not None
        _control(row, control)
    yield row


def _control(row: Figures, control: Figures) -> None:
    row.control = f"{len(control.violations)} violations in {control.trials} trials"


if __name__ == "__main__":
    sys.exit(main())
