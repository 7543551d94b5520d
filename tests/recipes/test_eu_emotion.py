"""EU-EV and EU-EmoSS, which circulate in one folder: each takes its own files, and low intensity is no class."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

import emoset
from emoset.reading import Reading, read_raw

UK = "EU_emotions/EU Emotion - UK Voices"
FACES = "EU_emotions/emotions 2/HD Version - Face, Body, Social/Faces - HD Version"
FILES = (
    f"{UK}/Original/Angry - Low Intensity/x1.mp3",
    f"{UK}/Original/Angry/x1.mp3",
    f"{UK}/Original/Sneaky/y2.mp3",
    f"{UK}/Fixed - amplified volume/Sneaky/y2.mp3",
    f"{FACES}/EDITED/Angry - Low Intensity/EF12_cut.mp4",
    f"{FACES}/EDITED/Kind/HF23v2_cut.mp4",
    f"{FACES}/Original/Kind/HF23v2.mov",
    "EU_emotions/emotions 2/Still Images - Faces/Kind/HF23.jpg",
    "EU_emotions/EU Emotion - Swedish Voices/Original/Angry/x1.mp3",
)


def _read(corpus: str, files: Iterable[str], root: Path) -> Reading:
    for name in files:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return read_raw(emoset.get_recipe(corpus), root)


def _facts(reading: Reading) -> set[tuple[str, str, str, bool]]:
    return {(u.id, u.file, u.label, '"intensity": "Low"' in (u.extra or "")) for u in reading.utterances}


VOICES = {
    ("eu_ev/Angry/x1", "EU Emotion - UK Voices/Original/Angry/x1.mp3", "anger", False),
    (
        "eu_ev/Angry - Low Intensity/x1", "EU Emotion - UK Voices/Original/Angry - Low Intensity/x1.mp3",
        "anger", True,
    ),
    ("eu_ev/Sneaky/y2", "EU Emotion - UK Voices/Original/Sneaky/y2.mp3", "sneakiness", False),
}  # fmt: skip


def test_voices(tmp_path: Path) -> None:
    reading = _read("eu_ev", FILES, tmp_path)
    assert reading.rejected == ()
    assert _facts(reading) == VOICES
    assert not reading.speaker_independent
    assert _facts(read_raw(emoset.get_recipe("eu_ev"), tmp_path / UK)) == VOICES
    assert _facts(read_raw(emoset.get_recipe("eu_ev"), tmp_path / UK / "Original")) == VOICES


def test_faces(tmp_path: Path) -> None:
    reading = _read("eu_emoss", FILES, tmp_path)
    assert reading.rejected == ()
    part = "Faces - HD Version/"
    assert _facts(reading) == {
        (f"eu_emoss/{part}Kind/HF23v2_cut", f"{part}EDITED/Kind/HF23v2_cut.mp4", "kindness", False),
        (
            f"eu_emoss/{part}Angry - Low Intensity/EF12_cut",
            f"{part}EDITED/Angry - Low Intensity/EF12_cut.mp4", "anger", True,
        ),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (f"{UK}/Original/Furious/x.mp3", "unknown emotion code 'Furious'"),
        (f"{UK}/Original/Angry/x.mp4", "the recipe knows no such file"),
        (f"{UK}/Original/Angry - High Intensity/x.mp3", "the recipe knows no such file"),
    ],
)
def test_a_damaged_name_is_explained(name: str, message: str, tmp_path: Path) -> None:
    [rejection] = _read("eu_ev", (*FILES, name), tmp_path).rejected
    assert message in str(rejection)


def test_a_manifest_tells_speakers_and_splits(tmp_path: Path) -> None:
    lines = "path,label,speaker,split\na/1.mp3,angry,s1,train\na/2.mp3,Sneaky,s2,test\n"
    (tmp_path / "manifest.csv").write_text(lines)
    reading = _read("eu_ev", ("a/1.mp3", "a/2.mp3"), tmp_path)
    assert reading.rejected == ()
    assert [(u.label, u.speaker, u.split) for u in reading.utterances] == [
        ("anger", "eu_ev:s1", "train"), ("sneakiness", "eu_ev:s2", "test"),
    ]  # fmt: skip
    assert reading.speaker_independent
