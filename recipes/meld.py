"""MELD: Multimodal EmotionLines Dataset, from the series Friends."""

import csv
import io
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from emoset.recipe import Counts, PathPattern, Reader, Recipe, Row, Source, Split

_COLUMNS = {
    "label": "Emotion", "speaker": "Speaker", "text": "Utterance", "sentiment": "Sentiment",
    "season": "Season", "episode": "Episode",
}  # fmt: skip
_TITLES = (*_COLUMNS.values(), "Dialogue_ID", "Utterance_ID")


def read(path: str, text: str) -> Iterator[Row]:
    """Rows of one split's table; numbers of dialogues start anew in each."""
    split = path.rpartition("/")[2].partition("_")[0]
    for number, values in enumerate(csv.DictReader(io.StringIO(text, newline="")), start=2):
        key = f"{split}/dia{values.get('Dialogue_ID')}_utt{values.get('Utterance_ID')}"
        fields = {field: value for field, column in _COLUMNS.items() if (value := (values.get(column) or "").strip())}
        yield Row(key, fields, f"{path}, row {number}")


def write(rows: Iterable[Row], audio: Mapping[str, str]) -> dict[str, str]:
    """The splits' tables for a twin, without texts and sentiments."""
    files: dict[str, list[str]] = defaultdict(lambda: [",".join(_TITLES)])
    for row in rows:
        split, _, name = row.key.partition("/")
        dialogue, utterance = name.removeprefix("dia").split("_utt")
        files[f"{split}_sent_emo.csv"].append(
            f"{row.fields['label']},{row.fields.get('speaker', '')},,,,,{dialogue},{utterance}"
        )
    return {path: "\n".join(lines) + "\n" for path, lines in files.items()}


_NO_ROW = "no table has a row for it"

RECIPE = Recipe(
    id="meld",
    title="Multimodal EmotionLines Dataset (MELD)",
    languages=("en",),
    kind="acted",
    access="open",
    licence="GPL-3.0 by the authors' repository; the recordings are of a television series",
    citation="Poria, Hazarika, Majumder, Naik, Cambria, Mihalcea: MELD: A Multimodal Multi-Party Dataset for "
    "Emotion Recognition in Conversations. ACL 2019.",
    homepage="https://affective-meld.github.io/",
    version="1.0.0",
    sources=(Source(url="http://web.eecs.umich.edu/~mihalcea/downloads/MELD.Raw.tar.gz"),),
    sampling_rate=48_000,
    found_by=Reader(
        audio=PathPattern(
            regex=r"(?:output_repeated_splits_)?(?P<split>train|dev|test)(?:_splits)?(?:_complete)?/"
            r"dia(?P<dialogue>\d+)_utt(?P<utterance>\d+)\.(?:mp4|wav)",
            path="{split}/{stem}.mp4",
            key="{split}/{stem}",
        ),
        annotations=r"(?:train|dev|test)_sent_emo\.csv",
        read=read,
        write=write,
    ),
    ignore={
        r"final_videos_test.*": "clips that no table names",
        r".*_dya\.csv": "tables of the subset with two speakers",
        r".*\.tar\.gz": "archives of the distribution",
    },
    labels={
        "anger": "anger", "disgust": "disgust", "fear": "fear", "joy": "happiness",
        "neutral": "neutral", "sadness": "sadness", "surprise": "surprise",
    },
    split=Split(by="split", source="official", speaker_independent=False),
    exclude={
        "train/dia125_utt3": "the distributed clip is corrupt",
        "dev/dia110_utt7": "the distribution lacks the clip",
        **dict.fromkeys(("dev/dia49_utt4", "dev/dia49_utt5", "dev/dia66_utt9", "dev/dia66_utt10"), _NO_ROW),
        "test/dia108_utt2": _NO_ROW,
    },
    expect=Counts(
        utterances=13706,
        speakers=304,
        labels={
            "anger": 1607, "disgust": 361, "fear": 358, "happiness": 2308,
            "neutral": 6434, "sadness": 1002, "surprise": 1636,
        },
    ),
    notes=(
        "The official split has the series' main cast in all three parts.",
        "A speaker is the name of a character; guests of different episodes may share one, such as All or Waiter.",
        "Most clips have several channels, the centre being one of them; this recipe takes the mean of all.",
        "Four clips were cut wrongly and last for minutes: dia309_utt0 and dia793_utt0 of train, dia38_utt4 and "
        "dia220_utt0 of test; they are kept.",
        "The archive holds train, dev and test as archives of their own: unpack these too.",
        "Clips converted to WAV under their own names are read as well.",
    ),
)  # fmt: skip
