"""A Keras description whose sizes are those of a changed network."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from toolkit.tensors import TensorSpec

_SIZES = {  # class: setting, tensor, axis of the tensor that has the setting's size
    "Dense": ("units", "kernel", -1),
    "Conv2D": ("filters", "kernel", -1),
    "Conv2DTranspose": ("filters", "kernel", -2),
    "SeparableConv2D": ("filters", "pointwise_kernel", -1),
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
        inner = []
        for layer in config["layers"]:
            own = layer.get("config", {}) if isinstance(layer, Mapping) else None
            if not isinstance(own, Mapping):
                inner.append(layer)
                continue
            name = f"{above}{layer.get('name') or own.get('name')}"
            prefix = f"{name}/" if isinstance(own.get("layers"), list) else name
            inner.append(_resized({**layer, "config": own}, prefix, specs, reshaped, sizes))
        config["layers"] = inner
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
