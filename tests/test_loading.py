"""Loading: ordinary `datasets` objects whose audio is decoded here."""

from __future__ import annotations

import copy
import hashlib
import io
import json
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import datasets
import hub_stand_in
import huggingface_hub
import numpy as np
import pyarrow as pa
import pytest
import soundfile

import emoset
from emoset.audio import pcm_samples, sample_hash
from emoset.decoding import StoredAudio
from emoset.errors import AudioError, DataFolderError, EmosetError, NotBuiltError, UnknownNameError
from emoset.publishing import publish
from emoset.shards import read_manifest, read_shard, write_manifest

pytestmark = pytest.mark.filterwarnings("ignore:.*SYNTHETIC:UserWarning")

REPO = "lab/emoset"
NEW = int(datasets.__version__.split(".")[0]) >= 5


def rows_of(data_dir: Path, *names: str) -> dict[str, dict[str, Any]]:
    """The rows of the shards, by id, as pyarrow reads them."""
    paths = [path for name in names or ("*",) for path in sorted(data_dir.glob(f"{name}/*.arrow"))]
    return {row["id"]: row for path in paths for row in read_shard(path).to_pylist()}


@pytest.fixture(scope="module")
def stored(data_dir: Path) -> dict[str, dict[str, Any]]:
    return rows_of(data_dir)


@pytest.fixture
def copied(data_dir: Path, tmp_path: Path) -> Path:
    """A data folder that may be changed."""
    for name in ("emodb", "urdu"):
        shutil.copytree(data_dir / name, tmp_path / "data" / name)
    return tmp_path / "data"


def listing(folder: Path) -> list[tuple[str, int, int]]:
    return sorted((str(p), p.stat().st_mtime_ns, p.stat().st_size) for p in folder.rglob("*"))


def check_audio(audio: Any, row: dict[str, Any], decode: bool = True) -> None:
    """A row's audio is the very samples, or the very bytes, of the shard."""
    assert audio["path"] == row["audio"]["path"]
    if not decode:
        assert set(audio) == {"bytes", "path"}
        assert audio["bytes"] == row["audio"]["bytes"]
        return
    assert set(audio) == {"array", "sampling_rate", "path"}
    assert isinstance(audio["array"], np.ndarray)
    assert (audio["array"].dtype, audio["array"].ndim, audio["sampling_rate"]) == (np.float32, 1, 16000)
    assert np.array_equal(audio["array"], pcm_samples(row["audio"]["bytes"]) / np.float32(32768))


def check_rows(rows: Any, stored: dict[str, dict[str, Any]], decode: bool = True) -> list[str]:
    """Every row is as stored; the ids."""
    ids = []
    for row in rows:
        check_audio(row["audio"], stored[row["id"]], decode)
        ids.append(row["id"])
    assert ids
    return ids


def run(code: str, *arguments: object, **environment: str) -> str:
    """What a fresh process prints."""
    path = os.pathsep.join([*(p for p in sys.path if p), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, *map(str, arguments)], capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": path, **environment}, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


# What is asked for


def test_all_splits_or_one(data_dir: Path) -> None:
    splits = emoset.load_dataset("emodb", data_dir=data_dir)
    assert isinstance(splits, datasets.DatasetDict)
    assert list(splits) == ["train", "validation", "test"]
    one = emoset.load_dataset("emodb", "test", data_dir=data_dir)
    assert isinstance(one, datasets.Dataset)
    assert one["id"] == splits["test"]["id"]
    assert one.split == "test"


def test_a_row_reads_as_float32_samples_equal_to_the_stored_ones(data_dir: Path) -> None:
    for row in emoset.load_dataset("urdu", "train", data_dir=data_dir):
        audio = row["audio"]
        assert set(audio) == {"array", "sampling_rate", "path"}
        assert (audio["array"].dtype, audio["array"].ndim, audio["sampling_rate"]) == (np.float32, 1, 16000)
        samples = (audio["array"] * 32768).astype(np.int16)
        assert np.array_equal(samples / np.float32(32768), audio["array"])
        assert sample_hash(samples) == row["sha256"]
        assert len(samples) == round(row["duration"] * 16000)


SPECS = [
    "train", "train+test", "train[:10%]", "train[-3:]", "validation[1:2]", "test[25%:75%]+validation[1:]",
    "train[2:1000]", "train[50%:]+train[:50%]", "train[:33%]", "train[:-50%]",
]  # fmt: skip


@pytest.mark.parametrize("spec", SPECS)
def test_slices_are_those_of_datasets(spec: str, data_dir: Path) -> None:
    expected = datasets.load_dataset(str(data_dir), "iemocap", split=spec)
    found = emoset.load_dataset("iemocap", spec, data_dir=data_dir)
    assert found["id"][:] == expected["id"][:]
    assert found.column_names == expected.column_names
    assert found.split == expected.split


def test_a_list_of_splits_gives_a_list_of_datasets(data_dir: Path) -> None:
    expected = datasets.load_dataset(str(data_dir), "emodb", split=["train[:2]", "test"])
    found = emoset.load_dataset("emodb", ["train[:2]", "test"], data_dir=data_dir)
    assert [ds["id"][:] for ds in found] == [ds["id"][:] for ds in expected]
    assert emoset.load_dataset("emodb", [], data_dir=data_dir) == []


def test_all_is_everything_in_order(data_dir: Path) -> None:
    splits = emoset.load_dataset("emodb", data_dir=data_dir)
    everything = emoset.load_dataset("emodb", "all", data_dir=data_dir)
    assert everything["id"][:] == [i for split in splits.values() for i in split["id"]]
    assert emoset.load_dataset("emodb", "all[:5]", data_dir=data_dir)["id"][:] == everything["id"][:5]


def test_the_splits_of_datasets_are_taken_too(data_dir: Path) -> None:
    ids = emoset.load_dataset("emodb", "train", data_dir=data_dir)["id"][:]
    assert emoset.load_dataset("emodb", datasets.Split.TRAIN, data_dir=data_dir)["id"][:] == ids
    instruction = datasets.ReadInstruction("train", from_=1, to=3, unit="abs")
    assert emoset.load_dataset("emodb", instruction, data_dir=data_dir)["id"][:] == ids[1:3]


def test_several_corpora_follow_one_another(data_dir: Path, stored: dict[str, Any]) -> None:
    names = ["urdu", "emodb", "iemocap-full"]
    splits = emoset.load_dataset(names, data_dir=data_dir)
    assert list(splits) == ["train", "validation", "test"]
    for split, rows in splits.items():
        alone = [emoset.load_dataset(name, split, data_dir=data_dir) for name in names]
        assert rows["id"][:] == [i for ds in alone for i in ds["id"]]
        assert list(dict.fromkeys(rows["corpus"])) == ["urdu", "emodb", "iemocap"]
        assert check_rows(rows, stored) == rows["id"][:]
    two = emoset.load_dataset(("urdu", "emodb", "urdu"), "train", data_dir=data_dir)
    assert two["id"][:] == splits["train"]["id"][: len(two)]


def test_slices_apply_to_all_corpora_together(data_dir: Path) -> None:
    whole = emoset.load_dataset(["emodb", "urdu"], "train", data_dir=data_dir)["id"][:]
    count = round(len(whole) * 0.6)
    assert emoset.load_dataset(["emodb", "urdu"], "train[:60%]", data_dir=data_dir)["id"][:] == whole[:count]
    assert len(emoset.load_dataset(["emodb", "urdu"], "train[:3]", data_dir=data_dir)) == 3


def test_a_file_of_names_is_a_collection(data_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("emodb\nurdu  # both\n")
    found = emoset.load_dataset(str(tmp_path / "mine.txt"), "test", data_dir=data_dir)
    assert set(found["corpus"]) == {"emodb", "urdu"}


@pytest.mark.parametrize("labels", ["label", "emotion", "arousal", "valence", "label_raw"])
def test_the_chosen_label_column_has_classes_in_alphabetical_order(labels: str, data_dir: Path) -> None:
    expected = {i: row[labels] for i, row in rows_of(data_dir, "iemocap-full").items()}
    splits = emoset.load_dataset("iemocap-full", data_dir=data_dir, labels=labels)
    for split in splits.values():
        feature = split.features[labels]
        assert feature.names == sorted({v for v in expected.values() if v is not None})
        for row in split.remove_columns("audio"):
            name = None if row[labels] is None else feature.int2str(row[labels])
            assert name == expected[row["id"]]
        assert split.column_names == list(splits["train"].column_names)


@pytest.mark.parametrize("labels", ["label", "emotion", "arousal", "valence", "label_raw"])
def test_the_classes_of_several_corpora_are_their_union(labels: str, data_dir: Path) -> None:
    names = ["cremad", "emodb", "iemocap-full", "urdu"]
    expected = {i: row[labels] for i, row in rows_of(data_dir, *names).items()}
    classes = sorted({v for v in expected.values() if v is not None})
    for options in ({}, {"gender": "female"}, {"split": "train[:2]"}, {"split": "all", "kind": "acted"}):
        found = emoset.load_dataset(names, data_dir=data_dir, labels=labels, **options)
        for split in found.values() if isinstance(found, dict) else [found]:
            feature = split.features[labels]
            assert feature.names == classes
            told = zip(split["id"], split[labels], strict=True)
            assert all((None if v is None else feature.int2str(v)) == expected[i] for i, v in told)


def test_labels_that_are_left_strings_concatenate_and_classes_that_differ_do_not(data_dir: Path) -> None:
    names = ["emodb", "urdu"]
    emodb, urdu = (emoset.load_dataset(name, "train", data_dir=data_dir, labels=None) for name in names)
    both = datasets.concatenate_datasets([emodb, urdu])
    together = emoset.load_dataset(names, "train", data_dir=data_dir)
    assert both.features["label"] == datasets.Value("string")
    assert both["label"][:] == [together.features["label"].int2str(v) for v in together["label"]]
    with pytest.raises(ValueError, match="features can't be aligned"):  # and no class gets another's number
        datasets.concatenate_datasets([emoset.load_dataset(name, "train", data_dir=data_dir) for name in names])


FILTERS = [
    {"gender": "female"}, {"gender": ["female"], "kind": "natural"}, {"kind": "natural"}, {"kind": ("induced", "natural")},
    {"language": "de"}, {"language": ["ur", "de"]}, {"speaker": "emodb:03"},
    {"speaker": ["emodb:03", "emodb:08"], "gender": "female"}, {"language": "en", "kind": "acted", "gender": "male"},
]  # fmt: skip


@pytest.mark.parametrize("wanted", FILTERS, ids=str)
def test_filters_keep_just_the_rows_with_these_values(wanted: dict[str, Any], data_dir: Path, stored: Any) -> None:
    names = ["cremad", "emodb", "iemocap", "urdu"]
    found = emoset.load_dataset(names, "all", data_dir=data_dir, **wanted)
    everything = emoset.load_dataset(names, "all", data_dir=data_dir)["id"][:]
    passes = {c: {v} if isinstance(v, str) else set(v) for c, v in wanted.items()}
    expected = [i for i in everything if all(stored[i][c] in values for c, values in passes.items())]
    assert 0 < len(expected) < len(everything)
    assert check_rows(found, stored) == expected


def test_filters_apply_to_what_the_slice_leaves(data_dir: Path) -> None:
    part = emoset.load_dataset("cremad", "train[:50%]", data_dir=data_dir)
    expected = [i for i, g in zip(part["id"], part["gender"], strict=True) if g == "male"]
    assert emoset.load_dataset("cremad", "train[:50%]", data_dir=data_dir, gender="male")["id"][:] == expected


def test_splits_that_a_filter_leaves_empty_are_told_and_left_out(data_dir: Path) -> None:
    train = emoset.load_dataset("emodb", "train", data_dir=data_dir)
    speaker = train["speaker"][0]
    with pytest.warns(UserWarning, match="no row of validation, test passes the filters: left out"):
        found = emoset.load_dataset("emodb", data_dir=data_dir, speaker=speaker)
    assert list(found) == ["train"]
    assert set(found["train"]["speaker"]) == {speaker}


def test_bytes_without_decoding(data_dir: Path, stored: dict[str, Any]) -> None:
    found = emoset.load_dataset("emodb", "test", data_dir=data_dir, decode=False)
    check_rows(found, stored, decode=False)
    assert not found.features["audio"].decode


def test_the_version_that_was_built_can_be_demanded(data_dir: Path) -> None:
    version = emoset.get_recipe("emodb").version
    assert len(emoset.load_dataset("emodb", "test", data_dir=data_dir, version=version)) > 0
    message = (
        rf"emodb is built there in version {version}; expected version 9\.9\.9\. To do: ask for version='{version}'"
    )
    with pytest.raises(NotBuiltError, match=message):
        emoset.load_dataset("emodb", data_dir=data_dir, version="9.9.9")


def test_what_is_loaded_tells_title_version_citation_and_licence(data_dir: Path) -> None:
    info = emoset.load_dataset(["emodb", "urdu"], "test", data_dir=data_dir).info
    for name in ("emodb", "urdu"):
        recipe = emoset.get_recipe(name)
        assert f"{recipe.title}, recipe {recipe.version}" in info.description
        assert recipe.citation in info.citation
        assert recipe.licence in info.license


def test_the_default_folder_is_the_variable_else_the_users_cache(
    monkeypatch: pytest.MonkeyPatch, data_dir: Path
) -> None:
    from emoset.shards import default_data_dir

    monkeypatch.setenv("EMOSET_HOME", str(data_dir))
    assert len(emoset.load_dataset("emodb", "test")) > 0
    monkeypatch.delenv("EMOSET_HOME")
    assert default_data_dir().name == "emoset"


# What datasets does with it


def read_audio(row: dict[str, Any]) -> dict[str, Any]:
    return {"n": len(row["audio"].get("array", row["audio"].get("bytes")))}


def same(row: dict[str, Any]) -> dict[str, Any]:
    return row


def same_audio(row: dict[str, Any]) -> dict[str, Any]:
    return {"audio": row["audio"]}


def has_audio(row: dict[str, Any]) -> bool:
    return len(row["audio"].get("array", row["audio"].get("bytes"))) > 0


def half(dataset: Any) -> Any:
    return dataset.select(range(len(dataset) // 2))


TRANSFORMS: dict[str, Callable[[Any], Any]] = {
    "iteration": lambda ds: ds,
    "indexing": lambda ds: [ds[i] for i in range(-len(ds), 0)],
    "slicing": lambda ds: (
        datasets.Dataset.to_list(ds)
        and [dict(zip(ds[:].keys(), row, strict=True)) for row in zip(*ds[:].values(), strict=True)]
    ),
    "columns": lambda ds: [{"id": i, "audio": a} for i, a in zip(ds["id"], ds["audio"], strict=True)],
    "batches": lambda ds: [{"id": i, "audio": a} for b in ds.iter(3) for i, a in zip(b["id"], b["audio"], strict=True)],
    "map": lambda ds: ds.map(read_audio),
    "map to the same": lambda ds: ds.map(same),
    "map to the same audio": lambda ds: ds.map(same_audio),
    "map of batches": lambda ds: ds.map(same_audio, batched=True, batch_size=3),
    "map in memory": lambda ds: ds.map(same_audio, keep_in_memory=True),
    "map with processes": lambda ds: ds.map(same_audio, num_proc=2),
    "map, twice": lambda ds: ds.map(read_audio).map(same_audio),
    "map of some columns": lambda ds: ds.map(lambda audio: {"audio": audio}, input_columns="audio"),
    "map, removing": lambda ds: ds.map(same_audio, remove_columns=["text"]),
    "filter": lambda ds: ds.filter(has_audio),
    "filter with processes": lambda ds: ds.filter(has_audio, num_proc=2),
    "select": lambda ds: ds.select([3, 0, 1]),
    "select a range": half,
    "shuffle": lambda ds: ds.shuffle(seed=1),
    "flatten_indices": lambda ds: ds.shuffle(seed=2).flatten_indices(),
    "sort": lambda ds: ds.sort("duration"),
    "shard": lambda ds: ds.shard(2, 1),
    "train_test_split": lambda ds: ds.train_test_split(0.5, seed=1)["test"],
    "concatenate": lambda ds: datasets.concatenate_datasets([half(ds), ds.shuffle(seed=3)]),
    "concatenate what was mapped": lambda ds: datasets.concatenate_datasets([ds, half(ds).map(same_audio)]),
    "interleave": lambda ds: datasets.interleave_datasets([ds, ds]),
    "pickle": lambda ds: pickle.loads(pickle.dumps(ds.shuffle(seed=4))),  # noqa: S301 - our own bytes
    "deepcopy": copy.deepcopy,
    "repeat": lambda ds: ds.repeat(2),
    "add_column": lambda ds: ds.add_column("number", list(range(len(ds)))),
    "rename_column": lambda ds: ds.rename_column("audio", "sound").rename_column("sound", "audio"),
    "remove_columns": lambda ds: ds.remove_columns(["text", "label"]),
    "cast_column": lambda ds: ds.cast_column("audio", ds.features["audio"]),
    "cast": lambda ds: ds.cast(ds.features),
    "class_encode_column": lambda ds: ds.class_encode_column("speaker"),
    "from_list": lambda ds: datasets.Dataset.from_list(list(ds), features=ds.features),
    "with_format and back": lambda ds: ds.with_format("numpy").with_format(None),
    "to_iterable_dataset": lambda ds: ds.to_iterable_dataset(num_shards=3),
    "to_iterable_dataset, shuffled": lambda ds: ds.to_iterable_dataset(num_shards=3).shuffle(seed=1, buffer_size=4),
    "to_iterable_dataset, mapped": lambda ds: ds.to_iterable_dataset().map(same_audio),
}


@pytest.mark.parametrize("decode", [True, False], ids=["decoded", "bytes"])
@pytest.mark.parametrize("name", TRANSFORMS)
def test_audio_survives(name: str, decode: bool, data_dir: Path, stored: dict[str, Any]) -> None:
    before = listing(data_dir)
    for _ in range(2):  # the second time, map finds what it cached
        for corpora, split in (("emodb", "train"), (["emodb", "urdu"], "train[2:]")):
            dataset = emoset.load_dataset(corpora, split, data_dir=data_dir, decode=decode)
            ids = check_rows(TRANSFORMS[name](dataset), stored, decode)
            assert set(ids) <= set(dataset["id"])
    assert listing(data_dir) == before


def test_what_map_cached_is_used_again_and_still_decodes(data_dir: Path, stored: dict[str, Any]) -> None:
    calls: list[str] = []

    def noted(row: dict[str, Any], calls: Any = None) -> dict[str, Any]:
        return {"n": len(row["audio"]["array"])}

    def load() -> Any:
        return emoset.load_dataset("cremad", "train", data_dir=data_dir, gender="female")

    first = load().map(noted)
    again = load().map(noted)
    assert calls == []
    assert first._fingerprint == again._fingerprint
    assert [f["filename"] for f in first.cache_files] == [f["filename"] for f in again.cache_files]
    assert type(again.features["audio"]) is StoredAudio
    check_rows(again, stored)
    code = (
        "import sys, emoset\n"
        "ds = emoset.load_dataset('emodb', 'test', data_dir=sys.argv[1]).map(lambda r: {'n': len(r['audio']['array'])})"
        "\nprint(ds.cache_files[0]['filename'], ds[0]['n'] == len(ds[0]['audio']['array']))\n"
    )
    told = [run(code, data_dir, HF_HOME=os.environ["HF_HOME"]) for _ in range(2)]
    assert told[0] == told[1]
    assert told[0].endswith("True\n")


def test_map_with_processes_that_are_not_forked(data_dir: Path, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import sys, multiprocess, emoset\n"
        "def same_audio(row):\n"
        "    return {'audio': row['audio'], 'n': len(row['audio']['array'])}\n"
        "if __name__ == '__main__':\n"
        "    multiprocess.set_start_method('spawn')\n"
        "    ds = emoset.load_dataset('emodb', 'train', data_dir=sys.argv[1]).map(same_audio, num_proc=2)\n"
        "    print(all(r['n'] == len(r['audio']['array']) == round(r['duration'] * 16000) for r in ds))\n"
    )
    assert run(f"import runpy; runpy.run_path({str(script)!r}, run_name='__main__')", data_dir) == "True\n"


def test_changed_audio_is_stored_as_16_bits(data_dir: Path) -> None:
    train = emoset.load_dataset("emodb", "train[:2]", data_dir=data_dir)
    halved = train.map(lambda r: {"audio": {**r["audio"], "array": r["audio"]["array"] * 0.5}})
    for new, old in zip(halved, train, strict=True):
        assert new["audio"]["path"] == old["audio"]["path"]
        assert np.abs(new["audio"]["array"] - old["audio"]["array"] * 0.5).max() <= 1 / 65536


def test_no_audio_is_held_in_memory(data_dir: Path) -> None:
    dataset = emoset.load_dataset(["emodb", "urdu"], "all", data_dir=data_dir, gender="female")
    audio = sum(dataset.data["audio"].nbytes for _ in [0])
    assert audio > 500_000
    assert len(pickle.dumps(dataset)) < 100_000
    blocks = [block for row in dataset.data.blocks for block in row]
    held = [b for b in blocks if isinstance(b, datasets.table.InMemoryTable)]
    assert {tuple(b.column_names) for b in held} == {("label",)}
    assert pa.types.is_int64(dataset.data["label"].type)


def test_nothing_is_written_into_a_built_folder(data_dir: Path) -> None:
    before = listing(data_dir)
    train = emoset.load_dataset("emodb", "train", data_dir=data_dir)
    train.map(lambda r: {"n": 1})
    train.map(lambda r: {"n": 2}, num_proc=2)
    train.filter(lambda r: r["label"] == 0)
    train.shuffle(seed=0).select([0]).flatten_indices()[0]
    train.train_test_split(0.5, seed=0)
    train.sort("duration")
    train.select([1, 2]).map(lambda r: {"n": 1})
    train.to_iterable_dataset()
    train.class_encode_column("speaker")
    datasets.concatenate_datasets([train, train]).map(lambda r: {"n": 1})
    list(train)
    assert train.cache_files
    assert all(not file["filename"].startswith(str(data_dir)) for file in train.cache_files)
    assert listing(data_dir) == before


def test_a_cache_that_cannot_be_written_to_is_done_without(data_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code = """
import sys, emoset
ds = emoset.load_dataset("emodb", "test", data_dir=sys.argv[1])
ds = ds.map(lambda row: {"n": len(row["audio"]["array"])})
print(ds[0]["n"] == len(ds[0]["audio"]["array"]), ds.cache_files[0]["filename"])
"""
    before = listing(data_dir)
    told = run(code, data_dir, HF_DATASETS_CACHE=str(tmp_path / "file")).split()
    assert told[0] == "True"
    assert not told[1].startswith((str(data_dir), str(tmp_path)))
    assert not Path(told[1]).exists()
    assert listing(data_dir) == before


# Formats


@pytest.mark.parametrize("rows", [0, slice(0, 3), [2, 0]], ids=str)
def test_with_format_numpy(rows: Any, data_dir: Path, stored: dict[str, Any]) -> None:
    found = emoset.load_dataset("emodb", "train", data_dir=data_dir).with_format("numpy")[rows]
    ids, audio = ([found["id"]], [found["audio"]]) if rows == 0 else (found["id"], found["audio"])
    for i, each in zip(ids, audio, strict=True):
        check_audio({**each, "sampling_rate": int(each["sampling_rate"])}, stored[str(i)])


@pytest.mark.parametrize("rows", [0, slice(0, 3), [2, 0]], ids=str)
def test_with_format_torch(rows: Any, data_dir: Path, stored: dict[str, Any]) -> None:
    torch = pytest.importorskip("torch")
    train = emoset.load_dataset("emodb", "train", data_dir=data_dir).with_format("torch")
    found = train[rows]
    ids, audio = ([found["id"]], [found["audio"]]) if rows == 0 else (found["id"], found["audio"])
    for i, each in zip(ids, audio, strict=True):
        assert (type(each["array"]), each["array"].dtype, each["array"].ndim) == (torch.Tensor, torch.float32, 1)
        assert int(each["sampling_rate"]) == 16000
        plain = {**each, "array": each["array"].numpy(), "sampling_rate": 16000}
        check_audio(plain, stored[i])
    mapped = train.map(same_audio)
    assert mapped[0]["audio"]["array"].dtype == torch.float32
    check_rows(mapped.with_format(None), stored)


def only_arrays(rows: list[dict[str, Any]]) -> list[tuple[str, Any]]:
    return [(row["id"], row["audio"]["array"]) for row in rows]


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_a_data_loader_with_workers(start: str, data_dir: Path, stored: dict[str, Any]) -> None:
    data = pytest.importorskip("torch.utils.data")
    train = emoset.load_dataset(["emodb", "urdu"], "train", data_dir=data_dir).with_format("torch")
    options = {"num_workers": 2, "multiprocessing_context": start, "collate_fn": only_arrays, "batch_size": 4}
    seen = [pair for batch in data.DataLoader(train, shuffle=True, **options) for pair in batch]
    assert sorted(i for i, _ in seen) == sorted(train["id"])
    for i, array in seen:
        check_audio({"array": array.numpy(), "sampling_rate": 16000, "path": stored[i]["audio"]["path"]}, stored[i])
    if start == "fork":
        stream = emoset.load_dataset(["emodb", "urdu"], "train", data_dir=data_dir, streaming=True)
        seen = [pair for batch in data.DataLoader(stream.with_format("torch"), **options) for pair in batch]
        assert sorted(i for i, _ in seen) == sorted(train["id"])
        assert {array.dtype for _, array in seen} == {array.dtype for array in [train[0]["audio"]["array"]]}


# Streams


def test_a_stream_gives_the_same_rows(data_dir: Path, stored: dict[str, Any]) -> None:
    splits = emoset.load_dataset("emodb", data_dir=data_dir)
    streams = emoset.load_dataset("emodb", data_dir=data_dir, streaming=True)
    assert isinstance(streams, datasets.IterableDatasetDict)
    for split, stream in streams.items():
        assert isinstance(stream, datasets.IterableDataset)
        assert stream.features == splits[split].features
        assert stream.num_shards == min(16, len(splits[split]))
        assert check_rows(stream, stored) == splits[split]["id"][:]
    one = emoset.load_dataset("emodb", "test", data_dir=data_dir, streaming=True, decode=False)
    check_rows(one, stored, decode=False)
    some = emoset.load_dataset(["emodb", "urdu"], "all", data_dir=data_dir, streaming=True, gender="female")
    assert {stored[i]["gender"] for i in check_rows(some, stored)} == {"female"}


def test_a_stream_can_be_shuffled_mapped_and_taken_up_again(data_dir: Path, stored: dict[str, Any]) -> None:
    stream = emoset.load_dataset("emodb", "all", data_dir=data_dir, streaming=True)
    ids = check_rows(stream, stored)
    shuffled = stream.shuffle(seed=1, buffer_size=5)
    mixed = check_rows(shuffled, stored)
    assert mixed != ids
    assert sorted(mixed) == sorted(ids)
    assert check_rows(shuffled, stored) == mixed
    shuffled.set_epoch(1)
    assert check_rows(shuffled, stored) != mixed
    assert [r["n"] for r in stream.map(read_audio)] == [round(stored[i]["duration"] * 16000) for i in ids]
    assert check_rows(stream.skip(2).take(3), stored) == ids[2:5]
    if NEW:  # older ones give back the stored bytes here, of any audio
        assert check_rows(stream.filter(lambda r: len(r["audio"]["array"]) > 0), stored) == ids
    steps = iter(stream)
    first = [next(steps)["id"] for _ in range(4)]
    state = stream.state_dict()
    again = emoset.load_dataset("emodb", "all", data_dir=data_dir, streaming=True)
    again.load_state_dict(json.loads(json.dumps(state)))
    assert first + check_rows(again, stored) == ids


def test_a_stream_is_shared_by_nodes(data_dir: Path) -> None:
    from datasets.distributed import split_dataset_by_node

    stream = emoset.load_dataset("emodb", "all", data_dir=data_dir, streaming=True)
    parts = [[r["id"] for r in split_dataset_by_node(stream, rank, 4)] for rank in range(4)]
    assert sorted(i for part in parts for i in part) == sorted(r["id"] for r in stream)
    assert all(parts)


# Saving


@pytest.mark.parametrize("decode", [True, False], ids=["decoded", "bytes"])
@pytest.mark.parametrize("change", ["as it is", "shuffled", "mapped", "concatenated"])
def test_it_saves_as_plain_audio(
    change: str, decode: bool, data_dir: Path, tmp_path: Path, stored: dict[str, Any]
) -> None:
    test = emoset.load_dataset("emodb", "test", data_dir=data_dir, decode=decode)
    changed = {
        "as it is": test,
        "shuffled": test.shuffle(seed=1),
        "mapped": test.map(same_audio),
        "concatenated": datasets.concatenate_datasets([test, test.select([0])]),
    }[change]
    changed.save_to_disk(str(tmp_path / "saved"))
    again = datasets.load_from_disk(str(tmp_path / "saved"))
    assert type(again.features["audio"]) is datasets.Audio
    assert again.features["audio"] == datasets.Audio(16000, decode=decode)
    assert again.features["label"] == test.features["label"]
    raw = again.cast_column("audio", datasets.Audio(decode=False))
    assert check_rows(raw, stored, decode=False) == changed["id"][:]
    back = again.cast_column("audio", StoredAudio(16000))
    check_rows(back, stored)


def test_strangers_open_what_was_saved(data_dir: Path, tmp_path: Path) -> None:
    emoset.load_dataset("emodb", data_dir=data_dir).save_to_disk(str(tmp_path / "saved"))
    emoset.load_dataset("emodb", "test", data_dir=data_dir).to_parquet(str(tmp_path / "test.parquet"))
    code = """
import sys
sys.modules["emoset"] = None  # as if it were not installed
import datasets
saved = datasets.load_from_disk(sys.argv[1])["test"]
parquet = datasets.Dataset.from_parquet(sys.argv[2])
for ds in (saved, parquet):
    assert ds.features["audio"] == datasets.Audio(16000), ds.features
    row = ds.cast_column("audio", datasets.Audio(decode=False))[0]
    print(row["id"], row["audio"]["path"], len(row["audio"]["bytes"]))
"""
    row = next(iter(rows_of(data_dir, "emodb").values()))
    row = read_shard(data_dir / "emodb" / "test-00000.arrow").to_pylist()[0]
    expected = f"{row['id']} {row['audio']['path']} {len(row['audio']['bytes'])}"
    told = run(code, tmp_path / "saved", tmp_path / "test.parquet", HF_HOME=str(tmp_path / "home"))
    assert told.splitlines() == [expected, expected]


def test_the_audio_of_others_is_left_alone(tmp_path: Path) -> None:
    features = datasets.Features({"audio": datasets.Audio(16000), "other": [datasets.Audio()]})
    empty = datasets.Dataset.from_dict({"audio": [None], "other": [None]}, features=features)
    twice = datasets.concatenate_datasets([empty, empty])
    assert type(twice.features["audio"]) is datasets.Audio
    assert type(empty.map(lambda r: {"n": 1}).features["audio"]) is datasets.Audio
    empty.save_to_disk(str(tmp_path / "saved"))
    assert datasets.load_from_disk(str(tmp_path / "saved")).features == features


# The Hub


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    """The stand-in, as the only Hub there is, and an empty cache."""
    with hub_stand_in.HubStandIn() as running:
        constants = huggingface_hub.constants
        monkeypatch.setattr(constants, "ENDPOINT", running.url)
        template = running.url + "/{repo_id}/resolve/{revision}/{filename}"
        for module in (constants, huggingface_hub.file_download):  # older clients read it in the second
            monkeypatch.setattr(module, "HUGGINGFACE_CO_URL_TEMPLATE", template, raising=False)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
        monkeypatch.setenv("HF_TOKEN", running.token)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        yield running


@pytest.fixture
def published(hub: Any, data_dir: Path) -> Any:
    publish(["emodb", "urdu"], f"hf://datasets/{REPO}", data_dir=data_dir, progress=False, token=hub.token)
    hub.requests.clear()
    return hub


@pytest.mark.parametrize("address", [f"hf://datasets/{REPO}", REPO])
def test_a_repository_in_place_of_a_folder(address: str, published: Any, data_dir: Path, stored: Any) -> None:
    here = emoset.load_dataset("emodb", data_dir=data_dir)
    there = emoset.load_dataset("emodb", data_dir=address)
    assert {s: ds["id"][:] for s, ds in there.items()} == {s: ds["id"][:] for s, ds in here.items()}
    check_rows(there["train"], stored)
    assert not published.count("GET", "urdu/")
    both = emoset.load_dataset(["urdu", "emodb"], "test", data_dir=address, gender="female", labels="arousal")
    assert set(both["corpus"]) == {"urdu", "emodb"}
    check_rows(both.map(same_audio), stored)


def test_a_repository_is_downloaded_once_and_read_without_a_network(published: Any, tmp_path: Path) -> None:
    ids = emoset.load_dataset("emodb", "test", data_dir=REPO)["id"][:]
    published.requests.clear()
    emoset.load_dataset("emodb", "train", data_dir=REPO)
    assert not published.count("GET", r"/resolve/.*\.arrow")
    code = """
import json, emoset
print(json.dumps(emoset.load_dataset("emodb", "test", data_dir="lab/emoset")["id"][:]))
try:
    emoset.load_dataset("urdu", data_dir="lab/emoset")
except emoset.EmosetError as error:
    print(error)
"""
    told = run(code, HF_HUB_OFFLINE="1", HF_HUB_CACHE=str(tmp_path / "hub")).splitlines()
    assert json.loads(told[0]) == ids
    assert "urdu is not published there" in told[1] or "the Hub cannot be asked" in told[1]


def test_a_revision_can_be_named(published: Any, data_dir: Path, stored: Any) -> None:
    first = published.repository(REPO).commits[-1].oid
    publish(["cremad"], f"hf://datasets/{REPO}", data_dir=data_dir, progress=False, token=published.token)
    assert len(emoset.load_dataset("cremad", "test", data_dir=REPO)) > 0
    for address in (f"{REPO}@{first}", f"hf://datasets/{REPO}@{first}"):
        check_rows(emoset.load_dataset("emodb", "test", data_dir=address), stored)
        with pytest.raises(NotBuiltError, match=r"cremad is not published there; expected some of emodb, urdu"):
            emoset.load_dataset("cremad", "test", data_dir=address)


@pytest.mark.parametrize("form", ["parquet", "flac"])
def test_published_parquet_reads_as_the_same_samples(
    form: str, hub: Any, data_dir: Path, tmp_path: Path, stored: Any
) -> None:
    for to in (f"hf://datasets/{REPO}", tmp_path / "folder"):
        publish("emodb", to, data_dir=data_dir, form=form, progress=False, token=hub.token)
        there = emoset.load_dataset("emodb", data_dir=to, labels="emotion")
        here = emoset.load_dataset("emodb", data_dir=data_dir, labels="emotion")
        for split, rows in there.items():
            assert rows.features == here[split].features
            assert check_rows(rows, stored) == here[split]["id"][:]
            plain = [ds[split].remove_columns("audio").to_list() for ds in (there, here)]
            assert plain[0] == plain[1]
        check_rows(there["train"].map(same_audio), stored)
    assert [p for p in (tmp_path / "folder" / "emodb").iterdir() if p.suffix == ".arrow"] == []


def test_a_corpus_without_its_recordings_says_so(data_dir: Path, tmp_path: Path) -> None:
    publish("emodb", tmp_path, data_dir=data_dir, audio=False, progress=False)
    with pytest.raises(DataFolderError, match=r"emodb is published there without its recordings\. To do: build it"):
        emoset.load_dataset("emodb", data_dir=tmp_path)


def test_what_is_not_on_the_hub_is_told(published: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for address in ("lab/nothing", "hf://datasets/lab/nothing", f"{REPO}@nothing"):
        with pytest.raises(
            NotBuiltError, match=r"there is no such dataset repository or revision, or you must not see it"
        ):
            emoset.load_dataset("emodb", data_dir=address)
    with pytest.raises(UnknownNameError, match=r"unknown corpus 'emodbb'.*nearest: emodb"):
        emoset.load_dataset("emodbb", data_dir=REPO)
    with pytest.raises(EmosetError, match="no address of a dataset repository; expected hf://datasets/<namespace>/<na"):
        emoset.load_dataset("emodb", data_dir="hf://datasets/lab")
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(EmosetError, match=r"no such folder, and the Hub cannot be asked \(.*To do: mend data_dir"):
        emoset.load_dataset("emodb", data_dir="lab/other")


def test_a_folder_goes_before_a_repository(
    hub: Any, data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab" / "emoset").symlink_to(data_dir)
    assert len(emoset.load_dataset("emodb", "test", data_dir="lab/emoset")) > 0
    with pytest.raises(NotBuiltError, match=r"nothing/here: emodb is not built there"):
        emoset.load_dataset("emodb", "test", data_dir=Path("nothing/here"))
    with pytest.raises(NotBuiltError, match=r"here: emodb is not built there"):
        emoset.load_dataset("emodb", "test", data_dir="./here")
    assert hub.requests == []


def test_push_to_hub_keeps_the_bytes(hub: Any, data_dir: Path, tmp_path: Path, stored: dict[str, Any]) -> None:
    environment = {
        "HF_ENDPOINT": hub.url, "HF_TOKEN": hub.token, "HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "0",
        "HF_DATASETS_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1",
    }  # fmt: skip
    push = """
import sys, emoset
emoset.load_dataset("emodb", data_dir=sys.argv[1]).push_to_hub("lab/pushed")
"""
    pull = """
import json, sys, datasets
datasets.config.USE_PARQUET_EXPORT = False  # another server, which this one is not
ds = datasets.load_dataset("lab/pushed")
assert ds["train"].features["audio"] == datasets.Audio(16000), ds["train"].features
assert type(ds["train"].features["audio"]) is datasets.Audio
ds = ds.cast_column("audio", datasets.Audio(decode=False))
print(json.dumps({r["id"]: [r["audio"]["path"], r["audio"]["bytes"].hex()] for s in ds.values() for r in s}))
"""
    run(push, data_dir, **environment)
    for importing in ("", "import emoset.loading\n"):
        told = json.loads(run(importing + pull, **environment))
        assert told == {
            i: [row["audio"]["path"], row["audio"]["bytes"].hex()] for i, row in rows_of(data_dir, "emodb").items()
        }


# What is refused


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (("emo-db",), {}, r"unknown corpus 'emo-db'.*nearest: emodb.*see 'emoset list'"),
        ((["emodb", "ordu"],), {}, r"unknown corpus 'ordu'.*nearest: urdu"),
        (("emoset-26",), {}, r"unknown corpus 'emoset-26'.*nearest: emoset26"),
        (([],), {}, r"no corpus is named; expected one or several"),
        (("emodb", "tset"), {}, r"unknown split 'tset'; expected one of test, train, validation \(nearest: test"),
        (("emodb", "train+tset[:3]"), {}, r"unknown split 'tset'"),
        (("emodb", "train[:10%"), {}, r"the split 'train\[:10%' cannot be understood; expected one of train, val"),
        (("emodb", ""), {}, r"the split '' cannot be understood"),
        (("emodb", "train[:1%](pct1_dropremainder)"), {}, r"cannot be understood \(.*less than 100"),
        (("emodb", "test"), {"labels": "labels"}, r"unknown label column 'labels'.*nearest: label"),
        (("emodb", "test"), {"gender": "femal"}, r"unknown gender 'femal'; expected one of child, female, male \(near"),
        (("emodb", "test"), {"kind": ["acted", "act"]}, r"unknown kind 'act'.*nearest: acted"),
        (("emodb", "test"), {"language": "ger"}, r"unknown language 'ger'; expected one of de"),
        ((["emodb", "urdu"], "test"), {"language": "en"}, r"unknown language 'en'; expected one of de, ur"),
        (
            ("emodb", "test"),
            {"speaker": "emodb:3"},
            r"unknown speaker 'emodb:3'; expected one of emodb:03, emodb:08.*nearest: emodb:13",
        ),
    ],
)
def test_unknown_names_are_answered_with_the_nearest(
    arguments: tuple[Any, ...], options: dict[str, Any], message: str, data_dir: Path
) -> None:
    with pytest.raises(UnknownNameError, match=message):
        emoset.load_dataset(*arguments, data_dir=data_dir, **options)


def test_a_corpus_that_is_not_built_names_the_command(tmp_path: Path, data_dir: Path) -> None:
    with pytest.raises(NotBuiltError, match=r"emodb is not built there.*run 'emoset build emodb --raw FOLDER --out"):
        emoset.load_dataset("emodb", data_dir=tmp_path)
    with pytest.raises(NotBuiltError) as caught:
        emoset.load_dataset(["emodb", "meld", "tess", "urdu"], data_dir=data_dir)
    assert "meld, tess are not built there; expected all of them (built: cremad, emodb," in str(caught.value)
    assert f"run 'emoset build meld tess --raw FOLDER --out {data_dir}'" in str(caught.value)


def test_a_collection_of_which_some_are_not_built_names_all_of_these(data_dir: Path) -> None:
    from emoset.registry import COLLECTIONS

    with pytest.raises(NotBuiltError) as caught:
        emoset.load_dataset("emoset26", data_dir=data_dir)
    absent = [name for name in COLLECTIONS["emoset26"] if name not in ("emodb", "iemocap")]
    assert f"{', '.join(absent)} are not built there" in str(caught.value)
    assert f"emoset build {' '.join(absent)} --raw" in str(caught.value)


def test_a_folder_that_is_no_build_is_told(copied: Path, raw_twins: Path) -> None:
    for folder, message in (
        (copied / "emodb", rf"it is the folder of one corpus; expected the data folder.*give data_dir='{copied}'"),
        (copied / "emodb" / "manifest.json", r"it is a file; expected the data folder"),
        (raw_twins, r"emodb: it is no build: there is no manifest\.json; expected a complete build"),
    ):
        with pytest.raises(DataFolderError, match=message):
            emoset.load_dataset("emodb", data_dir=folder)
    (copied / "emodb" / "manifest.json").unlink()
    with pytest.raises(DataFolderError, match=r"there are shards without their manifest\.json.*run 'emoset build emo"):
        emoset.load_dataset("emodb", data_dir=copied)


def test_shards_of_a_newer_version_are_refused(copied: Path) -> None:
    write_manifest(copied / "emodb", {**read_manifest(copied / "emodb"), "format_version": 2})
    with pytest.raises(DataFolderError, match=r"built in format 2; expected format 1 or older\. To do: upgrade emoset"):
        emoset.load_dataset("emodb", data_dir=copied)


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "one bit": (flip, r"the shard is not what was built \(its sha256 differs\); expected the file that was built"),
    "shortened": (
        lambda p: p.write_bytes(p.read_bytes()[:-3000]),
        r"the shard has \d+ bytes; expected \d+",
    ),
    "without its end": (lambda p: p.write_bytes(p.read_bytes()[:-8]), r"the shard has \d+ bytes; expected \d+"),
    "empty": (lambda p: p.write_bytes(b""), r"the shard has 0 bytes; expected \d+"),
    "missing": (lambda p: p.unlink(), "the shard is missing; expected the file that was built"),
    "of another split": (lambda p: shutil.copy(p.with_name("test-00000.arrow"), p), "the shard has "),
}


@pytest.mark.parametrize("loaded", [False, True], ids=["first", "loaded before"])
@pytest.mark.parametrize("kind", DAMAGE)
def test_a_shard_that_is_not_what_was_built_is_named_with_the_cure(kind: str, loaded: bool, copied: Path) -> None:
    damage, message = DAMAGE[kind]
    if loaded:
        emoset.load_dataset("emodb", data_dir=copied)
    damage(copied / "emodb" / "train-00000.arrow")
    cure = rf"To do: copy the folder again, or run 'emoset build emodb --rebuild --raw FOLDER --out {copied}'; 'emoset"
    with pytest.raises(DataFolderError, match=rf"emodb/train-00000\.arrow: {message}.*{cure} verify {copied}'"):
        emoset.load_dataset("emodb", "test", data_dir=copied)


def test_a_shard_that_the_manifest_vouches_for_but_is_none(copied: Path) -> None:
    path = copied / "emodb" / "train-00000.arrow"
    fewer, sink = read_shard(path).drop_columns("text"), pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, fewer.schema) as stream:
        stream.write_table(fewer)
    other = sink.getvalue().to_pybytes()
    del fewer
    for content, message in (
        (b"no Arrow", r"train-00000\.arrow: the shard cannot be read \("),
        (other, r"train-00000\.arrow: the shard has other columns; expected id, corpus, audio"),
    ):
        path.unlink()
        path.write_bytes(content)
        manifest = read_manifest(copied / "emodb")
        manifest["shards"][path.name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        write_manifest(copied / "emodb", manifest)
        with pytest.raises(DataFolderError, match=message):
            emoset.load_dataset("emodb", data_dir=copied)


def test_a_manifest_that_names_no_shards_of_a_split(copied: Path) -> None:
    manifest = read_manifest(copied / "emodb")
    del manifest["shards"]["test-00000.arrow"]
    write_manifest(copied / "emodb", manifest)
    with pytest.raises(
        DataFolderError, match=r"emodb/manifest\.json: the manifest is damaged: it names no shard of test"
    ):
        emoset.load_dataset("emodb", data_dir=copied)


def test_a_copy_is_hashed_once_and_a_build_not_at_all(
    data_dir: Path, copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from emoset import opening

    hashed: list[str] = []
    monkeypatch.setattr(opening, "file_hash", lambda path: hashed.append(path.name) or real(path))
    real = emoset.shards.file_hash
    emoset.load_dataset("iemocap", data_dir=data_dir)
    assert hashed == []
    for _ in range(2):
        emoset.load_dataset("emodb", data_dir=copied)
    assert sorted(hashed) == ["test-00000.arrow", "train-00000.arrow", "validation-00000.arrow"]


def test_a_corpus_that_is_built_again_is_read_anew(copied: Path, raw_twins: Path) -> None:
    before = emoset.load_dataset("emodb", "train", data_dir=copied).map(read_audio)
    emoset.build("emodb", raw_twins, copied, rebuild=True, progress=False)
    again = emoset.load_dataset("emodb", "train", data_dir=copied).map(read_audio)
    assert again["n"][:] == before["n"][:]
    shutil.rmtree(copied)
    with pytest.raises(NotBuiltError):
        emoset.load_dataset("emodb", data_dir=copied)


@pytest.mark.parametrize("streaming", [False, True])
def test_a_filter_that_leaves_nothing_says_what_there_is(streaming: bool, data_dir: Path) -> None:
    options = {"data_dir": data_dir, "streaming": streaming}
    with pytest.raises(EmosetError) as caught:
        emoset.load_dataset("emodb", "train", gender="child", **options)
    assert str(caught.value) == (
        "emodb: no row of train is left; expected rows with gender child. "
        "To do: loosen the filters, or take another split; train has gender female, male."
    )
    with pytest.raises(
        EmosetError, match=r"emodb, urdu: no row of all is left; expected rows with language ur, kind a"
    ):
        emoset.load_dataset(["emodb", "urdu"], language="ur", kind="acted", **options)
    with pytest.raises(
        EmosetError, match=r"emodb: train\[2:2\] has no rows; expected at least one\. To do: take a long"
    ):
        emoset.load_dataset("emodb", "train[2:2]", **options)
    with pytest.raises(EmosetError, match=r"emodb: test\[:0\] has no rows"):
        emoset.load_dataset("emodb", "test[:0]", gender="female", **options)
    speaker = emoset.load_dataset("emodb", "train", data_dir=data_dir)["speaker"][0]
    with pytest.raises(EmosetError, match=rf"no row of test is left; expected rows with speaker {speaker}"):
        emoset.load_dataset("emodb", "test", speaker=speaker, **options)


def test_audio_that_does_not_fit_is_refused_when_written(data_dir: Path) -> None:
    train = emoset.load_dataset("emodb", "test", data_dir=data_dir)
    feature = train.features["audio"]
    for value, message in (
        ({"array": np.zeros((2, 5)), "sampling_rate": 16000}, r"audio of shape \(2, 5\) at 16000 Hz"),
        ({"array": np.zeros(5), "sampling_rate": 8000}, "at 8000 Hz"),
        ({"array": [0.0, float("nan")], "sampling_rate": 16000}, "with values that are no numbers"),
        ({"array": np.zeros(5, np.int64), "sampling_rate": 16000}, "audio of type int64; expected one channel of"),
        ({"array": "abc", "sampling_rate": 16000}, "audio of type <U3"),
        ({"array": [[0.0], [0.0, 0.0]], "sampling_rate": 16000}, "audio of type object"),
        ("path.wav", "audio is given as str"),
    ):
        with pytest.raises(AudioError, match=message):
            feature.encode_example(value)
    with pytest.raises(AudioError, match=r"at 8000 Hz; expected shape \(n,\) at 16000 Hz\. To do: .* of another name"):
        train.map(lambda r: {"audio": {"array": r["audio"]["array"][::2], "sampling_rate": 8000}})
    with pytest.raises(AudioError, match=r"audio of type object; expected one channel"):
        train.map(lambda r: {"audio": {"array": np.stack([r["audio"]["array"]] * 2), "sampling_rate": 16000}})


def test_audio_that_is_not_as_stored_is_refused_when_read() -> None:
    feature = StoredAudio(sampling_rate=16000)
    sound = io.BytesIO()
    soundfile.write(sound, np.zeros(9), 8000, format="WAV", subtype="PCM_16")
    for data, message in (
        (None, r"a\.wav: the row holds no audio"),
        (b"RIFF, but not really", r"a\.wav: the stored audio cannot be decoded"),
        (sound.getvalue(), r"a\.wav: stored audio of shape \(9,\) at 8000 Hz; expected shape \(n,\) at 16000 Hz"),
    ):
        with pytest.raises(AudioError, match=message):
            feature.decode_example({"bytes": data, "path": "a.wav"})


def test_any_arrow_form_of_a_row_is_taken() -> None:
    feature, samples = StoredAudio(sampling_rate=16000), np.arange(-3, 4, dtype=np.int16)
    wav = feature.encode_example({"array": samples, "sampling_rate": 16000})["bytes"]
    assert np.array_equal(pcm_samples(wav), samples)
    text, array = pa.large_string(), (samples / np.float32(32768)).tolist()
    numbers = [("sampling_rate", pa.int32()), ("path", text)]
    for kind, row in (
        (pa.struct([("path", text), ("bytes", pa.large_binary())]), {"bytes": wav, "path": "a"}),
        (pa.struct([("array", pa.list_(pa.float32())), *numbers]), {"array": array, "sampling_rate": 16000, "path": "a"}),
        (pa.struct([("array", pa.large_list(pa.float64())), *numbers]),
         {"array": array, "sampling_rate": 16000, "path": "a"}),
        (pa.struct([("array", pa.list_(pa.int16())), *numbers]),
         {"array": samples.tolist(), "sampling_rate": 16000, "path": "a"}),
    ):  # fmt: skip
        stored = feature.cast_storage(pa.array([row, None, row], kind)[1:])
        assert stored.type == feature.pa_type
        assert stored.to_pylist() == [None, {"bytes": wav, "path": "a"}]


# Folds


@pytest.mark.parametrize(
    ("name", "protocol", "count"), [("emodb", "leave-one-speaker-out", 10), ("iemocap", "leave-one-session-out", 5)]
)
def test_the_folds_of_a_protocol_hold_out_each_value_once(
    name: str, protocol: str, count: int, data_dir: Path, stored: dict[str, Any]
) -> None:
    everything = {i for split in emoset.load_dataset(name, data_dir=data_dir).values() for i in split["id"]}
    seen: list[str] = []
    for _, train, test in emoset.load_folds(name, protocol, data_dir=data_dir):
        assert set(train["id"]) | set(test["id"]) == everything
        assert not set(train["speaker"]) & set(test["speaker"])
        check_rows(test, stored)
        seen += test["id"]
    assert sorted(seen) == sorted(everything)
    assert len(list(emoset.load_folds(name, protocol, data_dir=data_dir))) == count


def test_an_unknown_protocol_is_answered_with_the_nearest(data_dir: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown protocol 'speakers'.*leave-one-speaker-out"):
        next(iter(emoset.load_folds("emodb", "speakers", data_dir=data_dir)))
