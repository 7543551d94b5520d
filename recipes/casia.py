"""CASIA: Chinese emotional speech corpus of the Institute of Automation."""

from emoset.recipe import Counts, PathPattern, Recipe, Split

RECIPE = Recipe(
    id="casia",
    title="CASIA Chinese Emotional Speech Corpus",
    languages=("zh",),
    kind="acted",
    access="licence",
    licence="paid licence of the Chinese Linguistic Data Consortium; a sample of 1,200 recordings circulates "
    "without a stated licence",
    citation="Institute of Automation, Chinese Academy of Sciences: CASIA Chinese emotional speech corpus.",
    homepage="https://aistudio.baidu.com/aistudio/datasetdetail/209512",
    version="1.0.0",
    sampling_rate=16_000,
    found_by=(
        PathPattern(
            regex=r"(?P<speaker>[A-Za-z]+(?:\.[A-Za-z]+)?)/(?P<label>[a-z]+)/(?P<number>\d{3})\.wav",
            key="{speaker}_{label}_{number}",
        ),
        PathPattern(
            regex=r"(?P<label>[a-z]+)/(?P<number>\d{3})-(?P<code>[a-z]+)-(?P<speaker>[A-Za-z]+)\.wav",
            path="{speaker}/{label}/{number}.wav",
            key="{speaker}_{label}_{number}",
            codes={c: c for c in ("angry", "fear", "happy", "neutral", "normal", "sad", "surprise")},
        ),
    ),
    labels={
        "angry": "anger", "fear": "fear", "happy": "happiness", "neutral": "neutral", "normal": "neutral",
        "sad": "sadness", "surprise": "surprise",
    },
    female=("liuchanhg", "zhaoquanyin"),
    male=("wangzhe", "zhaozuoxiang"),
    speaker_aliases={
        "ZhaoZuoxiang": "zhaozuoxiang", "Chang.Liu": "liuchanhg", "Quanyin.Zhao": "zhaoquanyin",
        "Zhe.Wang": "wangzhe", "Zuoxiang.Zhao": "zhaozuoxiang",
    },
    aliases={
        f"ZhaoZuoxiang_{label}_{number:03}": f"zhaozuoxiang_{label}_{number:03}"
        for label in ("angry", "fear", "happy", "neutral", "sad", "surprise") for number in range(1, 301)
    },
    split=Split(
        train=("liuchanhg", "wangzhe"), validation=("zhaoquanyin",), test=("zhaozuoxiang",),
        source="emoset: a woman and a man train, one woman validates, one man tests",
    ),
    folds={"leave-one-speaker-out": "speaker"},
    published=Counts(
        utterances=1200, speakers=4,
        labels={"anger": 200, "fear": 200, "happiness": 200, "neutral": 200, "sadness": 200, "surprise": 200},
        source="EmoBox, for the sample",
    ),
    notes=(
        "The sample has 4 speakers x 6 emotions x 50 texts; the full set of 9,600 has 300 texts that are the same "
        "for all emotions and 100 that differ. Which of the two EmoSet holds is not known.",
        "In the tree of different texts the speakers' names are written the other way round (Chang.Liu), and "
        "neutral is called normal; the number of a text means another text there.",
        "Two speakers of each gender: the validation set holds one woman, the test set one man. Prefer the folds.",
    ),
)  # fmt: skip
