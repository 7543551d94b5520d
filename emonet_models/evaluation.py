"""Class probabilities of whole utterances."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np
import numpy.typing as npt
import torch

from emonet_models import batches
from emonet_models.batches import Wave
from emonet_models.network import EmoNet, probabilities
from emonet_models.settings import Settings

JUDGED_AT_ONCE: Final = 64
"""Windows in a batch of evaluation."""


def predict_probabilities(
    network: EmoNet, settings: Settings, waves: Iterable[Wave], corpus: str | None = None
) -> npt.NDArray[np.float64]:
    """Class probabilities of utterances, averaged over their windows.

    Args:
        network: put into evaluation mode for the time being.
        settings: its settings.
        waves: waveforms of any length, read one by one.
        corpus: whose classes; None if the network has one corpus only.

    Returns:
        (utterances, classes).

    Example:
        >>> settings = Settings(filters=1)
        >>> predict_probabilities(EmoNet(settings, {"emodb": 3}), settings, [np.zeros(100, np.float32)]).shape
        (1, 3)
    """
    device = next(network.parameters()).device
    was_training = network.training
    network.eval()
    sums: list[npt.NDArray[np.float64]] = []
    shares: list[int] = []
    waiting: list[tuple[int, Wave]] = []

    def judge() -> None:
        batch = batches.stack([part for _, part in waiting], settings.window_samples).to(device)
        found = probabilities(network(batch, corpus)).double().cpu().numpy()
        for (row, _), values in zip(waiting, found, strict=True):
            sums[row] = sums[row] + values
        waiting.clear()

    with torch.inference_mode():
        # Whole utterances go one by one: padding them to the longest of a batch would change the answers.
        size = JUDGED_AT_ONCE if settings.window_samples else 1
        for row, wave in enumerate(waves):
            parts = batches.windows(wave, settings)
            sums.append(np.zeros(()))
            shares.append(len(parts))
            for part in parts:
                waiting.append((row, part))
                if len(waiting) == size:
                    judge()
        if waiting:
            judge()
    network.train(was_training)
    averages: npt.NDArray[np.float64] = np.stack(sums) / np.array(shares)[:, None]
    return averages
