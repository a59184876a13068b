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
        """The format of a model file: by its content, or by its suffix if no format recognises that.

        Raises:
            UnreadableInputError: If it is no model; says what it is.
            UnsupportedError: If neither its content nor its suffix is known.
        """
        from toolkit.store.content import content_of
        from toolkit.store.other_files import not_a_model, other_content

        formats = self.contributions(MODEL_FORMATS)
        by_suffix, length = _by_suffix(formats, path)
        with content_of(path) as content:
            found = [one for one in formats if one.guarded.recognises and one.guarded.recognises(content)]
            named = [one for one in by_suffix if one.declaration.recognises is None]
            if named and all(_fitting(one, path) < length for one in found):
                found = named
            elif found:
                longest = max(_fitting(one, path) for one in found)
                found = [one for one in found if _fitting(one, path) == longest]
                found += named if longest == length else []
            elif other_content(content) is None:
                found = by_suffix
            else:
                raise not_a_model(content).named(shortened(str(path), 300))
        return self._only(found, path)

    def format_for(self, path: Path) -> ModelFormat:
        """The format that a model file is written in, by the longest suffix that its name ends with."""
        return self._only(_by_suffix(self.contributions(MODEL_FORMATS), path)[0], path)

    def _only(self, found: Sequence[Contribution[ModelFormat]], path: Path) -> ModelFormat:
        if not found:
            formats = self.contributions(MODEL_FORMATS)
            known = ", ".join(sorted(suffix for one in formats for suffix in one.declaration.suffixes))
            raise UnsupportedError(
                f"{shortened(str(path), 300)}: no model format has this suffix",
                hint=f"known suffixes: {known}" if known else self._hint_of_broken(),
            )
        if len(found) > 1:
            raise _ambiguous(MODEL_FORMATS, path.suffix, found)
        return found[0].guarded

    def _hint_of_broken(self) -> str:
        broken = [record.name for record in self._plugins.records if record.state != "loaded"]
        causes = f"not loaded: {', '.join(broken)}; see toolkit plugins list"
        return causes if broken else "no installed plugin contributes one"


def _fitting(one: Contribution[ModelFormat], path: Path) -> int:
    """Length of the longest of a format's suffixes that a file's name ends with; 0 if none does."""
    name = path.name.lower()
    return max((len(suffix) for suffix in one.declaration.suffixes if name.endswith(suffix)), default=0)


def _by_suffix(
    formats: Sequence[Contribution[ModelFormat]], path: Path
) -> tuple[list[Contribution[ModelFormat]], int]:
    """The formats with the longest suffix that a file's name ends with, and its length."""
    length = max((_fitting(one, path) for one in formats), default=0)
    return [one for one in formats if length and _fitting(one, path) == length], length


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
