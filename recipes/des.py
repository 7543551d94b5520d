"""DES: Danish Emotional Speech."""

from emoset.recipe import Counts, Manifest, Recipe, Split

RECIPE = Recipe(
    id="des",
    title="Danish Emotional Speech (DES)",
    languages=("da",),
    kind="acted",
    access="request",
    licence="on request from Aalborg University",
    citation="Engberg, Hansen, Andersen, Dalsgaard: Design, recording and verification of a Danish emotional speech "
    "database. Eurospeech 1997.",
    homepage="http://kom.aau.dk/~tb/speech/Emotions/",
    version="1.0.0",
    found_by=Manifest(),
    labels={
        "anger": "anger", "angry": "anger", "vred": "anger", "glad": "happiness", "happiness": "happiness",
        "happy": "happiness", "neutral": "neutral", "sad": "sadness", "sadness": "sadness", "trist": "sadness",
        "overrasket": "surprise", "surprise": "surprise", "surprised": "surprise",
    },
    split=Split(hashed=True),
    published=Counts(utterances=419, speakers=4, source="Engberg et al. 1997; the utterances from memory"),
    notes=(
        "File names are not public. List every recording with its label and its speaker (2 women, 2 men) in "
        "manifest.csv.",
        "Each actor says 2 words, 9 sentences and 2 passages per emotion. Users cut the passages themselves, into 419 "
        "to about 1,160 items: list the parts with start and end, or files already cut.",
    ),
    folds={"leave-one-speaker-out": "speaker"},
)  # fmt: skip
