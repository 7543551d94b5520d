"""The whole path on real speech: EMO-DB and URDU as distributed, and real file lists."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

import emoset
from emoset.reading import read_raw

CLASSES = {
    "emodb": {"anger": 127, "boredom": 81, "disgust": 46, "fear": 69, "happiness": 71, "neutral": 79, "sadness": 62},
    "urdu": {"anger": 100, "happiness": 100, "neutral": 100, "sadness": 100},
}


@pytest.fixture(scope="session")
def real_raw(shared_folder: Path) -> Path:
    return shared_folder / "realdata"


@pytest.fixture(scope="session")
def real_data(real_raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("real")
    emoset.build(["emodb", "urdu"], real_raw, folder, progress=False)
    return folder


@pytest.mark.parametrize(("name", "utterances", "speakers"), [("emodb", 535, 10), ("urdu", 400, 29)])
def test_the_counts_are_the_true_ones(name: str, utterances: int, speakers: int, real_data: Path) -> None:
    rows = [
        (split, r)
        for split, ds in emoset.load_dataset(name, data_dir=real_data).items()
        for r in ds.remove_columns("audio")
    ]
    feature = emoset.load_dataset(name, "train", data_dir=real_data).features["label"]
    assert len(rows) == utterances
    assert len({r["speaker"] for _, r in rows}) == speakers
    assert Counter(feature.int2str(r["label"]) for _, r in rows) == CLASSES[name]
    assert len({(split, r["speaker"]) for split, r in rows}) == speakers


def test_emodb_samples_are_those_of_the_source_files_bit_for_bit(real_raw: Path, real_data: Path) -> None:
    compared = 0
    for split in emoset.load_dataset("emodb", data_dir=real_data).values():
        for row in split:
            source, rate = soundfile.read(real_raw / "emodb" / row["audio"]["path"], dtype="int16")
            assert rate == 16000
            assert np.array_equal(row["audio"]["array"] * 32768, source)
            compared += 1
    assert compared == 535


def test_urdu_is_resampled_by_soxr_very_high_quality(real_raw: Path, real_data: Path) -> None:
    for row in emoset.load_dataset("urdu", "test", data_dir=real_data):
        source, rate = soundfile.read(real_raw / "urdu" / row["audio"]["path"], dtype="float32")
        assert rate == 44100
        expected = np.clip(np.rint(soxr.resample(source, rate, 16000, quality="VHQ") * 32768), -32768, 32767)
        assert np.array_equal(row["audio"]["array"] * 32768, expected)


def test_every_file_of_emodb_is_accounted_for(real_raw: Path) -> None:
    reading = read_raw(emoset.get_recipe("emodb"), real_raw / "emodb")
    assert reading.rejected == ()
    assert {rule: len(files) for rule, files in reading.ignored.items()} == {
        "documentation": 2,
        "phonetic segmentation": 1566,
    }
    assert len(reading.utterances) + 1568 == sum(1 for p in (real_raw / "emodb").rglob("*") if p.is_file())


def test_the_real_folder_verifies(real_data: Path) -> None:
    assert emoset.verify(real_data, progress=False).ok


@pytest.mark.parametrize("name", ["emodb", "urdu", "cremad"])
def test_a_real_file_list_gives_every_label_speaker_and_gender(name: str, shared_folder: Path, tmp_path: Path) -> None:
    rows = list(csv.DictReader((shared_folder / "listings" / f"{name}.csv").open()))
    for row in rows:
        (tmp_path / row["path"]).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / row["path"]).touch()
    recipe = emoset.get_recipe(name)
    reading = read_raw(recipe, tmp_path)
    assert reading.rejected == ()
    found = {u.path: u for u in reading.utterances}
    left_out = {f for files in reading.excluded.values() for f in files}
    assert found.keys() | left_out == {r["path"] for r in rows}
    words = {"happy": "happiness", "sad": "sadness", "A": "anger", "H": "happiness", "N": "neutral", "S": "sadness"}
    for row in rows:
        if row["path"] in left_out:
            continue
        u = found[row["path"]]
        assert row["label"] == u.label_raw or words.get(row["label"], row["label"]) == u.label
        assert (u.speaker, u.gender) == (f"{name}:{row['speaker']}", row["gender"])
