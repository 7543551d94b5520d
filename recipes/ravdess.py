"""RAVDESS: Ryerson Audio-Visual Database of Emotional Speech and Song, its speech as audio."""

from emoset.recipe import Counts, PathPattern, Recipe, Source, Split

RECIPE = Recipe(
    id="ravdess",
    title="Ryerson Audio-Visual Database of Emotional Speech and Song (RAVDESS), speech as audio",
    languages=("en",),
    kind="acted",
    access="open",
    licence="CC BY-NC-SA 4.0, by its Zenodo record",
    redistribute=True,
    citation="Livingstone, Russo: The Ryerson Audio-Visual Database of Emotional Speech and Song (RAVDESS): A "
    "dynamic, multimodal set of facial and vocal expressions in North American English. PLoS ONE 13(5), 2018.",
    homepage="https://zenodo.org/record/1188976",
    version="1.0.0",
    sources=(
        Source(
            url="https://zenodo.org/records/1188976/files/Audio_Speech_Actors_01-24.zip",
            bytes=208_468_073,
            md5="bc696df654c87fed845eb13823edef8a",
        ),
    ),
    sampling_rate=48_000,
    found_by=PathPattern(
        regex=r"03-01-(?P<label>\d\d)-(?P<intensity>0[12])-(?P<statement>0[12])-(?P<repetition>0[12])-(?P<speaker>\d\d)"
        r"\.wav",
        path="Actor_{speaker}/{stem}.wav",
    ),
    ignore={
        r"0[12]-0[12](?:-\d\d){5}\.(?:mp4|wav)": "video: this corpus is the audio-only modality 03",
        r"03-02(?:-\d\d){5}\.wav": "song: this corpus is the speech channel 01",
        r"(?:Audio|Video)_(?:Speech|Song)_Actors?_.*\.zip": "archives of the distribution",
    },
    labels={
        "01": "neutral", "02": "calm", "03": "happiness", "04": "sadness",
        "05": "anger", "06": "fear", "07": "disgust", "08": "surprise",
    },
    female=("02", "04", "06", "08", "10", "12", "14", "16", "18", "20", "22", "24"),
    male=("01", "03", "05", "07", "09", "11", "13", "15", "17", "19", "21", "23"),
    split=Split(
        train=("01", "02", "03", "04", "05", "06", "07", "08", "09", "10", "11", "12", "13", "14"),
        validation=("15", "16", "17", "18", "23"),
        test=("19", "20", "21", "22", "24"),
    ),
    expect=Counts(
        utterances=1440,
        speakers=24,
        labels={
            "anger": 192, "calm": 192, "disgust": 192, "fear": 192,
            "happiness": 192, "neutral": 96, "sadness": 192, "surprise": 192,
        },
    ),
    notes=(
        "The copy on Kaggle holds the whole tree a second time in audio_speech_actors_01-24/: remove one of the two.",
        "Five recordings, of actors 01, 05 and 20, are stereo with equal channels; all others are mono.",
        "Two recordings are byte-identical, and some of actors 09 and 20 are very quiet.",
        "The neutral class has no strong intensity, hence half as many utterances.",
    ),
)  # fmt: skip
