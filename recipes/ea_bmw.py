"""EA-BMW: emotional speech in the car, of TU Munich."""

from emoset.recipe import Manifest, Recipe, Split

RECIPE = Recipe(
    id="ea_bmw",
    title="EA-BMW",
    languages=("und",),
    kind="natural",
    access="closed",
    licence="never distributed; recorded at TU Munich",
    citation="Schuller: dissertation, TU Munich, 2006 (from memory).",
    version="1.0.0",
    found_by=Manifest(open_classes=True),
    labels={},
    split=Split(hashed=True),
    notes=(
        "Neither file names nor classes are public. List every recording with its label and its speaker in "
        "manifest.csv, and its language where you know it; classes are taken as they come.",
        "EmoSet is said to hold about 1,424 recordings of 10 speakers and 3 classes (weak memory). That it is "
        "natural is an assumption: speech in a car, with a car maker.",
    ),
    folds={"leave-one-speaker-out": "speaker"},
)  # fmt: skip
