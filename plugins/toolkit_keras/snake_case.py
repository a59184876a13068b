"""Class names as Keras writes them in file names."""

from __future__ import annotations

import re


def snake_case(name: str) -> str:
    """``DepthwiseConv2D`` to ``depthwise_conv2d``, ``PReLU`` to ``p_re_lu``."""
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()
