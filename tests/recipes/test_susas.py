"""SUSAS: folders are searched for the names of styles, since their layout is not documented in public."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

import emoset
from emoset.reading import Reading, read_raw

ACTUAL = ("f1/hist/break1.sph", "f1/medst2/histogram1.sph", "m2/neutral/x/hot1.sph", "m2/scream/hot2.sph")
SIMULATED = ("angry/boston1/break1.sph", "c50_x/boston1/hot.sph", "neutral/general2/hot.sph", "quest/nyc3/fix.sph")


def _read(task: str, files: Iterable[str], root: Path) -> Reading:
    for name in files:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return read_raw(emoset.get_recipe(task), root)


def _facts(reading: Reading) -> dict[str, tuple[str, str | None]]:
    assert reading.rejected == ()
    return {u.id: (u.label, u.speaker) for u in reading.utterances}


@pytest.mark.parametrize("top", ["SUSAS/actual/", "actual_stress/", ""])
def test_actual_stress_is_the_main_task_wherever_the_raw_folder_begins(top: str, tmp_path: Path) -> None:
    files = [top + name for name in (*ACTUAL, "m2/freefall/hot3.sph")]
    if top:
        files += [f"SUSAS/simulated/{name}" for name in SIMULATED]
    reading = _read("susas", files, tmp_path)
    assert _facts(reading) == {
        "susas/f1/hist/break1": ("high_stress", None),
        "susas/f1/medst2/histogram1": ("medium_stress", None),
        "susas/m2/neutral/x/hot1": ("neutral", None),
        "susas/m2/scream/hot2": ("scream", None),
    }
    assert list(reading.excluded) == ["not one of the four classes that most papers use"]
    assert not reading.speaker_independent


def test_capital_letters_are_known(tmp_path: Path) -> None:
    reading = _read("susas", ["ACTUAL/F1/HIST/BREAK1.SPH", "ACTUAL/F1/Neutral/BREAK1.SPH"], tmp_path)
    assert {u.label for u in reading.utterances} == {"high_stress", "neutral"}
    assert reading.rejected == ()


@pytest.mark.parametrize("regions_first", [False, True])
def test_simulated_styles_have_speakers_by_region(regions_first: bool, tmp_path: Path) -> None:
    files: Iterable[str] = SIMULATED
    if regions_first:
        files = ["{1}/{0}/{2}".format(*name.split("/")) for name in SIMULATED]
    found = _facts(_read("susas-simulated", files, tmp_path))
    assert set(found.values()) == {
        ("anger", "susas:boston1"),
        ("workload_50", "susas:boston1"),
        ("neutral", "susas:general2"),
        ("style_question", "susas:nyc3"),
    }


def test_a_folder_without_a_style_is_rejected(tmp_path: Path) -> None:
    [rejection] = _read("susas", ["actual/f1/hist/a.sph", "actual/f1/calm/a.sph"], tmp_path).rejected
    assert "actual/f1/calm/a.sph: the recipe knows no such file" in str(rejection)


def test_a_manifest_comes_first(tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_text("path,label,speaker\nactual/hist/a.sph,High-Stress,f1\n")
    [utterance] = _read("susas", ["actual/hist/a.sph"], tmp_path).utterances
    assert (utterance.label, utterance.speaker) == ("high_stress", "susas:f1")
