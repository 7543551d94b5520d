"""ABC: Airplane Behaviour Corpus."""

from emoset.recipe import Counts, Manifest, Recipe, Split

RECIPE = Recipe(
    id="abc",
    title="Airplane Behaviour Corpus (ABC)",
    languages=("de",),
    kind="induced",
    access="closed",
    licence="not distributed; recorded at TU Munich",
    citation="Schuller et al., ICASSP 2007. Arsic et al., ICME 2007.",
    version="1.0.0",
    found_by=Manifest(),
    labels={
        "aggressive": "aggressive", "cheerful": "cheerful", "intoxicated": "intoxicated", "nervous": "nervous",
        "neutral": "neutral", "tired": "tired",
    },
    split=Split(hashed=True),
    published=Counts(
        utterances=430, speakers=8,
        labels={"aggressive": 95, "cheerful": 105, "intoxicated": 33, "nervous": 93, "neutral": 79, "tired": 25},
        source="Schuller et al., ASRU 2009 and IEEE TAC 2010, from memory",
    ),
    notes=(
        "File names are not public. List every clip with its label and its speaker (4 women, 4 men, from memory) in "
        "manifest.csv.",
        "The clips are audio-visual, cut from a staged holiday flight; 431 clips are quoted too.",
    ),
    folds={"leave-one-speaker-out": "speaker"},
)  # fmt: skip
