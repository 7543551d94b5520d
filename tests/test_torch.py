from __future__ import annotations

import json
import pickle
import re
import shutil
from collections.abc import Callable
from copy import copy as copy_of
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from torch.utils.data import ConcatDataset, DataLoader, Subset

import emoset
from emoset.augmentation import Augmentation, Noise, Pipeline
from emoset.errors import DataFolderError, EmosetError, NotBuiltError, UnknownNameError
from emoset.torch import Loader, ShuffleSampler, UtteranceDataset, _drawn, collate, mask

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


def test_several_corpora(data_dir: Path) -> None:
    names = ("urdu", "emodb")
    both = UtteranceDataset(names, "train", data_dir=data_dir)
    singles = [UtteranceDataset(name, "train", data_dir=data_dir) for name in names]
    assert both.corpora == names
    assert both.classes == tuple(sorted({*singles[0].classes, *singles[1].classes}))
    assert both.classes_of == {name: single.classes for name, single in zip(names, singles, strict=True)}
    assert both.build == {name: single.build for name, single in zip(names, singles, strict=True)}
    assert both.corpus.tolist() == [0] * len(singles[0]) + [1] * len(singles[1])
    own = UtteranceDataset(names, "train", data_dir=data_dir, own_classes=True)
    rows = [(number, row) for number, single in enumerate(singles) for row in range(len(single))]
    for index, (number, row) in enumerate(rows):
        item, alone = both[index], singles[number][row]
        assert torch.equal(item["audio"], alone["audio"])
        assert item["corpus"] == number
        assert both.classes[item["label"]] == singles[number].classes[alone["label"]]
        assert own[index]["label"] == alone["label"]
        assert "corpus" not in alone
    batch = next(iter(DataLoader(both, batch_size=len(both), collate_fn=collate)))
    assert batch["corpus"].tolist() == both.corpus.tolist()
    assert torch.equal(collate([both[i] for i in range(len(both))])["corpus"], batch["corpus"])
    assert UtteranceDataset(["emodb"], "train", data_dir=data_dir)[0]["corpus"] == 0


@pytest.mark.parametrize("names", [[], ["emodb", "emodb"]])
def test_corpora_are_given_once(data_dir: Path, names: list[str]) -> None:
    with pytest.raises(EmosetError, match="expected at least one, each of them once"):
        UtteranceDataset(names, "train", data_dir=data_dir)


def test_joined_splits(data_dir: Path, whole: UtteranceDataset) -> None:
    validation = UtteranceDataset("emodb", "validation", data_dir=data_dir)
    joined = UtteranceDataset("emodb", "train+validation", data_dir=data_dir)
    assert len(joined) == len(whole) + len(validation)
    assert torch.equal(joined[len(whole)]["audio"], validation[0]["audio"])
    assert len(UtteranceDataset("emodb", "all", data_dir=data_dir)) == len(
        emoset.load_dataset("emodb", "train+validation+test", data_dir=data_dir)
    )
    with pytest.raises(UnknownNameError, match="unknown split 'dev'"):
        UtteranceDataset("emodb", "train+dev", data_dir=data_dir)


def test_arrays_of_the_rows(data_dir: Path, whole: UtteranceDataset) -> None:
    expected = emoset.load_dataset("emodb", "train", data_dir=data_dir)
    assert [whole.speaker_names[code] for code in whole.speakers] == expected["speaker"][:]
    np.testing.assert_allclose(whole.seconds, expected["duration"][:], atol=1e-4)
    assert whole.seconds.dtype == np.float32
    assert whole.lengths.tolist() == [item["length"] for item in whole]


@pytest.mark.parametrize(
    "options", [{}, {"window": 0.3}, {"window": 1.5, "seed": 7}, {"window": 2.5, "crop": "centre"}]
)
def test_batches_are_the_items(data_dir: Path, options: dict[str, Any]) -> None:
    dataset = UtteranceDataset("emodb", "train", data_dir=data_dir, **options)
    dataset.set_epoch(3)
    rows = [5, 0, -1, 5, 2]
    batch = dataset.__getitems__(rows)
    assert len(batch) == len(rows)
    for item, row in zip(batch, rows, strict=True):
        alone = dataset[row]
        assert item.keys() == alone.keys()
        assert torch.equal(item["audio"], alone["audio"])
        assert (item["label"], item["length"]) == (alone["label"], alone["length"])
    together, one_by_one = collate(batch), collate([dataset[row] for row in rows])
    assert together.keys() == one_by_one.keys()
    assert all(torch.equal(together[key], one_by_one[key]) for key in together)


def test_the_usual_wrappers_of_pytorch(data_dir: Path) -> None:
    crops = UtteranceDataset("emodb", "train", data_dir=data_dir, window=0.5)
    other = UtteranceDataset("urdu", "train", data_dir=data_dir, window=0.5)
    [plain] = DataLoader(Subset(crops, [2, 0]), batch_size=2)  # collated by PyTorch itself
    [ours] = DataLoader(Subset(crops, [2, 0]), batch_size=2, collate_fn=collate)
    assert all(torch.equal(plain[key], ours[key]) for key in ("audio", "label", "length"))
    joined = ConcatDataset([crops, other])
    [batch] = DataLoader(Subset(joined, [0, len(crops)]), batch_size=2, collate_fn=collate)
    assert torch.equal(batch["audio"][1], other[0]["audio"])


def test_crops_are_uniform() -> None:
    rows = np.arange(200_000)
    counts = np.bincount(_drawn(3, 5, rows, np.full(len(rows), 50)), minlength=50)
    assert len(counts) == 50
    assert ((counts - 4_000) ** 2 / 4_000).sum() < 90  # chi-square of 49 degrees of freedom, p < 0.001
    neighbours = [
        _drawn(seed, epoch, rows, np.full(len(rows), 2**31)) for seed, epoch in ((0, 0), (0, 1), (1, 0), (1, 1))
    ]
    assert abs(np.corrcoef(neighbours)[np.triu_indices(4, 1)]).max() < 0.01
    assert abs(np.corrcoef(neighbours[0][1:], neighbours[0][:-1])[0, 1]) < 0.01
    assert not _drawn(3, 5, rows, np.ones_like(rows)).any()
    assert _drawn(-1, 0, rows, np.full(len(rows), 9)).max() == 8


def test_mask() -> None:
    assert mask(torch.tensor([2, 0]), 3).tolist() == [[True, True, False], [False, False, False]]
    assert mask(torch.tensor([2, 1])).shape == (2, 2)


class Marking:
    """An augmentation that shows what it was called with, and changes the length."""

    def __init__(self, longer: int = 0) -> None:
        self.longer = longer

    def __call__(self, samples: np.ndarray, *, epoch: int, index: int) -> np.ndarray:
        assert samples.dtype == np.float32
        assert abs(samples).max() <= 1
        changed = samples.copy()
        changed[:3] = epoch, index, len(samples)
        return np.pad(changed, (0, self.longer)) if self.longer >= 0 else changed[: self.longer]


@pytest.mark.parametrize("longer", [0, 100, -100])
@pytest.mark.parametrize("window", [None, 0.1, 30.0])
def test_augmentation_comes_before_the_zeros(
    data_dir: Path, whole: UtteranceDataset, window: float | None, longer: int
) -> None:
    dataset = UtteranceDataset("emodb", "train", data_dir=data_dir, window=window, augment=Marking(longer))  # type: ignore[arg-type]
    dataset.set_epoch(2)
    batch = dataset.__getitems__([4, 1])
    for item, row in zip(batch, (4, 1), strict=True):
        cropped = min(whole[row]["length"], dataset.window or 10**9)
        assert item["audio"][:3].tolist() == [2, row, cropped]
        expected = cropped + longer if dataset.window is None else min(cropped + longer, dataset.window)
        assert item["length"] == expected
        assert len(item["audio"]) == (dataset.window or expected)
        assert not item["audio"][expected:].any()
    together = collate(batch)
    assert not together["audio"][~mask(together["length"], together["audio"].shape[1])].any()


@pytest.mark.parametrize("workers", [0, 1])
def test_a_loader_tells_what_is_wrong_with_a_shard(copy: Path, workers: int) -> None:
    shard = next((copy / "emodb").glob("train-*.arrow"))
    shard.write_bytes(shard.read_bytes().replace(b"RIFF", b"fLaC"))
    dataset = UtteranceDataset("emodb", "train", data_dir=copy)
    with pytest.raises(DataFolderError, match=r"is not stored as a canonical 16-bit WAV\. To do: build again"):
        list(Loader(dataset, ShuffleSampler(dataset, 4), num_workers=workers))


def test_a_loader_takes_the_options_of_a_dataloader(whole: UtteranceDataset) -> None:
    loader = Loader(whole, ShuffleSampler(whole, 3), collate_fn=len)
    assert sum(loader) == len(whole)
    assert len(loader) == -(-len(whole) // 3)
    with pytest.raises(ValueError, match="mutually exclusive"):
        Loader(whole, ShuffleSampler(whole, 3), shuffle=True)


@pytest.fixture(scope="module")
def augmented(data_dir: Path) -> UtteranceDataset:
    pipeline = Pipeline(name="noisy", steps=(Noise(),))
    return UtteranceDataset(
        "emodb", "train", data_dir=data_dir, window=0.5, seed=4, augment=Augmentation(pipeline, seed=1)
    )


def _batches(dataset: UtteranceDataset, epochs: int = 2, **options: Any) -> list[torch.Tensor]:
    loader = Loader(dataset, ShuffleSampler(dataset, 3, seed=2), **options)
    return [
        torch.cat([batch["audio"], batch["label"][:, None], batch["length"][:, None]], 1)
        for _ in range(epochs)
        for batch in loader
    ]


@pytest.mark.parametrize(
    ("workers", "start", "persistent"),
    [(1, "fork", False), (2, "fork", False), (2, "fork", True), (2, "spawn", True)],
)
def test_any_number_of_workers_gives_the_same(
    augmented: UtteranceDataset, workers: int, start: str, persistent: bool
) -> None:
    alone = _batches(augmented)
    spread = _batches(augmented, num_workers=workers, multiprocessing_context=start, persistent_workers=persistent)
    assert len(alone) == len(spread) == 2 * -(-len(augmented) // 3)
    assert all(torch.equal(one, other) for one, other in zip(alone, spread, strict=True))
    half = len(alone) // 2
    assert not torch.equal(torch.cat(alone[:half]), torch.cat(alone[half:]))


def test_the_global_random_states_are_left_alone(augmented: UtteranceDataset) -> None:
    before = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    list(ShuffleSampler(augmented, 2))
    augmented.__getitems__(range(4))
    np.testing.assert_array_equal(np.random.get_state()[1], before[0])  # noqa: NPY002
    for options in ({}, {"num_workers": 1}):
        list(Loader(augmented, ShuffleSampler(augmented, 4), **options))
    np.testing.assert_array_equal(np.random.get_state()[1], before[0])  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), before[1])


@pytest.mark.parametrize("workers", [0, 2])
def test_a_loader_goes_on_where_it_was(augmented: UtteranceDataset, workers: int) -> None:
    full = _batches(augmented, epochs=3)
    each = len(full) // 3
    loader = Loader(augmented, ShuffleSampler(augmented, 3, seed=2), num_workers=workers)
    for stop in (1, each + 2, 2 * each):
        loader.set_epoch(0)
        for _ in range(stop // each):
            list(loader)
        if stop % each:
            iterator = iter(loader)
            for _ in range(stop % each):
                next(iterator)
        state = json.loads(json.dumps(loader.state_dict()))
        assert (state["epoch"], state["batch"]) == divmod(stop, each)
        other = Loader(augmented, ShuffleSampler(augmented, 3, seed=2), num_workers=2 - workers)
        other.load_state_dict(state)
        assert other.state_dict() == state
        rest = [batch["audio"] for _ in range(loader.epoch, 3) for batch in other]
        assert len(rest) == len(full) - stop
        assert all(torch.equal(one, two[:, :-2]) for one, two in zip(rest, full[stop:], strict=True))
        assert other.epoch == 3


def test_a_loader_saved_after_the_last_batch_begins_the_next_epoch(augmented: UtteranceDataset) -> None:
    loader = Loader(augmented, ShuffleSampler(augmented, 4))
    iterator = iter(loader)
    for _ in range(len(loader)):
        next(iterator)
    other = Loader(augmented, ShuffleSampler(augmented, 4))
    other.load_state_dict(loader.state_dict())
    assert (other.epoch, other.state_dict()["batch"]) == (1, 0)
    assert len(list(other)) == len(loader)


def test_a_loader_left_early_begins_anew(augmented: UtteranceDataset) -> None:
    loader = Loader(augmented, ShuffleSampler(augmented, 4))
    first = next(iter(loader))["audio"]
    assert torch.equal(next(iter(loader))["audio"], first)
    assert loader.epoch == 0


def test_a_loader_does_not_hold_what_the_caller_drops(data_dir: Path) -> None:
    crops = UtteranceDataset("emodb", "train", data_dir=data_dir, window=10.0)
    held = []
    for batch in Loader(crops, ShuffleSampler(crops, 2, drop_last=True)):
        held.append(batch["audio"].data_ptr())
        del batch
    assert len(held) > 1
    assert len(set(held)) == 1  # the memory of the one is that of the next


def test_batches_that_are_held_are_not_overwritten(data_dir: Path) -> None:
    crops = UtteranceDataset("emodb", "train", data_dir=data_dir, window=5.0)
    batches = [collate(crops.__getitems__(range(4))) for _ in range(7)]
    row = crops.__getitems__(range(4))[1]["audio"].numpy()
    copies = [batch["audio"].clone() for batch in batches], row.copy()
    assert len({batch["audio"].data_ptr() for batch in batches}) == 7
    del batches[3:5]
    for _ in range(5):
        crops.__getitems__(range(1, 5))
    assert all(torch.equal(copies[0][i], batch["audio"]) for i, batch in zip((0, 1, 2, 5, 6), batches, strict=True))
    np.testing.assert_array_equal(row, copies[1])


def test_no_object_per_row(data_dir: Path) -> None:
    everything = UtteranceDataset("cremad", "all", data_dir=data_dir, window=1.0)
    half = everything.select(np.arange(len(everything)) % 2 == 0)
    everything[0], half[0]  # open maps do not count
    spared = len(everything) - len(half)
    assert spared > 20
    assert (len(pickle.dumps(everything)) - len(pickle.dumps(half))) / spared < 64
    arrays = [
        value for value in vars(everything).values() if isinstance(value, np.ndarray) and len(value) == len(everything)
    ]
    assert len(arrays) >= 6
    assert not any(
        isinstance(value, list | tuple | dict | set) and len(value) >= spared
        for name, value in vars(everything).items()
        if name != "speaker_names"
    )


def test_selections(data_dir: Path, whole: UtteranceDataset) -> None:
    some = whole.select([4, -1, 0])
    assert [torch.equal(some[i]["audio"], whole[row]["audio"]) for i, row in enumerate((4, -1, 0))] == [True] * 3
    assert some.labels.tolist() == whole.labels[[4, -1, 0]].tolist()
    assert (whole.select(whole.speakers == 0).speakers == 0).all()
    some.set_epoch(5)
    assert (whole.epoch, some.epoch) == (0, 5)
    with pytest.raises(IndexError, match=f"index {len(whole)} of {len(whole)} utterances"):
        whole.select([len(whole)])
    message = rf"select, emodb, train: truth values of shape \(3,\); expected one for each of {len(whole)} utterances"
    with pytest.raises(EmosetError, match=message):
        whole.select(np.ones(3, dtype=bool))


def test_copies_have_epochs_of_their_own(whole: UtteranceDataset) -> None:
    for other in (copy_of(whole), deepcopy(whole), pickle.loads(pickle.dumps(whole))):  # noqa: S301
        other.set_epoch(9)
        assert whole.epoch == 0
        assert torch.equal(other[0]["audio"], whole[0]["audio"])


def _rewrite(shard: Path, change: Callable[[pa.Table], pa.Table], **options: Any) -> None:
    with pa.OSFile(str(shard)) as source:
        table = pa.ipc.open_stream(source).read_all()
    with (
        pa.OSFile(str(shard), "wb") as sink,
        pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as stream,
    ):
        stream.write_table(change(table))


def test_samples_at_odd_places(copy: Path, whole: UtteranceDataset) -> None:
    def odd(table: pa.Table) -> pa.Table:
        rows = table.to_pylist()
        rows[0] |= {"label": None, "audio": {"bytes": b"x", "path": "x"}}
        return pa.Table.from_pylist(rows, table.schema)

    _rewrite(next((copy / "emodb").glob("train-*.arrow")), odd)
    found = UtteranceDataset("emodb", "train", data_dir=copy)
    assert (len(found), found.left_out) == (len(whole) - 1, 1)
    assert all(torch.equal(found[i]["audio"], whole[i + 1]["audio"]) for i in range(len(found)))


def test_several_shards_and_empty_batches(copy: Path, whole: UtteranceDataset) -> None:
    shard = next((copy / "emodb").glob("train-*.arrow"))
    shutil.copy(shard, second := shard.with_name("train-00001.arrow"))
    _rewrite(shard, lambda table: pa.concat_tables([table.slice(0, 3), table.slice(0, 0)]))
    _rewrite(second, lambda table: table.slice(3))
    found = UtteranceDataset("emodb", "train", data_dir=copy)
    assert all(torch.equal(one["audio"], other["audio"]) for one, other in zip(found, whole, strict=True))


def test_compressed_shards(copy: Path) -> None:
    shard = next((copy / "emodb").glob("train-*.arrow"))
    _rewrite(shard, lambda table: table, compression="zstd")
    with pytest.raises(DataFolderError, match=rf"{shard.name}: compressed rows\. To do: build again"):
        UtteranceDataset("emodb", "train", data_dir=copy)


def test_shards_that_vanish(copy: Path) -> None:
    dataset = UtteranceDataset("emodb", "train", data_dir=copy)
    shard = next((copy / "emodb").glob("train-*.arrow"))
    shard.unlink()
    with pytest.raises(DataFolderError, match=rf"{shard.name}: the shard cannot be mapped .*No such file"):
        dataset[0]


def test_the_page_runs(data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = Path(__file__).parent.parent / "docs" / "training_data.md"
    blocks = re.findall(r"^```python\n(.*?)^```$", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 7
    (tmp_path / "data").symlink_to(data_dir, target_is_directory=True)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for block in blocks:
        exec(compile(block, str(page), "exec"), names)  # noqa: S102
    assert names["loader"].epoch == 4
    assert not set(names["train"].speakers.tolist()) & set(names["test"].speakers.tolist())
    assert set(names["state"]) == {"epoch", "batch", "batches", "rows", "seed", "world_size"}
    assert names["state"]["epoch"] == 2
