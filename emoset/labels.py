"""The vocabulary: what each class name means, in one place for all corpora.

A recipe maps a corpus's own codes to class names (``labels``); this table maps class names to the shared
``emotion`` and to the classes of arousal (low, high) and valence (negative, neutral, positive) that
cross-corpus work uses. The defaults follow the custom of binary cross-corpus benchmarks (Schuller et al.,
IEEE Transactions on Affective Computing 2010) and, for the finer classes, the design of the GEMEP corpus
(Baenziger et al., Emotion 2012). Both were recalled rather than quoted: the table is this project's choice,
not the papers' own. ``neutral`` keeps a valence of its own, so that two- and three-class conventions both
derive from it. A class that no other corpus could share has no emotion, and one that says nothing about
arousal or valence has none of that.
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
    "admiration": Meaning("admiration", "high", "positive"),
    "aggressive": Meaning("anger", "high", "negative"),
    "amusement": Meaning("amusement", "high", "positive"),
    "anger": Meaning("anger", "high", "negative"),
    "anxiety": Meaning("anxiety", "low", "negative"),
    "boredom": Meaning("boredom", "low", "negative"),
    "calm": Meaning("calm", "low", "positive"),
    "cheerful": Meaning("happiness", "high", "positive"),
    "cold_anger": Meaning("anger", "low", "negative"),
    "confusion": Meaning("confusion", "high", "negative"),
    "contempt": Meaning("contempt", "low", "negative"),
    "despair": Meaning("despair", "high", "negative"),
    "disappointment": Meaning("disappointment", "low", "negative"),
    "disgust": Meaning("disgust", "low", "negative"),
    "elation": Meaning("happiness", "high", "positive"),
    "emphatic": Meaning(None, "high", "negative"),
    "excitement": Meaning("happiness", "high", "positive"),
    "fear": Meaning("fear", "high", "negative"),
    "frustration": Meaning("frustration", "high", "negative"),
    "guilt": Meaning("guilt", "low", "negative"),
    "happiness": Meaning("happiness", "high", "positive"),
    "helplessness": Meaning("helplessness", "high", "negative"),
    "high_stress": Meaning("stress", "high", "negative"),
    "hot_anger": Meaning("anger", "high", "negative"),
    "hurt": Meaning("hurt", "low", "negative"),
    "idle": Meaning(None, None, None),
    "impatience": Meaning("frustration", "high", "negative"),
    "interest": Meaning("interest", "low", "positive"),
    "intoxicated": Meaning(None, "high", "positive"),
    "irritation": Meaning("anger", "low", "negative"),
    "jealousy": Meaning("jealousy", "high", "negative"),
    "joking": Meaning("amusement", "high", "positive"),
    "kindness": Meaning("tenderness", "low", "positive"),
    "medium_stress": Meaning("stress", "high", "positive"),
    "negative": Meaning(None, "high", "negative"),
    "nervous": Meaning("anxiety", "high", "negative"),
    "neutral": Meaning("neutral", "low", "neutral"),
    "no_majority": Meaning(None, None, None),
    "other": Meaning(None, None, None),
    "panic_fear": Meaning("fear", "high", "negative"),
    "pleasant_surprise": Meaning("surprise", "high", "positive"),
    "pleasure": Meaning("pleasure", "low", "positive"),
    "pondering": Meaning("pondering", "low", "neutral"),
    "positive": Meaning(None, "high", "positive"),
    "pride": Meaning("pride", "high", "positive"),
    "relief": Meaning("relief", "low", "positive"),
    "rest": Meaning(None, None, None),
    "sadness": Meaning("sadness", "low", "negative"),
    "scream": Meaning("fear", "high", "negative"),
    "shame": Meaning("shame", "low", "negative"),
    "sneakiness": Meaning(None, "low", "negative"),
    "style_clear": Meaning(None, None, None),
    "style_fast": Meaning(None, None, None),
    "style_lombard": Meaning(None, None, None),
    "style_loud": Meaning(None, None, None),
    "style_question": Meaning(None, None, None),
    "style_slow": Meaning(None, None, None),
    "style_soft": Meaning(None, None, None),
    "surprise": Meaning("surprise", "high", "positive"),
    "tenderness": Meaning("tenderness", "low", "positive"),
    "tired": Meaning("tiredness", "low", "negative"),
    "unfriendliness": Meaning("contempt", "low", "negative"),
    "unidentifiable": Meaning(None, "low", None),
    "worry": Meaning("anxiety", "low", "negative"),
}
"""Class name to meaning. A recipe overrides a class through ``meanings`` where the corpus's sense differs."""

EMOTIONS: Final[tuple[str, ...]] = tuple(sorted({m.emotion for m in MEANINGS.values() if m.emotion}))
"""The shared vocabulary, alphabetical."""
