"""Looking at plugins: which there are, what they contribute, whether they keep their contract."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from toolkit.contract.plugin_checks import Problem, problems_of
from toolkit.errors import PluginError
from toolkit.host.kinds import KINDS
from toolkit.host.manager import Contribution, PluginRecord, State
from toolkit.operations.toolkit import Toolkit
from toolkit.options import OptionInfo, describe_options


@dataclass(frozen=True, slots=True)
class PluginSummary:
    """A plugin in the list.

    Attributes:
        name: Of its entry point.
        distribution: That brings it.
        version: Of the distribution.
        state: ``loaded``, ``broken`` or ``disabled``.
        cause: Why it is not loaded.
        contributes: By kind the names that pick them: ``{"exporter": ("onnx",)}``; a name that
            two plugins claim stands with its distribution before it.
    """

    name: str
    distribution: str
    version: str
    state: State
    cause: str
    contributes: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class ContributionDetails:
    """Everything about one contribution.

    Attributes:
        kind: ``merge strategy``, ``exporter`` …
        name: What is typed.
        summary: One line.
        plugin: Whose it is.
        distribution: That brings the plugin.
        options: For ``-o key=value``.
        facts: Its other fields that a person can read: suffixes, needs.
        also_claimed_by: Distributions whose contributions of this kind bear the same name.
    """

    kind: str
    name: str
    summary: str
    plugin: str
    distribution: str
    options: tuple[OptionInfo, ...]
    facts: Mapping[str, str]
    also_claimed_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PluginDetails:
    """What one name means.

    Attributes:
        plugins: The plugins of that name.
        contributions: The contributions of that name; for a plugin's name all of its own.
    """

    plugins: tuple[PluginRecord, ...]
    contributions: tuple[ContributionDetails, ...]


@dataclass(frozen=True, slots=True)
class PluginCheck:
    """What the contract checks found in one plugin.

    Attributes:
        plugin: Its name.
        distribution: That brings it.
        version: Of the distribution.
        state: ``loaded``, ``broken`` or ``disabled``; the last is not checked.
        problems: Empty for a good one.
    """

    plugin: str
    distribution: str
    version: str
    state: State
    problems: tuple[Problem, ...]


def list_plugins(toolkit: Toolkit) -> tuple[PluginSummary, ...]:
    """Every plugin, the broken and the disabled ones too, sorted by name."""
    return tuple(
        PluginSummary(
            record.name,
            record.distribution,
            record.version,
            record.state,
            record.cause,
            _names_by_kind(toolkit, record),
        )
        for record in toolkit.catalog.records
    )


def show_plugin(toolkit: Toolkit, name: str) -> PluginDetails:
    """Everything about a plugin or a contribution.

    Args:
        toolkit: Where the plugins come from.
        name: Of an entry point, a distribution or a contribution; ``distribution:name`` for one
            of several namesakes.

    Raises:
        PluginError: If nothing bears that name; names what there is and the nearest.
    """
    records = [
        record
        for record in toolkit.catalog.records
        if name in (record.name, record.distribution, f"{record.distribution}:{record.name}")
    ]
    contributions = _contributions(toolkit)
    named = [c for c in contributions if name in (c.name, c.qualified_name)]
    if not records and not named:
        raise _unknown(name, toolkit.catalog.records, contributions)
    chosen = named or [c for c in contributions if c.owner in records]
    return PluginDetails(tuple(records), tuple(_details(c, contributions) for c in chosen))


def check_plugins(toolkit: Toolkit) -> tuple[PluginCheck, ...]:
    """Run the contract checks on every plugin."""
    return tuple(
        PluginCheck(
            record.name,
            record.distribution,
            record.version,
            record.state,
            problems_of(toolkit.catalog, record),
        )
        for record in toolkit.catalog.records
    )


def _names_by_kind(toolkit: Toolkit, record: PluginRecord) -> dict[str, tuple[str, ...]]:
    names: dict[str, tuple[str, ...]] = {}
    for kind in KINDS:
        clashes = toolkit.catalog.clashes(kind)
        for contribution in toolkit.catalog.contributions(kind):
            if contribution.owner == record:
                clashing = contribution.name in clashes
                name = contribution.qualified_name if clashing else contribution.name
                names[kind.word] = (*names.get(kind.word, ()), name)
    return names


def _contributions(toolkit: Toolkit) -> list[Contribution[Any]]:
    return [contribution for kind in KINDS for contribution in toolkit.catalog.contributions(kind)]


def _details(contribution: Contribution[Any], others: list[Contribution[Any]]) -> ContributionDetails:
    declaration = contribution.declaration
    namesakes = tuple(
        other.owner.distribution
        for other in others
        if other.kind is contribution.kind and other.name == contribution.name and other != contribution
    )
    return ContributionDetails(
        kind=contribution.kind.word,
        name=contribution.name,
        summary=declaration.summary,
        plugin=contribution.owner.name,
        distribution=contribution.owner.distribution,
        options=describe_options(declaration.options) if hasattr(declaration, "options") else (),
        facts=_facts(contribution),
        also_claimed_by=namesakes,
    )


def _facts(contribution: Contribution[Any]) -> dict[str, str]:
    skipped = {"name", "summary", "options", *contribution.kind.callables}
    facts = {}
    for field in dataclasses.fields(contribution.declaration):
        value = getattr(contribution.declaration, field.name)
        if field.name in skipped or value is None or value == () or value == frozenset():
            continue
        facts[field.name] = _in_words(field.name, value)
    return facts


def _in_words(field: str, value: Any) -> str:
    if callable(value):
        return "depends on the options" if field == "needs" else "yes"
    if isinstance(value, frozenset):
        return ", ".join(sorted(str(member.value) for member in value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(str(part) for part in value) if isinstance(value, tuple) else str(value)


def _unknown(
    name: str, records: tuple[PluginRecord, ...], contributions: list[Contribution[Any]]
) -> PluginError:
    names = sorted({*(record.name for record in records), *(c.name for c in contributions)})
    near = difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.5)
    nearest = f"did you mean {near[0]}? " if near else ""
    return PluginError(
        f"there is no plugin and no contribution {name!r}", hint=f"{nearest}There are: {', '.join(names)}"
    )
