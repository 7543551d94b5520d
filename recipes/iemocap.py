"""IEMOCAP: Interactive Emotional Dyadic Motion Capture Database."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from emoset.recipe import Counts, PathPattern, Reader, Recipe, Row, Split, Variant

_SUMMARY = re.compile(r"\[[\d.]+ - [\d.]+\]\t(\S+)\t(\w{3})\t\[([\d.]+), ([\d.]+), ([\d.]+)\]")
_TRANSCRIPT = re.compile(r"(Ses\S+_[FM]\d{3}) \[[\d.]+-[\d.]+\]: ?(.*)")


def read(path: str, text: str) -> Iterator[Row]:
    """Rows of an evaluation file (label and mean ratings) or of a transcription."""
    for number, line in enumerate(text.splitlines(), start=1):
        where = f"{path}, line {number}"
        if match := _SUMMARY.match(line):
            key, label, valence, activation, dominance = match.groups()
            fields = {"label": label, "pleasure": valence, "activation": activation, "dominance": dominance}
            yield Row(key, fields, where)
        elif match := _TRANSCRIPT.match(line):
            yield Row(match[1], {"text": match[2].strip()}, where)


def write(rows: Iterable[Row], audio: Mapping[str, str]) -> dict[str, str]:
    """Evaluation files for a twin: one per dialogue, with the summary lines that `read` reads."""
    files: dict[str, list[str]] = defaultdict(lambda: ["% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]"])
    for row in rows:
        session, dialog = audio[row.key].split("/")[0], row.key[:-5]
        files[f"{session}/dialog/EmoEvaluation/{dialog}.txt"].append(
            f"\n[0.0000 - 1.0000]\t{row.key}\t{row.fields['label']}\t[2.5000, 2.5000, 2.5000]"
        )
    return {path: "\n".join(lines) + "\n" for path, lines in files.items()}


_NOT_OF_FOUR = "not one of the four classes that most papers use"

RECIPE = Recipe(
    id="iemocap",
    title="IEMOCAP: Interactive Emotional Dyadic Motion Capture Database",
    languages=("en",),
    kind="acted",
    access="request",
    licence="research licence of the University of Southern California, after a release form",
    citation="Busso, Bulut, Lee, Kazemzadeh, Mower, Kim, Chang, Lee, Narayanan: IEMOCAP: interactive emotional "
    "dyadic motion capture database. Language Resources and Evaluation 42, 2008.",
    homepage="https://sail.usc.edu/iemocap/iemocap_release.htm",
    version="1.0.0",
    sampling_rate=16_000,
    found_by=Reader(
        audio=PathPattern(
            regex=r"(?:(?:(?:Session\d/)?sentences/)?wav/)?"
            r"(?P<dialog>Ses0(?P<session>[1-5])[FM]_(?:impro0\d[ab]?|script0\d_\d[b]?))/"
            r"(?P=dialog)_(?P<turn>[FM])\d{3}\.wav",
            path="Session{session}/sentences/wav/{dialog}/{stem}.wav",
            derive={"speaker": "0{session}{turn}", "gender": "{turn}"},
        ),
        annotations=r"dialog/(?:EmoEvaluation|transcriptions)/Ses[^/]+\.txt",
        read=read,
        write=write,
        encoding="latin-1",
    ),
    ignore={
        "Categorical|Attribute|Self-evaluation": "ratings of single raters",
        r"dialog/wav/[^/]+\.wav": "whole dialogues",
        "avi|lab|MOCAP_.*|ForcedAlignment": "video, motion capture and alignments",
        "Documentation": "documentation",
    },
    labels={"ang": "anger", "exc": "happiness", "hap": "happiness", "neu": "neutral", "sad": "sadness"},
    leave_out=dict.fromkeys(("dis", "fea", "fru", "oth", "sur", "xxx"), _NOT_OF_FOUR),
    female=("01F", "02F", "03F", "04F", "05F"),
    male=("01M", "02M", "03M", "04M", "05M"),
    split=Split(
        by="session", train=("1", "2", "3"), validation=("4",), test=("5",),
        source="emoset: sessions 1-3, 4 and 5, since the two speakers of a session hear each other",
    ),
    folds={"leave-one-session-out": "session", "leave-one-speaker-out": "speaker"},
    expect=Counts(
        utterances=5531, speakers=10,
        labels={"anger": 1103, "happiness": 1636, "neutral": 1708, "sadness": 1084},
    ),
    notes=(
        "The speaker is the letter of the last part of the name; the letter after the session tells who wore "
        "the markers.",
        "Activation, pleasure and dominance are the raters' means on a scale of 1 to 5.",
    ),
    variants=(
        Variant(
            id="iemocap-full", title="all labels", leave_out={},
            labels={
                "ang": "anger", "dis": "disgust", "exc": "excitement", "fea": "fear", "fru": "frustration",
                "hap": "happiness", "neu": "neutral", "oth": "other", "sad": "sadness", "sur": "surprise",
                "xxx": "no_majority",
            },
            published=Counts(
                utterances=10039, speakers=10, source="the literature, not verified",
            ),
        ),
    ),
)  # fmt: skip
