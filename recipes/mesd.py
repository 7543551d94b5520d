"""MESD: Mexican Emotional Speech Database."""

from emoset.recipe import Counts, PathPattern, Recipe, Split

RECIPE = Recipe(
    id="mesd",
    title="Mexican Emotional Speech Database (MESD)",
    languages=("es",),
    kind="acted",
    access="open",
    licence="CC BY 4.0, by its Mendeley Data record",
    redistribute=True,
    citation="Duville, Alonso-Valerdi, Ibarra-Zarate: The Mexican Emotional Speech Database (MESD): elaboration and "
    "assessment based on machine learning. EMBC 2021.",
    homepage="https://data.mendeley.com/datasets/cy34mh68j9/5",
    version="1.0.0",
    sampling_rate=48_000,
    found_by=PathPattern(
        regex=r"(?P<label>[A-Z][a-z]+)_(?P<gender>[FMC])_(?P<corpus>[AB])_(?P<word>[^\W\d_]\w*)\.wav",
        path="Mexican Emotional Speech Database (MESD)/{stem}.wav",
    ),
    ignore={
        r"(?i:.*naturalness.reduced.*)": "voices made less natural by software, not recordings",
        r"cy34mh68j9.*\.zip": "archive of the distribution",
    },
    labels={
        "Anger": "anger", "Disgust": "disgust", "Fear": "fear",
        "Happiness": "happiness", "Neutral": "neutral", "Sadness": "sadness",
    },
    split=Split(
        by="word", hashed=True, source="emoset: by a hash of the words, since no speakers are told",
        speaker_independent=False,
    ),
    published=Counts(
        utterances=862,
        labels={"anger": 143, "disgust": 144, "fear": 144, "happiness": 144, "neutral": 143, "sadness": 144},
        source="version 5 as EmoBox lists it; the authors say 864, and versions differ",
    ),
    notes=(
        "Speakers are not told: three women, two men and six children spoke, and each may be in all splits.",
        "Words of corpus A are spoken in every emotion, those of corpus B in one; no word is in two splits.",
        "A word may hold an underscore, such as por_favor.",
    ),
)  # fmt: skip
