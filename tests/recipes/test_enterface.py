"""eNTERFACE'05: file names that do not tell the truth, and subject 6."""

from __future__ import annotations

from pathlib import Path

import emoset
from emoset.reading import read_raw

FILES = {
    "subject 11/anger/sentence 4/s12_an_4.avi": ("enterface/s11_an_4", "anger", "enterface:11"),
    "subject 12/anger/sentence 4/s12_an_4.avi": ("enterface/s12_an_4", "anger", "enterface:12"),
    "subject 3/fear/sentence 5/s_3_fe_5.avi": ("enterface/s3_fe_5", "fear", "enterface:3"),
    "subject 16/surprise/sentence 3/s16_su_3avi.avi": ("enterface/s16_su_3", "surprise", "enterface:16"),
    "subject 2/anger/sentence 1/s2_an_2.avi": ("enterface/s2_an_1", "anger", "enterface:2"),
}
IGNORED = ("subject 6/anger/s6_an.avi", "subject 3/fear/sentence 5/Thumbs.db")


def test_folders_tell_subject_emotion_and_sentence(tmp_path: Path) -> None:
    for name in (*FILES, *IGNORED):
        path = tmp_path / "enterface database" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    reading = read_raw(emoset.get_recipe("enterface"), tmp_path)
    assert {u.file: (u.id, u.label, u.speaker) for u in reading.utterances} == FILES
    assert [r.where for r in reading.rejected] == ["the corpus as a whole"]
    assert sum(len(names) for names in reading.ignored.values()) == len(IGNORED)
