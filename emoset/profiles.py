"""How the classes of twins sound: a table for the usual emotions, and a rule for every other class name."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np


class Profile(NamedTuple):
    """How a class sounds.

    Example:
        >>> PROFILES["sadness"].rate < PROFILES["neutral"].rate < PROFILES["fear"].rate
        True
    """

    pitch: float  # semitones above the speaker's usual pitch
    span: float  # standard deviation of the accents, in semitones
    energy: float  # dB above the speaker's usual level
    rate: float  # syllables per second
    tilt: float  # dB per octave that the spectrum falls less steeply than usual
    breath: float  # share of noise in the voice
    tract: float  # factor on the formants: above 1 for spread lips


PROFILES: Final[dict[str, Profile]] = {
    #                     pitch  span energy  rate  tilt breath tract
    "amusement": Profile(3.0, 5.0, 1.5, 5.6, 1.0, 0.16, 1.06),
    "anger": Profile(4.0, 4.0, 7.0, 5.4, 4.0, 0.02, 0.98),
    "anxiety": Profile(4.0, 2.0, -3.0, 6.2, 0.5, 0.30, 0.99),
    "boredom": Profile(-3.0, 0.6, -3.0, 3.2, -1.0, 0.03, 0.95),
    "calm": Profile(-1.0, 1.5, -2.0, 4.0, -1.0, 0.12, 1.02),
    "contempt": Profile(-1.5, 2.5, 1.0, 4.0, 1.5, 0.04, 0.94),
    "disgust": Profile(-2.0, 3.0, 1.5, 3.6, 2.0, 0.22, 0.91),
    "excitement": Profile(4.5, 6.0, 4.0, 6.2, 2.0, 0.10, 1.05),
    "fear": Profile(7.0, 2.0, -1.0, 6.8, 1.0, 0.38, 1.00),
    "frustration": Profile(1.5, 3.0, 3.0, 4.4, 2.0, 0.08, 0.96),
    "happiness": Profile(4.0, 6.0, 3.5, 5.2, 1.0, 0.08, 1.09),
    "irritation": Profile(1.0, 2.5, 2.0, 5.4, 2.5, 0.03, 0.98),
    "joy": Profile(5.0, 5.0, 4.0, 5.4, 2.0, 0.06, 1.10),
    "neutral": Profile(0.0, 2.0, 0.0, 4.8, 0.0, 0.06, 1.00),
    "pride": Profile(1.0, 3.5, 2.5, 4.2, 1.0, 0.04, 1.03),
    "relief": Profile(-1.0, 3.0, -2.0, 3.8, -1.0, 0.28, 1.02),
    "sadness": Profile(-1.0, 1.2, -6.0, 3.2, -4.0, 0.30, 0.99),
    "surprise": Profile(8.0, 7.0, 2.0, 4.6, 0.0, 0.20, 1.04),
    "tenderness": Profile(0.5, 2.0, -4.0, 3.8, -2.5, 0.22, 1.04),
}
"""Class name to profile. Any other name gets one from its arousal, its valence and a hash of the name."""


def randomness(*key: object) -> np.random.Generator:
    """Random numbers that depend on a key alone: not on the process, nor on what was drawn before.

    Args:
        key: strings, whole numbers and None.

    Returns:
        A generator, seeded by a hash of the key.

    Example:
        >>> bool(randomness("words", 1).random() == randomness("words", 1).random())
        True
    """
    return np.random.default_rng(list(hashlib.sha256(repr(key).encode()).digest()))


@lru_cache(maxsize=4096)
def profile(label: str, arousal: str | None = None, valence: str | None = None) -> Profile:
    """How a class sounds: from the table, or made up for its arousal, valence and name.

    Args:
        label: class name.
        arousal: ``low``, ``high`` or None.
        valence: ``negative``, ``neutral``, ``positive`` or None.

    Returns:
        The profile: the same for the same arguments everywhere, another one for every other name.

    Example:
        >>> profile("anger").energy > profile("sadness").energy
        True
        >>> profile("interest", "high") == profile("interest", "low")
        False
    """
    if label in PROFILES:
        return PROFILES[label]
    up = {"high": 1.0, "low": -1.0}.get(arousal or "", 0.0)
    smile = {"positive": 1.0, "negative": -1.0}.get(valence or "", 0.0)
    draw = randomness("profile", label).uniform(-1, 1, 7)
    return Profile(
        pitch=1.0 + 2.5 * up + 3.0 * draw[0],
        span=(3.0 + 1.2 * up + 0.4 * smile) * 1.8 ** draw[1],
        energy=2.5 * up + 4.0 * draw[2],
        rate=(4.6 + 0.7 * up) * 1.3 ** draw[3],
        tilt=1.0 * up + 0.4 * smile + 2.5 * draw[4],
        breath=0.12 * 3.0 ** draw[5],
        tract=1.0 + 0.02 * smile + 0.08 * draw[6],
    )


def expressed(usual: Profile, rng: np.random.Generator) -> Profile:
    """A class as one utterance has it: more or less expressive, and not quite regular.

    Args:
        usual: profile of the class.
        rng: source of the differences between utterances.

    Returns:
        The profile of one utterance.

    Example:
        >>> expressed(PROFILES["anger"], np.random.default_rng(0)) == PROFILES["anger"]
        False
    """
    strength = rng.uniform(0.7, 1.3)
    plain = PROFILES["neutral"]
    pitch, span, energy, rate, tilt, breath, tract = (a + strength * (b - a) for a, b in zip(plain, usual, strict=True))
    wobble = rng.standard_normal(7)
    return Profile(
        pitch=pitch + 0.8 * wobble[0],
        span=max(0.3, span) * 1.2 ** wobble[1],
        energy=energy + 1.2 * wobble[2],
        rate=rate * 1.1 ** wobble[3],
        tilt=tilt + 0.5 * wobble[4],
        breath=max(0.01, breath) * 1.25 ** wobble[5],
        tract=tract * 1.01 ** wobble[6],
    )
