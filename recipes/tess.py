"""TESS: Toronto Emotional Speech Set."""

from emoset.recipe import Counts, PathPattern, Recipe, Split

RECIPE = Recipe(
    id="tess",
    title="Toronto Emotional Speech Set (TESS)",
    languages=("en",),
    kind="acted",
    access="open",
    licence="CC BY-NC-ND 4.0",
    citation="Dupuis, Pichora-Fuller: Toronto emotional speech set (TESS). University of Toronto, Psychology "
    "Department, 2010.",
    homepage="https://tspace.library.utoronto.ca/handle/1807/24487",
    version="1.0.0",
    sampling_rate=24_414,
    found_by=(
        PathPattern(
            regex=r"(?P<speaker>OAF|YAF)_(?P<code>[A-Za-z_]+)/(?:(?P=speaker)|OA)_(?P<word>[a-z]+)_(?P<label>[a-z]+)"
            r"\.wav",
            path="{speaker}_{code}/{speaker}_{word}_{label}.wav",
            key="{speaker}_{word}_{label}",
            codes={
                "Angry": "angry", "angry": "angry", "Disgust": "disgust", "disgust": "disgust",
                "Fear": "fear", "fear": "fear", "Happy": "happy", "happy": "happy",
                "Neutral": "neutral", "neutral": "neutral", "Sad": "sad", "sad": "sad", "ps": "ps",
                "Pleasant_surprise": "ps", "Pleasant_surprised": "ps",
                "pleasant_surprise": "ps", "pleasant_surprised": "ps",
            },
        ),
        PathPattern(
            regex=r"(?P<speaker>OAF?|YAF)_(?P<word>[a-z]+)_(?P<label>[a-z]+)\.wav",
            path="{stem}.wav",
        ),
    ),
    ignore={r"TESS.*\.zip": "archive of the distribution"},
    labels={
        "angry": "anger", "disgust": "disgust", "fear": "fear", "happy": "happiness",
        "neutral": "neutral", "ps": "pleasant_surprise", "sad": "sadness",
    },
    female=("OAF", "YAF"),
    ages={"OAF": 64, "YAF": 26},
    speaker_aliases={"OA": "OAF"},
    split=Split(
        by="word", hashed=True, source="emoset: by a hash of the 200 words, since there are only two speakers",
        speaker_independent=False,
    ),
    aliases={"OA_bite_neutral": "OAF_bite_neutral"},
    expect=Counts(
        utterances=2800,
        speakers=2,
        labels={
            "anger": 400, "disgust": 400, "fear": 400, "happiness": 400,
            "neutral": 400, "pleasant_surprise": 400, "sadness": 400,
        },
    ),
    notes=(
        "Both speakers are in all three splits; no word is in two of them.",
        "One name lacks a letter: OAF_neutral/OA_bite_neutral.wav; its id is OAF_bite_neutral.",
        "YAF_germ_angry.wav and YAF_neat_fear.wav hold AIFF, and OAF_food_fear.wav has 96 kHz: content decides.",
        "Some copies hold the whole tree twice, one inside the other: remove one of the two.",
    ),
    folds={"leave-one-speaker-out": "speaker"},
)  # fmt: skip
