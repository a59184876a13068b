"""A Keras description whose sizes are those of a changed network."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.tensors import TensorSpec

_SIZES = {  # class: setting, tensor, axis of the tensor that has the setting's size
    "Dense": ("units", "kernel", -1),
    "Conv2D": ("filters", "kernel", -1),
    "Conv2DTranspose": ("filters", "kernel", -2),
    "SeparableConv2D": ("filters", "pointwise_kernel", -1),
}
_NUMBERS = {  # class: setting by the operator that uses it
    "Rescaling": {"Mul": "scale", "Add": "offset"},
    "Normalization": {"Sub": "mean", "Div": "variance"},
}


def resized_description(
    description: Mapping[str, Any],
    specs: Mapping[str, TensorSpec],
    reshaped: Collection[str],
    sizes: tuple[int, int],
) -> dict[str, Any]:
    """The description with the ``units`` and ``filters`` that the tensors' shapes show.

    Args:
        description: Of a model, ``{"class_name", "config", …}``.
        specs: The changed network's tensors, by name.
        reshaped: Layers in which the ``target_shape`` of a Reshape changes too.
        sizes: Number of outputs before and after, for these.
    """
    return _resized(description, "", specs, reshaped, sizes)


def rescaled_description(
    description: Mapping[str, Any], numbers: Mapping[tuple[str, str], NDArray[np.floating[Any]]]
) -> dict[str, Any] | None:
    """The description with other numbers in Rescaling and Normalization layers.

    Args:
        description: Of a model, ``{"class_name", "config", …}``.
        numbers: By layer and operator, such as ``Mul`` for the scale of a Rescaling.

    Returns:
        None if a number is not in such a layer.
    """
    left = dict(numbers)
    found = _rescaled(description, "", left)
    return None if left else found


def _rescaled(
    entry: Mapping[str, Any], above: str, numbers: dict[tuple[str, str], NDArray[np.floating[Any]]]
) -> dict[str, Any]:
    config = dict(entry["config"])
    if isinstance(config.get("layers"), list):
        config["layers"] = [
            layer if name is None else _rescaled(layer, name, numbers)
            for layer, name in _layers(config["layers"], above)
        ]
    for operator, setting in _NUMBERS.get(str(entry.get("class_name")), {}).items():
        array = numbers.pop((above, operator), None)
        if array is not None:
            values = np.square(array, dtype=np.float64) if setting == "variance" else array
            listed = [float(number) for number in values.reshape(-1)]
            config[setting] = listed if len(listed) > 1 else listed[0]
    return {**entry, "config": config}


def _layers(layers: Sequence[Any], above: str) -> Iterator[tuple[Any, str | None]]:
    """Each entry and its layer's name, after those of the models around it; None without a configuration."""
    for layer in layers:
        config = layer.get("config") if isinstance(layer, Mapping) else None
        if not isinstance(config, Mapping):
            yield layer, None
            continue
        name = str(layer.get("name") or config.get("name"))
        yield layer, f"{above}/{name}" if above else name


def _resized(
    entry: Mapping[str, Any],
    above: str,
    specs: Mapping[str, TensorSpec],
    reshaped: Collection[str],
    sizes: tuple[int, int],
) -> dict[str, Any]:
    config = dict(entry["config"])
    found = {**entry, "config": config}
    if isinstance(config.get("layers"), list):
        config["layers"] = [
            layer if name is None else _resized(layer, name, specs, reshaped, sizes)
            for layer, name in _layers(config["layers"], above)
        ]
        return found
    # What Keras builds a layer by before it is called: the old sizes.
    found.pop("build_config", None)
    setting, tensor, axis = _SIZES.get(str(entry.get("class_name")), ("", "", 0))
    spec = specs.get(f"{above}/{tensor}")
    if setting in config and spec is not None:
        config[setting] = spec.shape[axis]
    target = config.get("target_shape")
    if above in reshaped and isinstance(target, list):
        before, after = sizes
        config["target_shape"] = [after if size == before else size for size in target]
    return found
