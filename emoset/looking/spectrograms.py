"""Spectrograms: log-mel energies as small PNG pictures, with numpy and zlib alone."""

from __future__ import annotations

import struct
import zlib
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from emoset.schema import SAMPLING_RATE

BANDS: Final = 64
HOP: Final = SAMPLING_RATE // 100
RANGE_DB: Final = 70.0
"""What lies this far below the loudest point of a recording, or further, has the darkest colour."""

TICKS_HZ: Final = (500, 1000, 2000, 4000)
"""Frequencies that are marked beside a picture."""

_WINDOW: Final = 400
_POINTS: Final = 1024
_LEVELS: Final = 64

_COLOURS: Final = (
    "440154", "482878", "3e4a89", "31688e", "26828e", "1f9e89", "35b779", "6ece58", "b5de2b", "fde725",
)  # fmt: skip
"""Points of the map viridis: ever lighter, so that it reads in grey and to colour-blind eyes."""


def log_mel(samples: NDArray[np.int16]) -> NDArray[np.float64]:
    """Energy in mel bands, in dB below the loudest point.

    Args:
        samples: int16 at 16 kHz, one or more.

    Returns:
        Shape (bands, frames), lowest band first, a frame for every 10 ms; at most 0, at least `-RANGE_DB`.

    Example:
        >>> tone = np.sin(2 * np.pi * 1000 * np.arange(16000) / 16000)
        >>> picture = log_mel((tone * 10000).astype(np.int16))
        >>> picture.shape, int(picture[:, 50].argmax()) == int(place_of(1000) * BANDS)
        ((64, 100), True)
    """
    frames = max(-(-len(samples) // HOP), 1)
    padded = np.zeros((frames - 1) * HOP + _WINDOW)
    before = (_WINDOW - HOP) // 2
    part = samples[: len(padded) - before] / 32768.0
    padded[before : before + len(part)] = part
    windows = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::HOP] * np.hanning(_WINDOW)
    power = np.abs(np.fft.rfft(windows, _POINTS)) ** 2
    energy = _filters() @ power.T
    loudest = energy.max()
    if loudest <= 0:
        return np.full(energy.shape, -RANGE_DB)
    level: NDArray[np.float64] = 10 * np.log10(np.maximum(energy / loudest, 10 ** (-RANGE_DB / 10)))
    return level


def place_of(hertz: float) -> float:
    """Where a frequency lies on the axis of a picture: 0 is its lower edge, 1 the upper.

    Example:
        >>> place_of(0), place_of(8000)
        (0.0, 1.0)
    """
    return float(_mel(hertz) / _mel(SAMPLING_RATE / 2))


def picture(samples: NDArray[np.int16]) -> bytes:
    r"""The spectrogram of samples as a PNG file: a pixel for every 10 ms and band.

    Example:
        >>> picture(np.ones(16000, dtype=np.int16))[:4]
        b'\x89PNG'
    """
    level = log_mel(samples)[::-1]
    return png(np.rint((level / RANGE_DB + 1) * (_LEVELS - 1)).astype(np.uint8), _palette())


def png(pixels: NDArray[np.uint8], palette: NDArray[np.uint8]) -> bytes:
    """An indexed-colour PNG file.

    Args:
        pixels: numbers of colours, shape (height, width).
        palette: the colours, shape (n, 3).
    """
    height, width = pixels.shape
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    lines = np.zeros((height, width + 1), np.uint8)  # each begins with the number of its filter: none
    lines[:, 1:] = pixels
    chunks = (
        (b"IHDR", header), (b"PLTE", palette.tobytes()), (b"IDAT", zlib.compress(lines.tobytes(), 9)), (b"IEND", b""),
    )  # fmt: skip
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )


def colour_bar() -> bytes:
    """The colours from quiet to loud, as a PNG file."""
    return png(np.arange(_LEVELS, dtype=np.uint8)[None, :], _palette())


@cache
def _palette() -> NDArray[np.uint8]:
    points = np.array([list(bytes.fromhex(colour)) for colour in _COLOURS], np.float64)
    places = np.linspace(0, len(points) - 1, _LEVELS)
    channels = [np.interp(places, np.arange(len(points)), points[:, channel]) for channel in range(3)]
    return np.rint(np.stack(channels, axis=1)).astype(np.uint8)


def _mel(hertz: float) -> float:
    return float(2595 * np.log10(1 + hertz / 700))


@cache
def _filters() -> NDArray[np.float64]:
    """Triangles that are equally wide on the mel scale, shape (bands, points of the spectrum)."""
    edges = 700 * (10 ** (np.linspace(0, _mel(SAMPLING_RATE / 2), BANDS + 2) / 2595) - 1)
    hertz = np.fft.rfftfreq(_POINTS, 1 / SAMPLING_RATE)
    rising = (hertz - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - hertz) / (edges[2:] - edges[1:-1])[:, None]
    return np.maximum(np.minimum(rising, falling), 0)
