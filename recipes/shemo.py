"""ShEMO: Sharif Emotional Speech Database."""

from emoset.recipe import Counts, PathPattern, Recipe, Split

RECIPE = Recipe(
    id="shemo",
    title="Sharif Emotional Speech Database (ShEMO)",
    languages=("fa",),
    kind="acted",
    access="open",
    licence="free for academic use, by the authors",
    citation="Mohamad Nezami, Jamshid Lou, Karami: ShEMO: a large-scale validated database for Persian speech "
    "emotion detection. Language Resources and Evaluation 53, 2019.",
    homepage="https://github.com/mansourehk/ShEMO",
    version="1.0.0",
    found_by=PathPattern(
        regex=r"(?P<speaker>(?P<gender>[FM])\d\d)(?P<label>[A-Z])(?P<number>\d+)\.wav",
        path="{stem}.wav",
    ),
    ignore={
        r"final text|.*\.ort": "orthographic transcripts: 162 of them belong to no recording",
        r"final script|.*\.tra": "phonetic transcripts: 162 of them belong to no recording",
        r"(?:modified_)?shemo\.json": "transcripts by others, with the labels before the revision",
        r"(?:female|male|transcript)\.zip": "archives of the distribution",
    },
    labels={"A": "anger", "F": "fear", "H": "happiness", "N": "neutral", "S": "sadness", "W": "surprise"},
    split=Split(hashed=True),
    expect=Counts(
        utterances=3000,
        labels={"anger": 1059, "fear": 38, "happiness": 201, "neutral": 1028, "sadness": 449, "surprise": 225},
    ),
    published=Counts(speakers=87, source="the authors' README: 31 female, 56 male"),
    notes=(
        "In a name the first F is the female gender, the F after the speaker's number the class fear.",
        "The authors revised 162 labels: names of recordings have the new ones, transcripts the old ones, which "
        "count anger 1042, fear 32, happiness 203, neutral 1160, sadness 362, surprise 201.",
        "The speech is from radio plays; the authors call it semi-natural.",
        "Most recordings have 44.1 kHz, four or five in a hundred 22.05 kHz.",
    ),
)  # fmt: skip
