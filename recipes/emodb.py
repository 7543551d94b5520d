"""Berlin Database of Emotional Speech (EMO-DB)."""

from emoset.recipe import Counts, PathPattern, Recipe, Source, Split

RECIPE = Recipe(
    id="emodb",
    title="Berlin Database of Emotional Speech",
    languages=("de",),
    kind="acted",
    access="open",
    licence="CC0-1.0 as republished by audEERING; the corpus's own site states none",
    redistribute=True,
    citation="Burkhardt, Paeschke, Rolfes, Sendlmeier, Weiss: A Database of German Emotional Speech. "
    "Interspeech 2005.",
    homepage="http://emodb.bilderbar.info/",
    version="1.0.0",
    sources=(Source(url="http://emodb.bilderbar.info/download/download.zip"),),
    sampling_rate=16_000,
    found_by=PathPattern(
        regex=r"(?:wav(?:_corpus)?/)?(?P<speaker>\d\d)(?P<sentence>[ab]\d\d)(?P<label>[A-Z])(?P<take>[a-z])\.wav",
        path="wav/{stem}.wav",
    ),
    ignore={"lablaut|labsilb|silb": "phonetic segmentation", r"erk\w+\.txt": "documentation"},
    labels={
        "W": "anger", "L": "boredom", "E": "disgust", "A": "fear",
        "F": "happiness", "N": "neutral", "T": "sadness",
    },
    female=("08", "09", "13", "14", "16"),
    male=("03", "10", "11", "12", "15"),
    ages={
        "03": 31, "08": 34, "09": 21, "10": 32, "11": 26, "12": 30, "13": 32, "14": 35, "15": 25, "16": 31,
    },
    split=Split(
        train=("08", "09", "11", "12", "15", "16"),
        validation=("03", "14"),
        test=("10", "13"),
    ),
    folds={"leave-one-speaker-out": "speaker"},
    expect=Counts(
        utterances=535,
        speakers=10,
        labels={
            "anger": 127, "boredom": 81, "disgust": 46, "fear": 69,
            "happiness": 71, "neutral": 79, "sadness": 62,
        },
    ),
)  # fmt: skip
