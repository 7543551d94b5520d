"""EMOVO: Italian emotional speech."""

from emoset.recipe import Counts, PathPattern, Recipe, Split

RECIPE = Recipe(
    id="emovo",
    title="EMOVO Corpus",
    languages=("it",),
    kind="acted",
    access="open",
    licence="not stated by the authors as far as known; others name CC BY-NC-SA 4.0",
    citation="Costantini, Iaderola, Paoloni, Todisco: EMOVO Corpus: an Italian Emotional Speech Database. LREC 2014.",
    homepage="http://voice.fub.it/activities/corpora/emovo/index.html",
    version="1.0.0",
    sampling_rate=48_000,
    found_by=PathPattern(
        regex=r"(?P<label>[a-z]{3})-(?P<speaker>(?P<gender>[fm])\d)-(?P<sentence>[a-z]\d)\.wav",
        path="{speaker}/{stem}.wav",
    ),
    ignore={r"(?i:document\w*)": "documentation"},
    labels={
        "dis": "disgust", "gio": "happiness", "neu": "neutral", "pau": "fear", "rab": "anger", "sor": "surprise",
        "tri": "sadness",
    },
    female=("f1", "f2", "f3"),
    male=("m1", "m2", "m3"),
    ages={"f1": 28, "f2": 23, "f3": 25, "m1": 30, "m2": 27, "m3": 30},
    split=Split(train=("f1", "m1"), validation=("f2", "m2"), test=("f3", "m3"), source="emoset: balanced by gender"),
    folds={"leave-one-speaker-out": "speaker"},
    expect=Counts(
        utterances=588, speakers=6,
        labels={
            "anger": 84, "disgust": 84, "fear": 84, "happiness": 84, "neutral": 84, "sadness": 84, "surprise": 84,
        },
    ),
    notes=(
        "Six speakers: each split has one woman and one man, so that only a third trains. Prefer the folds.",
        "All recordings but one are stereo.",
    ),
)  # fmt: skip
