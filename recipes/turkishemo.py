"""TurkishEmo: Bogazici University Turkish emotional speech corpus (BUEMODB)."""

from emoset.recipe import Counts, Manifest, Recipe, Split

RECIPE = Recipe(
    id="turkishemo",
    title="TurkishEmo (Bogazici University Turkish emotional speech corpus, BUEMODB)",
    languages=("tr",),
    kind="acted",
    access="request",
    licence="on request from the authors, by e-mail",
    citation="Kaya, Salah, Gurgen, Ekenel: Protocol and baseline for experiments on Bogazici University Turkish "
    "emotional speech corpus. SIU 2014.",
    version="1.0.0",
    found_by=Manifest(),
    labels={
        "anger": "anger", "angry": "anger", "happiness": "happiness", "happy": "happiness", "joy": "happiness",
        "neutral": "neutral", "sad": "sadness", "sadness": "sadness",
    },
    split=Split(hashed=True),
    published=Counts(
        utterances=484, speakers=11, labels={"anger": 121, "happiness": 121, "neutral": 121, "sadness": 121},
        source="Kaya et al. 2014: 11 amateur actors x 11 sentences x 4 emotions; the class names from memory",
    ),
    notes=(
        "File names are not public. List every recording with its label and its speaker (11) in manifest.csv.",
        "The paper defines a partition into training, validation and test: give it in a column split where you "
        "have it, since it is not online.",
        "That EmoSet's TurkishEmo is this corpus is inferred from a folder's name, TurkishEmoBUEE.",
    ),
    folds={"leave-one-speaker-out": "speaker"},
)  # fmt: skip
