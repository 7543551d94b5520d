"""GEMEP: the full audio set, the core set's videos, and the ComParE 2013 pack, each with its own names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

import emoset
from emoset.reading import Reading, read_raw


def _read(task: str, files: Mapping[str, str], root: Path) -> Reading:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return read_raw(emoset.get_recipe(task), root)


@pytest.mark.parametrize("top", ["W_audio/08/", "GEMEP/W_audio/", ""])
def test_french_and_english_codes_wherever_they_lie(top: str, tmp_path: Path) -> None:
    reading = _read("gemep", {f"{top}{n}.wav": "" for n in ("W08pla412", "02con111", "W05joi101")}, tmp_path)
    assert reading.rejected == ()
    assert {(u.id, u.file, u.label, u.gender, u.split) for u in reading.utterances} == {
        ("gemep/W08pla412", "W_audio/W08pla412.wav", "pleasure", "male", "test"),
        ("gemep/W02con111", "W_audio/W02con111.wav", "contempt", "female", "train"),
        ("gemep/W05joi101", "W_audio/W05joi101.wav", "elation", "male", "validation"),
    }


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("W08xyz412.wav", "unknown emotion code 'xyz'"),
        ("W11adm412.wav", "speaker '11' is in no split"),
        ("W08adm41.wav", "the recipe knows no such file"),
    ],
)
def test_a_damaged_name_is_explained(name: str, message: str, tmp_path: Path) -> None:
    [rejection] = _read("gemep", {"W_audio/W01adm111.wav": "", f"W_audio/{name}": ""}, tmp_path).rejected
    assert message in str(rejection)


def test_the_core_set_with_its_doubled_suffixes(tmp_path: Path) -> None:
    names = ("W01adm_Full Body.avi", "06fea531_x.avi.wmv", "A10ten.wmv")
    reading = _read("gemep-core", {f"GEMEP_Coreset_Full Body/{n}": "" for n in names}, tmp_path)
    assert reading.rejected == ()
    assert {u.id: u.label for u in reading.utterances} == {
        "gemep/W01adm_Full Body": "admiration", "gemep/W06fea531_x": "panic_fear", "gemep/W10ten": "tenderness",
    }  # fmt: skip


WAVS = {f"ComParE2013_Emotion/dist/wav/{n}_0001.wav": "" for n in ("train", "devel", "test")}
LABELS = "ComParE2013_Emotion/dist/lab/ComParE2013_Emotion"


@pytest.mark.parametrize(
    ("table", "test"),
    [
        (
            "id\tarousal\tfile\temotion\n1\thigh\ttrain_0001.wav\tHot Anger\n2\tlow\tdevel_0001.wav\tadmiration\n",
            "test_0001.wav,cold anger\n",
        ),
        (
            "emotion\tpartition\tvalence\tname\nhot anger\ttrain\tneg\ttrain_0001\nother\tdevel\tpos\tdevel_0001\n"
            "?\ttest\t?\ttest_0001\n",
            "name;emotion\n'test_0001';'irritation'\n",
        ),
    ],
)
def test_columns_of_the_compare_tables_are_told_by_what_they_hold(table: str, test: str, tmp_path: Path) -> None:
    lists = {f"{LABELS}.tsv": table, f"{LABELS}.test.lab.csv": test, "ComParE2013_Emotion/arff/x.arff": ""}
    reading = _read("gemep-compare", {**WAVS, **lists}, tmp_path)
    assert reading.rejected == ()
    assert {(u.id, u.label, u.split) for u in reading.utterances} == {
        ("gemep/train_0001", "hot_anger", "train"),
        ("gemep/devel_0001", "other", "validation"),
        ("gemep/test_0001", "irritation", "test"),
    }
    assert not reading.speaker_independent


def test_an_unknown_class_of_the_compare_tables_stops_the_build(tmp_path: Path) -> None:
    table = "name\temotion\ntrain_0001.wav\tjealousy\ndevel_0001.wav\tpride\ntest_0001.wav\tpride\n"
    [rejection] = _read("gemep-compare", {**WAVS, f"{LABELS}.tsv": table}, tmp_path).rejected
    assert "ComParE2013_Emotion.tsv, line 2: unknown emotion code 'jealousy'" in str(rejection)
