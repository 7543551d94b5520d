"""AD: Anger Detection, calls to a voice portal."""

from emoset.recipe import Manifest, Recipe, Split

RECIPE = Recipe(
    id="ad",
    title="Anger Detection (AD)",
    languages=("de",),
    kind="natural",
    access="closed",
    licence="not distributed; recorded by Deutsche Telekom Laboratories",
    citation="Burkhardt et al., Interspeech 2006. Burkhardt et al., ICASSP 2009.",
    version="1.0.0",
    found_by=Manifest(),
    labels={
        "anger": "anger", "angry": "anger", "neutral": "neutral", "non_anger": "neutral", "non_angry": "neutral",
    },
    split=Split(hashed=True),
    notes=(
        "File names are not public. List every recording with its label in manifest.csv, and its caller as speaker "
        "where known; without speakers the split is not speaker-independent.",
        "Non-anger is taken for neutral.",
        "EmoSet is said to hold about 660 recordings of 2 classes (memory). That this is the corpus of these papers "
        "is inferred from its name.",
    ),
)  # fmt: skip
