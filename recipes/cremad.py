"""CREMA-D: Crowd-sourced Emotional Multimodal Actors Dataset."""

from emoset.recipe import Counts, PathPattern, Recipe, Source, SpeakerTable, Split

RECIPE = Recipe(
    id="cremad",
    title="CREMA-D: Crowd-sourced Emotional Multimodal Actors Dataset",
    languages=("en",),
    kind="acted",
    access="open",
    licence="ODbL 1.0 for the database, DbCL 1.0 for its contents",
    redistribute=True,
    citation="Cao, Cooper, Keutmann, Gur, Nenkova, Verma: CREMA-D: Crowd-sourced Emotional Multimodal Actors "
    "Dataset. IEEE Transactions on Affective Computing 5(4), 2014.",
    homepage="https://github.com/CheyneyComputerScience/CREMA-D",
    sources=(Source(url="https://media.githubusercontent.com/media/CheyneyComputerScience/CREMA-D/master/{path}"),),
    version="1.0.0",
    sampling_rate=16_000,
    found_by=PathPattern(
        regex=r"(?:AudioWAV/)?(?P<speaker>1\d{3})_(?P<sentence>[A-Z]{3})_(?P<label>[A-Z]{3})_(?P<level>LO|MD|HI|XX?)\.wav",
        path="AudioWAV/{stem}.wav",
    ),
    ignore={
        "AudioMP3": "the same recordings as MP3",
        "VideoFlash": "the same recordings as video",
        "SentenceFilenames.csv|finished.*[.]csv|processedResults": "crowd-sourced ratings",
        ".*[.]R": "the authors' scripts",
    },
    labels={
        "ANG": "anger", "DIS": "disgust", "FEA": "fear", "HAP": "happiness", "NEU": "neutral", "SAD": "sadness",
    },
    speakers="speakers.csv",
    speaker_table=SpeakerTable(file=r"VideoDemographics\.csv", speaker="ActorID", gender="Sex", age="Age"),
    split=Split(table="splits.csv"),
    exclude={"1076_MTI_SAD_XX": "the recording holds no signal"},
    aliases={"1040_ITH_SAD_X": "1040_ITH_SAD_XX"},
    expect=Counts(
        utterances=7441,
        speakers=91,
        labels={
            "anger": 1271, "disgust": 1271, "fear": 1271, "happiness": 1271, "neutral": 1087, "sadness": 1270,
        },
    ),
    notes=(
        "Labels are the acted emotions of the file names, not those that raters perceived.",
        "The repository keeps audio in git-LFS: a ZIP download of it holds pointers, not recordings.",
    ),
)  # fmt: skip
