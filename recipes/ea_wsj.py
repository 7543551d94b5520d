"""EA-WSJ: emotional readings of newspaper sentences, of TU Munich."""

from emoset.recipe import Manifest, Recipe, Split

RECIPE = Recipe(
    id="ea_wsj",
    title="EA-WSJ",
    languages=("und",),
    kind="acted",
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
        "EmoSet is said to hold about 520 recordings of 10 speakers and perhaps 4 classes (weak memory). That it is "
        "acted is inferred: emotional readings of the Wall Street Journal.",
    ),
    folds={"leave-one-speaker-out": "speaker"},
)  # fmt: skip
