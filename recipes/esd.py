"""ESD: Emotional Speech Dataset, Mandarin and English."""

from emoset.recipe import Counts, PathPattern, Recipe, Split, Variant

_FILE = r"(?P=speaker)_(?P<number>\d{6})\.wav"

RECIPE = Recipe(
    id="esd",
    title="ESD: Emotional Speech Dataset",
    languages=("en", "zh"),
    kind="acted",
    access="request",
    licence="for research only, after a licence form by mail",
    citation="Zhou, Sisman, Liu, Li: Emotional voice conversion: Theory, databases and ESD. "
    "Speech Communication 137, 2022.",
    homepage="https://hltsingapore.github.io/ESD/",
    version="1.0.0",
    sampling_rate=16_000,
    found_by=(
        PathPattern(
            regex=rf"(?P<speaker>\d{{4}})/(?P<label>[A-Z][a-z]+)/(?P<part>train|evaluation|test)/{_FILE}",
        ),
        PathPattern(regex=rf"(?P<speaker>\d{{4}})/(?P<label>[A-Z][a-z]+)/{_FILE}"),
    ),
    ignore={r"00\d\d\.txt": "transcripts, in several encodings and with known errors"},
    labels={
        "Angry": "anger", "Happy": "happiness", "Neutral": "neutral", "Sad": "sadness", "Surprise": "surprise",
    },
    female=("0001", "0002", "0003", "0007", "0009", "0015", "0016", "0017", "0018", "0019"),
    male=("0004", "0005", "0006", "0008", "0010", "0011", "0012", "0013", "0014", "0020"),
    language_of={f"{n:04}": "zh" if n <= 10 else "en" for n in range(1, 21)},
    split=Split(
        train=(
            "0003", "0006", "0007", "0008", "0009", "0010", "0011", "0012", "0013", "0015", "0017", "0018",
        ),
        validation=("0001", "0005", "0014", "0016"),
        test=("0002", "0004", "0019", "0020"),
        source="emoset: balanced by language and gender",
    ),
    expect=Counts(
        utterances=35000, speakers=20,
        labels={"anger": 7000, "happiness": 7000, "neutral": 7000, "sadness": 7000, "surprise": 7000},
    ),
    notes=(
        "Speakers 0001 to 0010 speak Mandarin, 0011 to 0020 English.",
        "One release has folders train, evaluation and test below each emotion: its split, in which all speakers "
        "cross, is esd-official. The other has the recordings in the emotion's folder, and only esd can be built.",
        "The label is the folder's. Each emotion has 350 numbers: from 1 neutral, then angry, happy, sad, surprise.",
    ),
    variants=(
        Variant(
            id="esd-official", title="the split of the release with folders train, evaluation and test",
            split=Split(
                by="part", train=("train",), validation=("evaluation",), test=("test",), source="official",
                speaker_independent=False,
            ),
            expect=Counts(utterances=35000, speakers=20),
        ),
    ),
)  # fmt: skip
