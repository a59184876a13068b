"""Which stored tensor is which of an architecture's: by name and shape."""

from __future__ import annotations

import re
from collections.abc import Mapping

from toolkit.errors import UnreadableInputError, shown
from toolkit.tensors import TensorRole, TensorSpec
from toolkit.vocabulary import sizes
from toolkit_safetensors.safetensors_header import StoredTensor

_HINT = "the weights do not belong to this architecture"
_NAMES = {
    TensorRole.KERNEL: ("kernel", "weight"),
    TensorRole.BIAS: ("bias",),
    TensorRole.SCALE: ("gamma", "weight", "scale"),
    TensorRole.SHIFT: ("beta", "bias", "shift"),
    TensorRole.RUNNING_MEAN: ("moving_mean", "running_mean"),
    TensorRole.RUNNING_VARIANCE: ("moving_variance", "running_var"),
}
"""What frameworks call a tensor, by its role."""


def matched(
    wanted: Mapping[str, TensorSpec], stored: Mapping[str, StoredTensor]
) -> tuple[dict[str, str], tuple[str, ...]]:
    """The stored tensor for each wanted one, and the stored ones that are left: counters, not floats.

    Names are equal but for separators (``conv1.weight``, ``conv1/kernel:0``), names of enclosing models at
    the beginning, and what frameworks call a weight of one role. A shape of the architecture may have
    -1 for a size that is not known.

    Raises:
        UnreadableInputError: If a tensor is missing or left over, or has another shape; names it.
    """
    found: dict[str, str] = {}
    places: dict[tuple[str, ...], str] = {}
    for name in stored:
        parts = _parts(name)
        places[parts] = "" if parts in places else name
    for name, spec in wanted.items():
        key = _place(spec, places)
        if key is None:
            raise UnreadableInputError(
                f"no tensor for {name} of the architecture; the file has {_first(stored)}", hint=_HINT
            )
        tensor = stored[key]
        if len(tensor.shape) != len(spec.shape) or not all(
            size in (-1, held) for size, held in zip(spec.shape, tensor.shape, strict=True)
        ):
            should = sizes(spec.shape).replace("-1", "?")
            raise UnreadableInputError(
                f"{name} should be {should}, {shown(key)} in the file is {sizes(tensor.shape)}", hint=_HINT
            )
        found[name] = key
    used = set(found.values())
    if len(used) < len(found):
        twice = next(key for key in used if list(found.values()).count(key) > 1)
        raise UnreadableInputError(f"{shown(twice)} in the file fits two tensors by name", hint=_HINT)
    left = [name for name in stored if name not in used]
    stray = [name for name in left if stored[name].is_float]
    if stray:
        raise UnreadableInputError(
            f"the architecture has no place for {_first(dict.fromkeys(stray))} of the file", hint=_HINT
        )
    return found, tuple(left)


def _parts(name: str) -> tuple[str, ...]:
    return tuple(re.split(r"[/.]", re.sub(r":\d+\Z", "", name)))


def _place(spec: TensorSpec, places: Mapping[tuple[str, ...], str]) -> str | None:
    """The stored name of a tensor: an equal one, or the only one that ends, or is the end, of its own."""
    *layer, weight = _parts(spec.name)
    names = dict.fromkeys((weight, *_NAMES.get(spec.role, ())))
    for name in names:
        if places.get((*layer, name)):
            return places[(*layer, name)]
    near = []
    for parts, stored in places.items():
        common = min(len(parts) - 1, len(layer))
        if parts[-1] in names and common and parts[:-1][-common:] == tuple(layer)[-common:]:
            near.append(stored)
    return near[0] or None if len(near) == 1 else None


def _first(names: Mapping[str, object]) -> str:
    first = ", ".join(map(shown, [*names][:6])) or "no tensors"
    return f"{first} and {len(names) - 6} more" if len(names) > 6 else first
