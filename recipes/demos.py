"""DEMoS: Database of Elicited Mood in Speech."""

from emoset.recipe import Counts, PathPattern, Recipe, Split, Variant

_EMOTIONS = {
    "col": "guilt", "dis": "disgust", "gio": "happiness", "pau": "fear", "rab": "anger", "sor": "surprise",
    "tri": "sadness",
}  # fmt: skip
_COUNTS = {
    "anger": 1477, "disgust": 1678, "fear": 1156, "guilt": 1129, "happiness": 1395, "sadness": 1530, "surprise": 1000,
}  # fmt: skip

RECIPE = Recipe(
    id="demos",
    title="DEMoS: Database of Elicited Mood in Speech",
    languages=("it",),
    kind="induced",
    access="request",
    licence="EULA of the authors on Zenodo, signed by a permanent professor",
    citation="Parada-Cabaleiro, Costantini, Batliner, Schmitt, Schuller: DEMoS: an Italian emotional speech corpus. "
    "Language Resources and Evaluation 54, 2020.",
    homepage="https://zenodo.org/records/2544829",
    version="1.0.0",
    found_by=PathPattern(
        regex=r"(?:(?P<prototypicality>NP|PR)_)?(?P<gender>[fm])_(?P<speaker>\d\d)_(?P<label>[a-z]{3})"
        r"(?P<item>\d\d)(?P<take>[abc])\.wav",
        path="DEMOS/{stem}.wav",
    ),
    labels=_EMOTIONS,
    leave_out={"neu": "neutral is not one of the seven elicited emotions"},
    speakers="speakers.csv",
    split=Split(table="splits.csv"),
    expect=Counts(utterances=9365, speakers=68, labels=_COUNTS),
    notes=(
        "The gender stands in the file name.",
        "PR and NP in a name mean prototypical and not; EmoSet is said to hold the seven emotions, both kinds.",
        "Ten of the 68 speakers have no neutral recording. In the distribution neutral lies in a folder NEU.",
    ),
    variants=(
        Variant(
            id="demos-full", title="with neutral", labels={**_EMOTIONS, "neu": "neutral"}, leave_out={},
            expect=Counts(utterances=9697, speakers=68, labels={**_COUNTS, "neutral": 332}),
        ),
    ),
)  # fmt: skip
