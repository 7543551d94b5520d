"""Real file lists: a tree of exactly those names, read by the recipe, compared row by row."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import emoset
from emoset.recipe import Recipe
from emoset.words import plain

SYNONYMS = {
    "angry": "anger", "happy": "happiness", "sad": "sadness", "surprised": "surprise", "fearful": "fear",
    "neutrality": "neutral", "joy": "happiness", "guilty": "guilt", "afraid": "fear", "disgusted": "disgust",
}  # fmt: skip
"""Plain words of the lists for class names."""


@dataclass(frozen=True)
class Comparison:
    """What differs between a list and what the recipe read."""

    wrong: list[str]
    missing: list[str]
    extra: list[str]
    left_out: list[str]


def lay(name: str, rows: Sequence[Mapping[str, str]], root: Path) -> None:
    """Lay the tree of a list: empty files of exactly its names, and MELD's tables, which tell the labels."""
    for row in rows:
        path = root / row["path"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    if name == "meld":
        for fold, table in (("train", "train"), ("valid", "dev"), ("dev", "dev"), ("val", "dev"), ("test", "test")):
            chosen = [row for row in rows if row["fold"] == fold]
            if chosen:
                (root / f"{table}_sent_emo.csv").write_text(_meld_table(chosen), encoding="utf-8", newline="")


def _meld_table(rows: Sequence[Mapping[str, str]]) -> str:
    titles = "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode,StartTime,EndTime"
    lines = [titles]
    for number, row in enumerate(rows):
        dialogue, utterance = Path(row["path"]).stem.removeprefix("dia").split("_utt")
        speaker = row["speaker"].replace('"', '""')
        lines.append(
            f'{number},"text, with a comma","{speaker}",{row["label"]},{row["sentiment"]},{dialogue},{utterance},1,1,'
            '"00:00:01,000","00:00:02,000"'
        )
    return "\r\n".join(lines) + "\r\n"


def compare(
    name: str, rows: Sequence[Mapping[str, str]], root: Path, read: Callable[[Recipe, Path], Any]
) -> Comparison:
    """Read the tree of a list and compare every label, speaker and gender."""
    recipe = emoset.get_recipe("demos-full" if name == "demos" else name)
    lay(name, rows, root)
    reading = read(recipe, root)
    found = {u.path: u for u in reading.utterances}
    told = {row["path"] for row in rows}
    apart = (*reading.excluded.values(), *reading.ignored.values())
    left_out = sorted({f for files in apart for f in files} & told)
    wrong = [
        f"{row['path']}: {found[row['path']]}"
        for row in rows
        if row["path"] in found and not _same(row, found[row["path"]])
    ]
    missing = sorted(told - set(found) - set(left_out)) + [str(r) for r in reading.rejected]
    return Comparison(wrong, missing, sorted(set(found) - told), left_out)


def _same(row: Mapping[str, str], utterance: Any) -> bool:
    word = plain(row["label"])
    labels = {row["label"] == utterance.label_raw, SYNONYMS.get(word, word) == utterance.label}
    speaker = utterance.speaker is not None and utterance.speaker.partition(":")[2] == row["speaker"]
    gender = "gender" not in row or not row["gender"] or utterance.gender == row["gender"]
    # A list may give the first letter or two of the folder's name.
    short = len(row["label"]) <= 2 and utterance.label_raw.lower().startswith(row["label"].lower())
    return (any(labels) or short) and speaker and gender
