"""The build: what is written, that it is deterministic, atomic, and checked again by verify."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import distributed
import fsspec
import numpy as np
import pyarrow as pa
import pytest
import soundfile

import emoset
import emoset.comparing
from emoset import building, converting, shards, stamps
from emoset.audio import wav_bytes
from emoset.converting import BATCH_BYTES, BATCH_ROWS, Converted, Task, convert, tasks
from emoset.errors import BuildError, DataFolderError
from emoset.remote import upload
from emoset.reports import Tally
from emoset.schema import COLUMNS, arrow_schema
from emoset.shards import (
    ShardWriter,
    file_hash,
    read_manifest,
    read_shard,
    shard_paths,
    write_manifest,
)
from emoset.slots import Slots, audio_room, write_slot
from emoset.stamps import recipe_hash
from emoset.tree import RawTree
from emoset.utterance import Utterance


def visible(folder: Path) -> list[str]:
    """Names in a folder without the stamps, which hold times of this machine."""
    return sorted(p.name for p in folder.iterdir() if p.name != ".stamps")


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_shards_have_the_schema_and_small_batches(data_dir: Path) -> None:
    for path in data_dir.glob("*/*.arrow"):
        with pa.memory_map(str(path)) as source, pa.ipc.open_stream(source) as stream:
            assert stream.schema.equals(arrow_schema(), check_metadata=True)
            assert all(batch.num_rows <= BATCH_ROWS for batch in stream)


def test_rows_are_sorted_complete_and_consistent(data_dir: Path) -> None:
    for name in ("emodb", "urdu", "cremad", "iemocap", "iemocap-full"):
        manifest = read_manifest(data_dir / name)
        recipe = emoset.get_recipe(name)
        ids: list[str] = []
        for split, told in manifest["splits"].items():
            rows = [r for p in shard_paths(data_dir / name, split) for r in read_shard(p).to_pylist()]
            assert [r["id"] for r in rows] == sorted(r["id"] for r in rows)
            assert len(rows) == told["utterances"]
            assert sum(r["duration"] for r in rows) == pytest.approx(told["seconds"], abs=1e-2)
            for row in rows:
                assert list(row) == list(COLUMNS)
                assert row["label"] == recipe.labels[row["label_raw"]]
                assert (row["emotion"], row["arousal"], row["valence"]) == recipe.meaning(row["label"])
                assert row["id"].startswith(f"{recipe.id}/")
                assert len(row["audio"]["bytes"]) == 44 + 2 * round(row["duration"] * 16000)
            ids += [r["id"] for r in rows]
        assert len(ids) == len(set(ids)) == sum(manifest["classes"].values())


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_the_result_does_not_depend_on_the_number_of_workers(
    workers: int, raw_twins: Path, data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(building, "_WORTHWHILE", 0.0)  # processes from the first task on
    emoset.build("iemocap", raw_twins, tmp_path, workers=workers, progress=False)
    assert _contents(tmp_path / "iemocap") == _contents(data_dir / "iemocap")


def test_shards_do_not_depend_on_how_a_copy_is_nested(raw_twins: Path, data_dir: Path, tmp_path: Path) -> None:
    shutil.copytree(raw_twins / "iemocap", tmp_path / "copy" / "IEMOCAP_full_release")
    emoset.build("iemocap", tmp_path / "copy", tmp_path / "data", progress=False)
    built, nested = _contents(data_dir / "iemocap"), _contents(tmp_path / "data" / "iemocap")
    assert nested.keys() == built.keys()
    assert {f for f in built if nested[f] != built[f]} == {"manifest.json"}
    assert json.loads(nested["manifest.json"])["sources"].keys() >= {
        f for f in json.loads(built["manifest.json"])["sources"] if f.endswith(".wav")
    }


def test_corpora_can_be_built_side_by_side_and_again(raw_twins: Path, tmp_path: Path) -> None:
    emoset.build("emodb", raw_twins, tmp_path, progress=False)
    first = _contents(tmp_path / "emodb")
    emoset.build("urdu", raw_twins, tmp_path, progress=False)
    emoset.build("emodb", raw_twins, tmp_path, progress=False)
    assert _contents(tmp_path / "emodb") == first
    assert visible(tmp_path) == ["README.md", "emodb", "urdu"]
    assert emoset.verify(tmp_path, progress=False).checked == ("emodb", "urdu")


def test_a_killed_build_leaves_nothing_that_is_taken_for_a_build(raw_twins: Path, tmp_path: Path) -> None:
    script = (
        "import os, emoset, emoset.building as b\n"
        "real, calls = b.Tally.add, []\n"
        "def add(self, *told):\n"
        "    calls.append(1)\n"
        "    if len(calls) == 2: os.kill(os.getpid(), 9)\n"
        "    return real(self, *told)\n"
        "b.Tally.add = add\n"
        f"emoset.build('emodb', {str(raw_twins)!r}, {str(tmp_path)!r}, progress=False)\n"
    )
    killed = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert killed.returncode == -9
    with pytest.raises(emoset.EmosetError, match="emodb is not built there"):
        emoset.load_dataset("emodb", data_dir=tmp_path)
    [leftover] = [name for name in emoset.verify(tmp_path, progress=False).extra if "left by" in name]
    assert "left by an interrupted build" in leftover
    emoset.build("emodb", raw_twins, tmp_path, progress=False)
    assert emoset.verify(tmp_path, progress=False).ok
    assert visible(tmp_path) == ["README.md", "emodb"]


def _rows(count: int, size: int) -> pa.RecordBatch:
    row = dict.fromkeys(COLUMNS) | {"id": "x", "audio": {"bytes": bytes(size), "path": "x"}}
    return pa.RecordBatch.from_pylist([row] * count, schema=arrow_schema())


def test_shards_are_cut_by_bytes_and_hashed_on_the_way(tmp_path: Path) -> None:
    with ShardWriter(tmp_path, shard_bytes=150_000) as writer:
        for rows in (100, 100, 100, 100, 50):
            writer.write("train", [_rows(rows, 1000)])
        writer.finish()
    tables = [read_shard(tmp_path / name) for name in writer.shards]
    assert [t.num_rows for t in tables] == [200, 200, 50]
    assert list(writer.shards) == ["train-00000.arrow", "train-00001.arrow", "train-00002.arrow"]
    for name, facts in writer.shards.items():
        data = (tmp_path / name).read_bytes()
        assert facts == {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def test_parts_give_the_very_bytes_of_batches(tmp_path: Path) -> None:
    facts = []
    for kind in ("batches", "parts"):
        (tmp_path / kind).mkdir()
        with ShardWriter(tmp_path / kind, shard_bytes=150_000) as writer:
            for number in range(5):
                batches = [_rows(number * 20, 1000), _rows(7, 333)][: 2 * number]
                if kind == "batches":
                    writer.write("train", batches)
                else:
                    slots = Slots(1)
                    messages = slots.messages(0, write_slot(slots.address(0), batches))
                    for written in writer.write_messages("train", *messages):
                        written.result()
                    for message in messages:
                        message.release()
                    slots.close()
            writer.finish()
        facts.append(writer.shards)
    assert facts[0] == facts[1]
    assert len(facts[0]) == 2


def test_audio_that_is_in_a_slot_stays_where_it_is() -> None:
    slots = Slots(1)
    room = audio_room(slots.address(0))
    room[:2000] = bytes([7]) * 2000
    audio = pa.Array.from_buffers(
        pa.binary(), 2, [None, pa.array([0, 1500, 2000], pa.int32()).buffers()[1], pa.py_buffer(room[:2000])]
    )
    columns = {name: pa.nulls(2, kind) for name, kind in COLUMNS.items()}
    columns["audio"] = pa.StructArray.from_arrays([audio, pa.array(["x", "y"])], fields=list(COLUMNS["audio"]))
    batch = pa.RecordBatch.from_arrays(list(columns.values()), schema=arrow_schema())
    messages = slots.messages(0, write_slot(slots.address(0), [batch]))
    assert b"".join(messages) == batch.serialize().to_pybytes()
    room[:2000] = bytes([8]) * 2000  # no copy was made
    assert b"".join(messages).count(8) >= 2000
    del batch, audio, columns
    for message in messages:
        message.release()
    room.release()
    slots.close()


def test_what_does_not_fit_into_a_slot_goes_another_way(tmp_path: Path) -> None:
    slots = Slots(1)
    assert (
        write_slot(slots.address(0), [_rows(3, 400_000)]) == ()
    )  # audio from elsewhere, more than is set aside for it
    rng = np.random.default_rng(0)
    utterances = []
    for number in range(3):  # 9.6 MB each when decoded: two fit into a slot, the third does not
        samples = rng.integers(-2, 3, 300 * 16_000).astype(np.int16)
        soundfile.write(tmp_path / f"{number}.flac", samples, 16_000)
        utterances.append(
            Utterance(
                id=f"x/{number}", corpus="x", path=f"{number}.flac", file=f"{number}.flac", split="train", label="a",
                label_raw="a", emotion=None, arousal=None, valence=None, language="en", kind="acted",
            )
        )  # fmt: skip
    for some, fits in ((utterances[:2], True), (utterances, False)):
        task = Task(tuple(some), tuple(str(tmp_path / u.path) for u in some), "mean", None)
        plain, shared = convert(task), convert(replace(task, slot=slots.address(0)))
        assert (bool(shared.in_slot), bool(shared.batches)) == (fits, not fits)
        assert shared.told == plain.told
        messages = slots.messages(0, shared.in_slot)
        sent = b"".join(messages) or b"".join(batch.serialize() for batch in shared.batches)
        assert sent == b"".join(batch.serialize() for batch in plain.batches)
        for message in messages:
            message.release()
    slots.close()


def _refuses_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.open

    def refuse(path: str, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_DIRECT:
            raise OSError(errno.ENOTSUP, "no")
        return real(path, flags, mode)

    monkeypatch.setattr(shards.os, "open", refuse)


def _refuses_to_write(monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.pwrite

    def refuse(file: int, data: memoryview, place: int) -> int:
        if place and fcntl.fcntl(file, fcntl.F_GETFL) & os.O_DIRECT:
            raise OSError(errno.EINVAL, "no")
        return real(file, data, place)

    monkeypatch.setattr(shards.os, "pwrite", refuse)


def _writes_a_little(monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.pwrite
    sizes = iter([4096, 5000, 1, *[2**20] * 1000])
    monkeypatch.setattr(shards.os, "pwrite", lambda file, data, place: real(file, data[: next(sizes)], place))


@pytest.mark.parametrize("disk", [lambda _: None, _refuses_at_once, _refuses_to_write, _writes_a_little])
@pytest.mark.parametrize("size", [10, 3 * 2**20, 2**22 - 4096, 13 * 2**20 + 5])
def test_a_shard_is_whole_whatever_the_disk_can_do(
    disk: Callable[[pytest.MonkeyPatch], None], size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk(monkeypatch)
    data = np.random.default_rng(size).bytes(size)
    with ShardWriter(tmp_path) as writer:
        writer.write_messages("test", memoryview(data)[: size // 3], memoryview(data)[size // 3 :])
        writer.finish()
    whole = shards.START + data + shards.END
    assert (tmp_path / "test-00000.arrow").read_bytes() == whole
    assert writer.shards == {"test-00000.arrow": {"bytes": len(whole), "sha256": hashlib.sha256(whole).hexdigest()}}


def test_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shards.os, "pwrite", full)
    with ShardWriter(tmp_path) as writer:
        writer.write_messages("test", memoryview(bytes(5 * 2**20)))
        with pytest.raises(OSError, match="No space left"):
            writer.finish()


def test_small_shards_hold_the_same_rows(raw_twins: Path, data_dir: Path, tmp_path: Path) -> None:
    emoset.build("emodb", raw_twins, tmp_path, shard_bytes=1, progress=False)
    assert len(shard_paths(tmp_path / "emodb", "train")) >= 1
    [told] = emoset.comparing.compare(data_dir, tmp_path, ["emodb"], progress=False)
    assert told.same
    assert emoset.verify(tmp_path, progress=False).ok


def test_long_recordings_make_small_batches_and_tasks(tmp_path: Path) -> None:
    u = Utterance(
        "x/a", "x", "a.wav", "a.wav", "train", "anger", "A", "anger", "high", "negative", "de", "acted"
    )  # fmt: skip
    paths = [tmp_path / f"{i:02d}.wav" for i in range(12)]
    for path in paths:
        path.write_bytes(wav_bytes(np.arange(1_500_000).astype(np.int16)))  # 3 MB, 94 s
    work = list(tasks([replace(u, path=path.name) for path in paths], RawTree(tmp_path), "mean"))
    assert [len(task.utterances) for task in work] == [2] * 6
    few = convert(Task((u,) * 12, tuple(map(str, paths)), "mean", None))
    assert [batch.num_rows for batch in few.batches] == [3, 3, 3, 3]
    assert all(batch.nbytes < 2 * BATCH_BYTES for batch in few.batches)


def test_what_is_too_long_for_a_record_batch_is_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(converting, "LONGEST", 16_000)
    (tmp_path / "a.wav").write_bytes(wav_bytes(np.arange(16_001).astype(np.int16)))
    u = Utterance("x/a", "x", "a.wav", "a.wav", "train", "anger", "A", "anger", "high", "negative", "de", "acted")
    done = convert(Task((u,), (str(tmp_path / "a.wav"),), "mean", None))
    assert done.batches == ()
    [told] = done.told
    assert (
        str(told.rejection)
        == "a.wav: it is 0.0 hours long; expected at most 16 hours. To do: cut it, or exclude it with a reason."
    )


def test_segments_of_one_file_read_it_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "session.wav"
    path.write_bytes(wav_bytes((np.arange(16_000 * 20) % 999).astype(np.int16)))
    reads = []
    monkeypatch.setattr(converting, "read_bytes", lambda path, where: reads.append(where) or Path(path).read_bytes())
    segments = [
        Utterance(f"x/s#{i}-{i + 1}", "x", "session.wav", "s.wav", "train", "anger", "A", None, None, None, "de", "acted",
                  start=i, end=i + 1)
        for i in range(20)
    ]  # fmt: skip
    [task] = tasks(segments, RawTree(tmp_path), "mean")
    converted = convert(task)
    assert reads == ["session.wav"]
    assert [told.source for told in converted.told] == [(path.stat().st_size, file_hash(path))] * 20
    assert [row["duration"] for batch in converted.batches for row in batch.to_pylist()] == [1.0] * 20


# -- again, and by many -----------------------------------------------------------------------------------


def test_what_has_not_changed_is_not_built_again(raw_twins: Path, tmp_path: Path) -> None:
    first = emoset.build(["emodb", "urdu"], raw_twins, tmp_path, progress=False)
    times = {p: p.stat().st_mtime_ns for p in tmp_path.glob("*/*")}
    again = emoset.build(["emodb", "urdu"], raw_twins, tmp_path, progress=False)
    assert [r.unchanged for r in first.corpora + again.corpora] == [False, False, True, True]
    assert {p: p.stat().st_mtime_ns for p in tmp_path.glob("*/*")} == times
    assert "nothing has changed" in str(again)
    assert again.corpora[0].manifest == first.corpora[0].manifest
    assert len(again.corpora[0].used) == len(first.corpora[0].used)
    assert emoset.verify(tmp_path, progress=False).ok


def _touch_raw(raw: Path, data: Path) -> None:
    path = next(raw.rglob("*.wav"))
    content = path.read_bytes()
    time.sleep(0.01)
    path.write_bytes(content[:-2] + b"\x01\x00")


def _rename_raw(raw: Path, data: Path) -> None:
    (raw / "notes.pdf").write_text("x")


def _touch_shard(raw: Path, data: Path) -> None:
    path = next((data / "emodb").glob("*.arrow"))
    content = bytearray(path.read_bytes())
    content[-9] ^= 1
    path.write_bytes(content)


def _remove_shard(raw: Path, data: Path) -> None:
    next((data / "emodb").glob("*.arrow")).unlink()


def _remove_manifest(raw: Path, data: Path) -> None:
    (data / "emodb" / "manifest.json").unlink()


def _remove_stamp(raw: Path, data: Path) -> None:
    (data / ".stamps" / "emodb.json").unlink()


def _damage_stamp(raw: Path, data: Path) -> None:
    (data / ".stamps" / "emodb.json").write_text("[")


@pytest.mark.parametrize(
    "change",
    [_touch_raw, _rename_raw, _touch_shard, _remove_shard, _remove_manifest, _remove_stamp, _damage_stamp],
)
def test_whatever_changes_is_built_again(change: Callable[[Path, Path], None], raw_twins: Path, tmp_path: Path) -> None:
    raw, data = Path(shutil.copytree(raw_twins / "emodb", tmp_path / "raw")), tmp_path / "data"
    emoset.build("emodb", raw, data, progress=False)
    change(raw, data)
    [report] = emoset.build("emodb", raw, data, progress=False).corpora
    assert not report.unchanged
    assert emoset.verify(data, progress=False).ok
    [report] = emoset.build("emodb", raw, data, progress=False).corpora
    assert report.unchanged


def test_other_settings_or_another_engine_build_again(
    raw_twins: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unchanged(**settings: Any) -> bool:
        return emoset.build("emodb", raw_twins, tmp_path, progress=False, **settings).corpora[0].unchanged

    assert [unchanged(), unchanged(), unchanged(shard_bytes=1000), unchanged()] == [False, True, False, False]
    assert [unchanged(rebuild=True), unchanged()] == [False, True]
    monkeypatch.setattr(stamps, "software", lambda: {"soxr": "0"})
    assert not unchanged()


def test_the_fingerprint_sees_functions_and_tables(tmp_path: Path) -> None:
    iemocap, emodb = emoset.get_recipe("iemocap"), emoset.get_recipe("emodb")
    assert recipe_hash(iemocap) == recipe_hash(emoset.get_recipe("iemocap"))
    other = emodb.model_copy(update={"licence": "another"})
    assert recipe_hash(other) != recipe_hash(emodb)
    module = tmp_path / "mine.py"
    code = Path("recipes/iemocap.py").read_text()
    hashes = []
    for text in (code, code.replace("def ", "def  ", 1)):  # the same facts, another function
        module.write_text(text)
        hashes.append(recipe_hash(emoset.get_recipe(str(module))))
    assert hashes[0] != hashes[1]


def test_eight_processes_build_the_same_corpus_at_once(raw_twins: Path, data_dir: Path, tmp_path: Path) -> None:
    code = f"import emoset; emoset.build(['emodb', 'urdu'], {str(raw_twins)!r}, {str(tmp_path)!r}, progress=False, rebuild=True)"
    processes = [subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE) for _ in range(8)]
    assert [(p.wait(), p.stderr.read()) for p in processes if p.stderr] == [(0, b"")] * 8
    for name in ("emodb", "urdu"):
        assert _contents(tmp_path / name) == _contents(data_dir / name)
    assert emoset.verify(tmp_path, progress=False).ok
    assert visible(tmp_path) == ["README.md", "emodb", "urdu"]


class _Serial(Executor):
    """Does the work at once, in a changed environment: nothing of it may show in the result."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


def test_the_result_does_not_depend_on_the_executor(raw_twins: Path, data_dir: Path, tmp_path: Path) -> None:
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as processes:
        for number, workers in enumerate((_Serial(), processes, 1, 5)):
            emoset.build("urdu", raw_twins, tmp_path / str(number), workers=workers, progress=False)
            assert _contents(tmp_path / str(number) / "urdu") == _contents(data_dir / "urdu")


def test_the_result_does_not_depend_on_the_environment(raw_twins: Path, data_dir: Path, tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    for path in sorted((raw_twins / "cremad").rglob("*"), key=lambda p: hash(str(p))):  # another order on the disk
        if path.is_file():
            target = raw / path.relative_to(raw_twins / "cremad")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
    code = f"import emoset; emoset.build('cremad', {str(raw)!r}, {str(tmp_path / 'data')!r}, progress=False)"
    (tmp_path / "temp").mkdir()
    environment = {
        **os.environ, "TZ": "Pacific/Chatham", "LC_ALL": "tr_TR.UTF-8", "LANG": "tr_TR.UTF-8", "PYTHONHASHSEED": "7",
        "TMPDIR": str(tmp_path / "temp"), "HOME": str(tmp_path / "temp"), "PYTHONUTF8": "0",
    }  # fmt: skip
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    assert _contents(tmp_path / "data" / "cremad") == _contents(data_dir / "cremad")


def test_a_lost_worker_process_is_told(raw_twins: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("emoset.building.convert", _die)
    with (
        ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork")) as processes,
        pytest.raises(BuildError, match=r"emodb: a worker was lost while it read wav/.*run the same command again"),
    ):
        emoset.build("emodb", raw_twins, tmp_path, workers=processes, progress=False)
    assert visible(tmp_path) == []


def _die(task: Task) -> Converted:
    os._exit(1)


def test_a_scheduler_that_does_not_answer_is_told(
    raw_twins: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = distributed.Client
    monkeypatch.setattr(distributed, "Client", lambda address, timeout: real(address, timeout=0.2))
    with pytest.raises(BuildError, match=r"tcp://127\.0\.0\.1:1: no Dask scheduler answers"):
        emoset.build("emodb", raw_twins, tmp_path, scheduler="tcp://127.0.0.1:1", progress=False)


def test_a_cluster_that_loses_a_worker_gives_the_same_bytes(raw_twins: Path, data_dir: Path, tmp_path: Path) -> None:
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1"
    ) as cluster:
        [first, _] = [worker.pid for worker in cluster.workers.values()]
        calls = []

        def kill_one(self: Tally, *told: Any) -> None:
            if not calls:
                os.kill(first, signal.SIGKILL)
            calls.append(1)
            real(self, *told)

        real = Tally.add
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Tally, "add", kill_one)
            emoset.build(["iemocap", "urdu"], raw_twins, tmp_path, scheduler=cluster.scheduler_address, progress=False)
    assert len(calls) > 2
    for name in ("iemocap", "urdu"):
        assert _contents(tmp_path / name) == _contents(data_dir / name)


# -- object stores ----------------------------------------------------------------------------------------


def test_finished_builds_go_to_an_object_store(raw_twins: Path, data_dir: Path) -> None:
    store = fsspec.filesystem("memory")
    [report] = emoset.build("emodb", raw_twins, "memory://bucket/data", progress=False).corpora
    assert str(report.folder) == "memory://bucket/data/emodb"
    emoset.build("urdu", raw_twins, "memory://bucket/data", progress=False)
    for name in ("emodb", "urdu"):
        there = {p.rpartition("/")[2]: store.cat_file(p) for p in store.ls(f"/bucket/data/{name}", detail=False)}
        assert there == _contents(data_dir / name)
    readme = store.cat_file("/bucket/data/README.md").decode()
    assert "config_name: emodb" in readme
    assert "config_name: urdu" in readme


def test_what_is_in_the_store_already_is_not_sent_again(
    raw_twins: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = fsspec.filesystem("memory")
    sent = []
    real = type(store).put_file
    monkeypatch.setattr(type(store), "put_file", lambda self, *a, **k: sent.append(a[1]) or real(self, *a, **k))
    for out in range(2):
        emoset.build("emodb", raw_twins, tmp_path / str(out), progress=False)
        upload(tmp_path / str(out), "memory://again/data", ["emodb"])
    assert len(sent) == len(list((tmp_path / "0" / "emodb").iterdir()))
    assert sent[-1].endswith("manifest.json")
    emoset.build("emodb", raw_twins, tmp_path / "0", shard_bytes=1000, progress=False)
    upload(tmp_path / "0", "memory://again/data", ["emodb"])
    there = {p.rpartition("/")[2] for p in store.ls("/again/data/emodb", detail=False)}
    assert there == {p.name for p in (tmp_path / "0" / "emodb").iterdir()}


def test_a_store_that_nobody_knows_is_told(raw_twins: Path) -> None:
    with pytest.raises(BuildError, match=r"nosuch://bucket: it cannot be written to"):
        emoset.build("emodb", raw_twins, "nosuch://bucket", progress=False)


# -- verify ------------------------------------------------------------------------------------------------


@pytest.fixture
def data(data_dir: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(data_dir, tmp_path / "data"))


def test_an_untouched_folder_is_verified(data: Path) -> None:
    report = emoset.verify(data, progress=False)
    assert report.ok
    assert report.files == 20
    assert "all as built" in str(report)


def test_a_missing_shard_is_named(data: Path) -> None:
    (data / "emodb" / "test-00000.arrow").unlink()
    assert emoset.verify(data, progress=False).missing == ("emodb/test-00000.arrow",)


def test_a_flipped_bit_is_named(data: Path) -> None:
    path = data / "urdu" / "train-00000.arrow"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert emoset.verify(data, progress=False).changed == ("urdu/train-00000.arrow: its sha256 differs",)


def test_a_shortened_shard_is_named_by_verify_and_by_load(data: Path) -> None:
    path = data / "urdu" / "train-00000.arrow"
    path.write_bytes(path.read_bytes()[:-3000])
    [message] = emoset.verify(data, progress=False).changed
    assert message.startswith("urdu/train-00000.arrow: ")
    with (
        pytest.warns(UserWarning, match="SYNTHETIC"),
        pytest.raises(DataFolderError, match=r"train-00000\.arrow: the shard"),
    ):
        emoset.load_dataset("urdu", data_dir=data)


def test_extra_files_are_named(data: Path) -> None:
    (data / "emodb" / "cache-1.arrow").write_bytes(b"x")
    (data / "notes.txt").write_text("x")
    assert emoset.verify(data, progress=False).extra == ("emodb/cache-1.arrow", "notes.txt")


def test_an_edited_manifest_is_named(data: Path) -> None:
    path = data / "cremad" / "manifest.json"
    path.write_text(path.read_text().replace('"partial": false', '"partial": true'))
    assert emoset.verify(data, progress=False).changed == ("cremad/manifest.json: its digest differs, it was edited",)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"format_version": 2}', '{"format_version": "1"}', '{"format_version": 1}']
)
def test_a_damaged_or_newer_manifest_is_named(text: str, data: Path) -> None:
    (data / "cremad" / "manifest.json").write_text(text)
    [message, *_] = emoset.verify(data, ["cremad"], progress=False).changed
    assert message.startswith("cremad/manifest.json: ")
    with pytest.raises(DataFolderError, match="cremad"):
        emoset.load_dataset("cremad", data_dir=data)


def test_shards_without_a_manifest_are_named(data: Path) -> None:
    (data / "cremad" / "manifest.json").unlink()
    report = emoset.verify(data, progress=False)
    assert report.missing == ("cremad/manifest.json: shards without their manifest",)
    assert report.changed == ()


def test_a_manifest_that_vouches_for_other_rows_is_named(data: Path) -> None:
    manifest = json.loads((data / "emodb" / "manifest.json").read_text())
    manifest["classes"]["anger"] += 1
    manifest["split_hash"] = "0" * 64
    write_manifest(data / "emodb", manifest)
    changed = emoset.verify(data, ["emodb"], progress=False).changed
    assert len(changed) == 2
    assert "classes" in changed[0]
    assert "split_hash" in changed[1]


def test_an_edited_readme_is_named(data: Path) -> None:
    (data / "README.md").write_text("nothing")
    assert emoset.verify(data, progress=False).changed == ("README.md: it does not say what the manifests say",)


def test_a_corpus_that_is_not_there_is_missing(data: Path) -> None:
    report = emoset.verify(data, ["emodb", "meld"], progress=False)
    assert report.missing == ("meld/manifest.json",)
    assert not report.ok


def test_a_folder_that_is_no_build_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataFolderError, match="nothing is built there"):
        emoset.verify(tmp_path / "absent", progress=False)
