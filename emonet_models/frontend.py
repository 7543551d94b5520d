"""Log-mel spectrograms, computed inside the model from the raw waveform."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from emoset.schema import SAMPLING_RATE

FRAME: Final = 1024
"""Samples in a frame, and length of the Fourier transform."""
HOP: Final = 512
"""Samples between the starts of two frames."""
FLOOR: Final = 1e-6
"""Added to the mel power before the logarithm."""
LOWEST: Final = 20.0
"""Lower edge of the first mel filter, in Hz; the upper edge of the last is half the sampling rate."""


def frame_count(samples: int) -> int:
    """How many frames a waveform has: no centring, no padding, the tail is dropped.

    Args:
        samples: length of the waveform. Less than a frame is zero-padded to one.

    Returns:
        The number of frames, at least 1.

    Source: EmoNet, input layer.

    Example:
        >>> [frame_count(seconds * 16_000) for seconds in (2, 5, 6)]
        [61, 155, 186]
    """
    return 1 + max(samples - FRAME, 0) // HOP


def mel_matrix(mels: int) -> npt.NDArray[np.float64]:
    """Triangular filters with a peak of 1 whose slopes are linear in mel, not in Hz (unlike librosa's).

    Args:
        mels: number of filters.

    Returns:
        Weights of shape (513, mels): frequency bin by mel band.

    Source: EmoNet, input layer; m(f) = 1127 ln(1 + f / 700).

    Example:
        >>> mel_matrix(64).shape, float(mel_matrix(64)[0].max())
        ((513, 64), 0.0)
    """

    def to_mel(hertz: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return 1127.0 * np.log1p(hertz / 700.0)

    nyquist = SAMPLING_RATE / 2
    bins = to_mel(np.linspace(0.0, nyquist, FRAME // 2 + 1))[:, None]
    lowest, highest = to_mel(np.array([LOWEST, nyquist])).tolist()
    edges = np.linspace(lowest, highest, mels + 2)
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    weights = np.maximum(0.0, np.minimum((bins - low) / (centre - low), (high - bins) / (high - centre)))
    weights[0] = 0.0
    return np.asarray(weights, dtype=np.float64)


class LogMel(nn.Module):
    """Natural logarithm of the mel power, without any normalisation.

    Args:
        mels: number of mel bands.

    Source: EmoNet, input layer: frames of 1024 samples every 512, periodic Hann window, power spectrum,
    ``ln(mel power + 1e-6)``.

    Example:
        >>> LogMel(64)(torch.zeros(1, 32_000)).shape
        torch.Size([1, 64, 61])
    """

    hann: Tensor
    matrix: Tensor

    def __init__(self, mels: int) -> None:
        super().__init__()
        # Rebuilt from the settings, hence not part of the weights.
        self.register_buffer("hann", torch.hann_window(FRAME, periodic=True), persistent=False)
        matrix = torch.from_numpy(mel_matrix(mels)).to(torch.float32)
        self.register_buffer("matrix", matrix.T.contiguous(), persistent=False)

    def forward(self, audio: Tensor) -> Tensor:
        """The log-mel map of a batch of waveforms.

        Args:
            audio: (batch, samples), float32 in [-1, 1), 16 kHz.

        Returns:
            (batch, mels, frames), low band first.
        """
        if audio.shape[-1] < FRAME:
            audio = F.pad(audio, (0, FRAME - audio.shape[-1]))
        spectrum = torch.fft.rfft(audio.unfold(-1, FRAME, HOP) * self.hann)
        power = spectrum.real.square() + spectrum.imag.square()
        return torch.log(self.matrix @ power.transpose(-1, -2) + FLOOR)
