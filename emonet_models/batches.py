"""From utterances to batches: crops, augmentation and the windows of evaluation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from emonet_models.frontend import FRAME
from emonet_models.settings import Settings

Wave: TypeAlias = npt.NDArray[np.float32]
"""A waveform: float32 in [-1, 1), mono, 16 kHz, shape (samples,)."""

Utterances: TypeAlias = Sequence[tuple[Wave, int]]
"""Waveforms with their class indexes. Items may be read lazily."""


def stack(waves: Sequence[Wave], samples: int | None = None) -> Tensor:
    """Waveforms as one tensor, zero-padded after the signal.

    Args:
        waves: one or more.
        samples: length of the result; None: that of the longest, at least one frame.

    Returns:
        (len(waves), samples).

    Example:
        >>> stack([np.ones(3, np.float32)], 5).tolist()
        [[1.0, 1.0, 1.0, 0.0, 0.0]]
    """
    length = samples if samples is not None else max(FRAME, *(len(wave) for wave in waves))
    batch = np.zeros((len(waves), length), dtype=np.float32)
    for row, wave in zip(batch, waves, strict=True):
        row[: len(wave)] = wave[:length]
    return torch.from_numpy(batch)


def random_crop(wave: Wave, settings: Settings, rng: np.random.Generator) -> Wave:
    """A training crop: uniformly random, played slightly faster or slower where the settings say so.

    Args:
        wave: the whole utterance.
        settings: ``window`` and ``speed`` are used.
        rng: source of chance.

    Returns:
        At most ``window_samples`` samples; fewer where the utterance is shorter. Not yet padded.

    Example:
        >>> len(random_crop(np.zeros(90_000, np.float32), Settings(), np.random.default_rng(0)))
        32000
    """
    factor = float(np.exp(rng.uniform(-settings.speed, settings.speed))) if settings.speed else 1.0
    length = settings.window_samples
    if length is not None:
        taken = round(length * factor)
        start = int(rng.integers(0, max(len(wave) - taken, 0) + 1))
        wave = wave[start : start + taken]
    if factor == 1.0:
        return wave
    places = np.arange(max(int(len(wave) / factor), 1)) * factor
    played: Wave = np.interp(places, np.arange(len(wave)), wave).astype(np.float32)[:length]
    return played


def windows(wave: Wave, settings: Settings) -> list[Wave]:
    """The parts of an utterance that are judged; their probabilities are averaged.

    Args:
        wave: the whole utterance.
        settings: ``evaluation`` and ``window`` are used.

    Returns:
        "windows": every half window a window, the last one flush with the end. "second-half", as the
        original: one window from the middle on if the second half is longer than it, else from 0.

    Source: EmoNet, training and data facts, "centre" crop.

    Example:
        >>> [len(part) for part in windows(np.zeros(70_000, np.float32), Settings())]
        [32000, 32000, 32000, 32000]
    """
    length = settings.window_samples
    if length is None or len(wave) <= length:
        return [wave]
    if settings.evaluation == "second-half":
        start = len(wave) // 2 if len(wave) // 2 > length else 0
        return [wave[start : start + length]]
    last = len(wave) - length
    starts = [*range(0, last, max(length // 2, 1)), last]
    return [wave[start : start + length] for start in starts]


def augment(logmel: Tensor, targets: Tensor, settings: Settings, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Blank bands and spans of a batch with the mean of each map, then mix pairs of its maps.

    Args:
        logmel: (batch, mels, frames); changed in place.
        targets: (batch, classes), probabilities.
        settings: the augmentation settings are used.
        rng: source of chance.

    Returns:
        The new maps and targets.

    Example:
        >>> maps, targets = torch.rand(2, 64, 61), torch.eye(2)
        >>> mixed, _ = augment(maps, targets, Settings(mixup=0.2), np.random.default_rng(0))
        >>> mixed.shape
        torch.Size([2, 64, 61])
    """
    mels, frames = logmel.shape[1:]
    if settings.masks:
        for map_, mean in zip(logmel, logmel.mean((1, 2)), strict=True):
            for _ in range(settings.masks):
                start, width = _span(mels, settings.mask_mels, rng)
                map_[start : start + width] = mean
                start, width = _span(frames, settings.mask_frames, rng)
                map_[:, start : start + width] = mean
    if settings.mixup:
        share = torch.from_numpy(rng.beta(settings.mixup, settings.mixup, len(logmel)).astype(np.float32))
        share = share.to(logmel.device)
        partner = torch.from_numpy(rng.permutation(len(logmel))).to(logmel.device)
        logmel = torch.lerp(logmel[partner], logmel, share[:, None, None])
        targets = torch.lerp(targets[partner], targets, share[:, None])
    return logmel, targets


def _span(size: int, widest: int, rng: np.random.Generator) -> tuple[int, int]:
    width = int(rng.integers(0, min(widest, size) + 1))
    return int(rng.integers(0, size - width + 1)), width


def batches(count: int, size: int, rng: np.random.Generator) -> Iterator[npt.NDArray[np.intp]]:
    """The indexes of one epoch in random order; what does not fill a batch waits for the next shuffle.

    Example:
        >>> [len(chosen) for chosen in batches(10, 4, np.random.default_rng(0))]
        [4, 4]
    """
    order: npt.NDArray[Any] = rng.permutation(count)
    for step in range(batches_per_epoch(count, size)):
        yield order[step * size : (step + 1) * size]


def batches_per_epoch(count: int, size: int) -> int:
    """How many steps ``batches`` makes: full batches, or a single smaller one."""
    return max(count // size, 1)


class FromDataset(Sequence[tuple[Wave, int]]):
    """The items of an ``emoset.torch.UtteranceDataset`` as (waveform, class index), still read lazily.

    Args:
        dataset: with ``crop="whole"``; training makes its own crops.
    """

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, index: Any) -> Any:
        """One (waveform, class index) pair; a list of them for a slice."""
        if isinstance(index, slice):
            return [self[row] for row in range(*index.indices(len(self)))]
        item = self._dataset[index]
        return item["audio"].numpy(), item["label"]
