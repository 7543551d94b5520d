"""The vocabulary: what each class name means, in one place for all corpora.

A recipe maps a corpus's own codes to class names (``labels``); this table maps class names to the shared
``emotion`` and to the classes of arousal (low, high) and valence (negative, neutral, positive) that
cross-corpus work uses. The defaults follow the custom of binary cross-corpus benchmarks (Schuller et al.,
IEEE Transactions on Affective Computing 2010), recalled rather than quoted: they are this project's
choice. ``neutral`` keeps a valence of its own, so that both two- and three-class conventions derive from it.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Meaning(NamedTuple):
    """What a class stands for: shared emotion, arousal and valence; ``None`` where no honest mapping exists.

    Example:
        >>> MEANINGS["anger"]
        Meaning(emotion='anger', arousal='high', valence='negative')
    """

    emotion: str | None
    arousal: str | None
    valence: str | None


MEANINGS: Final[dict[str, Meaning]] = {
    "anger": Meaning("anger", "high", "negative"),
    "boredom": Meaning("boredom", "low", "negative"),
    "calm": Meaning("calm", "low", "positive"),
    "contempt": Meaning("contempt", "low", "negative"),
    "disgust": Meaning("disgust", "low", "negative"),
    "excitement": Meaning("happiness", "high", "positive"),
    "fear": Meaning("fear", "high", "negative"),
    "frustration": Meaning("frustration", "high", "negative"),
    "happiness": Meaning("happiness", "high", "positive"),
    "neutral": Meaning("neutral", "low", "neutral"),
    "no_majority": Meaning(None, None, None),
    "other": Meaning(None, None, None),
    "sadness": Meaning("sadness", "low", "negative"),
    "surprise": Meaning("surprise", "high", "positive"),
}
"""Class name to meaning. A recipe overrides a class through ``meanings`` where the corpus's sense differs."""

EMOTIONS: Final[tuple[str, ...]] = tuple(sorted({m.emotion for m in MEANINGS.values() if m.emotion}))
"""The shared vocabulary, alphabetical."""
