"""FAU Aibo Emotion Corpus, in the form of the INTERSPEECH 2009 Emotion Challenge."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from emoset.recipe import Counts, PathPattern, Reader, Recipe, Row, Split, Variant

_FILE = re.compile(r"chunk_labels_(\d)cl_corpus\.txt$")


def read_5cl(path: str, text: str) -> Iterator[Row]:
    """Rows of a label file; the other task's label goes along under a name of its own."""
    return _rows(path, text, task="5")


def read_2cl(path: str, text: str) -> Iterator[Row]:
    """The same with the two-class label as the label."""
    return _rows(path, text, task="2")


def _rows(path: str, text: str, task: str) -> Iterator[Row]:
    """One line per chunk, without a header: id, label, confidence, single blanks between them."""
    [classes] = _FILE.findall(path)
    suffix = "" if classes == task else f"_{classes}cl"
    for number, line in enumerate(text.splitlines(), start=1):
        key, *told = line.split() or [""]
        if len(told) == 2:
            fields = {f"label{suffix}": told[0].upper(), f"confidence{suffix}": told[1]}
            yield Row(key, fields, f"{path}, line {number}")
        elif key:
            yield Row(key, {}, f"{path}, line {number}")


def write(rows: Iterable[Row], audio: Mapping[str, str]) -> dict[str, str]:
    """The label file of a twin; the length of a code tells the task."""
    files: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        task = 5 if len(row.fields["label"]) == 1 else 2
        files[f"labels/IS2009EmotionChallenge/chunk_labels_{task}cl_corpus.txt"].append(
            f"{row.key} {row.fields['label']} 1\n"
        )
    return {path: "".join(lines) for path, lines in files.items()}


_AUDIO = PathPattern(
    regex=r"(?P<speaker>(?P<school>Ohm|Mont)_\d\d)_(?P<turn>\d{3})_(?P<chunk>\d\d)\.wav", path="wav/{stem}.wav"
)
_LABELS = r"chunk_labels_[25]cl_corpus\.txt"

RECIPE = Recipe(
    id="fau_aibo",
    title="FAU Aibo Emotion Corpus",
    languages=("de",),
    kind="natural",
    access="licence",
    licence="signed licence of FAU Erlangen-Nuernberg, for research only",
    citation="Steidl: Automatic Classification of Emotion-Related User States in Spontaneous Children's Speech. "
    "Logos, 2009. Schuller, Steidl, Batliner: The INTERSPEECH 2009 Emotion Challenge. Interspeech 2009.",
    homepage="https://www5.cs.fau.de/de/mitarbeiter/steidl-stefan/fau-aibo-emotion-corpus/",
    version="1.0.0",
    sampling_rate=16_000,
    found_by=Reader(audio=_AUDIO, annotations=_LABELS, read=read_5cl, write=write),
    ignore={
        r".*\.arff": "acoustic features of the challenge",
        r"(?!chunk_labels_[25]cl_corpus).*\.txt": "labels of words and turns, and documentation",
    },
    labels={"A": "anger", "E": "emphatic", "N": "neutral", "P": "positive", "R": "rest"},
    split=Split(
        train=tuple(f"Ohm_{n:02}" for n in range(1, 31)),
        validation=("Ohm_31", "Ohm_32"),
        test=tuple(f"Mont_{n:02}" for n in range(1, 26)),
        source="official: school Ohm trains, school Mont tests; as in autrainer, the last two of Ohm validate",
    ),
    expect=Counts(
        utterances=18216,
        labels={"anger": 1492, "emphatic": 3601, "neutral": 10967, "positive": 889, "rest": 1267},
    ),
    published=Counts(speakers=51, source="Batliner et al. 2004 and Steidl 2009, from memory"),
    notes=(
        "All speakers are children of 10 to 13 years. Neither names nor labels tell girl or boy: a speakers.csv of "
        "your own is read.",
        "The numbers of school Ohm have gaps: 26 children, the last one being 32.",
        "A chunk's confidence (0 to 1: how far the labels of its words agree) stands in extra; the challenge "
        "ignores it, some papers drop chunks below 0.6.",
        "Anger covers angry, touchy and reprimanding; positive covers motherese and joyful.",
        "The challenge itself has no validation set: it trains on all of school Ohm.",
    ),
    variants=(
        Variant(
            id="fau_aibo-2cl", title="2 classes",
            found_by=Reader(audio=_AUDIO, annotations=_LABELS, read=read_2cl, write=write),
            labels={"NEG": "negative", "IDL": "idle"},
            published=Counts(
                utterances=18216, speakers=51, labels={"idle": 12393, "negative": 5823},
                source="The INTERSPEECH 2009 Emotion Challenge, from memory",
            ),
        ),
    ),
)  # fmt: skip
