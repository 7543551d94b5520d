"""The course of the learning rate."""

from __future__ import annotations

import math
from typing import Final

WARM_UP: Final = 0.25
"""Share of training in which ``one_cycle`` rises."""


def one_cycle(peak: float, progress: float) -> float:
    """Cosine rise from a 25th of the peak, then cosine fall to almost nothing.

    Args:
        peak: highest learning rate.
        progress: share of training that is over.

    Returns:
        The learning rate.

    Example:
        >>> [round(one_cycle(1.0, p), 3) for p in (0, 0.25, 0.625, 1)]
        [0.04, 1.0, 0.5, 0.0]
    """
    if progress < WARM_UP:
        low, share = peak / 25, 1 - progress / WARM_UP
    else:
        low, share = peak / 1e5, (progress - WARM_UP) / (1 - WARM_UP)
    return low + (peak - low) * (1 + math.cos(math.pi * share)) / 2


def decay_of_keras(utterances: int, batch: int) -> float:
    """The decay d of the original's optimiser, whose rate at step t of a stage is lr / (1 + d t).

    Args:
        utterances: in the training set.
        batch: utterances in a step.

    Returns:
        The decay; smaller for larger corpora.

    Source: EmoNet, training and data facts.

    Example:
        >>> decay_of_keras(314, 64), decay_of_keras(5_531, 64)
        (0.005, 0.0005)
    """
    size = math.ceil(utterances / batch) * batch
    return next((decay for limit, decay in ((500, 0.005), (1_000, 0.002), (10_000, 0.0005)) if size < limit), 1e-6)
