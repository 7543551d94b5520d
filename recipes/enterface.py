"""eNTERFACE'05: audio-visual emotion database."""

from emoset.recipe import Counts, PathPattern, Recipe, Source, Split

_CODES = {
    "an": "anger", "di": "disgust", "fe": "fear", "ha": "happiness", "sa": "sadness", "su": "surprise",
}  # fmt: skip

RECIPE = Recipe(
    id="enterface",
    title="eNTERFACE'05 Audio-Visual Emotion Database",
    languages=("en",),
    kind="induced",
    access="open",
    licence="free for research, by its site; ESPnet names MIT",
    citation="Martin, Kotsia, Macq, Pitas: The eNTERFACE'05 Audio-Visual Emotion Database. ICDE Workshops 2006.",
    homepage="https://enterface.net/enterface05/emotion.html",
    version="1.0.0",
    sources=(Source(url="http://www.enterface.net/enterface05/docs/results/databases/project2_database.zip"),),
    sampling_rate=48_000,
    found_by=PathPattern(
        regex=r"subject (?P<speaker>\d+)/(?P<label>[a-z]+)/sentence (?P<sentence>[1-5])/"
        r"s(?:(?P=speaker)|12|_3)_(?P<code>[a-z]{2})_[1-5](?:avi)?\.avi",
        key="s{speaker}_{code}_{sentence}",
        codes=_CODES,
    ),
    ignore={
        r"subject 6/[a-z]+/s6_[a-z]{2}\.avi": "subject 6 has one uncut recording per emotion, 56 to 107 seconds long",
    },
    labels={label: label for label in _CODES.values()},
    split=Split(table="splits.csv", source="emoset: balanced by class"),
    expect=Counts(
        utterances=1287, speakers=43,
        labels={"anger": 215, "disgust": 215, "fear": 215, "happiness": 212, "sadness": 215, "surprise": 215},
    ),
    notes=(
        "Subject, emotion and sentence are taken from the folders: subject 11's files are named s12, some of "
        "subject 3's s_3, and the files of subject 2's anger sentences 1 and 2 have each other's names.",
        "Subject 23 has only sentences 4 and 5 of happiness. The paper tells of 42 subjects and 1,166 recordings.",
        "The subjects' gender is not published with the data; a speakers.csv of your own is read.",
    ),
)  # fmt: skip
