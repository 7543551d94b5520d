"""BES: Burmese Emotional Speech."""

from emoset.recipe import Counts, Manifest, Recipe, Split

RECIPE = Recipe(
    id="bes",
    title="Burmese Emotional Speech (BES)",
    languages=("my",),
    kind="acted",
    access="closed",
    licence="not distributed; the authors' own",
    citation="Nwe, Foo, De Silva: Speech emotion recognition using hidden Markov models. Speech Communication 41(4), "
    "2003.",
    version="1.0.0",
    found_by=Manifest(),
    labels={
        "anger": "anger", "angry": "anger", "disgust": "disgust", "fear": "fear", "happiness": "happiness",
        "happy": "happiness", "joy": "happiness", "sad": "sadness", "sadness": "sadness", "surprise": "surprise",
    },
    split=Split(hashed=True),
    published=Counts(
        utterances=360, speakers=6,
        labels={"anger": 60, "disgust": 60, "fear": 60, "happiness": 60, "sadness": 60, "surprise": 60},
        source="Nwe et al. 2003, from memory: 720 together with mes, assumed half each",
    ),
    notes=(
        "File names are not public. List every recording with its label and its speaker (6) in manifest.csv.",
        "6 speakers say 10 sentences in 6 emotions (memory).",
    ),
    folds={"leave-one-speaker-out": "speaker"},
)  # fmt: skip
