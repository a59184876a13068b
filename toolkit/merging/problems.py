"""Every reason why models cannot be merged, reported together."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from toolkit.errors import IncompatibleModelsError, ToolkitError
from toolkit.records import dataclass

_WIDTH = 72  # so that they still fit 80 columns behind “error: ”
_SHOWN = 6
_GROUPS = 12


@dataclass(frozen=True)
class Problem:
    """One reason why a model cannot take part."""

    model: str
    text: str
    hint: str = ""
    code: str = IncompatibleModelsError.code

    @classmethod
    def of(cls, model: str, error: ToolkitError) -> Problem:
        """The problem that an error met while a model was looked at."""
        return cls(model, error.message, error.hint, error.code)


def refusal(problems: Sequence[Problem]) -> ToolkitError:
    """One error that lists every problem, at most six a model, for an 80-column terminal."""
    codes = {problem.code for problem in problems}
    kind = _error_with(codes.pop()) if len(codes) == 1 else IncompatibleModelsError
    hints = (part for problem in problems for part in problem.hint.split("; ") if part)
    hint = "; ".join(dict.fromkeys(hints))
    if len(problems) == 1:
        model, text = problems[0].model, problems[0].text
        return kind(text if model in text.partition(": ")[0] else f"{model}: {text}", hint=hint)
    lines = [f"{len(problems)} problems keep these models from being merged:", *listing(problems)]
    return kind("\n".join(lines), hint=hint)


def listing(problems: Sequence[Problem]) -> list[str]:
    """The problems as lines of at most 72 columns, model by model.

    Of more than six models, those with the same problems are listed together, with the first problem
    only, and at most twelve such groups.
    """
    texts: dict[str, tuple[str, ...]] = {}
    for problem in problems:
        text = problem.text.removeprefix(f"{problem.model}: ")
        texts[problem.model] = (*texts.get(problem.model, ()), text)
    if len(texts) <= _SHOWN:
        return [line for model, own in texts.items() for line in _group([model], own, _SHOWN)]
    groups: dict[tuple[str, ...], list[str]] = {}
    for model, own in texts.items():
        groups.setdefault(own, []).append(model)
    ranked = sorted(groups.items(), key=lambda group: -len(group[1]))
    lines = [line for own, models in ranked[:_GROUPS] for line in _group(models, own, 1)]
    left = sum(len(models) for _, models in ranked[_GROUPS:])
    return (
        [*lines, f"  and {left} more model{'s' if left > 1 else ''} with other problems"] if left else lines
    )


def _group(models: Sequence[str], texts: Sequence[str], most: int) -> list[str]:
    names = ", ".join(models[:_SHOWN])
    more = f" and {len(models) - _SHOWN} more" if len(models) > _SHOWN else ""
    lines = _wrapped(f"{names}{more}", "  ", "  ")
    for text in texts[:most]:
        lines += _wrapped(text, "    - ", "      ")
    if len(texts) > most:
        lines.append(f"    - and {len(texts) - most} more")
    return lines


def _wrapped(text: str, first: str, later: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent=first, subsequent_indent=later, break_on_hyphens=False)


def _error_with(code: str) -> type[ToolkitError]:
    kinds = [ToolkitError]
    for kind in kinds:
        if kind.code == code:
            return kind
        kinds += kind.__subclasses__()
    return IncompatibleModelsError
