"""EmotiW 2014: Acted Facial Expressions in the Wild (AFEW 4.0), clips from films."""

from emoset.recipe import Counts, PathPattern, Recipe, Split

RECIPE = Recipe(
    id="emotiw2014",
    title="EmotiW 2014 (AFEW 4.0)",
    languages=("en",),
    kind="acted",
    access="request",
    licence="EULA of the challenge's organisers",
    citation="Dhall, Goecke, Joshi, Sikka, Gedeon: Emotion Recognition In The Wild Challenge 2014: Baseline, Data "
    "and Protocol. ICMI 2014.",
    homepage="http://cs.anu.edu.au/few/ChallengeDetails.html",
    version="1.0.0",
    found_by=PathPattern(
        regex=r"(?P<split>Train|Val)(?:_AFEW)?/(?P<label>[A-Z][a-z]+)/(?P<clip>\d{9})\.avi",
        path="{split}/{label}/{clip}.avi",
        key="{split}/{label}/{clip}",
    ),
    ignore={
        r"Test.*": "the test clips carry no labels",
        r"(?:Train|Val)_\d+\.xml": "pose, age and gender of actors, in a form that is not documented",
        r"AlignedFaces.*": "images of faces",
    },
    labels={
        "Angry": "anger", "Disgust": "disgust", "Fear": "fear", "Happy": "happiness", "Neutral": "neutral",
        "Sad": "sadness", "Surprise": "surprise",
    },
    split=Split(by="split", source="official", speaker_independent=False),
    published=Counts(utterances=961, source="578 for training and 383 for validation, from memory"),
    notes=(
        "The labels of the test clips were never released: there is no test split.",
        "Later challenges have more training clips (773) in the same layout. A few clips have no usable sound.",
        "Actors are not told.",
    ),
)  # fmt: skip
