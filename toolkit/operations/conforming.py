"""Models rewritten for another convention, and verified."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolkit.model import Model
from toolkit.model.rewriting import rewritten
from toolkit.vocabulary import Convention

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def conformed(
    model: Model, convention: Convention, images: NDArray[np.uint8] | None = None
) -> tuple[Model, dict[str, float | str]]:
    """The model for images in another convention, after comparing its logits with the original's.

    Args:
        images: (n, 28, 28) uint8, upright, light ink, in addition to random ones.

    Returns:
        The model, and what was measured: ``conformed_from`` and ``conformed_to`` are conventions,
        ``conformed_difference`` is relative to the largest logit. Nothing was measured on a model that
        has the convention already.

    Raises:
        UsageError: If the model's convention is not known.
        UnsupportedError: If it cannot be rewritten exactly.
        ProofError: If the logits differ by more than 1e-5 of the largest.
    """
    found = rewritten(model, convention)
    if found is model:
        return model, {}
    from toolkit.engine.agreement import require_agreement

    difference = require_agreement(model, found, images)
    return found, {
        "conformed_from": str(model.card.convention),
        "conformed_to": str(convention),
        "conformed_difference": difference,
    }
