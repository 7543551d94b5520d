"""PPMMK-EMO: known from EmoSet only."""

from emoset.recipe import Manifest, Recipe, Split

RECIPE = Recipe(
    id="ppmmk",
    title="PPMMK-EMO",
    languages=("de",),
    kind="acted",
    access="closed",
    licence="not distributed; internal to the makers of EmoSet",
    citation="No paper of its own; cited as Gerczuk et al.: EmoNet. IEEE Transactions on Affective Computing, 2023.",
    version="1.0.0",
    found_by=Manifest(open_classes=True),
    labels={},
    split=Split(hashed=True),
    notes=(
        "Neither file names nor classes are public. List every recording with its label and its speaker in "
        "manifest.csv; classes are taken as they come.",
        "EmoSet is said to hold about 3,154 German recordings of 36 speakers and 4 classes (weak memory). Whether "
        "they are acted is not known.",
    ),
)  # fmt: skip
