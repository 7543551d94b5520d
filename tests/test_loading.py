"""Loading: ordinary `datasets` objects whose audio is decoded here."""

from __future__ import annotations

import pickle
from pathlib import Path

import datasets
import numpy as np
import pytest

import emoset
from emoset.audio import sample_hash
from emoset.errors import AudioError, NotBuiltError, UnknownNameError
from emoset.shards import read_shard

pytestmark = pytest.mark.filterwarnings("ignore:.*SYNTHETIC:UserWarning")


def test_all_splits_or_one(data_dir: Path) -> None:
    splits = emoset.load_dataset("emodb", data_dir=data_dir)
    assert isinstance(splits, datasets.DatasetDict)
    assert list(splits) == ["train", "validation", "test"]
    one = emoset.load_dataset("emodb", "test", data_dir=data_dir)
    assert isinstance(one, datasets.Dataset)
    assert one["id"] == splits["test"]["id"]


def test_a_row_reads_as_float32_samples_equal_to_the_stored_ones(data_dir: Path) -> None:
    for row in emoset.load_dataset("urdu", "train", data_dir=data_dir):
        audio = row["audio"]
        assert set(audio) == {"array", "sampling_rate", "path"}
        assert (audio["array"].dtype, audio["array"].ndim, audio["sampling_rate"]) == (np.float32, 1, 16000)
        stored = (audio["array"] * 32768).astype(np.int16)
        assert np.array_equal(stored / np.float32(32768), audio["array"])
        assert sample_hash(stored) == row["sha256"]
        assert len(stored) == round(row["duration"] * 16000)


@pytest.mark.parametrize("labels", ["label", "emotion", "arousal", "valence", "label_raw"])
def test_the_chosen_label_column_has_classes_in_alphabetical_order(labels: str, data_dir: Path) -> None:
    splits = emoset.load_dataset("iemocap-full", data_dir=data_dir, labels=labels)
    stored = {
        r["id"]: r[labels] for p in sorted(data_dir.glob("iemocap-full/*.arrow")) for r in read_shard(p).to_pylist()
    }
    for split in splits.values():
        feature = split.features[labels]
        assert feature.names == sorted({v for v in stored.values() if v is not None})
        for row in split:
            name = None if row[labels] is None else feature.int2str(row[labels])
            assert name == stored[row["id"]]
        assert split.column_names == list(splits["train"].column_names)


def test_bytes_without_decoding(data_dir: Path) -> None:
    row = emoset.load_dataset("emodb", "test", data_dir=data_dir, decode=False)[0]
    assert row["audio"]["bytes"][:4] == b"RIFF"


def test_map_filter_select_shuffle_and_pickle(data_dir: Path) -> None:
    train = emoset.load_dataset("emodb", "train", data_dir=data_dir)
    longer = train.map(lambda r: {"n": len(r["audio"]["array"])}, keep_in_memory=True)
    assert longer["n"] == [round(d * 16000) for d in train["duration"]]
    assert np.array_equal(longer[1]["audio"]["array"], train[1]["audio"]["array"])
    assert set(train.filter(lambda r: r["label"] == 0, keep_in_memory=True)["label"]) == {0}
    shuffled = train.shuffle(seed=0, keep_in_memory=True)
    assert sorted(shuffled["id"]) == train["id"][:]
    copied = pickle.loads(pickle.dumps(shuffled.select([3])))  # noqa: S301 - our own bytes, in memory
    assert np.array_equal(copied[0]["audio"]["array"], shuffled[3]["audio"]["array"])


def test_nothing_is_written_into_a_built_folder(data_dir: Path) -> None:
    before = sorted((p, p.stat().st_mtime_ns) for p in data_dir.rglob("*"))
    train = emoset.load_dataset("emodb", "train", data_dir=data_dir)
    train.map(lambda r: {"n": 1})
    train.filter(lambda r: r["label"] == 0)
    train.shuffle(seed=0).select([0])[0]
    train.train_test_split(0.5, seed=0)
    train.sort("duration")
    train.select([1, 2]).map(lambda r: {"n": 1})
    list(train)
    assert sorted((p, p.stat().st_mtime_ns) for p in data_dir.rglob("*")) == before


def test_it_saves_as_plain_audio(data_dir: Path, tmp_path: Path) -> None:
    test = emoset.load_dataset("emodb", "test", data_dir=data_dir)
    test.save_to_disk(tmp_path / "saved")
    again = datasets.load_from_disk(tmp_path / "saved")
    assert type(again.features["audio"]) is datasets.Audio
    raw = again.cast_column("audio", datasets.Audio(decode=False))
    stored = emoset.load_dataset("emodb", "test", data_dir=data_dir, decode=False)
    assert [r["audio"]["bytes"] for r in raw] == [r["audio"]["bytes"] for r in stored]


def test_audio_that_does_not_fit_is_refused_when_written(data_dir: Path) -> None:
    feature = emoset.load_dataset("emodb", "test", data_dir=data_dir).features["audio"]
    for value, message in (
        ({"array": np.zeros((2, 5)), "sampling_rate": 16000}, r"audio of shape \(2, 5\) at 16000 Hz"),
        ({"array": np.zeros(5), "sampling_rate": 8000}, "at 8000 Hz"),
        ("path.wav", "audio is given as str"),
    ):
        with pytest.raises(AudioError, match=message):
            feature.encode_example(value)


def test_the_default_folder_is_the_variable_else_the_users_cache(
    monkeypatch: pytest.MonkeyPatch, data_dir: Path
) -> None:
    from emoset.shards import default_data_dir

    monkeypatch.setenv("EMOSET_HOME", str(data_dir))
    assert len(emoset.load_dataset("emodb", "test")) > 0
    monkeypatch.delenv("EMOSET_HOME")
    assert default_data_dir().name == "emoset"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("emo-db", None), r"unknown corpus 'emo-db'.*nearest: emodb"),
        (("emodb", "tset"), r"unknown split 'tset'; expected one of test, train, validation \(nearest: test"),
        (("emodb", "test", "labels"), r"unknown label column 'labels'.*nearest: label"),
    ],
)
def test_unknown_names_are_answered_with_the_nearest(arguments: tuple[str, ...], message: str, data_dir: Path) -> None:
    name, split, *labels = arguments
    with pytest.raises(UnknownNameError, match=message):
        emoset.load_dataset(name, split, data_dir=data_dir, **({"labels": labels[0]} if labels else {}))


def test_a_corpus_that_is_not_built_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(NotBuiltError, match=r"emodb is not built there.*run 'emoset build emodb --raw FOLDER --out"):
        emoset.load_dataset("emodb", data_dir=tmp_path)


@pytest.mark.parametrize(
    ("name", "protocol", "count"), [("emodb", "leave-one-speaker-out", 10), ("iemocap", "leave-one-session-out", 5)]
)
def test_the_folds_of_a_protocol_hold_out_each_value_once(name: str, protocol: str, count: int, data_dir: Path) -> None:
    everything = {i for split in emoset.load_dataset(name, data_dir=data_dir).values() for i in split["id"]}
    seen: list[str] = []
    for _, train, test in emoset.load_folds(name, protocol, data_dir=data_dir):
        assert set(train["id"]) | set(test["id"]) == everything
        assert not set(train["speaker"]) & set(test["speaker"])
        seen += test["id"]
    assert sorted(seen) == sorted(everything)
    assert len(list(emoset.load_folds(name, protocol, data_dir=data_dir))) == count


def test_an_unknown_protocol_is_answered_with_the_nearest(data_dir: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown protocol 'speakers'.*leave-one-speaker-out"):
        next(iter(emoset.load_folds("emodb", "speakers", data_dir=data_dir)))
