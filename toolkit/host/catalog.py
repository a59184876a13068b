"""Contributions by kind and name: loaded when asked for, with clashes and unknown names explained."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from toolkit.declarations import ModelFormat
from toolkit.errors import PluginError, UnsupportedError, did_you_mean, shortened, shown
from toolkit.host.kinds import KINDS, MODEL_FORMATS, Kind
from toolkit.host.manager import Contribution, PluginManager, PluginRecord, load_plugins

D = TypeVar("D")


class Catalog:
    """The contributions of plugins.

    If two plugins contribute the same name to one kind, only that name fails and the error names
    both; ``distribution:name`` picks one. Declarations are returned with guarded callables; a
    :class:`Contribution` also has the plugin's original.
    """

    def __init__(self, plugins: PluginManager) -> None:
        self._plugins = plugins

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None) -> Catalog:
        """The catalog of the installed plugins that the environment variables allow."""
        return cls(load_plugins(environ))

    @property
    def records(self) -> tuple[PluginRecord, ...]:
        """Every plugin, with every hook called, sorted by name."""
        self.all_contributions()
        return self._plugins.records

    @property
    def records_so_far(self) -> tuple[PluginRecord, ...]:
        """Every plugin, without calling a hook."""
        return self._plugins.records

    def contributions(self, kind: Kind[D]) -> tuple[Contribution[D], ...]:
        """The contributions of one kind with their owners, sorted by name."""
        return self._plugins.contributions(kind)

    def all_contributions(self) -> tuple[Contribution[Any], ...]:
        """The contributions of every kind, in the order of the kinds."""
        return tuple(found for kind in KINDS for found in self.contributions(kind))

    def namesakes(self, contribution: Contribution[D]) -> tuple[Contribution[D], ...]:
        """The other contributions of the same kind and name."""
        return tuple(
            other
            for other in self.contributions(contribution.kind)
            if other.name == contribution.name and other is not contribution
        )

    def all(self, kind: Kind[D]) -> dict[str, D]:
        """Everything of one kind, by the name that picks it."""
        return {self.picked_by(found): found.guarded for found in self.contributions(kind)}

    def picked_by(self, contribution: Contribution[Any]) -> str:
        """The name that picks a contribution: qualified if another one has its name."""
        return contribution.qualified_name if self.namesakes(contribution) else contribution.name

    def find(self, kind: Kind[D], name: str) -> Contribution[D]:
        """The only contribution with a name, or with a ``distribution:name``, and its owner."""
        contributions = self.contributions(kind)
        found = [one for one in contributions if name in (one.name, one.qualified_name)]
        if not found:
            raise unknown_name(kind.word, name, self.all(kind), self._hint_of_broken())
        if len(found) > 1:
            raise _ambiguous(kind, name, found)
        return found[0]

    def get(self, kind: Kind[D], name: str) -> D:
        """The only declaration with a name, or with a ``distribution:name``."""
        return self.find(kind, name).guarded

    def format_of(self, path: Path) -> ModelFormat:
        """The format of a model file, by the longest suffix that its name ends with."""
        formats = self.contributions(MODEL_FORMATS)
        suffixes = sorted(suffix for one in formats for suffix in one.declaration.suffixes)
        fitting = [suffix for suffix in suffixes if path.name.lower().endswith(suffix)]
        if not fitting:
            known = ", ".join(suffixes)
            raise UnsupportedError(
                f"{shortened(str(path), 300)}: no model format has this suffix",
                hint=f"known suffixes: {known}" if known else self._hint_of_broken(),
            )
        longest = max(fitting, key=len)
        best = [one for one in formats if longest in one.declaration.suffixes]
        if len(best) > 1:
            raise _ambiguous(MODEL_FORMATS, longest, best)
        return best[0].guarded

    def _hint_of_broken(self) -> str:
        broken = [record.name for record in self._plugins.records if record.state != "loaded"]
        causes = f"not loaded: {', '.join(broken)}; see toolkit plugins list"
        return causes if broken else "no installed plugin contributes one"


def unknown_name(what: str, name: str, known: Iterable[str], hint_without_names: str = "") -> PluginError:
    """The error for a name that nothing has, with the nearest of the known ones."""
    names = sorted(known)
    nearest = did_you_mean(name.lower(), names, cutoff=0.5)
    hint = f"{nearest} available: {', '.join(names)}".lstrip() if names else hint_without_names
    return PluginError(f"there is no {what} {shown(name)}", hint=hint)


def _ambiguous(kind: Kind[D], name: str, found: Sequence[Contribution[D]]) -> PluginError:
    owners = " and ".join(f"{one.owner.distribution} {one.owner.version}" for one in found)
    choices = sorted({one.qualified_name for one in found})
    hint = f"use {' or '.join(choices)}"
    if len(choices) < len(found):
        hint = f"disable one of {', '.join(one.owner.name for one in found)} with TOOLKIT_DISABLE_PLUGINS"
    return PluginError(f"{kind.word} {name!r} is claimed by {owners}", hint=hint)
