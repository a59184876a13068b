"""The verbs about plugins: list, show and check."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from toolkit.contract.plugin_checks import Finding, findings
from toolkit.host.catalog import unknown_name
from toolkit.host.manager import Contribution, PluginRecord, State
from toolkit.operations.resources import Resources
from toolkit.options import OptionInfo, describe_options
from toolkit.records import dataclass
from toolkit.requests.plugins import CheckPlugins, ListPlugins, ShowPlugin
from toolkit.training.options import TrainingOptions
from toolkit.vocabulary import Progress


@dataclass(frozen=True)
class PluginSummary:
    """A plugin's record, and what it contributes by kind; a name that is taken twice is qualified."""

    name: str
    distribution: str
    version: str
    state: State
    cause: str
    contributes: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class ContributionDetails:
    """One contribution, or the training itself, which no plugin contributes.

    ``facts`` are other fields of the declaration, in words; ``also_claimed_by`` names distributions that
    contribute the same name to the same kind.
    """

    kind: str
    name: str
    summary: str
    plugin: str
    distribution: str
    options: tuple[OptionInfo, ...]
    facts: Mapping[str, str]
    also_claimed_by: tuple[str, ...]


@dataclass(frozen=True)
class PluginDetails:
    """The plugins and the contributions of a name; of a plugin, all its contributions."""

    plugins: tuple[PluginRecord, ...]
    contributions: tuple[ContributionDetails, ...]


@dataclass(frozen=True)
class PluginCheck:
    """A plugin that was checked, and what it does wrong; a disabled plugin is not checked."""

    plugin: str
    distribution: str
    version: str
    state: State
    problems: tuple[Finding, ...]


_TRAINING = ContributionDetails(
    "command",
    "train",
    "Options of every training, whatever the architecture and the data set",
    "",
    "modelops-toolkit",
    describe_options(TrainingOptions),
    {},
    (),
)


def list_plugins(toolkit: Resources, _request: ListPlugins, _progress: Progress) -> tuple[PluginSummary, ...]:
    """Every plugin, with the broken and the disabled ones, sorted by name."""
    records = toolkit.catalog.records
    contributes: dict[str, dict[str, tuple[str, ...]]] = {str(record): {} for record in records}
    for found in toolkit.catalog.all_contributions():
        names = contributes[str(found.owner)]
        names[found.kind.word] = (*names.get(found.kind.word, ()), toolkit.catalog.picked_by(found))
    return tuple(
        PluginSummary(one.name, one.distribution, one.version, one.state, one.cause, contributes[str(one)])
        for one in records
    )


def show_plugin(toolkit: Resources, request: ShowPlugin, _progress: Progress) -> PluginDetails:
    """A plugin or a contribution with its options."""
    name = request.name
    records, contributions = toolkit.catalog.records, toolkit.catalog.all_contributions()
    plugins = tuple(one for one in records if name in (one.name, one.distribution, one.qualified_name))
    chosen = [one for one in contributions if name in (one.name, one.qualified_name) or one.owner in plugins]
    own = (_TRAINING,) if name == _TRAINING.name else ()
    if not (plugins or chosen or own):
        known = {_TRAINING.name, *(one.name for one in records), *(one.name for one in contributions)}
        raise unknown_name("plugin and no contribution", name, known)
    return PluginDetails(plugins, (*own, *(_details(toolkit, found) for found in chosen)))


def check_plugins(toolkit: Resources, _request: CheckPlugins, _progress: Progress) -> tuple[PluginCheck, ...]:
    """Run the contract checks on every plugin."""
    return tuple(
        PluginCheck(one.name, one.distribution, one.version, one.state, findings(toolkit.catalog, one))
        for one in toolkit.catalog.records
    )


def _details(toolkit: Resources, contribution: Contribution[Any]) -> ContributionDetails:
    declaration = contribution.declaration
    return ContributionDetails(
        kind=contribution.kind.word,
        name=contribution.name,
        summary=declaration.summary,
        plugin=contribution.owner.name,
        distribution=contribution.owner.distribution,
        options=describe_options(declaration.options) if hasattr(declaration, "options") else (),
        facts=_facts(contribution),
        also_claimed_by=tuple(other.owner.distribution for other in toolkit.catalog.namesakes(contribution)),
    )


def _facts(contribution: Contribution[Any]) -> dict[str, str]:
    required = {field for field, call in contribution.kind.calls.items() if not call.optional}
    return {
        field.name: _in_words(field.name, value)
        for field in dataclasses.fields(contribution.declaration)
        if field.name not in {"name", "summary", "options", *required}
        and (value := getattr(contribution.declaration, field.name)) not in (None, (), frozenset())
    }


def _in_words(field: str, value: Any) -> str:
    if callable(value):
        return "depends on the options" if field == "needs" else "yes"
    if isinstance(value, frozenset):
        return ", ".join(sorted(str(member.value) for member in value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(str(part) for part in value) if isinstance(value, tuple) else str(value)
