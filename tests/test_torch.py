from __future__ import annotations

import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

import emoset
from emoset.errors import DataFolderError, EmosetError, NotBuiltError, UnknownNameError
from emoset.torch import UtteranceDataset, collate

pytestmark = pytest.mark.filterwarnings("ignore:.*SYNTHETIC")


@pytest.fixture(scope="module")
def whole(data_dir: Path) -> UtteranceDataset:
    return UtteranceDataset("emodb", "train", data_dir=data_dir)


@pytest.fixture
def copy(data_dir: Path, tmp_path: Path) -> Path:
    shutil.copytree(data_dir / "emodb", tmp_path / "emodb")
    return tmp_path


@pytest.mark.parametrize("split", ["train", "validation", "test"])
@pytest.mark.parametrize(("corpus", "labels"), [("emodb", "label"), ("iemocap", "label"), ("urdu", "arousal")])
def test_same_rows_as_load_dataset(data_dir: Path, corpus: str, labels: str, split: str) -> None:
    expected = emoset.load_dataset(corpus, split, data_dir=data_dir, labels=labels)
    rows = [row for row in expected if row[labels] is not None]
    found = UtteranceDataset(corpus, split, data_dir=data_dir, labels=labels)
    assert len(found) == len(rows)
    assert found.left_out == len(expected) - len(rows)
    assert list(found.classes) == expected.features[labels].names
    for item, row in zip((found[i] for i in range(len(found))), rows, strict=True):
        assert item["audio"].dtype == torch.float32
        np.testing.assert_array_equal(item["audio"].numpy(), row["audio"]["array"])
        assert (item["label"], item["length"]) == (row[labels], len(row["audio"]["array"]))


def test_rows_without_a_label_are_left_out(data_dir: Path) -> None:
    for corpus in ("iemocap-full", "cremad"):
        table = emoset.load_dataset(corpus, "train", data_dir=data_dir, labels="emotion")
        absent = sum(value is None for value in table["emotion"])
        found = UtteranceDataset(corpus, "train", data_dir=data_dir, labels="emotion")
        assert (len(found), found.left_out) == (len(table) - absent, absent)
        assert (found.labels >= 0).all()


def test_random_crops(data_dir: Path, whole: UtteranceDataset) -> None:
    crops = UtteranceDataset("emodb", "train", data_dir=data_dir, window=0.5, seed=1)
    index = int(np.argmax([whole[i]["length"] for i in range(len(whole))]))
    signal = whole[index]["audio"]
    starts = set()
    for epoch in range(20):
        crops.set_epoch(epoch)
        item = crops[index]
        assert (len(item["audio"]), item["length"]) == (8_000, 8_000)
        matches = (signal.unfold(0, 30, 1)[:-7_970] == item["audio"][:30]).all(1).nonzero().flatten().tolist()
        starts |= {s for s in matches if torch.equal(signal[s : s + 8_000], item["audio"])}
        assert matches
        assert torch.equal(crops[index]["audio"], item["audio"])  # the same epoch, the same crop
    assert len(starts) > 15
    again = UtteranceDataset("emodb", "train", data_dir=data_dir, window=0.5, seed=1)
    again.set_epoch(19)
    assert torch.equal(again[index]["audio"], crops[index]["audio"])
    other = UtteranceDataset("emodb", "train", data_dir=data_dir, window=0.5, seed=2)
    other.set_epoch(19)
    assert not torch.equal(other[index]["audio"], crops[index]["audio"])


def test_centre_whole_and_padding(data_dir: Path, whole: UtteranceDataset) -> None:
    signal = whole[0]["audio"]
    centre = UtteranceDataset("emodb", "train", data_dir=data_dir, window=0.25, crop="centre")[0]["audio"]
    start = (len(signal) - 4_000) // 2
    assert torch.equal(centre, signal[start : start + 4_000])
    ignoring = UtteranceDataset("emodb", "train", data_dir=data_dir, window=0.25, crop="whole")[0]
    assert torch.equal(ignoring["audio"], signal)
    for crop in ("random", "centre"):
        long = UtteranceDataset("emodb", "train", data_dir=data_dir, window=60, crop=crop)[0]
        assert long["length"] == len(signal)
        assert torch.equal(long["audio"][: len(signal)], signal)  # zeros after the signal, none before
        assert len(long["audio"]) == 960_000
        assert not long["audio"][len(signal) :].any()


def test_pickle_and_workers(data_dir: Path) -> None:
    crops = UtteranceDataset("emodb", "validation", data_dir=data_dir, window=1.0, seed=4)
    content = pickle.dumps(crops)
    assert len(content) < 20_000  # no map and no audio in it
    again = pickle.loads(content)  # noqa: S301
    assert torch.equal(again[1]["audio"], crops[1]["audio"])
    alone = list(DataLoader(crops, batch_size=3, collate_fn=collate))
    spread = list(DataLoader(crops, batch_size=3, collate_fn=collate, num_workers=1, multiprocessing_context="spawn"))
    assert len(alone) == len(spread) > 0
    for one, other in zip(alone, spread, strict=True):
        assert all(torch.equal(one[key], other[key]) for key in ("audio", "label", "length"))


def test_items_are_the_callers(whole: UtteranceDataset) -> None:
    whole[0]["audio"].zero_()
    assert whole[0]["audio"].any()
    assert torch.equal(whole[-1]["audio"], whole[len(whole) - 1]["audio"])
    with pytest.raises(IndexError, match=f"index {len(whole)} of {len(whole)} utterances"):
        whole[len(whole)]
    assert sum(1 for _ in whole) == len(whole)


def test_collate_pads_after_the_signal(whole: UtteranceDataset) -> None:
    items = [whole[i] for i in range(3)]
    batch = collate(items)
    assert batch["audio"].shape == (3, max(item["length"] for item in items))
    for row, item in zip(batch["audio"], items, strict=True):
        assert torch.equal(row[: item["length"]], item["audio"])
        assert not row[item["length"] :].any()
    assert batch["label"].tolist() == [item["label"] for item in items]
    assert batch["length"].dtype == torch.int64


def test_not_built(data_dir: Path, tmp_path: Path) -> None:
    message = r"emodb is not built there; expected the folder emodb/ \(built: nothing\)\. To do: run 'emoset build emodb --out "
    with pytest.raises(NotBuiltError, match=message):
        UtteranceDataset("emodb", "train", data_dir=tmp_path)
    with pytest.raises(FileNotFoundError, match=r"ravdess is not built there; .*built: cremad, emodb"):
        UtteranceDataset("ravdess", "train", data_dir=data_dir)


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"split": "dev"}, "unknown split 'dev'; expected one of test, train, validation"),
        ({"labels": "emotions"}, r"unknown label column 'emotions'.*nearest: emotion"),
        ({"crop": "center"}, r"unknown crop 'center'; expected one of centre, random, whole \(nearest: centre"),
    ],
)
def test_unknown_names(data_dir: Path, choices: dict[str, str], message: str) -> None:
    with pytest.raises(UnknownNameError, match=message):
        UtteranceDataset("emodb", **{"split": "train", **choices}, data_dir=data_dir)


def test_windows_must_be_positive(data_dir: Path) -> None:
    with pytest.raises(EmosetError, match="a window of 0 seconds; expected more than 0, or None"):
        UtteranceDataset("emodb", "train", data_dir=data_dir, window=0)


def test_damaged_shards(copy: Path) -> None:
    shard = next((copy / "emodb").glob("train-*.arrow"))
    content = shard.read_bytes()
    shard.write_bytes(content[: len(content) // 2])
    with pytest.raises(DataFolderError, match=rf"{shard.name}: the shard cannot be read"):
        UtteranceDataset("emodb", "train", data_dir=copy)
    shard.unlink()
    with pytest.raises(UnknownNameError, match="unknown split 'train'"):
        UtteranceDataset("emodb", "train", data_dir=copy)


def test_a_lost_shard_is_noticed(copy: Path) -> None:
    import pyarrow as pa

    shard = next((copy / "emodb").glob("train-*.arrow"))
    with pa.OSFile(str(shard)) as source:
        table = pa.ipc.open_stream(source).read_all()
    with pa.OSFile(str(shard), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table.slice(0, table.num_rows - 1))
    with pytest.raises(
        DataFolderError, match=rf"{table.num_rows - 1} rows in the shards of train; expected the manifest"
    ):
        UtteranceDataset("emodb", "train", data_dir=copy)


def test_audio_that_is_no_wav(copy: Path) -> None:
    shard = next((copy / "emodb").glob("train-*.arrow"))
    shard.write_bytes(shard.read_bytes().replace(b"RIFF", b"fLaC"))
    dataset = UtteranceDataset("emodb", "train", data_dir=copy)
    with pytest.raises(DataFolderError, match=rf"{shard.name}: row 0 is not stored as a canonical 16-bit WAV"):
        dataset[0]
