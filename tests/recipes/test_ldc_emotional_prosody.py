"""LDC Emotional Prosody: elicited lines of transcripts are utterances, all other speech is left out and counted."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import emoset
from emoset.reading import Reading, read_raw

TRANSCRIPT = (
    "0.50 2.25 A: hot anger, one\n2.5 3 A: [MISC]\n3 4.75 A: (laughs, twice)\n5 6 A: Emotion category <panic>\n\n"
    "7 8.5 A: panic, two, three\n9 10 A: distance, four\n"
)
DISC = {
    "LDC2002S28/speech/cc_001.sph": "",
    "LDC2002S28/transcr/cc_001.txt": TRANSCRIPT,
    "LDC2002S28/doc/file.tbl": "",
    "LDC2002S28/doc/demographics.html": "",
}


def _read(files: Mapping[str, str], root: Path) -> Reading:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return read_raw(emoset.get_recipe("ldc_emotional_prosody"), root)


def test_timed_lines_with_an_emotion_are_utterances(tmp_path: Path) -> None:
    reading = _read(DISC, tmp_path)
    assert reading.rejected == ()
    assert {(u.id, u.label, u.text, u.start, u.end, u.speaker) for u in reading.utterances} == {
        ("ldc_emotional_prosody/cc_001#0.5-2.25", "hot_anger", "one", 0.5, 2.25, "ldc_emotional_prosody:cc"),
        ("ldc_emotional_prosody/cc_001#7-8.5", "panic_fear", "two, three", 7.0, 8.5, "ldc_emotional_prosody:cc"),
    }
    [(reason, left_out)] = reading.excluded.items()
    assert "between the elicited utterances" in reason
    assert len(left_out) == 4


def test_a_folder_cut_into_single_files_is_read_too(tmp_path: Path) -> None:
    names = ("cc_001_hot-anger_12.34_one-two", "mm_004_panic_5_three", "gg_002_distance_1.5_four")
    reading = _read({f"cut/{name}.wav": "" for name in names}, tmp_path)
    assert reading.rejected == ()
    assert {(u.id, u.label, u.text, u.speaker) for u in reading.utterances} == {
        ("ldc_emotional_prosody/cc_001_hot-anger_12.34", "hot_anger", "one-two", "ldc_emotional_prosody:cc"),
        ("ldc_emotional_prosody/mm_004_panic_5", "panic_fear", "three", "ldc_emotional_prosody:mm"),
    }
    assert list(reading.excluded) == ["a manner of speaking, not an emotion"]


def test_damage_is_explained(tmp_path: Path) -> None:
    files = {
        "LDC2002S28/transcr/cc_001.txt": TRANSCRIPT + "11 1x A: pride, five\n",
        "LDC2002S28/speech/cl_001.sph": "",
        "LDC2002S28/transcr/gg_001.txt": TRANSCRIPT,
        "LDC2002S28/speech/c_001.sph": "",
    }
    problems = "\n".join(map(str, _read({**DISC, **files}, tmp_path).rejected))
    assert "cc_001.txt, line 8: no label is told for cc_001" in problems
    assert "cl_001.sph: no row of the annotations tells its label" in problems
    assert "there is no audio for gg_001" in problems
    assert "c_001.sph: the recipe knows no such file" in problems


def test_an_unknown_emotion_of_a_cut_file_is_rejected(tmp_path: Path) -> None:
    [rejection] = _read({"cc_001_rage_1_x.wav": "", "cc_001_panic_1_x.wav": ""}, tmp_path).rejected
    assert "unknown emotion code 'rage'" in str(rejection)
