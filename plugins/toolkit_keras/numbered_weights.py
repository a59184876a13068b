"""Weights by number, as ``.weights.h5`` files and archives have them: ``layers/conv2d_1/vars/0``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from toolkit.errors import LimitReachedError, UnsupportedError
from toolkit.tensors import TensorRole
from toolkit_keras.architecture import Expected, KerasArchitecture, fits, guessed_role, is_operation
from toolkit_keras.build import AS_TODAY, Placed
from toolkit_keras.file_errors import foreign_weights, shown
from toolkit_keras.keras_network import KerasNetwork
from toolkit_keras.layer_kind import GENERATOR, numbered, snake_case
from toolkit_keras.safe_hdf5 import SafeHdf5

ROOTS = ("layers", "_layer_checkpoint_dependencies")
"""Today's group of all layers, and that of Keras 2.12 to 2.15."""

_NOT_OF_LAYERS = ("optimizer", "loss", "metrics", "compile_metrics")
_MOST_GROUPS = 20_000
_MOST_LEVELS = 50
_MOST_GROUPS_OF_A_LAYER = 200


def layer_groups(
    network: KerasNetwork, at: tuple[str, ...] = ("layers",)
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The place of each layer's weights in the HDF5 file, by the layer's path.

    Groups have the classes' names, counted in layer order: ``layers/conv2d``, ``layers/conv2d_1``.
    """
    seen: Counter[str] = Counter()
    for layer in network.layers:
        if is_operation(layer) or (network.sequential and layer.kind == "InputLayer"):
            continue
        base = snake_case(layer.kind)
        group = (*at, f"{base}_{seen[base]}" if seen[base] else base)
        seen[base] += 1
        if layer.network is None:
            yield layer.name, group
        else:
            yield from layer_groups(layer.network, (*group, at[0]))


def place_numbered(file: SafeHdf5, architecture: KerasArchitecture) -> dict[str, tuple[Placed, ...]]:
    """Every layer's tensors, by the layer's path."""
    root = next((name for name in ROOTS if file.has(name)), ROOTS[0])
    groups = dict(layer_groups(architecture.network, (root,)))
    placed = {
        expected.node.name: _place(file, expected, groups[expected.node.name])
        for expected in architecture.expected
        if expected.node.name in groups
    }
    if file.members("vars"):
        raise UnsupportedError(
            "the model has weights outside its layers",
            hint="supported: models all of whose weights belong to layers",
        )
    return placed


def stored_shapes(file: SafeHdf5) -> Mapping[str, tuple[int, ...]]:
    """Shapes of the tensors of all layers, by their places in the file."""
    return {
        "/".join((*group, "vars", number)): file.stored(*group, "vars", number).shape
        for group, numbers in _variables(file, (), _MOST_GROUPS)
        for number in numbers
        if group and group[0] not in _NOT_OF_LAYERS
    }


def refuse_left_over(file: SafeHdf5, placed: Mapping[str, tuple[Placed, ...]]) -> None:
    """Refuse an architecture that has no place for some of the file's tensors."""
    used = {"/".join(stored.path) for layer in placed.values() for _, _, stored, _ in layer}
    stray = [name for name in stored_shapes(file) if name not in used and "seed_generator" not in name]
    if stray:
        more = f" and {len(stray) - 3} more" if len(stray) > 3 else ""
        raise foreign_weights(f"the architecture has no layer for {', '.join(stray[:3])}{more}")


def _place(file: SafeHdf5, expected: Expected, group: tuple[str, ...]) -> tuple[Placed, ...]:
    if expected.weights is None:
        return tuple(_unknown(file, group))
    wanted = Counter({(*group, "vars"): 0})
    wanted.update((*group, *place[:-1]) for place, _ in numbered(expected.weights))
    for variables, number in wanted.items():
        count = len(file.members(*variables))
        if count != number:
            raise foreign_weights(
                f"layer '{expected.node.name}' should hold {number} tensors, "
                f"{'/'.join(variables)} has {count}"
            )
    found: list[Placed] = []
    for place, weight in numbered(expected.weights):
        stored = file.stored(*group, *place)
        if not fits(weight, stored.shape):
            should, has = shown(weight.shape), shown(stored.shape)
            raise foreign_weights(
                f"{expected.node.name}/{weight.name} should be {should}, the file has {has}"
            )
        found.append((weight.name, weight.role, stored, AS_TODAY))
    for above in dict.fromkeys(("", *(weight.place for weight in expected.weights))):
        place = (*group, *filter(None, above.split("/")), "seed_generator", "vars", "0")
        if file.has(*place):
            name = f"{above}/{GENERATOR}" if above else GENERATOR
            found.append((name, TensorRole.GENERATOR_STATE, file.stored(*place), AS_TODAY))
    return tuple(found)


def _unknown(file: SafeHdf5, layer: tuple[str, ...]) -> Iterator[Placed]:
    """Tensors of a layer of an unknown kind, named by their places in the file."""
    for group, numbers in _variables(file, layer, _MOST_GROUPS_OF_A_LAYER):
        place = "/".join((*group[len(layer) :], "vars"))
        for number in numbers:
            role = guessed_role(number)
            if "seed_generator" in place:
                role = TensorRole.GENERATOR_STATE
            yield f"{place}/{number}", role, file.stored(*group, "vars", number), AS_TODAY


def _variables(
    file: SafeHdf5, start: tuple[str, ...], most: int
) -> Iterator[tuple[tuple[str, ...], Sequence[str]]]:
    """The groups with variables below a group, and the variables' numbers in order.

    A group may be linked into itself, so that there is no end of groups below it.
    """
    waiting = [start]
    for _ in range(most):
        if not waiting:
            return
        group = waiting.pop()
        if len(group) > _MOST_LEVELS:
            break
        members = file.members(*group)
        if "vars" in members:
            yield group, sorted(file.members(*group, "vars"), key=lambda number: (len(number), number))
        waiting += [(*group, member) for member in reversed(members) if member != "vars"]
    raise LimitReachedError(
        f"{'/'.join(start) or 'the file'} holds more than {most:,} groups, or {_MOST_LEVELS} levels of them",
        hint="the file is damaged",
    )
