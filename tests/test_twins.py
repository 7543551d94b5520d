"""Twins: real layout, true classes and speakers, deterministic, and built as strictly as the true corpus."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

import emoset
from emoset.errors import RawDataError
from emoset.reading import read_raw
from emoset.recipe import Manifest, PathPattern, Recipe, Split, Table
from emoset.schema import SPLITS
from emoset.twins import write_twin


def _contents(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def test_the_layout_is_the_real_one(raw_twins: Path) -> None:
    grammar = {
        "emodb": r"wav/\d\d[ab]\d\d[WLEAFTN][a-z]\.wav",
        "urdu": r"(Angry|Happy|Neutral|Sad)/S[MF]\d+_F\d+_[AHNS]\d+\.wav",
        "cremad": r"AudioWAV/1\d{3}_[A-Z]{3}_(ANG|DIS|FEA|HAP|NEU|SAD)_(LO|MD|HI|XX?)\.wav|VideoDemographics\.csv",
        "iemocap": r"Session([1-5])/(sentences/wav/(Ses0\1[FM]_\w+)/\3_[FM]\d{3}\.wav|dialog/EmoEvaluation/Ses0\1\w+\.txt)",
    }
    for corpus, regex in grammar.items():
        files = set(_contents(raw_twins / corpus)) - {"emoset-twin.json"}
        assert files
        assert [f for f in files if not re.fullmatch(regex, f)] == []


@pytest.mark.parametrize("name", ["emodb", "urdu", "cremad", "iemocap", "iemocap-full"])
def test_every_class_is_in_every_split_and_speakers_keep_their_gender(name: str, raw_twins: Path) -> None:
    recipe = emoset.get_recipe(name)
    reading = read_raw(recipe, raw_twins / recipe.id)
    assert reading.synthetic
    assert reading.rejected == ()
    assert {(u.split, u.label) for u in reading.utterances} == {(s, c) for s in SPLITS for c in recipe.classes}
    assert len({(u.speaker, u.gender) for u in reading.utterances}) == len({u.speaker for u in reading.utterances})
    assert all(u.gender for u in reading.utterances)


def test_a_seed_decides_everything(tmp_path: Path) -> None:
    for folder, seed in (("a", 3), ("b", 3), ("c", 4)):
        emoset.twin("emodb", tmp_path / folder, scale=0.05, seed=seed, progress=False)
    a, b, c = (_contents(tmp_path / f / "emodb") for f in "abc")
    assert a == b
    assert not {d for f, d in a.items() if f.endswith(".wav")} & {d for f, d in c.items() if f.endswith(".wav")}


def test_the_scale_scales_the_true_counts(tmp_path: Path) -> None:
    [root] = emoset.twin("emodb", tmp_path, scale=0.2, progress=False)
    labels = Counter(u.label for u in emoset.get_recipe("emodb").utterances(root))
    assert labels == {
        "anger": 25,
        "boredom": 16,
        "disgust": 9,
        "fear": 14,
        "happiness": 14,
        "neutral": 16,
        "sadness": 12,
    }


def test_a_twin_replaces_a_twin_and_nothing_else(tmp_path: Path) -> None:
    emoset.twin("emodb", tmp_path, scale=0.05, progress=False)
    emoset.twin("emodb", tmp_path, scale=0.05, seed=1, progress=False)
    (tmp_path / "urdu").mkdir()
    (tmp_path / "urdu" / "precious.wav").write_bytes(b"x")
    with pytest.raises(RawDataError, match=r"the folder exists and is not a twin.*choose another --out"):
        emoset.twin("urdu", tmp_path, progress=False)
    assert (tmp_path / "urdu" / "precious.wav").read_bytes() == b"x"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["emodb", "urdu"]


def test_one_lost_file_is_noticed(tmp_path: Path) -> None:
    [root] = emoset.twin("emodb", tmp_path, scale=0.05, progress=False)
    next(root.glob("wav/*.wav")).unlink()
    with pytest.raises(RawDataError, match=r"the corpus as a whole: \d+ utterances, not \d+"):
        list(emoset.get_recipe("emodb").utterances(root))


def test_a_table_and_a_manifest_have_twins_too(tmp_path: Path) -> None:
    table = Table(
        audio=PathPattern(regex=r"wav/(?P<name>[a-z]{3}\d\d)\.wav"), file=r"labels\.csv", key="{file}", delimiter=";",
        columns={"label": "emotion", "speaker": "who"},
    )  # fmt: skip
    for i, way in enumerate((table, Manifest())):
        recipe = Recipe(
            id="mine", title="Mine", languages=("en",), kind="acted", access="open", licence="CC0", citation="none",
            version="1.0.0", labels={"A": "anger", "N": "neutral"}, found_by=way,
            split=Split(train=("1",), validation=("2",), test=("3",)),
        )  # fmt: skip
        root = write_twin(recipe, tmp_path / str(i), 0.1, 0, False)
        found = list(recipe.utterances(root))
        assert Counter(u.label for u in found) == {"anger": 10, "neutral": 10}
        assert {u.speaker for u in found} == {"mine:1", "mine:2", "mine:3"}
