"""Synthetic speech for twins: a source-filter voice whose speakers and classes differ audibly."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import soundfile
from numpy.typing import ArrayLike, NDArray

from emoset.errors import AudioError, RecipeError
from emoset.profiles import Profile, expressed, profile, randomness
from emoset.vocaltract import Array, Gestures, render

_PITCH_HZ: Final = {"female": (165.0, 255.0), "male": (85.0, 155.0), "child": (250.0, 350.0)}
_TRACT: Final = {"female": 1.15, "male": 1.0, "child": 1.32}
_VOWELS: Final = np.array(  # Hz, first three formants of a man
    [
        (290, 2250, 2950),
        (400, 2000, 2600),
        (560, 1800, 2500),
        (750, 1250, 2500),
        (600, 950, 2450),
        (430, 800, 2400),
        (310, 750, 2350),
        (500, 1450, 2450),
        (300, 1700, 2250),
    ]
)
CONTAINERS: Final = {
    **dict.fromkeys((".wav", ".wave"), ("WAV", "PCM_16")),
    **dict.fromkeys((".aif", ".aiff"), ("AIFF", "PCM_16")),
    ".au": ("AU", "PCM_16"),
    ".flac": ("FLAC", "PCM_16"),
    ".mp3": ("MP3", "MPEG_LAYER_III"),
    ".ogg": ("OGG", "VORBIS"),
    ".opus": ("OGG", "OPUS"),
    ".sph": ("NIST", "PCM_16"),
}


class _Voice(NamedTuple):
    pitch: float  # Hz
    tract: float  # factor on the formants
    tilt: float  # dB per octave
    breath: float
    level: float  # dB
    jitter: float  # share of a period
    vibrato: float  # semitones


@lru_cache(maxsize=4096)
def _voice(seed: int, speaker: str, gender: str | None) -> _Voice:
    rng = randomness("voice", seed, speaker, gender)
    sex = gender or ("female", "male")[int(rng.integers(2))]
    low, high = _PITCH_HZ[sex]
    return _Voice(
        pitch=low * (high / low) ** rng.uniform(0.05, 0.95),
        tract=_TRACT[sex] * rng.uniform(0.96, 1.04),
        tilt=rng.normal(0, 0.4),
        breath=rng.uniform(0, 0.06),
        level=rng.normal(0, 0.8),
        jitter=rng.uniform(0.004, 0.012),
        vibrato=rng.uniform(0.05, 0.3),
    )


def speak(
    speaker: str,
    gender: str | None,
    label: str,
    take: int,
    *,
    arousal: str | None = None,
    valence: str | None = None,
    seed: int = 0,
    sampling_rate: int = 16_000,
) -> NDArray[np.float32]:
    """One synthetic utterance: nonsense syllables by a speaker, in the manner of a class.

    All randomness comes from a hash of the arguments: equal arguments give equal samples on one machine.

    Args:
        speaker: name of the speaker; it and the seed decide the voice.
        gender: ``female``, ``male``, ``child``, or None for a voice of either adult kind.
        label: class name.
        take: number of the recording among those of this speaker and class.
        arousal: class of arousal; shapes the classes that have no profile of their own.
        valence: class of valence; likewise.
        seed: another seed gives other voices and other words.
        sampling_rate: in Hz, at least 4000.

    Returns:
        Samples of shape (n,), mono, in [-1, 1): between 1 and 3 seconds.

    Raises:
        RecipeError: if the gender is not one of those above.

    Example:
        >>> samples = speak("03", "male", "anger", 1, seed=7)
        >>> samples.dtype, samples.ndim, bool(abs(samples).max() < 1)
        (dtype('float32'), 1, True)
    """
    if gender is not None and gender not in _PITCH_HZ:
        raise RecipeError(f"gender {gender!r} of speaker {speaker!r}", expected="female, male, child or none")
    rng = randomness("words", int(seed), speaker, gender, label, int(take), arousal, valence)
    voice = _voice(int(seed), speaker, gender)
    manner = expressed(profile(label, arousal, valence), rng)
    duration = rng.uniform(1.2, 2.8)
    hop = 16 * max(1, round(sampling_rate * 0.008 / 16))
    frames = int(np.ceil(duration * sampling_rate / hop)) + 3
    times = (np.arange(frames) - 1) * hop / sampling_rate  # of the frames' centres
    gestures = _gestures(times, duration, manner, voice, rng)
    samples = render(gestures, hop, sampling_rate, rng)[: round(duration * sampling_rate)]
    level = manner.energy + voice.level - 29  # dB below full scale
    samples *= 10 ** (level / 20) / np.sqrt(np.mean(samples**2))
    room = np.float32(10 ** (rng.uniform(-66, -58) / 20))
    samples += room * rng.standard_normal(len(samples), dtype=np.float32)
    samples *= 0.99 / max(0.99, np.abs(samples).max())
    return samples


def _gestures(times: Array, duration: float, manner: Profile, voice: _Voice, rng: np.random.Generator) -> Gestures:
    """Nonsense syllables, some begun by a consonant, between silences, maybe with a pause."""
    count = max(3, round((duration - 0.3) * manner.rate)) + 2
    weights = 1.25 ** rng.standard_normal(count)
    weights[[0, -1]] *= 0.5
    silent = np.isin(np.arange(count), (0, count - 1))
    if count > 6 and rng.random() < 0.5:
        silent[rng.integers(2, count - 2)] = True
    ends = np.cumsum(weights) * duration / weights.sum()
    starts = ends - weights * duration / weights.sum()
    now = np.minimum(np.searchsorted(ends, times, side="right"), count - 1)
    place = (times - starts[now]) / (ends - starts)[now]  # 0 to 1 within the syllable

    loudness = np.where(silent, 0, 10 ** (rng.normal(0, 2.0, count) / 20))
    voiced = np.clip((place - 0.12) / 0.18, 0, 1) * np.clip((1.0 - place) / 0.3, 0, 1)
    hiss = rng.uniform(0.05, 0.35, count) * (rng.random(count) < 0.65) * ~silent
    hiss_hz = np.exp(rng.uniform(np.log(1500), np.log(6500), count))
    vowels = _VOWELS[rng.integers(len(_VOWELS), size=count)] * 1.04 ** rng.standard_normal((count, 3))
    held = np.stack([starts + x * (ends - starts) for x in (0.35, 0.75)], axis=1).ravel()
    accents = np.interp(times, (starts + ends) / 2, rng.standard_normal(count))
    vibrato = voice.vibrato * np.sin(2 * np.pi * (rng.uniform(5, 6) * times + rng.random()))
    semitones = manner.pitch + manner.span * accents + vibrato + 1.5 - 3.0 * times / duration
    tract = voice.tract * manner.tract
    return Gestures(
        pitch_hz=np.clip(voice.pitch * 2 ** (semitones / 12), 50, 700),
        voiced=voiced * loudness[now],
        formants_hz=tract * np.stack([np.interp(times, held, np.repeat(f, 2)) for f in vowels.T], axis=1),
        hiss=np.exp(-(((place - 0.12) / 0.09) ** 2)) * hiss[now],
        hiss_hz=hiss_hz[now],
        spacing_hz=1000 * tract,
        tilt=manner.tilt + voice.tilt - 6.0,
        breath=manner.breath + voice.breath,
        jitter=voice.jitter,
    )


def write_wav(path: str | Path, samples: ArrayLike, sampling_rate: int, channels: int = 1) -> None:
    """Write samples to a file whose suffix says the container: WAV, AIFF, AU, FLAC, SPHERE, MP3 or Ogg.

    Args:
        path: file to write; ``.wav``, ``.aif(f)``, ``.au``, ``.flac`` and ``.sph`` hold 16-bit integers.
        samples: of shape (n,), in [-1, 1).
        sampling_rate: in Hz.
        channels: number of channels, each with the same samples.

    Raises:
        AudioError: if the suffix is none of these, or the container does not take the sampling rate.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_wav(Path(folder) / "a.wav", [0.0, 0.5, -0.5], 16_000)
        ...     (Path(folder) / "a.wav").stat().st_size
        50
    """
    path = Path(path)
    if path.suffix.lower() not in CONTAINERS:
        raise AudioError(f"suffix {path.suffix!r}", where=str(path), expected=f"one of {', '.join(CONTAINERS)}")
    container, subtype = CONTAINERS[path.suffix.lower()]
    whole = np.clip(np.rint(np.asarray(samples, np.float64) * 32768), -32768, 32767).astype(np.int16)
    try:
        soundfile.write(path, np.tile(whole[:, None], channels), sampling_rate, subtype, format=container)
    except (soundfile.LibsndfileError, ValueError) as error:
        raise AudioError(f"not written at {sampling_rate} Hz: {error}".rstrip("."), where=str(path)) from error
