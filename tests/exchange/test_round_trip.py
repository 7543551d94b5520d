"""Exports: built data -> another project's form -> raw root -> build gives the same rows."""

from __future__ import annotations

import contextlib
import csv
import gzip
import hashlib
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

import emoset
from emoset.errors import DataFolderError, EmosetError, NotBuiltError, RawDataError, UnknownNameError
from emoset.exchange import FORMATS, export_to, import_from
from emoset.schema import SPLITS
from emoset.shards import read_manifest, read_shard, shard_paths

# audformat's own, about pandas
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

NEEDS = {"lhotse": "lhotse", "audformat": "audformat", "webdataset": "webdataset", "wav": None}
CORPORA = ("emodb", "urdu", "cremad", "iemocap-full")


def _need(format: str) -> None:
    if NEEDS[format]:
        pytest.importorskip(NEEDS[format])


def _rows(data: Path, name: str) -> dict[str, dict[str, Any]]:
    """Id to everything that a build stores of it, but for its path in the distribution."""
    found = {}
    for split in SPLITS:
        for path in shard_paths(data / name, split):
            for row in read_shard(path).to_pylist():
                found[row["id"]] = {**row, "split": split, "audio": row["audio"]["bytes"]}
    return found


@pytest.fixture(scope="module")
def exported(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Path]:
    """Exports of the twins, each made once. Tests must not change them."""
    folder = tmp_path_factory.mktemp("exports")

    def export(format: str, name: str) -> Path:
        _need(format)
        out = folder / format / name
        return out if out.exists() else export_to(format, name, out, data_dir=data_dir, progress=False)

    return export


@pytest.mark.parametrize("name", CORPORA)
@pytest.mark.parametrize("format", FORMATS)
def test_a_round_trip_keeps_every_row(
    format: str, name: str, data_dir: Path, exported: Callable[[str, str], Path], tmp_path: Path
) -> None:
    root = import_from(format, exported(format, name), tmp_path / "raw", progress=False)
    emoset.build(name, root, tmp_path / "data", progress=False)
    before, after = _rows(data_dir, name), _rows(tmp_path / "data", name)
    assert list(after) == list(before)
    assert after == before
    manifests = [read_manifest(folder / name) for folder in (data_dir, tmp_path / "data")]
    for key in ("split_hash", "synthetic", "speaker_independent", "classes"):
        assert manifests[0][key] == manifests[1][key]


@pytest.fixture(scope="module")
def segments(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus of segments, with all that is awkward in ids, transcripts and other fields."""
    folder = tmp_path_factory.mktemp("segments")
    samples = np.random.default_rng(0).integers(-9000, 9000, (4 * 44_100, 2), np.int16)
    (folder / "raw" / "Show 1.02").mkdir(parents=True)
    soundfile.write(folder / "raw" / "Show 1.02" / "schön%2E.wav", samples, 44_100)
    with (folder / "raw" / "manifest.csv").open("w", encoding="utf-8", newline="") as file:
        file.write("path,label,speaker,start,end,text,activation,corpus,name\n")
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        for i, label in enumerate(("aggressive", "cheerful", "nervous", "tired", "neutral", "intoxicated")):
            texts = [f'"so, {i}"\nsagt sie\r\n; \u2028 \U0001f600', f"{i / 7}", "a; b", "NA" if i % 2 else ""]
            writer.writerow(["Show 1.02/schön%2E.wav", label, f"abc:{i}", i / 3, i / 3 + 0.5, *texts])
    emoset.build("abc", folder / "raw", folder / "data", progress=False)
    return folder / "data"


@pytest.mark.parametrize("format", FORMATS)
def test_awkward_ids_and_texts_survive(format: str, segments: Path, tmp_path: Path) -> None:
    _need(format)
    out = export_to(format, "abc", tmp_path / "out", data_dir=segments, progress=False)
    root = import_from(format, out, tmp_path / "raw", progress=False)
    emoset.build("abc", root, tmp_path / "again", progress=False)
    before = _rows(segments, "abc")
    assert "abc/Show 1.02/schön%2E#0.333333-0.833333" in before
    assert before["abc/Show 1.02/schön%2E#0-0.5"]["speaker"] == "abc:abc:0"
    assert _rows(tmp_path / "again", "abc") == before


@pytest.mark.parametrize("format", FORMATS)
def test_equal_rows_give_equal_bytes(
    format: str, data_dir: Path, exported: Callable[[str, str], Path], tmp_path: Path
) -> None:
    def hashes(folder: Path) -> dict[str, str]:
        files = sorted(p for p in folder.rglob("*") if p.is_file())
        return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}

    again = export_to(format, "emodb", tmp_path / "%d again", data_dir=data_dir, progress=False)
    assert hashes(again) == hashes(exported(format, "emodb"))


def test_lhotse_itself_takes_the_cuts(data_dir: Path, exported: Callable[[str, str], Path]) -> None:
    out = exported("lhotse", "emodb")
    import lhotse

    before = _rows(data_dir, "emodb")
    for split in SPLITS:
        cuts = lhotse.CutSet.from_file(out / f"cuts_{split}.jsonl.gz").with_recording_path_prefix(out).to_eager()
        lhotse.validate(cuts, read_data=True)
        recordings = lhotse.RecordingSet.from_file(out / f"recordings_{split}.jsonl.gz").to_eager()
        supervisions = lhotse.SupervisionSet.from_file(out / f"supervisions_{split}.jsonl.gz").to_eager()
        lhotse.validate_recordings_and_supervisions(recordings, supervisions)
        assert [cut.id for cut in cuts] == [name for name, row in before.items() if row["split"] == split]
        [told] = cuts[0].supervisions
        row = before[told.id]
        assert (told.label, told.speaker, told.gender) == (row["label"], row["speaker"], row["gender"])
        assert (cuts[0].load_audio()[0] * 32768).astype("<i2").tobytes() == row["audio"][44:]


def test_audformat_itself_takes_the_database(data_dir: Path, exported: Callable[[str, str], Path]) -> None:
    out = exported("audformat", "emodb")
    import audformat

    database = audformat.Database.load(str(out))
    assert not list(out.glob("*.pkl"))
    assert set(database.splits) == {"train", "dev", "test"}
    before = _rows(data_dir, "emodb")
    files = database["files"].get()
    for split, name in (("train", "train"), ("validation", "dev"), ("test", "test")):
        labels = database[f"emotion.{name}"].get()["label"]
        wanted = {files["id"][file]: label for file, label in labels.items()}
        assert wanted == {key: row["label"] for key, row in before.items() if row["split"] == split}
        assert all((out / file).is_file() for file in labels.index)
    assert database.schemes["label"].labels == sorted({row["label"] for row in before.values()})
    assert database.license == read_manifest(data_dir / "emodb")["licence"]


def test_webdataset_itself_takes_the_tars(data_dir: Path, exported: Callable[[str, str], Path]) -> None:
    out = exported("webdataset", "emodb")
    import webdataset

    before = _rows(data_dir, "emodb")
    samples = list(webdataset.WebDataset(str(out / "test-000000.tar"), shardshuffle=False))
    assert [s["__key__"] for s in samples] == [name for name, row in before.items() if row["split"] == "test"]
    for sample in samples:
        told = json.loads(sample["json"])
        row = before[told["id"]]
        assert sample["wav"] == row["audio"]
        assert {k: told[k] for k in ("label", "label_raw", "speaker", "text", "extra", "split")} == {
            k: row[k] for k in ("label", "label_raw", "speaker", "text", "extra", "split")
        }


def test_the_wav_export_is_itself_a_raw_root(
    data_dir: Path, exported: Callable[[str, str], Path], tmp_path: Path
) -> None:
    out = exported("wav", "urdu")
    assert (out / "urdu" / "train.csv").read_text("utf-8").startswith("file,label,")
    emoset.build("urdu", out, tmp_path / "data", progress=False)
    before, after = _rows(data_dir, "urdu"), _rows(tmp_path / "data", "urdu")
    assert list(after) == list(before)
    for column in ("audio", "label", "emotion", "speaker", "gender", "split", "language", "sha256"):
        assert [row[column] for row in after.values()] == [row[column] for row in before.values()], column
    assert {(row["label_raw"] == row["label"], row["extra"]) for row in after.values()} == {(True, None)}
    assert read_manifest(tmp_path / "data" / "urdu")["synthetic"]


@pytest.mark.parametrize("format", FORMATS)
def test_an_export_states_its_licence_and_that_it_is_synthetic(
    format: str, data_dir: Path, exported: Callable[[str, str], Path]
) -> None:
    text = (exported(format, "urdu") / "LICENCE.txt").read_text("utf-8")
    manifest = read_manifest(data_dir / "urdu")
    assert manifest["licence"] in text
    assert manifest["citation"] in text
    assert "SYNTHETIC" in text
    assert "do not pass them on" in text
    assert "which\nlets them be republished" in (exported(format, "emodb") / "LICENCE.txt").read_text("utf-8")


def test_some_splits_alone(data_dir: Path, tmp_path: Path) -> None:
    out = export_to("wav", "emodb", tmp_path / "out", data_dir=data_dir, splits=["test"], progress=False)
    root = import_from("wav", out, tmp_path / "raw", progress=False)
    emoset.build("emodb", root, tmp_path / "data", progress=False)
    before = {name: row for name, row in _rows(data_dir, "emodb").items() if row["split"] == "test"}
    assert _rows(tmp_path / "data", "emodb") == before
    with pytest.raises(UnknownNameError, match="unknown split 'devel'; expected one of test, train, validation"):
        export_to("wav", "emodb", tmp_path / "no", data_dir=data_dir, splits=["devel"])


def test_only_an_older_export_of_the_same_is_replaced(data_dir: Path, tmp_path: Path) -> None:
    out = export_to("wav", "emodb", tmp_path / "out", data_dir=data_dir, splits=["test"], progress=False)
    export_to("wav", "emodb", out, data_dir=data_dir, progress=False)
    assert len((out / "emodb" / "train.csv").read_text("utf-8").splitlines()) > 1
    before = sorted(p.name for p in out.rglob("*"))
    with pytest.raises(DataFolderError, match="something else is there"):
        export_to("wav", "urdu", out, data_dir=data_dir, progress=False)
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "notes.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for target in (mine, tmp_path / "file"):
        with pytest.raises(DataFolderError, match="something else is there"):
            export_to("wav", "emodb", target, data_dir=data_dir, progress=False)
        with pytest.raises(RawDataError, match="not empty"):
            import_from("wav", out, target, progress=False)
    assert sorted(p.name for p in out.rglob("*")) == before
    assert (mine / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("format", FORMATS)
def test_a_failed_export_leaves_nothing(format: str, data_dir: Path, tmp_path: Path) -> None:
    _need(format)
    copy = Path(shutil.copytree(data_dir / "emodb", tmp_path / "data" / "emodb")).parent
    shard = copy / "emodb" / "test-00000.arrow"
    shard.write_bytes(shard.read_bytes()[:100])
    with pytest.raises(DataFolderError, match=r"test-00000\.arrow: the shard cannot be read"):
        export_to(format, "emodb", tmp_path / "out" / "emodb", data_dir=copy, progress=False)
    assert not list((tmp_path / "out").iterdir())
    shard.unlink()
    with pytest.raises(DataFolderError, match=r"test-00000\.arrow: the shard is missing"):
        export_to(format, "emodb", tmp_path / "out" / "emodb", data_dir=copy, progress=False)
    assert not list((tmp_path / "out").iterdir())


def test_what_does_not_exist_is_told(data_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown format 'kaldi'; expected one of audformat, lhotse, wav"):
        export_to("kaldi", "emodb", tmp_path / "out", data_dir=data_dir)
    with pytest.raises(UnknownNameError, match="unknown format"):
        import_from("kaldi", tmp_path, tmp_path / "out")
    with pytest.raises(UnknownNameError, match=r"unknown corpus 'emo-db'.*nearest: emodb"):
        export_to("wav", "emo-db", tmp_path / "out", data_dir=data_dir)
    with pytest.raises(NotBuiltError, match="ravdess is not built there"):
        export_to("wav", "ravdess", tmp_path / "out", data_dir=data_dir)
    with pytest.raises(RawDataError, match="no such file or folder"):
        import_from("wav", tmp_path / "nothing", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("format", FORMATS)
def test_what_was_lost_from_an_export_is_noticed(
    format: str, exported: Callable[[str, str], Path], tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(exported(format, "emodb"), tmp_path / "copy"))
    match format:
        case "lhotse":
            (copy / "cuts_test.jsonl.gz").unlink()
        case "audformat":
            import audformat

            database = audformat.Database.load(str(copy))
            database.drop_tables("emotion.test")
            (copy / "db.emotion.test.parquet").unlink()
            database.save(str(copy))
        case "webdataset":
            (copy / "test-000000.tar").unlink()
        case "wav":
            lines = (copy / "manifest.csv").read_text("utf-8").splitlines()
            (copy / "manifest.csv").write_text("\n".join(lines[:-1]), "utf-8")
    with pytest.raises(RawDataError, match=r"it holds \d+ utterances, not \d+ as when it was exported"):
        import_from(format, copy, tmp_path / "raw", progress=False)
    assert not (tmp_path / "raw").exists()
    (copy / ".emoset-export.json").write_text('{"format": "wav"}')
    with pytest.raises(RawDataError, match="what the export tells of itself is damaged"):
        import_from(format, copy, tmp_path / "raw", progress=False)


@pytest.mark.parametrize("format", [name for name, library in NEEDS.items() if library])
def test_a_missing_library_is_told_by_its_name(
    format: str, data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, str(NEEDS[format]), None)
    with pytest.raises(ModuleNotFoundError) as caught:
        export_to(format, "emodb", tmp_path / "out", data_dir=data_dir, progress=False)
    assert caught.value.name == NEEDS[format]
    assert not list(tmp_path.iterdir())


def _garbled(data: bytes, rng: np.random.Generator) -> bytes:
    garbled = bytearray(data)
    for _ in range(int(rng.integers(1, 8))):
        place = int(rng.integers(0, max(len(garbled), 1)))
        match int(rng.integers(4)):
            case 0:
                garbled[place : place + 1] = rng.bytes(1)
            case 1:
                del garbled[place : place + int(rng.integers(1, 60))]
            case 2:
                garbled[place:place] = bytes(rng.choice(list(b',;"\n\r\0 -.{}[]:')) for _ in range(3))
            case _:
                del garbled[place:]
    return bytes(garbled)


@pytest.mark.parametrize("format", FORMATS)
def test_garbled_exports_give_our_errors_only(
    format: str, exported: Callable[[str, str], Path], tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(exported(format, "emodb"), tmp_path / "copy"))
    paths = [p for p in sorted(copy.iterdir()) if p.is_file() and p.name[:2] in (".e", "cu", "db", "ma", "te")]
    rng = np.random.default_rng(len(paths))
    for turn in range(24):
        path = paths[turn % len(paths)]
        whole = path.read_bytes()
        if path.suffix == ".gz" and turn % 2:
            path.write_bytes(gzip.compress(_garbled(gzip.decompress(whole), rng)))
        else:
            path.write_bytes(_garbled(whole, rng))
        with contextlib.suppress(EmosetError):  # any other error fails the test
            import_from(format, copy, tmp_path / f"raw{turn}", progress=False)
        path.write_bytes(whole)
