"""LDC Emotional Prosody Speech and Transcripts (LDC2002S28)."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from emoset.recipe import Counts, PathPattern, Reader, Recipe, Row, Split

_LABELS = {
    "anxiety": "anxiety", "boredom": "boredom", "cold anger": "cold_anger", "contempt": "contempt",
    "despair": "despair", "disgust": "disgust", "elation": "elation", "happy": "happiness",
    "hot anger": "hot_anger", "interest": "interest", "neutral": "neutral", "panic": "panic_fear",
    "pride": "pride", "sadness": "sadness", "shame": "shame",
}  # fmt: skip
_OTHER = "[MISC]"
_LINE = re.compile(r"(\d+(?:\.\d+)?)\s+(\d+(?:\.\d+)?)\s+\w+:\s*(.*)")


def read(path: str, text: str) -> Iterator[Row]:
    """The timed lines of a transcript; ``<emotion>, <text>`` is elicited, all else is not."""
    key = path.rpartition("/")[2].rpartition(".")[0]
    for number, line in enumerate(map(str.strip, text.splitlines()), start=1):
        where = f"{path}, line {number}"
        if match := _LINE.match(line):
            start, end, said = match.groups()
            label, comma, words = (part.strip() for part in said.partition(","))
            label = label.lower().replace("-", " ")
            fields = {"label": label, "text": words} if comma and label in _LABELS else {"label": _OTHER}
            yield Row(key, fields, where, float(start), float(end))
        elif line[:1].isdigit():
            yield Row(key, {}, where)


def write(rows: Iterable[Row], audio: Mapping[str, str]) -> dict[str, str]:
    """Transcripts for a twin: one elicited second each."""
    files: dict[str, str] = defaultdict(str)
    for row in rows:
        label = row.fields["label"]
        files[f"transcr/{row.key}.txt"] += f"0.00 1.00 A: {label if label == _OTHER else label + ', words'}\n"
    return files


RECIPE = Recipe(
    id="ldc_emotional_prosody",
    title="Emotional Prosody Speech and Transcripts",
    languages=("en",),
    kind="acted",
    access="licence",
    licence="paid licence of the Linguistic Data Consortium (LDC2002S28)",
    citation="Liberman, Davis, Grossman, Martey, Bell: Emotional Prosody Speech and Transcripts. LDC, 2002.",
    homepage="https://catalog.ldc.upenn.edu/LDC2002S28",
    version="1.0.0",
    sampling_rate=22_050,
    found_by=(
        Reader(
            audio=PathPattern(
                regex=r"(?:speech/)?(?P<speaker>[a-z]{2})_(?P<session>\d{3})\.sph", path="speech/{stem}.sph"
            ),
            annotations=r"[a-z]{2}_\d{3}\.txt",
            read=read,
            write=write,
            encoding="latin-1",
        ),
        PathPattern(
            regex=r"(?P<speaker>[a-z]{2})_(?P<session>\d+)_(?P<label>[a-z-]+)_(?P<start>[\d.]+)_(?P<text>[^/]+)\.wav",
            path="{stem}.wav",
            key="{speaker}_{session}_{label}_{start}",
        ),
    ),
    channels=0,
    ignore={r"doc|.*\.tbl|.*\.html?": "documentation"},
    labels={**_LABELS, "cold-anger": "cold_anger", "hot-anger": "hot_anger"},
    leave_out={
        _OTHER: "conversation, announcements and asides between the elicited utterances",
        **dict.fromkeys(
            ("conversation", "distance", "dominant", "tete-a-tete"), "a manner of speaking, not an emotion"
        ),
    },
    split=Split(hashed=True),
    published=Counts(utterances=2324, source="a cut into single files by Columbia University, counted by its users"),
    notes=(
        "An utterance is a timed line of a transcript of the form 'emotion, text'; all other lines are left out and "
        "counted, among them a few emotions misspelt, should there be any.",
        "Recordings have two channels (two microphones); the first one is taken.",
        "A folder of single files, speaker_session_emotion_start_text.wav, is read too; its ids differ.",
        "The actors' gender stands in doc/demographics.html: a speakers.csv of your own is read.",
        "Recordings may be compressed by shorten, which needs ffmpeg or sph2pipe first.",
    ),
    folds={"leave-one-speaker-out": "speaker"},
)  # fmt: skip
