"""SIMIS: Speech in Minimally Invasive Surgery."""

from emoset.recipe import Counts, Manifest, Recipe, Split

RECIPE = Recipe(
    id="simis",
    title="Speech in Minimally Invasive Surgery (SIMIS)",
    languages=("de",),
    kind="natural",
    access="closed",
    licence="not distributed: medical data, recorded at TU Munich",
    citation="Schuller, Eyben, Can, Feussner, LREC workshop on emotion, 2010. Schuller, Rigoll, Can, Feussner, 2008.",
    version="1.0.0",
    found_by=Manifest(),
    labels={
        "anger": "anger", "angry": "anger", "confused": "confusion", "confusion": "confusion",
        "happiness": "happiness", "happy": "happiness", "impatience": "impatience", "impatient": "impatience",
        "neutral": "neutral",
    },
    split=Split(hashed=True),
    published=Counts(utterances=9299, speakers=10, source="Schuller et al. 2010, from memory"),
    notes=(
        "File names are not public. List every turn with its label and its speaker (10 surgeons) in manifest.csv.",
        "A first version has 3,035 turns, positive or negative. Which one EmoSet holds is not known; labels of the "
        "first one are refused here.",
    ),
    folds={"leave-one-speaker-out": "speaker"},
)  # fmt: skip
