"""EA-ACT: acted emotional speech of TU Munich."""

from emoset.recipe import Manifest, Recipe, Split

RECIPE = Recipe(
    id="ea_act",
    title="EA-ACT",
    languages=("und",),
    kind="acted",
    access="closed",
    licence="never distributed; recorded at TU Munich",
    citation="Schuller: dissertation, TU Munich, 2006 (from memory).",
    version="1.0.0",
    found_by=Manifest(),
    labels={
        "anger": "anger", "angry": "anger", "disgust": "disgust", "fear": "fear", "happiness": "happiness",
        "happy": "happiness", "joy": "happiness", "neutral": "neutral", "sad": "sadness", "sadness": "sadness",
        "surprise": "surprise",
    },
    split=Split(hashed=True),
    notes=(
        "File names are not public. List every recording with its label and its speaker in manifest.csv, and its "
        "language where you know it.",
        "EmoSet is said to hold about 2,280 recordings of 39 speakers and 7 classes (weak memory). That it is acted "
        "is inferred from its name.",
    ),
)  # fmt: skip
