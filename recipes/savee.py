"""SAVEE: Surrey Audio-Visual Expressed Emotion database, its audio."""

from emoset.recipe import Counts, PathPattern, Recipe, Split

RECIPE = Recipe(
    id="savee",
    title="Surrey Audio-Visual Expressed Emotion (SAVEE) database, audio",
    languages=("en",),
    kind="acted",
    access="request",
    licence="free for research after registration with the University of Surrey",
    citation="Haq, Jackson: Speaker-dependent audio-visual emotion recognition. AVSP 2009.",
    homepage="http://kahlan.eps.surrey.ac.uk/savee/Database.html",
    version="1.0.0",
    sampling_rate=44_100,
    found_by=(
        PathPattern(
            regex=r"(?P<speaker>[A-Z]{2})/(?P<label>[a-z]+)(?P<number>\d\d)\.wav",
            path="AudioData/{speaker}/{stem}.wav",
            key="{speaker}_{stem}",
        ),
        PathPattern(
            regex=r"(?P<speaker>[A-Z]{2})_(?P<label>[a-z]+)(?P<number>\d\d)\.wav",
            path="AudioData/{speaker}/{label}{number}.wav",
        ),
    ),
    ignore={
        r"Info\.txt": "documentation",
        r".*\.avi": "the audio-visual recordings of the same speakers",
        r".*\.zip": "archives of the distribution",
    },
    labels={
        "a": "anger", "d": "disgust", "f": "fear", "h": "happiness", "n": "neutral", "sa": "sadness", "su": "surprise",
    },
    male=("DC", "JE", "JK", "KL"),
    split=Split(
        train=("DC", "JE"), validation=("JK",), test=("KL",), source="emoset: the four speakers in alphabetical order"
    ),
    expect=Counts(
        utterances=480,
        speakers=4,
        labels={
            "anger": 60, "disgust": 60, "fear": 60, "happiness": 60, "neutral": 120, "sadness": 60, "surprise": 60,
        },
    ),
    notes=(
        "The folder tells the speaker; the copy on Kaggle has all files in one folder ALL/ with the speaker before "
        "the name, and both layouts give the same ids.",
    ),
    folds={"leave-one-speaker-out": "speaker"},
)  # fmt: skip
