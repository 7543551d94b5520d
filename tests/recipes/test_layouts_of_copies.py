"""CASIA, ESD and EmoFilm: copies that differ in layout give the same utterances."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import emoset
from emoset.reading import read_raw
from emoset.utterance import Utterance

SPEAKERS = ("liuchanhg", "wangzhe", "zhaoquanyin", "ZhaoZuoxiang")
EMOTIONS = ("angry", "fear", "happy", "neutral", "sad", "surprise")
OTHER_NAMES = {"Chang.Liu": "f", "Quanyin.Zhao": "f", "Zhe.Wang": "m", "Zuoxiang.Zhao": "m"}


def _read(name: str, files: Iterable[str], root: Path) -> tuple[Utterance, ...]:
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).touch()
    reading = read_raw(emoset.get_recipe(name), root)
    assert [str(r) for r in reading.rejected if r.where != "the corpus as a whole"] == []
    return reading.utterances


def _facts(utterances: Iterable[Utterance]) -> set[tuple[str | None, ...]]:
    return {(u.id, u.label, u.speaker, u.gender, u.language, u.split) for u in utterances}


def test_three_copies_of_the_casia_sample_are_one(tmp_path: Path) -> None:
    items = [(s, e, n) for s in SPEAKERS for e in EMOTIONS for n in (201, 250)]
    mixed = _facts(_read("casia", [f"{s}/{e}/{n}.wav" for s, e, n in items], tmp_path / "mixed"))
    lower = _facts(_read("casia", [f"6/{s.lower()}/{e}/{n}.wav" for s, e, n in items], tmp_path / "lower"))
    flat = _facts(_read("casia", [f"{e}/{n}-{e}-{s}.wav" for s, e, n in items], tmp_path / "flat"))
    assert mixed == lower == flat


def test_the_two_trees_of_the_full_casia_have_the_same_speakers(tmp_path: Path) -> None:
    same = [f"相同文本300/{s}/{e}/001.wav" for s in SPEAKERS for e in EMOTIONS]
    other = [f"不同文本100/{s}/{e.replace('neutral', 'normal')}/001.wav" for s in OTHER_NAMES for e in EMOTIONS]
    found = _read("casia", same + other, tmp_path)
    assert len({u.id for u in found}) == 48
    assert {u.speaker for u in found} == {f"casia:{s.lower()}" for s in SPEAKERS}
    assert {u.gender[0] for u in found if u.gender and "Chang.Liu" in u.path} == {"f"}
    assert {u.label for u in found if "/normal/" in u.path} == {"neutral"}


def test_both_releases_of_esd_give_the_same_and_one_the_official_split(tmp_path: Path) -> None:
    items = [
        (f"{s:04}", part, n) for s in range(1, 21) for n, part in ((351, "evaluation"), (371, "test"), (700, "train"))
    ]
    flat = [f"ESD/{s}/Angry/{s}_{n:06}.wav" for s, _, n in items] + ["ESD/0001/0001.txt", "ESD/ReadMe.txt"]
    deep = [f"{s}/Angry/{part}/{s}_{n:06}.wav" for s, part, n in items]
    assert _facts(_read("esd", flat, tmp_path / "flat")) == _facts(_read("esd", deep, tmp_path / "deep"))
    official = _read("esd-official", deep, tmp_path / "deep")
    assert {(u.path.split("/")[2], u.split) for u in official} == {
        ("train", "train"), ("evaluation", "validation"), ("test", "test"),
    }  # fmt: skip
    assert {u.language for u in official if u.speaker and u.speaker > "esd:0010"} == {"en"}


def test_a_scene_of_emofilm_is_in_one_split_in_all_languages(tmp_path: Path) -> None:
    files = [
        f"{g}_{e}{n:03}a{la}.wav" for g in "fm" for e in ("ans", "dis") for n in range(9) for la in ("en", "es", "it")
    ]
    splits = defaultdict(set)
    found = _read("emofilm", [*files, "f_m_corpus_it_es_en_legend.xlsx"], tmp_path)
    for u in found:
        splits[u.id[:-2]].add(u.split)
    assert len(found) == len(files)
    assert all(len(homes) == 1 for homes in splits.values())
    assert {u.language for u in found} == {"en", "es", "it"}
