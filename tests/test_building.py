"""The build: what is written, that it is deterministic, atomic, and checked again by verify."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

import emoset
from emoset.errors import DataFolderError
from emoset.schema import COLUMNS, arrow_schema
from emoset.shards import BATCH_ROWS, ShardWriter, read_manifest, read_shard, shard_paths, write_manifest


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


def test_the_result_does_not_depend_on_the_number_of_workers(raw_twins: Path, data_dir: Path, tmp_path: Path) -> None:
    emoset.build("iemocap", raw_twins, tmp_path, workers=1, progress=False)
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
    assert sorted(p.name for p in tmp_path.iterdir()) == ["README.md", "emodb", "urdu"]
    assert emoset.verify(tmp_path, progress=False).checked == ("emodb", "urdu")


def test_a_killed_build_leaves_nothing_that_is_taken_for_a_build(raw_twins: Path, tmp_path: Path) -> None:
    script = (
        "import os, emoset, emoset.building as b\n"
        "real, calls = b._row, []\n"
        "def row(done):\n"
        "    calls.append(1)\n"
        "    if len(calls) == 20: os.kill(os.getpid(), 9)\n"
        "    return real(done)\n"
        "b._row = row\n"
        f"emoset.build('emodb', {str(raw_twins)!r}, {str(tmp_path)!r}, progress=False)\n"
    )
    killed = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert killed.returncode == -9
    with pytest.raises(emoset.EmosetError, match="emodb is not built there"):
        emoset.load_dataset("emodb", data_dir=tmp_path)
    [leftover] = emoset.verify(tmp_path, progress=False).extra
    assert "left by an interrupted build" in leftover
    emoset.build("emodb", raw_twins, tmp_path, progress=False)
    assert (tmp_path / "emodb" / "manifest.json").is_file()


def test_shards_are_cut_by_bytes(tmp_path: Path) -> None:
    row = dict.fromkeys(COLUMNS) | {"id": "x", "audio": {"bytes": bytes(1000), "path": "x"}}
    writer = ShardWriter(tmp_path, "train", shard_bytes=150_000)
    for _ in range(450):
        writer.write(row)
    writer.close()
    tables = [read_shard(p) for p in writer.paths]
    assert [t.num_rows for t in tables] == [200, 200, 50]
    assert [p.name for p in writer.paths] == ["train-00000.arrow", "train-00001.arrow", "train-00002.arrow"]


# -- verify ------------------------------------------------------------------------------------------------


@pytest.fixture
def data(data_dir: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(data_dir, tmp_path / "data"))


def test_an_untouched_folder_is_verified(data: Path) -> None:
    report = emoset.verify(data, progress=False)
    assert report.ok
    assert report.files == 15
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
