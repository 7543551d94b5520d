"""CaFE: Canadian French Emotional speech, as an example of a recipe of one's own."""

from emoset.recipe import Counts, PathPattern, Recipe, Source, Split

RECIPE = Recipe(
    id="cafe",
    title="CaFE: Canadian French Emotional speech dataset",
    languages=("fr-CA",),
    kind="acted",
    access="open",
    licence="CC BY-NC-SA 4.0, by its Zenodo page",
    redistribute=True,
    citation="Gournay, Lahaie, Lefebvre: A Canadian French Emotional Speech Dataset. MMSys 2018.",
    homepage="https://zenodo.org/records/1478765",
    version="1.0.0",
    sources=(Source(url="https://zenodo.org/records/1478765/files/CaFE_48k.zip"),),
    sampling_rate=48_000,
    # <actor>-<emotion>-<intensity>-<sentence>.wav. The folders' accents break when the archive is unpacked, so
    # the names alone are read.
    found_by=PathPattern(regex=r"(?P<speaker>\d\d)-(?P<label>[A-Z])-(?P<intensity>[12])-(?P<sentence>[1-6])\.wav"),
    labels={
        "C": "anger", "D": "disgust", "J": "happiness", "N": "neutral", "P": "fear", "S": "surprise", "T": "sadness",
    },
    female=("02", "04", "06", "08", "10", "12"),
    male=("01", "03", "05", "07", "09", "11"),
    split=Split(
        train=("01", "02", "03", "04", "05", "06", "07", "08"), validation=("09", "10"), test=("11", "12"),
        source="balanced by gender",
    ),
    folds={"leave-one-speaker-out": "speaker"},
    expect=Counts(utterances=936, speakers=12),
)  # fmt: skip
