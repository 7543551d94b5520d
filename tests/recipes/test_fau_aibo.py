"""FAU Aibo: both label files are read, one as the label and the other into extra."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

import emoset
from emoset.reading import Reading, read_raw

CHUNKS = {"Ohm_01_015_00": "A 1", "Ohm_31_001_10": "E 0.75", "Mont_25_071_00": "R 0.5"}
TWO = {"Ohm_01_015_00": "NEG 1", "Ohm_31_001_10": "idl 0.6", "Mont_25_071_00": "IDL 1"}
FIVE_FILE = "labels/IS2009EmotionChallenge/chunk_labels_5cl_corpus.txt"
TWO_FILE = "labels/IS2009EmotionChallenge/chunk_labels_2cl_corpus.txt"
PACK = {
    **{f"wav/{chunk}.wav": "" for chunk in CHUNKS},
    FIVE_FILE: "".join(f"{chunk} {told}\n" for chunk, told in CHUNKS.items()),
    TWO_FILE: "\r\n".join(f"{chunk} {told}" for chunk, told in TWO.items()),
}


def _read(files: Mapping[str, str], root: Path, task: str = "fau_aibo") -> Reading:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(text.encode())
    return read_raw(emoset.get_recipe(task), root)


def _problems(reading: Reading) -> list[str]:
    return [str(r) for r in reading.rejected if r.where != "the corpus as a whole"]


def test_schools_and_the_last_two_of_ohm_decide_the_split(tmp_path: Path) -> None:
    reading = _read(PACK, tmp_path)
    assert _problems(reading) == []
    found = {u.id.split("/")[1]: (u.label, u.split, u.speaker) for u in reading.utterances}
    assert found == {
        "Ohm_01_015_00": ("anger", "train", "fau_aibo:Ohm_01"),
        "Ohm_31_001_10": ("emphatic", "validation", "fau_aibo:Ohm_31"),
        "Mont_25_071_00": ("rest", "test", "fau_aibo:Mont_25"),
    }
    [extra] = [json.loads(u.extra or "") for u in reading.utterances if u.id.endswith("Ohm_31_001_10")]
    assert (extra["confidence"], extra["label_2cl"], extra["confidence_2cl"]) == ("0.75", "IDL", "0.6")


def test_the_two_classes_are_a_task_on_the_same_files(tmp_path: Path) -> None:
    reading = _read(PACK, tmp_path, "fau_aibo-2cl")
    assert _problems(reading) == []
    assert {u.id.split("/")[1]: u.label for u in reading.utterances} == {
        "Ohm_01_015_00": "negative", "Ohm_31_001_10": "idle", "Mont_25_071_00": "idle",
    }  # fmt: skip


def test_copies_differ_in_folders_only(tmp_path: Path) -> None:
    flat = {name.replace("wav/", "default/").rpartition("IS2009EmotionChallenge/")[2]: t for name, t in PACK.items()}
    doubled = {f"IS2009EmotionChallenge/IS2009EmotionChallenge/{name}": text for name, text in PACK.items()}
    readings = [_read(files, tmp_path / str(i)) for i, files in enumerate((PACK, flat, doubled))]
    assert [_problems(r) for r in readings] == [[]] * 3
    assert len({tuple((u.id, u.file, u.label) for u in r.utterances) for r in readings}) == 1


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({FIVE_FILE: PACK[FIVE_FILE].replace(" E ", " X ")}, "line 2: unknown emotion code 'X'"),
        ({FIVE_FILE: PACK[FIVE_FILE].replace(" E 0.75", "")}, "line 2: no label is told for Ohm_31_001_10"),
        ({FIVE_FILE: PACK[FIVE_FILE] + "Ohm_01_015_00 N 1\n"}, "has its confidence, label told twice"),
        ({FIVE_FILE: PACK[FIVE_FILE] + "Ohm_02_001_00 N 1\n"}, "there is no audio for Ohm_02_001_00"),
        ({FIVE_FILE: PACK[FIVE_FILE] + "Ohm_33_1 N 1\n", "wav/Ohm_33_1.wav": ""}, "Ohm_33_1.wav: the recipe knows no"),
        ({"wav/Ohm_02_001_00.wav": ""}, "no row of the annotations tells its label"),
        (
            {"wav/Mont_26_001_00.wav": "", FIVE_FILE: PACK[FIVE_FILE] + "Mont_26_001_00 N 1\n"},
            "speaker 'Mont_26' is in no split",
        ),
    ],
)
def test_a_damaged_pack_is_explained(files: Mapping[str, str], message: str, tmp_path: Path) -> None:
    assert any(message in problem for problem in _problems(_read({**PACK, **files}, tmp_path)))
