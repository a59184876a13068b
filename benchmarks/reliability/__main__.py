"""Disturb every writer, damage files of every format, and count.

    python -m benchmarks.reliability            the long series; writes the table in docs/reliability.md
    python -m benchmarks.reliability --json     the figures on stdout, nothing is written
    python -m benchmarks.reliability --json --quick --only text --control

The status is 1 if a promise was broken, with ``--control`` if none was.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

from benchmarks.reliability import commands, damage, disturbances, scenarios, table, tracing

_DOCUMENT = Path("docs/reliability.md")


def main() -> int:
    """Run the series that was asked for.

    Returns:
        The exit status.
    """
    arguments = _arguments()
    if not tracing.is_supported():
        print("children cannot be traced here: Linux on x86-64 with ptrace is needed", file=sys.stderr)
        return 2
    figures = []
    with scenarios.plain_open() if arguments.control else nullcontext():
        for row in _series(arguments):
            figures.append(row)
            print(
                f"{row.scenario}, {row.kind}: {row.trials} trials, {len(row.violations)} violations",
                file=sys.stderr,
            )
    broken = [violation for row in figures for violation in row.violations]
    if arguments.json:
        print(json.dumps([dataclasses.asdict(row) for row in figures], indent=2))
    elif not arguments.control:
        table.write(_DOCUMENT, figures)
    for violation in broken[:20] if not arguments.control else ():
        print(violation, file=sys.stderr)
    return int(bool(broken) is not arguments.control)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.reliability", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--json", action="store_true", help="print the figures instead of writing the table")
    parser.add_argument("--quick", action="store_true", help="seconds instead of minutes")
    parser.add_argument("--stride", type=int, default=1, metavar="N", help="every n-th step and call alone")
    parser.add_argument(
        "--control", action="store_true", help="with the atomic writer replaced by a plain one"
    )
    parser.add_argument(
        "--only", action="append", metavar="NAME", help="this scenario alone; may be repeated"
    )
    parser.add_argument(
        "--kind",
        action="append",
        choices=["kill", "fault", "full disk", "random kill", "damage"],
        help="this kind alone",
    )
    return parser.parse_args()


def _series(arguments: argparse.Namespace) -> Iterator[disturbances.Figures]:
    kinds = arguments.kind or ["kill", "fault", "full disk", "random kill", "damage"]
    formats = scenarios.formats() if _wants_formats(arguments) else ()
    for scenario in (*scenarios.built_in(), *(scenarios.of_format(sample) for sample in formats)):
        if arguments.only and scenario.name not in arguments.only:
            continue
        if "kill" in kinds:
            yield disturbances.kill_at_every_step(scenario, arguments.stride)
        if "fault" in kinds:
            errors = disturbances.FAULTS[:1] if arguments.quick else disturbances.FAULTS
            yield disturbances.fail_every_call(scenario, errors, arguments.stride)
        if "full disk" in kinds:
            yield disturbances.fill_the_disk(scenario, 10 if arguments.quick else 100)
    if "random kill" in kinds and not arguments.control and not arguments.only:
        yield from commands.kill_commands(3 if arguments.quick else 50)
    if "damage" in kinds and not arguments.control:
        for sample in formats:
            if not arguments.only or sample.name in arguments.only:
                yield from damage.damage_everywhere(sample, 20 if arguments.quick else 200)


def _wants_formats(arguments: argparse.Namespace) -> bool:
    """Making the samples takes a second that a series without them need not wait."""
    return not arguments.only or not {scenario.name for scenario in scenarios.built_in()}.issuperset(
        arguments.only
    )


if __name__ == "__main__":
    sys.exit(main())
