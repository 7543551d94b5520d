"""Imports of collections that were not made by an export, hostile and damaged ones among them."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

import emoset
from emoset.errors import EmosetError, RawDataError
from emoset.exchange import import_from
from emoset.shards import read_shard, shard_paths

# audformat's own, about pandas
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

RATE = 16_000
ABC = ("aggressive", "cheerful", "nervous", "tired", "neutral", "intoxicated")
BOMB = b"cos\nmkdir\n(S'executed'\ntR."
"""A pickle that makes a folder wherever it is loaded."""


def _noise(seconds: float, seed: int = 0) -> np.ndarray[Any, np.dtype[np.int16]]:
    return np.random.default_rng(seed).integers(-9000, 9000, int(seconds * RATE), np.int16)


def _sound(path: Path, seconds: float = 0.5, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, _noise(seconds, seed), RATE)
    return path


def _rows(data: Path, name: str = "abc") -> list[dict[str, Any]]:
    return [
        {**row, "split": split}
        for split in ("train", "validation", "test")
        for path in shard_paths(data / name, split)
        for row in read_shard(path).to_pylist()
    ]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder in which whatever is run leaves a trace."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_pickle_of_these_tests_would_run_code(here: Path) -> None:
    pickle.loads(BOMB)  # noqa: S301
    assert (here / "executed").is_dir()


# CSV


def test_lists_with_other_titles(here: Path) -> None:
    for i in range(6):
        _sound(here / "csv" / f"clips/{i}.wav", seed=i)
    for name, first in (("train", 0), ("dev", 2), ("test", 4)):
        lines = [f"clips/{i}.wav;{ABC[i]};s{i};F;0{i}" for i in (first, first + 1)]
        (here / "csv" / f"{name}.csv").write_text("\n".join(["filename;feeling;who;sex;scene", *lines]), "utf-8-sig")
    root = import_from("wav", here / "csv", here / "raw", progress=False, label="feeling", speaker="who", gender="sex")
    assert (root / "devel.csv").read_text("utf-8") == (
        "file,label,gender,scene,speaker\nclips/2.wav,nervous,F,02,s2\nclips/3.wav,tired,F,03,s3\n"
    )
    emoset.build("abc", root, here / "data", progress=False)
    rows = _rows(here / "data")
    assert [(r["id"], r["label"], r["speaker"], r["gender"], r["split"]) for r in rows][2:4] == [
        ("abc/clips/2", "nervous", "abc:s2", "female", "validation"),
        ("abc/clips/3", "tired", "abc:s3", "female", "validation"),
    ]
    assert rows[5]["extra"] == '{"scene": "05"}'


def test_a_list_without_splits_becomes_a_manifest(here: Path) -> None:
    """Segments stay segments of the whole file, which is copied once."""
    _sound(here / "csv" / "long.wav", 3)
    lines = ["path,emotion,speaker,start,end"] + [f"long.wav,{ABC[i]},s{i},{i / 2},{i / 2 + 0.5}" for i in range(6)]
    (here / "csv" / "list.csv").write_text("\n".join(lines))
    root = import_from("wav", here / "csv", here / "raw", progress=False)
    assert sorted(p.name for p in root.iterdir()) == ["long.wav", "manifest.csv"]
    emoset.build("abc", root, here / "data", progress=False)
    assert {r["id"] for r in _rows(here / "data")} == {f"abc/long#{i / 2:g}-{i / 2 + 0.5:g}" for i in range(6)}


@pytest.mark.parametrize(
    ("text", "columns", "message"),
    [
        ("name,label\na.wav,x", {}, r"no column names the files; it has name, label; expected a column path, file"),
        ("file,label\nb.wav,x", {}, r"list.csv, line 2: there is no file b.wav"),
        ("file,label\n../a.wav,x", {}, r"line 2: the name '../a.wav' does not stay below a folder"),
        ("file,label\n/etc/passwd,x", {}, r"does not stay below a folder"),
        ("file,label\nlist.csv,x", {}, r"'list.csv' is not called like audio"),
        ("file,label\na.wav", {}, r"line 2: a row has not as many columns as the titles"),
        ("file,label\na.wav,x,y", {}, r"line 2: a row has not as many columns as the titles"),
        ("file,label,split\na.wav,x,holdout", {}, r"unknown split 'holdout'; expected train, validation or test"),
        ("file,label,split\na.wav,x,train\nc.wav,x,", {}, r"c.wav: 1 utterances have no split, though others have"),
        ("file,label\na.wav,x\na.wav,y", {}, r"line 3: a second utterance would be called a.wav"),
        ("file,label,start\na.wav,x,soon", {}, r"line 2: start is 'soon'; expected seconds"),
        ("file,mood\na.wav,x", {}, r"no utterance has a label; expected a field label among mood. To do: name"),
        (
            "file,mood\na.wav,x",
            {"label": "moods"},
            r"no utterance has 'moods', which should be its label; expected one",
        ),
        ("file,mood\na.wav,x", {"path": "file"}, r"'path' cannot be a field; expected one of label, speaker"),
        ("file,label", {}, r"it holds no utterance"),
        ("file,label,extra\na.wav,x,[1]", {}, r"line 2: extra is '\[1\]'; expected a JSON object"),
        ("", {}, r"no column names the files"),
    ],
)
def test_bad_lists_are_told(text: str, columns: Mapping[str, str], message: str, here: Path) -> None:
    for name in ("a", "c"):
        _sound(here / "csv" / f"{name}.wav")
    (here / "csv" / "list.csv").write_text(text)
    with pytest.raises(RawDataError, match=message):
        import_from("wav", here / "csv", here / "raw", progress=False, **columns)
    assert sorted(p.name for p in here.iterdir()) == ["csv"]


def test_several_lists_and_foreign_text_are_told(here: Path) -> None:
    (here / "a.csv").write_bytes(b"file,label\n\xff.wav,x")
    with pytest.raises(RawDataError, match=r"a\.csv: byte 11 is not UTF-8"):
        import_from("wav", here / "a.csv", here / "raw", progress=False)
    (here / "b.csv").write_text("")
    with pytest.raises(RawDataError, match=r"it holds 2 lists; expected manifest\.csv, or train\.csv"):
        import_from("wav", here, here / "raw", progress=False)


def test_an_utterance_without_label_is_told_and_left_to_the_build(here: Path) -> None:
    for name in ("a", "b"):
        _sound(here / "csv" / f"{name}.wav")
    (here / "csv" / "list.csv").write_text("file,label,split\na.wav,tired,\nb.wav,,")
    with pytest.warns(UserWarning, match="1 utterances have no label, and a build will refuse them: b.wav"):
        root = import_from("wav", here / "csv", here / "raw", progress=False)
    with pytest.raises(EmosetError, match=r"no label is told for b"):
        emoset.build("abc", root, here / "data", progress=False)


# lhotse


def _cut(path: Path, spans: list[tuple[float, float]], **fields: Any) -> dict[str, Any]:
    seconds = soundfile.info(path).duration
    recording = {
        "id": path.stem, "sources": [{"type": "file", "channels": [0], "source": str(path)}],
        "sampling_rate": RATE, "num_samples": int(seconds * RATE), "duration": seconds, "channel_ids": [0],
    }  # fmt: skip
    supervisions = [
        {"id": f"{path.stem}-{i}", "recording_id": path.stem, "start": start, "duration": end - start, "channel": 0,
         "speaker": f"s{i}", "gender": "female", "text": "so\nwhat", "custom": {"mood": ABC[i], "take": i, "odd": [1]}}
        for i, (start, end) in enumerate(spans)
    ]  # fmt: skip
    return {
        "id": f"cut-{path.stem}", "start": 0, "duration": seconds, "channel": 0, "supervisions": supervisions,
        "recording": recording, "type": "MonoCut", **fields,
    }  # fmt: skip


def _save_cuts(path: Path, *cuts: dict[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    data = "".join(json.dumps(cut) + "\n" for cut in cuts).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def test_lhotse_cuts_of_others(here: Path) -> None:
    pytest.importorskip("lhotse")
    long, short = _sound(here / "wav" / "long.wav", 3), _sound(here / "wav" / "short.flac", 1)
    _save_cuts(here / "lhotse" / "my_cuts_train.jsonl.gz", _cut(long, [(0.5 * i, 0.5 * i + 0.5) for i in range(6)]))
    _save_cuts(here / "lhotse" / "my_cuts_dev.jsonl", _cut(short, [(0, 1)]))
    with pytest.warns(UserWarning, match="the field 'odd' of 7 utterances is left out"):
        root = import_from("lhotse", here / "lhotse", here / "raw", progress=False, label="mood")
    assert (root / "short.flac").read_bytes() == short.read_bytes()
    emoset.build("abc", root, here / "data", progress=False)
    rows = _rows(here / "data")
    assert [(r["id"], r["split"]) for r in rows][-2:] == [("abc/long#2.5-3", "train"), ("abc/short", "validation")]
    assert (rows[5]["label"], rows[5]["speaker"], rows[5]["text"]) == ("intoxicated", "abc:s5", "so\nwhat")
    assert rows[5]["extra"] == '{"take": "5"}'


def test_lhotse_recordings_and_supervisions(here: Path) -> None:
    lhotse = pytest.importorskip("lhotse")
    (here / "kaldi").mkdir()
    cut = _cut(_sound(here / "a.wav"), [(0, 0.5)])
    recordings = lhotse.RecordingSet.from_recordings([lhotse.Recording.from_dict(cut["recording"])])
    supervisions = [lhotse.SupervisionSegment.from_dict(told) for told in cut["supervisions"]]
    recordings.to_file(here / "kaldi" / "recordings_test.jsonl.gz")
    with pytest.raises(RawDataError, match=r"there is no supervisions_test\.jsonl\.gz beside it"):
        import_from("lhotse", here / "kaldi", here / "raw", progress=False, label="mood")
    lhotse.SupervisionSet.from_segments(supervisions).to_file(here / "kaldi" / "supervisions_test.jsonl.gz")
    with pytest.warns(UserWarning, match="left out"):
        root = import_from("lhotse", here / "kaldi", here / "raw", progress=False, label="mood")
    assert (root / "test.csv").read_text("utf-8").splitlines()[1].startswith("a.wav,aggressive")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"source": {"type": "command", "source": "mkdir executed"}}, r"is of the kind command; expected one file"),
        ({"source": {"type": "url", "source": "http://localhost/a.wav"}}, r"is of the kind url"),
        ({"source": {"type": "file", "source": "/etc/passwd"}}, r"'a' is not called like audio"),
        ({"source": {"type": "file", "source": "gone.wav"}}, r"there is no file gone\.wav"),
        ({"recording": {"id": "../../a"}}, r"the name '\.\./\.\./a\.wav' does not stay below a folder"),
        ({"recording": {"transforms": [{"name": "Speed", "kwargs": {"factor": 2}}]}}, r"a is augmented"),
        ({"recording": {"channel_ids": [0, 1]}}, r"it takes channel 0 of \[0, 1\]; expected all of them"),
        ({"type": "MultiCut", "channel": [0, 1], "recording": {"channel_ids": [0, 1]}}, r"it takes channel 0 of"),
        ({"supervisions": []}, r"the cut cut-a has no supervision"),
        ({"type": "PaddingCut"}, r"cannot be read as a lhotse manifest"),
        ({"start": "soon"}, r"cannot be read as a lhotse manifest \(TypeError"),
        ({"surprise": 1}, r"cannot be read as a lhotse manifest \(TypeError"),
    ],
)
def test_hostile_and_bad_cuts_are_refused(change: dict[str, Any], message: str, here: Path) -> None:
    pytest.importorskip("lhotse")
    cut = _cut(_sound(here / "a.wav"), [(0, 0.5)])
    cut["recording"]["sources"][0] |= change.pop("source", {})
    cut["recording"] |= change.pop("recording", {})
    _save_cuts(here / "cuts.jsonl", cut | change)
    with pytest.raises(RawDataError, match=message):
        import_from("lhotse", here / "cuts.jsonl", here / "raw", progress=False, label="mood")
    assert sorted(p.name for p in here.iterdir()) == ["a.wav", "cuts.jsonl"]


@pytest.mark.parametrize("damage", ["cut", "garbage", "list", "supervision", "empty"])
def test_damaged_manifests_are_refused(damage: str, here: Path) -> None:
    pytest.importorskip("lhotse")
    cut = _cut(_sound(here / "a.wav"), [(0, 0.5)])
    path = _save_cuts(here / "lhotse" / "cuts.jsonl.gz", cut)
    whole = path.read_bytes()
    path.write_bytes({
        "cut": whole[: len(whole) // 2],
        "garbage": gzip.compress(b"{]\n"),
        "list": gzip.compress(b"[1, 2]\n"),
        "supervision": gzip.compress(json.dumps(cut["supervisions"][0]).encode()),
        "empty": gzip.compress(b""),
    }[damage])  # fmt: skip
    with pytest.raises(RawDataError, match=r"cuts\.jsonl\.gz|it holds no utterance"):
        import_from("lhotse", here / "lhotse", here / "raw", progress=False, label="mood")
    with pytest.raises(RawDataError, match=r"there is no manifest; expected \*cuts\*\.jsonl\.gz"):
        import_from("lhotse", here, here / "raw", progress=False)


# audformat


def _database(folder: Path, *, segmented: bool = False) -> Any:
    audformat = pytest.importorskip("audformat")
    files = [f"audio/{i}.wav" for i in range(6)]
    for i, name in enumerate(files):
        _sound(folder / name, 1, i)
    database = audformat.Database("mine")
    database.schemes["emotion"] = audformat.Scheme(labels=sorted(ABC))
    persons = {f"s{i}": {"gender": "male", "age": 20 + i} for i in range(6)}
    database.schemes["speaker"] = audformat.Scheme(labels=persons)
    database["files"] = audformat.Table(audformat.filewise_index(files))
    database["files"]["speaker"] = audformat.Column(scheme_id="speaker")
    database["files"]["speaker"].set([f"s{i}" for i in range(6)])
    for split, first in (("train", 0), ("dev", 2), ("test", 4)):
        index = audformat.filewise_index(files[first : first + 2])
        if segmented:
            index = audformat.segmented_index(files[first : first + 2], ["0.25s", "0s"], ["0.75s", None])
        database.splits[split] = audformat.Split(split)
        database[f"emotion.{split}"] = table = audformat.Table(index, split_id=split)
        table["emotion"] = audformat.Column(scheme_id="emotion")
        table["emotion"].set(list(ABC[first : first + 2]))
    return database


@pytest.mark.parametrize("storage", ["csv", "parquet"])
@pytest.mark.parametrize("segmented", [False, True])
def test_audformat_databases_of_others(segmented: bool, storage: str, here: Path) -> None:
    _database(here / "db", segmented=segmented).save(str(here / "db"), storage_format=storage)
    root = import_from("audformat", here / "db", here / "raw", progress=False)
    emoset.build("abc", root, here / "data", progress=False)
    rows = _rows(here / "data")
    assert [(r["label"], r["speaker"], r["gender"], r["age"], r["split"]) for r in rows] == [
        (ABC[i], f"abc:s{i}", "male", 20 + i, ("train", "validation", "test")[i // 2]) for i in range(6)
    ]
    ids = [f"abc/audio/{i}#0.25-0.75" if segmented and not i % 2 else f"abc/audio/{i}" for i in range(6)]
    assert [r["id"] for r in rows] == ids


def test_tables_that_disagree_are_told_apart_by_name(here: Path) -> None:
    audformat = pytest.importorskip("audformat")
    database = _database(here / "db")
    for table, label in (("emotion.desired.train", "tired"), ("notes", "nervous")):
        database[table] = audformat.Table(audformat.filewise_index(["audio/0.wav"]))
        for column in ("emotion", "remark"):
            database[table][column] = audformat.Column(scheme_id="emotion")
            database[table][column].set([label])
    database.save(str(here / "db"), storage_format="csv")
    with pytest.raises(RawDataError, match=r"tables tell different emotion of a file. To do: choose one by name"):
        import_from("audformat", here / "db", here / "raw", progress=False)
    with pytest.warns(UserWarning, match="the column 'remark' is left out"):
        root = import_from(
            "audformat", here / "db" / "db.yaml", here / "raw", progress=False, label="emotion.desired.train.emotion"
        )
    assert (root / "train.csv").read_text("utf-8") == "file,label,age,gender,speaker\naudio/0.wav,tired,20,male,s0\n"
    with (
        pytest.warns(UserWarning, match="left out"),
        pytest.raises(RawDataError, match=r"no table has a column mood; expected one of age, "),
    ):
        import_from("audformat", here / "db", here / "other", progress=False, label="mood")


@pytest.mark.parametrize("tag", ["!!python/object/apply:os.mkdir [executed]", "!!python/name:os.system x", "!new {}"])
def test_a_header_that_would_run_code_is_refused(tag: str, here: Path) -> None:
    _database(here / "db").save(str(here / "db"), storage_format="csv")
    header = here / "db" / "db.yaml"
    header.write_text(header.read_text("utf-8") + f"surprise: {tag}\n", "utf-8")
    with pytest.raises(RawDataError, match=r"db\.yaml: the header is refused .*expected plain YAML without tags"):
        import_from("audformat", here / "db", here / "raw", progress=False)
    assert sorted(p.name for p in here.iterdir()) == ["db"]


@pytest.mark.parametrize("name", ["db.files.pkl", "db.emotion.dev.pkl"])
def test_a_pickled_table_is_refused(name: str, here: Path) -> None:
    _database(here / "db").save(str(here / "db"), storage_format="csv")
    (here / "db" / name).write_bytes(BOMB)
    with pytest.raises(RawDataError, match=rf"{name}: a pickled table is refused, since it could run code"):
        import_from("audformat", here / "db", here / "raw", progress=False)
    assert sorted(p.name for p in here.iterdir()) == ["db"]


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("db.yaml", b"name: [", r"the header is refused"),
        ("db.yaml", b"\xff\xfe\x00", r"the header is refused"),
        ("db.yaml", b"just text", r"cannot be read as an audformat database"),
        (
            "db.yaml",
            b"name: x\nsource: y\nusage: other\ntables:\n  ../x: {type: filewise}",
            r"a table is called '../x'",
        ),
        ("db.yaml", None, r"db\.yaml: there is no header"),
        ("db.emotion.dev.csv", None, r"cannot be read as an audformat database \(RuntimeError: No file found"),
        ("db.emotion.dev.csv", b"\0\1", r"cannot be read as an audformat database"),
        ("db.emotion.dev.csv", b"file,emotion\n../a.wav,tired\n", r"'\.\./a\.wav' does not stay below a folder"),
        ("db.emotion.dev.csv", b"file,emotion\naudio/9.wav,tired\n", r"there is no file audio/9\.wav"),
        (
            "db.emotion.dev.csv",
            b"file,emotion\naudio/0.wav,aggressive\n",
            r"it is in dev and train; expected one split",
        ),
    ],
)
def test_damaged_databases_are_told(name: str, data: bytes | None, message: str, here: Path) -> None:
    _database(here / "db").save(str(here / "db"), storage_format="csv")
    (here / "db" / name).unlink()
    if data is not None:
        (here / "db" / name).write_bytes(data)
    with pytest.raises(RawDataError, match=message):
        import_from("audformat", here / "db", here / "raw", progress=False)
    assert sorted(p.name for p in here.iterdir()) == ["db"]


# WebDataset


def _wav(seed: int = 0) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, _noise(0.5, seed), RATE, format="WAV", subtype="PCM_16")
    return file.getvalue()


def _tar(path: Path, *members: tuple[str | tarfile.TarInfo, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as tar:
        for member, data in members:
            info = member if isinstance(member, tarfile.TarInfo) else tarfile.TarInfo(member)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def _link(name: str, target: str, kind: bytes) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def test_webdataset_tars_of_others(here: Path) -> None:
    _tar(
        here / "wds" / "set-train-000000.tar.gz", ("./a/0.cls", b"tired\n"), ("./a/0.txt", "schön".encode()),
        ("./a/0.wav", _wav(0)), ("__meta__/x.wav", b""), ("a/1.wav", _wav(1)), ("a/1.CLS", b"nervous"),
    )  # fmt: skip
    _tar(here / "wds" / "set-val-0.tar", ("2.json", b'{"label": "cheerful", "who": {"x": 1}}'), ("2.wav", _wav(2)))
    (here / "wds" / "notes.txt").write_text("not a tar")
    with pytest.warns(UserWarning, match="the field 'who' of 1 utterances is left out"):
        root = import_from("webdataset", here / "wds", here / "raw", progress=False)
    assert (root / "train.csv").read_text("utf-8") == "file,label,text\na/0.wav,tired,schön\na/1.wav,nervous,\n"
    assert (root / "devel.csv").read_text("utf-8") == "file,label,text\n2.wav,cheerful,\n"
    assert (root / "2.wav").read_bytes() == _wav(2)
    with pytest.warns(UserWarning, match="left out"):
        root = import_from("webdataset", here / "wds", here / "no-splits", progress=False, split="")
    assert (root / "manifest.csv").read_text("utf-8").startswith("file,label,text\na/0.wav,tired,schön\n")


def test_pickles_in_a_tar_are_left_out_aloud(here: Path) -> None:
    members = [(f"0.{kind}", BOMB) for kind in ("pickle", "pyd", "pkl", "pth", "pt", "npy")]
    _tar(here / "train.tar", ("0.cls", b"tired"), *members, ("0.wav", _wav()))
    with pytest.warns(UserWarning, match=r"left out, unread: 1 \.npy, 1 \.pickle, 1 \.pkl, 1 \.pt, 1 \.pth, 1 \.pyd"):
        root = import_from("webdataset", here / "train.tar", here / "raw", progress=False)
    assert sorted(p.name for p in root.iterdir()) == ["0.wav", "devel.csv", "test.csv", "train.csv"]
    assert sorted(p.name for p in here.iterdir()) == ["raw", "train.tar"]


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([("../a.wav", b"x")], r"the name '\.\./a\.wav' does not stay below a folder"),
        ([("/tmp/a.wav", b"x")], r"does not stay below a folder"),  # noqa: S108
        ([("a/../../b.wav", b"x")], r"does not stay below a folder"),
        ([("a\\..\\b.wav", b"x")], r"does not stay below a folder"),
        ([("C:/b.wav", b"x")], r"does not stay below a folder"),
        ([("a\nb.wav", b"x")], r"does not stay below a folder"),
        ([(_link("a.wav", "/etc/passwd", tarfile.SYMTYPE), b"")], r"a link or a device; expected regular files"),
        ([(_link("a.wav", "b.wav", tarfile.LNKTYPE), b"")], r"a link or a device"),
        ([(_link("a.wav", "", tarfile.FIFOTYPE), b"")], r"a link or a device"),
        ([(_link("a.wav", "", tarfile.CHRTYPE), b"")], r"a link or a device"),
        ([("a.json", b'{"id": "x/../../../b", "corpus": "x", "label": "l"}'), ("a.wav", b"x")], r"not stay below"),
        ([("a.json", b"[]"), ("a.wav", b"x")], r"train\.tar, a\.json: it cannot be read; expected a JSON object"),
        ([("a.json", b"\xff{}"), ("a.wav", b"x")], r"it cannot be read"),
        ([("a.json", b"[" * 100_000), ("a.wav", b"x")], r"it cannot be read"),
        ([("a.txt", b" " * 2_000_000), ("a.wav", b"x")], r"it has 2000000 bytes; expected 1048576 at most"),
        ([("a.json", b'{"label": "\\ud800"}'), ("a.wav", b"x")], r"is not Unicode text"),
        ([("a.cls", b"tired")], r"a has no audio; expected a\.wav"),
        ([("a.wav", b"x"), ("a.flac", b"x")], r"a has two recordings; expected one"),
        ([("a.wav", b"x"), ("b.wav", b"x"), ("a.wav", b"x")], r"a second utterance would be called a\.wav"),
        ([("a.wav", b"x"), ("a.wav/b.wav", b"x")], r"the name 'a\.wav/b\.wav' clashes with another"),
        ([("readme.wav", b"x")], r"'readme\.wav' would be ignored as a document"),
        ([(".a.wav", b"x")], r"would be ignored|has no audio"),
        ([], r"it holds no utterance"),
    ],
)
def test_hostile_and_bad_tars_are_refused(members: list[Any], message: str, here: Path) -> None:
    _tar(here / "train.tar", *members)
    with pytest.raises(RawDataError, match=message):
        import_from("webdataset", here / "train.tar", here / "raw", progress=False)
    assert sorted(p.name for p in here.iterdir()) == ["train.tar"]


def test_damaged_tars_are_refused(here: Path) -> None:
    path = _tar(here / "wds" / "train.tar", ("a.cls", b"tired"), ("a.wav", _wav()))
    whole = path.read_bytes()
    for data in (whole[:9000], whole[:600], b"x" * 2000, b"", whole[:700] + b"\xff" * 600 + whole[1300:]):
        path.write_bytes(data)
        with pytest.raises(RawDataError):
            import_from("webdataset", here / "wds", here / "raw", progress=False)
    path.unlink()
    with pytest.raises(RawDataError, match="it holds no tar"):
        import_from("webdataset", here / "wds", here / "raw", progress=False)
    assert [p.name for p in here.iterdir()] == ["wds"]
