"""EmoFilm: emotional speech from films, in English, Italian and Spanish."""

from emoset.recipe import Counts, PathPattern, Recipe, Split

RECIPE = Recipe(
    id="emofilm",
    title="EmoFilm",
    languages=("en", "es", "it"),
    kind="acted",
    access="request",
    licence="restricted access on Zenodo after an EULA",
    citation="Parada-Cabaleiro, Costantini, Batliner, Baird, Schuller: Categorical vs Dimensional Perception of "
    "Italian Emotional Speech. Interspeech 2018.",
    homepage="https://zenodo.org/record/1326428",
    version="1.0.0",
    sampling_rate=44_100,
    found_by=PathPattern(
        regex=r"(?P<gender>[fm])_(?P<label>[a-z]{3})(?P<number>\d{3})(?P<letter>[a-z])(?P<language>en|es|it)\.wav",
        path="wav_corpus/{stem}.wav",
        derive={"scene": "{gender}_{label}{number}{letter}"},
    ),
    ignore={r".*legend.*\.xlsx": "table of actors and films, whose names need cleaning before use"},
    labels={"ans": "fear", "dis": "contempt", "gio": "happiness", "rab": "anger", "tri": "sadness"},
    split=Split(by="scene", hashed=True, source="emoset: by a hash of the scene", speaker_independent=False),
    expect=Counts(
        utterances=1115,
        labels={"anger": 232, "contempt": 168, "fear": 221, "happiness": 240, "sadness": 254},
    ),
    notes=(
        "The same scene is dubbed in up to three languages; a scene is in one split only. The actors (207 "
        "by the paper) stand only in the table, and the same actor or film can be in two splits.",
        "ans is ansia (fear), dis is disprezzo (contempt; others call it disgust).",
    ),
)  # fmt: skip
