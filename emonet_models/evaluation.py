"""Class probabilities of whole utterances."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Final

import numpy as np
import numpy.typing as npt
import torch

from emonet_models.batches import Wave, stack, windows
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
    return judge(network, settings, waves, corpus)[0]


def judge(
    network: EmoNet, settings: Settings, waves: Iterable[Wave], corpus: str | None = None
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Class probabilities of utterances and the features that the head got, both averaged over windows.

    Args:
        network: put into evaluation mode for the time being.
        settings: its settings.
        waves: waveforms of any length, read one by one.
        corpus: whose classes; None if the network has one corpus only.

    Returns:
        (utterances, classes) and (utterances, ``network.features``).

    Example:
        >>> settings = Settings(filters=1)
        >>> [of.shape for of in judge(EmoNet(settings, {"emodb": 3}), settings, [np.zeros(100, np.float32)])]
        [(1, 3), (1, 8)]
    """
    corpus = network.corpus_of(corpus)
    device, was_training = next(network.parameters()).device, network.training
    network.eval()
    # Whole utterances go one by one: padding them to the longest of a batch would change the answers.
    size = JUDGED_AT_ONCE if settings.window_samples else 1
    parts = ((row, part) for row, wave in enumerate(waves) for part in windows(wave, settings))
    rows: list[int] = []
    found: list[npt.NDArray[np.float64]] = []
    with torch.inference_mode():
        while batch := list(islice(parts, size)):
            audio = stack([part for _, part in batch], settings.window_samples).to(device)
            features = network.embed(network.logmel(audio), corpus)
            scores = network.heads[corpus](features)
            rows += [row for row, _ in batch]
            found.append(torch.cat([probabilities(scores), features], 1).cpu().double().numpy())
    network.train(was_training)
    judged = np.concatenate(found)
    sums = np.zeros((rows[-1] + 1, judged.shape[1]))
    np.add.at(sums, rows, judged)
    averages = sums / np.bincount(rows)[:, None]
    return averages[:, : -network.features], averages[:, -network.features :]
