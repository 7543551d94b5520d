"""A voice from source and filter: glottal pulses and noise through a vocal tract that moves."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Array = NDArray[np.float64]

_BANDWIDTHS_HZ: Final = (70.0, 95.0, 140.0)


class Gestures(NamedTuple):
    """What the voice does, frame by frame, and how it is: arrays of shape (frames,), one frame every hop.

    Example:
        >>> Gestures._fields[:3]
        ('pitch_hz', 'voiced', 'formants_hz')
    """

    pitch_hz: Array
    voiced: Array  # amplitude of the voice
    formants_hz: Array  # the lowest three, shape (frames, 3)
    hiss: Array  # amplitude of consonants
    hiss_hz: Array  # centre of their spectrum
    spacing_hz: float  # of the higher formants
    tilt: float  # dB per octave of the glottal spectrum
    breath: float  # amplitude of noise in the voice
    jitter: float  # irregularity of the pulses, as a share of a period


def render(gestures: Gestures, hop: int, sampling_rate: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """The sound of some gestures, of arbitrary level.

    Args:
        gestures: arrays over frames; the first frame is centred one hop before the first sample.
        hop: samples from frame to frame, about 8 ms.
        sampling_rate: in Hz.
        rng: source of the noise and of the irregularities.

    Returns:
        Samples of shape ((frames - 3) * hop,).

    Example:
        >>> hum = np.full(103, 0.5)
        >>> formants = np.tile([500.0, 1500.0, 2500.0], (103, 1))
        >>> gestures = Gestures(240 * hum, hum, formants, 0 * hum, 8000 * hum, 1000.0, -6.0, 0.05, 0.01)
        >>> render(gestures, 128, 16_000, np.random.default_rng(0)).shape
        (12800,)
    """
    pulses = _pulses(gestures, hop, sampling_rate, rng)
    noise = rng.standard_normal(len(pulses), dtype=np.float32)
    size = 4 * hop
    window = np.sqrt(np.hanning(size + 1)[:-1]).astype(np.float32)
    spectrum, hissing = (
        np.fft.rfft(sliding_window_view(signal, size)[::hop] * window, axis=1).astype(np.complex64)
        for signal in (pulses, noise)
    )
    hertz = np.fft.rfftfreq(size, 1 / sampling_rate)
    octaves = np.log2(np.maximum(hertz, 80.0) / 500)
    filters = _tract(gestures, hertz, octaves, sampling_rate)
    centre = np.minimum(gestures.hiss_hz, 0.4 * sampling_rate)[:, None]
    hiss = gestures.hiss[:, None] / (1 + ((hertz - centre) / (0.25 * centre)) ** 2)
    spectrum += (gestures.breath * 2 ** (octaves / 2)).astype(np.float32) * hissing
    spectrum *= filters
    spectrum += hiss.astype(np.float32) * hissing
    frames = (np.fft.irfft(spectrum, size, axis=1) * (window / 2)).astype(np.float32)
    out = np.zeros((len(frames) + 3, hop), np.float32)
    for quarter in range(4):
        out[quarter : quarter + len(frames)] += frames[:, quarter * hop : (quarter + 1) * hop]
    return out[3:-3].ravel()


def _pulses(gestures: Gestures, hop: int, sampling_rate: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Glottal pulses of unit power, with a margin of three hops at either end: ((frames + 3) * hop,)."""
    pitch = gestures.pitch_hz
    size = (len(pitch) + 3) * hop
    centres = np.arange(2, len(pitch) + 2) * hop
    phase = np.cumsum(pitch) * hop / sampling_rate
    at = np.interp(np.arange(1, int(phase[-1])), phase, centres)
    period = sampling_rate / np.interp(at, centres, pitch)
    at += period * gestures.jitter * rng.standard_normal(len(at))
    height = np.sqrt(period) * (1 + 0.06 * rng.standard_normal(len(at)))
    whole = np.clip(np.floor(at), 0, size - 2).astype(np.int64)
    late = height * (at - whole)
    train = np.bincount(whole, height - late, size) + np.bincount(whole + 1, late, size)
    return train.astype(np.float32)


def _tract(
    gestures: Gestures, hertz: NDArray[np.floating], octaves: NDArray[np.floating], sampling_rate: int
) -> NDArray[np.complex64]:
    """Response of glottis, tract and lips, scaled to the amplitude of the voice: shape (frames, bins)."""
    delay = np.exp(-2j * np.pi * hertz / sampling_rate).astype(np.complex64)
    upper = np.arange(3.5 * gestures.spacing_hz, 0.47 * sampling_rate, gestures.spacing_hz)
    fixed = np.prod(_resonance(upper, 0.06 * upper, delay, sampling_rate), axis=0)
    tilt = 2 ** (octaves * gestures.tilt / 6.02) * hertz**2 / (hertz**2 + 60.0**2)
    filters: NDArray[np.complex64] = (fixed * tilt).astype(np.complex64)[None, :]
    for formant, bandwidth in zip(gestures.formants_hz.T, _BANDWIDTHS_HZ, strict=True):
        filters = filters * _resonance(np.minimum(formant, 0.45 * sampling_rate), bandwidth, delay, sampling_rate)
    power = np.mean(filters.real**2 + filters.imag**2, axis=1)
    filters *= (gestures.voiced / np.sqrt(power)).astype(np.float32)[:, None]
    return filters


def _resonance(
    hz: Array, bandwidth: float | Array, delay: NDArray[np.complex64], sampling_rate: int
) -> NDArray[np.complex64]:
    """Responses of second-order resonators of unit gain at 0 Hz: shape (resonators, bins)."""
    radius = np.exp(-np.pi * bandwidth / sampling_rate) + 0 * hz
    a = (2 * radius * np.cos(2 * np.pi * hz / sampling_rate)).astype(np.float32)[:, None]
    b = (radius**2).astype(np.float32)[:, None]
    response: NDArray[np.complex64] = (1 - a + b) / (1 - delay * (a - b * delay))
    return response
