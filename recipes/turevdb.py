"""TurEV-DB: Turkish Emotion Voice Database."""

from emoset.recipe import Counts, PathPattern, Recipe, Split

RECIPE = Recipe(
    id="turevdb",
    title="Turkish Emotion Voice Database (TurEV-DB)",
    languages=("tr",),
    kind="acted",
    access="open",
    licence="CC BY-NC-ND 4.0 by its README, GPL-3.0 by its LICENSE file",
    citation="Canpolat, Ormanoglu, Zeyrek: Turkish Emotion Voice Database (TurEV-DB). SLTU-CCURL 2020.",
    homepage="https://github.com/Xeonen/TurEV-DB",
    version="1.0.0",
    sampling_rate=44_100,
    found_by=PathPattern(
        regex=r"(?P<label>[^/]+)/(?P<speaker>\d{4})_(?P<code>[a-z]+)_(?P<word>\w+)\.wav",
        path="Sound Source/{label}/{stem}.wav",
        codes={"kz": "Angry", "sk": "Calm", "mt": "Happy", "hl": "Sad"},
    ),
    ignore={r".*\.(?:jpe?g|png)": "spectrograms as pictures"},
    labels={"Angry": "anger", "Calm": "calm", "Happy": "happiness", "Sad": "sadness"},
    split=Split(
        train=("1157", "1234", "1984", "7895"), validation=("1358",), test=("6783",),
        source="emoset: the speakers that nkululeko holds out for this corpus",
    ),
    expect=Counts(utterances=1735, speakers=6),
    notes=(
        "The speakers' gender is not told, and they spoke unequally many words.",
        "7895_hl_ogul1.wav is a recording of its own: the digit belongs to its name.",
    ),
    folds={"leave-one-speaker-out": "speaker"},
)  # fmt: skip
