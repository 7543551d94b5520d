"""GVESS: Geneva Vocal Emotion Stimulus Set."""

from emoset.recipe import Counts, Manifest, Recipe, Split

RECIPE = Recipe(
    id="gvess",
    title="Geneva Vocal Emotion Stimulus Set (GVESS, also GVEESS)",
    languages=("de",),
    kind="acted",
    access="request",
    licence="on request from the Swiss Center for Affective Sciences (CISA), Geneva",
    citation="Banse, Scherer: Acoustic profiles in vocal emotion expression. Journal of Personality and Social "
    "Psychology 70(3), 1996.",
    version="1.0.0",
    found_by=Manifest(),
    labels={
        "anxiety": "anxiety", "boredom": "boredom", "cold_anger": "cold_anger", "contempt": "contempt",
        "despair": "despair", "disgust": "disgust", "elation": "elation", "happiness": "happiness",
        "hot_anger": "hot_anger", "interest": "interest", "panic": "panic_fear", "panic_fear": "panic_fear",
        "pride": "pride", "sadness": "sadness", "shame": "shame",
    },
    split=Split(hashed=True),
    published=Counts(speakers=12, source="Banse and Scherer 1996, from memory"),
    notes=(
        "File names are not public. List every portrayal with its label and its actor as speaker (6 women, 6 men, "
        "from memory) in manifest.csv.",
        "There are 1,344 portrayals, of which 224 were chosen (memory); which of the two EmoSet holds is not known. "
        "It may lack one of the 14 classes.",
        "Two pseudo-sentences, spoken by German-speaking actors.",
    ),
    folds={"leave-one-speaker-out": "speaker"},
)  # fmt: skip
