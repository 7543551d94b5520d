"""SUBESCO: SUST Bangla Emotional Speech Corpus."""

from emoset.recipe import Counts, PathPattern, Recipe, Source, Split

RECIPE = Recipe(
    id="subesco",
    title="SUST Bangla Emotional Speech Corpus (SUBESCO)",
    languages=("bn",),
    kind="acted",
    access="open",
    licence="CC BY 4.0, by its Zenodo record",
    redistribute=True,
    citation="Sultana, Rahman, Selim, Iqbal: SUST Bangla Emotional Speech Corpus (SUBESCO): An audio-only emotional "
    "speech corpus for Bangla. PLoS ONE 16(4), 2021.",
    homepage="https://zenodo.org/records/4526477",
    version="1.0.0",
    sources=(
        Source(
            url="https://zenodo.org/records/4526477/files/SUBESCO.zip",
            bytes=1_664_512_929,
            sha256="7505111bc864193d1906c05f83ca50d950250c65b62ae9b1740dee44f5cdb113",
            md5="13d702cf944bf54d70d66bffc036ed7a",
        ),
    ),
    found_by=PathPattern(
        regex=r"(?P<speaker>(?P<gender>[FM])_\d\d)_(?P<name>[A-Z]+)_S_(?P<sentence>\d\d?)_(?P<label>[A-Z]+)_"
        r"(?P<take>\d)\]?\.wav",
        path="SUBESCO/{speaker}_{name}_S_{sentence}_{label}_{take}.wav",
        key="{speaker}_{name}_S_{sentence}_{label}_{take}",
    ),
    ignore={r"SUBESCO\.zip": "archive of the distribution"},
    labels={
        "ANGRY": "anger", "DISGUST": "disgust", "FEAR": "fear", "HAPPY": "happiness",
        "NEUTRAL": "neutral", "SAD": "sadness", "SURPRISE": "surprise",
    },
    female=("F_01", "F_02", "F_03", "F_04", "F_05", "F_06", "F_07", "F_08", "F_09", "F_10"),
    male=("M_01", "M_02", "M_03", "M_04", "M_05", "M_06", "M_07", "M_08", "M_09", "M_10"),
    split=Split(
        train=(
            "F_05", "F_06", "F_07", "F_08", "F_09", "F_10", "M_01", "M_02", "M_03", "M_04", "M_07", "M_08",
        ),
        validation=("F_01", "F_03", "M_05", "M_06"),
        test=("F_02", "F_04", "M_09", "M_10"),
    ),
    expect=Counts(
        utterances=7000,
        speakers=20,
        labels={
            "anger": 1000, "disgust": 1000, "fear": 1000, "happiness": 1000,
            "neutral": 1000, "sadness": 1000, "surprise": 1000,
        },
    ),
    notes=(
        "Speakers are numbered anew for each gender, so the letter belongs to the speaker.",
        "One name is F_02_MONIKA_S_2_SURPRISE_3].wav; ids and paths leave the bracket out.",
        "Recordings have 44.1 or 48 kHz, both within F_09, M_07, M_08 and M_09.",
    ),
)  # fmt: skip
