"""URDU: emotional speech from Urdu talk shows."""

from emoset.recipe import Counts, ParentFolder, Recipe, Source, Split

RECIPE = Recipe(
    id="urdu",
    title="URDU-Dataset",
    languages=("ur",),
    kind="natural",
    access="open",
    licence="for research purposes only, by the authors' README",
    citation="Latif, Qayyum, Usman, Qadir: Cross Lingual Speech Emotion Recognition: Urdu vs. Western "
    "Languages. FIT 2018.",
    homepage="https://github.com/siddiquelatif/URDU-Dataset",
    version="1.0.0",
    sources=(Source(url="https://github.com/siddiquelatif/URDU-Dataset/archive/refs/heads/master.zip"),),
    sampling_rate=44_100,
    found_by=ParentFolder(
        levels=("label",),
        name=r"(?P<speaker>S(?P<gender>[MF])\d+)_F(?P<number>\d+)_(?P<code>[A-Z])(?P<item>\d+)\.wav",
        codes={"A": "Angry", "H": "Happy", "N": "Neutral", "S": "Sad"},
    ),
    labels={"Angry": "anger", "Happy": "happiness", "Neutral": "neutral", "Sad": "sadness"},
    split=Split(table="splits.csv"),
    expect=Counts(
        utterances=400,
        speakers=29,
        labels={"anger": 100, "happiness": 100, "neutral": 100, "sadness": 100},
    ),
    published=Counts(speakers=38, source="the authors' README"),
    notes=("The README tells of 38 speakers; the file names hold 29 speaker ids, 18 male and 11 female.",),
)
