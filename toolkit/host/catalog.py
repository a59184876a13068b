"""Contributions by kind and name: lazy, with clashes and unknown names explained."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from toolkit.declarations import ModelFormat
from toolkit.errors import PluginError, UnsupportedError
from toolkit.host import kinds
from toolkit.host.guarded import guarded
from toolkit.host.kinds import Kind
from toolkit.host.manager import Contribution, PluginManager, PluginRecord, load_plugins

D = TypeVar("D")


class Catalog:
    """What the plugins contribute.

    A hook is called when its kind is asked for, and once. Two contributions of one kind with one
    name: the plain name fails and names both owners, ``distribution:name`` picks one, and in the
    mappings each stands under that longer name.

    A contribution has the declaration as the plugin made it; everything else hands out
    declarations that the host may call, as :func:`toolkit.host.guarded.guarded` makes them.

    Args:
        plugins: Where the contributions come from.
    """

    def __init__(self, plugins: PluginManager) -> None:
        self._plugins = plugins
        self._guarded: dict[tuple[str, str, str], Any] = {}

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None) -> Catalog:
        """The catalog of the installed plugins.

        Args:
            environ: Environment variables; None for the process's own.

        Raises:
            ConfigurationError: If a variable has a value that it cannot have.
            PluginError: If a plugin is broken and ``TOOLKIT_PLUGIN_ERRORS`` is ``raise``.
        """
        return cls(load_plugins(environ))

    @property
    def records(self) -> tuple[PluginRecord, ...]:
        """Every plugin there is, with every hook called, sorted by name."""
        self._plugins.call_every_hook()
        return self._plugins.records

    @property
    def records_so_far(self) -> tuple[PluginRecord, ...]:
        """Every plugin there is, as far as its hooks were called; calls none."""
        return self._plugins.records

    def contributions(self, kind: Kind[D]) -> tuple[Contribution[D], ...]:
        """Everything of one kind, with its owners, sorted by name."""
        return tuple(
            sorted(
                self._plugins.contributions(kind),
                key=lambda contribution: (contribution.name, contribution.owner.distribution),
            )
        )

    def clashes(self, kind: Kind[D]) -> dict[str, tuple[Contribution[D], ...]]:
        """The names of one kind that more than one plugin has taken."""
        by_name: dict[str, list[Contribution[D]]] = {}
        for contribution in self.contributions(kind):
            by_name.setdefault(contribution.name, []).append(contribution)
        return {name: tuple(namesakes) for name, namesakes in by_name.items() if len(namesakes) > 1}

    def all(self, kind: Kind[D]) -> dict[str, D]:
        """Everything of one kind by the name that picks it."""
        clashes = self.clashes(kind)
        return {
            contribution.qualified_name if contribution.name in clashes else contribution.name: self._to_call(
                contribution
            )
            for contribution in self.contributions(kind)
        }

    def find(self, kind: Kind[D], name: str) -> Contribution[D]:
        """The contribution that a name, or ``distribution:name``, picks.

        Raises:
            PluginError: If there is none, or more than one.
        """
        contributions = self.contributions(kind)
        found = [
            contribution
            for contribution in contributions
            if name in (contribution.name, contribution.qualified_name)
        ]
        if not found:
            raise self._unknown(kind, name)
        if len(found) > 1:
            raise _ambiguous(kind, name, found)
        return found[0]

    def get(self, kind: Kind[D], name: str) -> D:
        """The declaration that a name picks.

        Raises:
            PluginError: If there is none, or more than one.
        """
        return self._to_call(self.find(kind, name))

    def owner_of(self, kind: Kind[D], name: str) -> PluginRecord:
        """The plugin that a contribution came from.

        Raises:
            PluginError: If there is no such contribution, or more than one.
        """
        return self.find(kind, name).owner

    def format_of(self, path: Path) -> ModelFormat:
        """The format of a model file, by the longest suffix that fits its name.

        Raises:
            UnsupportedError: If no format has such a suffix.
            PluginError: If two formats have it.
        """
        file_name = path.name.lower()
        fitting = [
            (len(suffix), suffix, contribution)
            for contribution in self.contributions(kinds.MODEL_FORMATS)
            for suffix in contribution.declaration.suffixes
            if file_name.endswith(suffix)
        ]
        if not fitting:
            known = sorted(
                suffix
                for model_format in self.all(kinds.MODEL_FORMATS).values()
                for suffix in model_format.suffixes
            )
            raise UnsupportedError(
                f"{path}: no model format has this suffix",
                hint=f"known are {', '.join(known)}" if known else self._hint_of_broken(),
            )
        longest = max(length for length, _, _ in fitting)
        best = [(suffix, contribution) for length, suffix, contribution in fitting if length == longest]
        if len(best) > 1:
            raise _ambiguous(kinds.MODEL_FORMATS, best[0][0], [contribution for _, contribution in best])
        return self._to_call(best[0][1])

    def _to_call(self, contribution: Contribution[D]) -> D:
        """The guarded declaration, the same one every time."""
        owner = contribution.owner
        key = (contribution.kind.hook, f"{owner.distribution}:{owner.name}", contribution.name)
        if key not in self._guarded:
            self._guarded[key] = guarded(contribution)
        declaration: D = self._guarded[key]
        return declaration

    def _unknown(self, kind: Kind[D], name: str) -> PluginError:
        names = sorted(self.all(kind))
        if not names:
            return PluginError(
                f"there is no {kind.word} {name!r}, nor any other", hint=self._hint_of_broken()
            )
        near = difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.5)
        nearest = f"did you mean {near[0]}? " if near else ""
        return PluginError(
            f"there is no {kind.word} {name!r}", hint=f"{nearest}There are: {', '.join(names)}"
        )

    def _hint_of_broken(self) -> str:
        broken = [record.name for record in self._plugins.records if record.state != "loaded"]
        if broken:
            return f"not loaded: {', '.join(broken)}; see toolkit plugins list"
        return "no installed plugin contributes one"


def _ambiguous(kind: Kind[D], name: str, found: list[Contribution[D]]) -> PluginError:
    owners = " and ".join(
        f"{contribution.owner.distribution} {contribution.owner.version}" for contribution in found
    )
    choices = sorted({contribution.qualified_name for contribution in found})
    if len(choices) == len(found):
        hint = f"write {' or '.join(choices)}"
    else:
        hint = f"switch one of {', '.join(c.owner.name for c in found)} off with TOOLKIT_DISABLE_PLUGINS"
    return PluginError(f"{kind.word} {name!r} is claimed by {owners}", hint=hint)
