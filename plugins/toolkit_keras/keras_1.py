"""Layers as Keras 1 configured them, in the words of Keras 2."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from toolkit.errors import UnsupportedError

_CLASSES = {
    "Convolution1D": "Conv1D",
    "Convolution2D": "Conv2D",
    "AtrousConvolution1D": "Conv1D",
    "AtrousConvolution2D": "Conv2D",
    "Deconvolution2D": "Conv2DTranspose",
    "SeparableConvolution2D": "SeparableConv2D",
}
_KEYS = {
    "atrous_rate": "dilation_rate",
    "bias": "use_bias",
    "border_mode": "padding",
    "filter_length": "kernel_size",
    "nb_filter": "filters",
    "output_dim": "units",
    "p": "rate",
    "sigma": "stddev",
    "subsample": "strides",
    "subsample_length": "strides",
}
_DATA_FORMATS = {"th": "channels_first", "tf": "channels_last"}
_MERGES = {"sum": "Add", "mul": "Multiply", "ave": "Average", "max": "Maximum", "concat": "Concatenate"}
_ONLY_FOR_TRAINING = {
    *("init", "weights", "input_dim", "input_length", "W_regularizer", "b_regularizer", "W_constraint"),
    *("b_constraint", "gamma_regularizer", "beta_regularizer", "activity_regularizer"),
}


def of_keras_2(entry: Mapping[str, Any]) -> dict[str, Any]:
    """A layer's entry as Keras 2 has it; others are not changed.

    Raises:
        UnsupportedError: If it merges, or normalises, in a way that Keras 2 does not know.
    """
    kind, config = entry.get("class_name"), entry.get("config")
    if not isinstance(kind, str) or not isinstance(config, dict):
        return dict(entry)
    if kind == "Merge":
        return {**entry, **_merge(config)}
    ours = kind in _CLASSES or not config.keys().isdisjoint({"nb_filter", "output_dim", "border_mode", "p"})
    normalises = kind == "BatchNormalization" and "mode" in config
    if not ours and not normalises and "dim_ordering" not in config:
        return dict(entry)
    if normalises and config["mode"] == 1:
        raise UnsupportedError(
            f"layer '{config.get('name')}': a BatchNormalization with mode 1 of Keras 1",
            hint="supported: modes 0 and 2",
        )
    found = {_KEYS.get(key, key): value for key, value in config.items() if key not in _ONLY_FOR_TRAINING}
    found.pop("mode", None)
    if "nb_row" in found:
        found["kernel_size"] = [found.pop("nb_row"), found.pop("nb_col", None)]
    if "dim_ordering" in found:
        found["data_format"] = _DATA_FORMATS.get(str(found.pop("dim_ordering")), "channels_last")
    return {**entry, "class_name": _CLASSES.get(kind, kind), "config": found}


def _merge(config: Mapping[str, Any]) -> dict[str, Any]:
    mode = config.get("mode")
    if mode not in _MERGES or config.get("mode_type", "raw") != "raw":
        raise UnsupportedError(
            f"layer '{config.get('name')}': a Merge with mode {mode!r}",
            hint=f"supported: {', '.join(_MERGES)}",
        )
    kept = {"name": config.get("name")} | (
        {"axis": config.get("concat_axis", -1)} if mode == "concat" else {}
    )
    return {"class_name": _MERGES[mode], "config": kept}
