"""Publishing: to a folder and to a stand-in of the Hub; what must not go out, and what is not sent twice."""

from __future__ import annotations

import importlib.util
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import huggingface_hub
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile
from huggingface_hub import HfApi

from emoset.audio import pcm_samples, sample_hash
from emoset.errors import AudioError, DataFolderError, EmosetError, NotBuiltError, UnknownNameError
from emoset.forms import GROUP_ROWS, write_parquet
from emoset.identity import check_identity
from emoset.publishing import publish
from emoset.registry import list_corpora
from emoset.shards import file_hash, read_manifest, read_shard, write_manifest

# pytest's importlib mode does not put this folder on the path.
_spec = importlib.util.spec_from_file_location("hub_stand_in", Path(__file__).with_name("hub_stand_in.py"))
assert _spec is not None
assert _spec.loader is not None
hub_stand_in = importlib.util.module_from_spec(_spec)
sys.modules["hub_stand_in"] = hub_stand_in
_spec.loader.exec_module(hub_stand_in)

REPO = "lab/emoset"
ADDRESS = f"hf://datasets/{REPO}"
BOTH = ["emodb", "urdu"]


@pytest.fixture
def built(data_dir: Path, tmp_path: Path) -> Path:
    """Two built corpora that may be changed."""
    for name in BOTH:
        shutil.copytree(data_dir / name, tmp_path / "data" / name)
    return tmp_path / "data"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The stand-in, as the only Hub there is; nothing else can be reached."""
    with hub_stand_in.HubStandIn() as running:
        constants = huggingface_hub.constants
        monkeypatch.setattr(constants, "ENDPOINT", running.url)
        template = running.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.delenv("HF_TOKEN", raising=False)
        find = socket.getaddrinfo

        def only_here(host: Any, *arguments: Any, **named: Any) -> Any:
            assert host in ("127.0.0.1", "localhost"), f"{host} was asked for"
            return find(host, *arguments, **named)

        monkeypatch.setattr(socket, "getaddrinfo", only_here)
        yield running


def send(data: Path, to: str | Path = ADDRESS, corpora: list[str] = BOTH, **options: Any) -> Any:
    if str(to).startswith("hf://"):
        options = {"token": hub_stand_in.HubStandIn.token, **options}
    return publish(corpora, to, data_dir=data, progress=False, **options)


def real(data: Path, *names: str, **facts: Any) -> None:
    """Make a twin pass for real speech."""
    for name in names:
        write_manifest(data / name, {**read_manifest(data / name), "synthetic": False, **facts})


def rewrite(data: Path, name: str, shard: str, change: Callable[[pa.Table], pa.Table]) -> None:
    """Build a shard anew, with other rows."""
    path = data / name / shard
    table = change(read_shard(path))
    with pa.OSFile(f"{path}.new", "wb") as sink, pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    Path(f"{path}.new").replace(path)
    manifest = read_manifest(data / name)
    manifest["shards"][shard] = {"bytes": path.stat().st_size, "sha256": file_hash(path)}
    write_manifest(data / name, manifest)


def with_column(table: pa.Table, name: str, value: str) -> pa.Table:
    values = [value, *table[name].to_pylist()[1:]]
    return table.set_column(table.column_names.index(name), table.schema.field(name), pa.array(values, pa.string()))


def files(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def run(code: str, **environment: str) -> str:
    """What a Python process prints that knows nothing of this package."""
    blocked = "import sys; sys.modules['emoset'] = None\n"
    done = subprocess.run(
        [sys.executable, "-c", blocked + code], capture_output=True, text=True, env={**os.environ, **environment}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


# A folder


def test_plain_datasets_opens_a_published_folder_in_every_form(built: Path, tmp_path: Path) -> None:
    for form in ("arrow", "parquet", "flac"):
        send(built, tmp_path / form, form=form)
    send(built, tmp_path / "none", audio=False)
    code = f"""
import json, datasets
told = {{}}
for form in ("arrow", "parquet", "flac", "none"):
    for corpus in ("emodb", "urdu"):
        ds = datasets.load_dataset(f"{tmp_path}/{{form}}", corpus)
        if form != "none":
            assert ds["train"].features["audio"] == datasets.Audio(16000), ds["train"].features
            ds = ds.cast_column("audio", datasets.Audio(16000, decode=False))
            assert ds["test"][0]["audio"]["bytes"][:4] == (b"fLaC" if form == "flac" else b"RIFF")
        told[form + corpus] = {{split: rows["sha256"][:] for split, rows in ds.items()}}
print(json.dumps(told))
"""
    told = json.loads(run(code, HF_HOME=str(tmp_path / "cache"), HF_DATASETS_OFFLINE="1", HF_HUB_OFFLINE="1"))
    for corpus in BOTH:
        manifest = read_manifest(built / corpus)
        expected = {
            s: read_shard(built / corpus / f"{s}-00000.arrow")["sha256"].to_pylist() for s in manifest["splits"]
        }
        for form in ("arrow", "parquet", "flac", "none"):
            assert told[form + corpus] == expected


def test_arrow_goes_out_as_it_was_built_and_can_be_verified(built: Path, tmp_path: Path) -> None:
    report = send(built, tmp_path / "out")
    assert {f.action for f in report.files} == {"upload"}
    for path in built.glob("*/*.arrow"):
        assert (tmp_path / "out" / path.relative_to(built)).read_bytes() == path.read_bytes()
    import emoset

    assert emoset.verify(tmp_path / "out", BOTH, progress=False).ok
    with pytest.warns(UserWarning, match="SYNTHETIC"):
        rows = emoset.load_dataset("emodb", "test", data_dir=tmp_path / "out")
    assert rows[0]["audio"]["sampling_rate"] == 16_000


def test_parquet_holds_the_same_rows_in_small_groups_with_an_index(data_dir: Path, tmp_path: Path) -> None:
    table = read_shard(data_dir / "emodb" / "train-00000.arrow")
    many = pa.concat_tables([table] * (250 // table.num_rows + 1)).slice(0, 250)
    with pa.OSFile(str(tmp_path / "many.arrow"), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(many)
    first, second = (write_parquet(tmp_path / "many.arrow", tmp_path / f"{n}.parquet") for n in (1, 2))
    assert first.read_bytes() == second.read_bytes()
    opened = pq.ParquetFile(first)
    assert opened.read().equals(many)
    assert opened.schema_arrow.metadata[b"huggingface"] == table.schema.metadata[b"huggingface"]
    groups = [opened.metadata.row_group(n) for n in range(opened.num_row_groups)]
    assert [group.num_rows for group in groups] == [GROUP_ROWS, GROUP_ROWS, 50]
    assert all(groups[0].column(n).has_offset_index for n in range(groups[0].num_columns))


def test_flac_gives_back_every_sample(data_dir: Path, tmp_path: Path) -> None:
    shard = data_dir / "emodb" / "train-00000.arrow"
    stored = write_parquet(shard, tmp_path / "train.parquet", flac=True)
    assert stored.read_bytes() == write_parquet(shard, tmp_path / "again.parquet", flac=True).read_bytes()
    assert stored.stat().st_size < 0.8 * shard.stat().st_size
    before, after = read_shard(shard).to_pylist(), pq.read_table(stored).to_pylist()
    for old, new in zip(before, after, strict=True):
        samples, rate = soundfile.read(io.BytesIO(new["audio"]["bytes"]), dtype="int16")
        assert (samples == pcm_samples(old["audio"]["bytes"])).all()
        assert (rate, sample_hash(samples), new["audio"]["path"]) == (16_000, new["sha256"], old["audio"]["path"])
        assert {**old, "audio": None} == {**new, "audio": None}


def test_flac_that_does_not_give_back_the_samples_is_refused(built: Path, tmp_path: Path) -> None:
    rewrite(built, "emodb", "train-00000.arrow", lambda table: with_column(table, "sha256", "0" * 64))
    with pytest.raises(AudioError, match=r"FLAC does not give back what was stored.*publish as Parquet or Arrow"):
        send(built, tmp_path / "out", form="flac")
    assert not (tmp_path / "out" / "README.md").exists()


def test_a_dry_run_writes_nothing_and_tells_what_a_real_one_does(built: Path, tmp_path: Path) -> None:
    told = send(built, tmp_path / "out", form="flac", dry_run=True)
    assert not (tmp_path / "out").exists()
    done = send(built, tmp_path / "out", form="flac")
    assert told.files == done.files
    text = str(told)
    assert "would be uploaded" in text
    assert f"upload {done.files[-1].bytes:>13,}  urdu/validation-00000.parquet" in text
    before = files(tmp_path / "out")
    send(built, tmp_path / "out", corpora=["emodb"], form="parquet", audio=False, dry_run=True)
    assert files(tmp_path / "out") == before


@pytest.mark.parametrize("options", [{}, {"form": "flac"}, {"audio": False}], ids=["arrow", "flac", "no audio"])
def test_what_is_there_is_not_written_again(built: Path, tmp_path: Path, options: dict[str, Any]) -> None:
    send(built, tmp_path / "out", **options)
    times = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*")}
    assert send(built, tmp_path / "out", **options).changed == ()
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*")} == times
    path = tmp_path / "out" / "emodb" / ("test-00000.parquet" if options else "test-00000.arrow")
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert [f.path for f in send(built, tmp_path / "out", **options).changed] == [f"emodb/{path.name}"]


def test_the_same_build_gives_the_same_bytes(built: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        send(built, tmp_path / name, form="flac")
    assert files(tmp_path / "one") == files(tmp_path / "two")
    assert str(tmp_path).encode() not in b"".join(files(tmp_path / "one").values())


def test_corpora_are_published_side_by_side(built: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    send(built, out, ["emodb"])
    send(built, out, ["urdu"])
    card = (out / "README.md").read_text()
    assert "config_name: emodb" in card
    assert "config_name: urdu" in card
    assert files(out) == files_of_both(built, tmp_path)


def files_of_both(built: Path, tmp_path: Path) -> dict[str, bytes]:
    send(built, tmp_path / "both")
    return files(tmp_path / "both")


def test_what_is_not_wanted_any_more_goes_and_what_others_wrote_stays(built: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    send(built, out, form="parquet")
    for stranger in ("notes.txt", "emodb/train.wav", "mine/train-00000.parquet"):
        (out / stranger).parent.mkdir(exist_ok=True)
        (out / stranger).write_text("mine")
    (out / "emodb" / "train-00007.parquet").write_text("of an earlier build")
    report = send(built, out)
    removed = {f.path for f in report.files if f.action == "remove"}
    shards = {f"{name}/{split}-00000.parquet" for name in BOTH for split in ("train", "validation", "test")}
    assert removed == {*shards, "emodb/train-00007.parquet"}
    assert {"notes.txt", "emodb/train.wav", "mine/train-00000.parquet"} <= set(files(out))
    assert not any(path in removed for path in files(out))


def test_a_killed_publication_to_a_folder_goes_on(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy, copied = shutil.copyfile, []

    def dying(source: Path, target: Path) -> None:
        copied.append(source)
        if len(copied) == 3:
            raise KeyboardInterrupt
        copy(source, target)

    monkeypatch.setattr("emoset.targets.shutil.copyfile", dying)
    with pytest.raises(KeyboardInterrupt):
        send(built, tmp_path / "out")
    assert not (tmp_path / "out" / "README.md").exists()
    monkeypatch.setattr("emoset.targets.shutil.copyfile", copy)
    assert sum(f.action == "keep" for f in send(built, tmp_path / "out").files) == 2
    assert files(tmp_path / "out") == files_of_both(built, tmp_path)


# What must not go out


def test_a_licence_that_forbids_it_is_named_and_nothing_goes_out(built: Path, tmp_path: Path) -> None:
    real(built, *BOTH)
    with pytest.raises(EmosetError) as caught:
        send(built, tmp_path / "out")
    text = str(caught.value)
    assert "urdu: its licence does not allow to pass on the recordings (for research purposes only" in text
    assert "--no-audio" in text
    assert "emodb" not in text.replace(str(tmp_path), "")
    assert not (tmp_path / "out").exists()
    report = send(built, tmp_path / "out", dry_run=True)
    assert [r.configuration for r in report.refused] == ["urdu"]
    assert not any(f.path.startswith("urdu/") for f in report.files)
    assert "refused urdu: its licence" in str(report)


def test_neither_an_edited_manifest_nor_an_old_build_overrules_the_recipe(built: Path, tmp_path: Path) -> None:
    real(built, "urdu", redistribute=True)
    real(built, "emodb", redistribute=False)
    assert [r.configuration for r in send(built, tmp_path / "out", dry_run=True).refused] == BOTH


def test_forbidden_corpora_in_a_dry_run_over_the_whole_book_are_none(built: Path, tmp_path: Path) -> None:
    manifest = read_manifest(built / "emodb")
    book = list_corpora()
    for recipe in book:
        folder = tmp_path / "book" / recipe.id
        folder.mkdir(parents=True)
        for file in (*manifest["shards"], *manifest.get("tables", {})):
            (folder / file).hardlink_to(built / "emodb" / file)
        told = {"corpus": recipe.id, "configuration": recipe.id, "title": recipe.title, "licence": recipe.licence}
        write_manifest(folder, {**manifest, **told, "synthetic": False, "redistribute": recipe.redistribute})
    report = send(tmp_path / "book", tmp_path / "out", ["all"], dry_run=True)
    forbidden = {recipe.id for recipe in book if not recipe.redistribute}
    assert len(forbidden) > 20
    assert sum(f.path.partition("/")[0] in forbidden for f in report.files) == 0
    assert {r.configuration for r in report.refused} == forbidden
    assert {f.path.partition("/")[0] for f in report.files if f.path.endswith(".arrow")} == {
        r.id for r in book
    } - forbidden


def test_what_is_not_as_it_was_built_is_refused(built: Path, tmp_path: Path) -> None:
    shard = built / "urdu" / "test-00000.arrow"
    shard.write_bytes(shard.read_bytes()[:-1] + b"x")
    with pytest.raises(
        EmosetError, match=r"urdu: it is not what was built \(urdu/test-00000.arrow: its sha256 differs\)"
    ):
        send(built, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_everything_but_audio_is_really_without_it(built: Path, tmp_path: Path) -> None:
    for name in BOTH:
        rewrite(built, name, "train-00000.arrow", lambda table: with_column(table, "text", "a secret transcript"))
    real(built, *BOTH)
    report = send(built, tmp_path / "out", audio=False)
    assert report.refused == ()
    for path, content in files(tmp_path / "out").items():
        assert b"RIFF" not in content, path
        assert b"fLaC" not in content, path
    emodb, urdu = (pq.read_table(tmp_path / "out" / name / "train-00000.parquet") for name in BOTH)
    shard = read_shard(built / "urdu" / "train-00000.arrow")
    assert set(shard.column_names) - set(urdu.column_names) == {"audio", "text"}
    assert "text" in emodb.column_names
    assert urdu["path"].to_pylist() == [row["path"] for row in shard["audio"].to_pylist()]
    assert urdu["sha256"].equals(shard["sha256"])
    assert b"a secret transcript" not in b"".join(files(tmp_path / "out" / "urdu").values())
    assert (
        json.loads((tmp_path / "out" / "urdu" / "manifest.json").read_text())["shards"]
        == read_manifest(built / "urdu")["shards"]
    )


def test_corpora_that_are_not_built_are_named(built: Path, tmp_path: Path) -> None:
    with pytest.raises(NotBuiltError, match="cremad is not built there; expected some of emodb, urdu"):
        send(built, tmp_path / "out", ["emodb", "cremad"])
    with pytest.raises(UnknownNameError, match="nearest: emodb"):
        send(built, tmp_path / "out", ["emodbb"])
    with pytest.raises(NotBuiltError, match="nothing is built there"):
        send(tmp_path / "empty", tmp_path / "out", ["all"])
    with pytest.raises(UnknownNameError, match="unknown form 'mp3'; expected one of arrow, flac, parquet"):
        send(built, tmp_path / "out", form="mp3")


@pytest.mark.parametrize(
    "address", ["hf://lab/emoset", "hf://models/lab/emoset", "hf://datasets/emoset", "s3://bucket"]
)
def test_an_address_of_something_else_is_told(built: Path, address: str) -> None:
    with pytest.raises(
        EmosetError, match=r"expected hf://datasets/<namespace>/<name>, or a folder.*taken for a folder"
    ):
        send(built, address)


def test_what_others_wrote_is_not_overwritten(built: Path, tmp_path: Path) -> None:
    for name, path in enumerate(("README.md", "LICENSE.md", "croissant.json", "emodb/manifest.json")):
        place = tmp_path / str(name)
        (place / path).parent.mkdir(parents=True)
        (place / path).write_text("{}")
        with pytest.raises(EmosetError, match=f"there is a {path} that 'emoset publish' did not write"):
            send(built, place)
        assert files(place) == {path: b"{}"}
    with pytest.raises(EmosetError, match="'emoset publish' did not write"):
        send(built, built)
    (tmp_path / "file").write_text("")
    with pytest.raises(EmosetError, match="it is a file; expected a folder"):
        send(built, tmp_path / "file")
    with pytest.raises(EmosetError, match=r"file/below: it cannot be read or written \(Not a directory\)"):
        send(built, tmp_path / "file" / "below")


def test_forms_that_cannot_be_loaded_side_by_side_are_not_mixed(built: Path, tmp_path: Path) -> None:
    send(built, tmp_path / "out", ["emodb"])
    with pytest.raises(
        EmosetError, match=r"emodb is published there in another form; expected files that end with \.parquet"
    ):
        send(built, tmp_path / "out", ["urdu"], form="flac")
    send(built, tmp_path / "out", form="flac")
    send(built, tmp_path / "out", ["urdu"], audio=False)


def test_a_published_manifest_that_was_edited_is_told(built: Path, tmp_path: Path) -> None:
    send(built, tmp_path / "out")
    path = tmp_path / "out" / "urdu" / "manifest.json"
    path.write_text(path.read_text().replace("research purposes", "all purposes"))
    with pytest.raises(
        DataFolderError, match=r"changed by hand, or is damaged\. To do: remove it, and publish urdu again"
    ):
        send(built, tmp_path / "out", ["emodb"])


# Identity


def test_identity_finds_every_difference(built: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    send(built, out, audio=False)
    told = check_identity(built, out)
    count = sum(sum(read_manifest(built / name)["classes"].values()) for name in BOTH)
    assert (told.ok, told.compared, told.recordings) == (True, ("emodb", "urdu"), count)
    assert str(told) == f"emodb, urdu: {count} recordings compared\n  all as published"
    first, *_ = read_shard(built / "emodb" / "train-00000.arrow")["id"].to_pylist()
    rewrite(built, "emodb", "train-00000.arrow", lambda table: with_column(table, "sha256", "0" * 64))
    told = check_identity(built, out)
    assert not told.ok
    assert [change.partition(",")[0] for change in told.changed] == [f"{first}: sha256 {'0' * 64}"]
    rewrite(built, "emodb", "train-00000.arrow", lambda table: with_column(table, "label", "joy"))
    assert "; label joy, published " in check_identity(built, out).changed[0]
    rewrite(built, "emodb", "train-00000.arrow", lambda table: with_column(table, "id", "emodb/other"))
    told = check_identity(built, out)
    assert (told.missing, told.extra) == ((first,), ("emodb/other",))
    assert "this is not the same build" in str(told)
    shutil.rmtree(built / "urdu")
    assert check_identity(built, out).not_built == ("urdu",)
    shutil.rmtree(built / "emodb")
    with pytest.raises(NotBuiltError, match="nothing that is published there is built; expected one of emodb, urdu"):
        check_identity(built, out)
    with pytest.raises(NotBuiltError, match="nothing is published there"):
        check_identity(built, tmp_path / "elsewhere")


def test_identity_is_checked_with_audio_too_and_never_on_damaged_files(built: Path, tmp_path: Path) -> None:
    send(built, tmp_path / "out")
    assert check_identity(built, tmp_path / "out").ok
    (tmp_path / "out" / "emodb" / "test-00000.arrow").write_bytes(b"x")
    with pytest.raises(
        DataFolderError, match=r"test-00000\.arrow: the published file is missing or not what its manifest"
    ):
        check_identity(built, tmp_path / "out")


# The Hub


def uploads(hub: Any) -> int:
    return int(hub.count("PUT", r"/large/[0-9a-f]{64}(/1)?$"))


def commits(hub: Any, repository: str = REPO) -> list[str]:
    return [commit.title for commit in hub.repository(repository).commits]


def test_a_repository_is_made_private_and_holds_what_a_folder_would(hub: Any, built: Path, tmp_path: Path) -> None:
    report = send(built)
    assert hub.repository(REPO).private
    send(built, tmp_path / "out")
    there = dict(hub.repository(REPO).files)
    assert there.pop(".gitattributes")
    here = files(tmp_path / "out")
    assert set(there) == set(here) == {f.path for f in report.files}
    assert {p for p in here if here[p] != there[p]} == {"README.md", "croissant.json"}  # these tell their address
    assert b'load_dataset("lab/emoset", "emodb")' in there["README.md"]
    assert commits(hub) == ["initial commit", "Add data of emodb", "Add data of urdu", "Publish emodb, urdu"]
    send(built, "hf://datasets/lab/public", private=False)
    assert not hub.repository("lab/public").private


@pytest.mark.parametrize("options", [{}, {"form": "flac"}, {"audio": False}], ids=["arrow", "flac", "no audio"])
def test_nothing_is_uploaded_or_committed_twice(hub: Any, built: Path, options: dict[str, Any]) -> None:
    send(built, **options)
    before, sent = commits(hub), uploads(hub)
    hub.requests.clear()
    report = send(built, **options)
    assert report.changed == ()
    assert commits(hub) == before
    assert {method for method, _ in hub.requests} <= {"GET", "HEAD"}
    assert sent == 6


def test_one_changed_shard_is_the_only_data_that_is_sent_and_all_changes_at_once(hub: Any, built: Path) -> None:
    send(built)
    hub.requests.clear()
    rewrite(built, "emodb", "train-00000.arrow", lambda table: with_column(table, "extra", "{}"))
    report = send(built)
    assert uploads(hub) == 1
    assert {f.path for f in report.changed} == {
        "emodb/train-00000.arrow", "emodb/manifest.json", "README.md", "croissant.json",
    }  # fmt: skip
    assert hub.repository(REPO).files["emodb/train-00000.arrow"] == (built / "emodb" / "train-00000.arrow").read_bytes()
    assert commits(hub)[-1] == "Publish emodb"
    assert len(commits(hub)) == 5


def test_an_interrupted_upload_goes_on_and_no_card_names_what_is_missing(hub: Any, built: Path) -> None:
    hub.refuse = lambda method, path: (403, "no more") if uploads(hub) > 4 and "/large/" in path else None
    with pytest.raises(EmosetError, match="your token must not write there"):
        send(built)
    assert commits(hub) == ["initial commit", "Add data of emodb"]
    assert "README.md" not in hub.repository(REPO).files
    arrived = len(hub.large)
    assert 3 <= arrived < 6
    hub.refuse = lambda method, path: None
    hub.requests.clear()
    report = send(built)
    assert uploads(hub) == 6 - arrived
    assert {f.path for f in report.files if f.action == "keep"} >= {f"emodb/{s}-00000.arrow" for s in ("train", "test")}
    assert "README.md" in hub.repository(REPO).files


def test_a_killed_process_is_taken_up_again(hub: Any, built: Path, tmp_path: Path) -> None:
    reached, never = threading.Event(), threading.Event()

    def hold(method: str, path: str) -> threading.Event | None:
        if method == "PUT" and uploads(hub) > 4:
            reached.set()
            return never
        return None

    hub.hold = hold
    code = (
        f"from emoset.publishing import publish; publish({BOTH}, {ADDRESS!r}, data_dir={str(built)!r}, progress=False)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], env=surroundings(hub, tmp_path), stderr=subprocess.PIPE)
    assert reached.wait(60), process.communicate(timeout=5)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    hub.hold = lambda method, path: None
    never.set()
    assert "README.md" not in hub.repository(REPO).files
    send(built)
    paths = {p.relative_to(built).as_posix(): p.read_bytes() for p in built.glob("*/*.arrow")}
    there = hub.repository(REPO).files
    assert {path: there[path] for path in paths} == paths
    assert send(built).changed == ()


def surroundings(hub: Any, tmp_path: Path) -> dict[str, str]:
    return {
        **os.environ, "HF_ENDPOINT": hub.url, "HF_TOKEN": hub.token, "HF_HOME": str(tmp_path / "home"),
        "HF_HUB_OFFLINE": "0", "HF_DATASETS_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1", "NO_PROXY": "127.0.0.1",
        "HF_HUB_DISABLE_TELEMETRY": "1", "HF_UPDATE_DOWNLOAD_COUNTS": "0", "PYTHONPATH": os.pathsep.join(sys.path),
    }  # fmt: skip


def test_strangers_load_it_from_the_hub(hub: Any, built: Path, tmp_path: Path) -> None:
    for form in ("arrow", "flac"):
        send(built, f"{ADDRESS}-{form}", form=form, private=False)
    code = f"""
import datasets, json
datasets.config.USE_PARQUET_EXPORT = False  # another server, which this one is not
for form in ("arrow", "flac"):
    ds = datasets.load_dataset("{REPO}-" + form, "emodb")
    assert ds["train"].features["audio"] == datasets.Audio(16000), ds["train"].features
    ds = ds.cast_column("audio", datasets.Audio(16000, decode=False))
    print(json.dumps({{split: [row["id"] for row in rows] for split, rows in ds.items()}}))
"""
    told = run(code, **surroundings(hub, tmp_path)).splitlines()
    ids = {
        s: read_shard(built / "emodb" / f"{s}-00000.arrow")["id"].to_pylist() for s in ("train", "validation", "test")
    }
    assert [json.loads(line) for line in told] == [ids, ids]


def test_who_is_not_let_in_is_told_what_to_do(hub: Any, built: Path) -> None:
    for token in (False, "hf_wrong"):
        with pytest.raises(
            EmosetError, match=r"not logged in, or your token is not valid\. To do: run 'hf auth login'"
        ):
            send(built, token=token)
    with pytest.raises(
        EmosetError, match=r"your token must not write there\. To do: take a token with write access to other"
    ):
        send(built, "hf://datasets/other/emoset")
    assert hub.repositories == {}
    hub.refuse = lambda method, path: (418, "a teapot") if "create" in path else None
    with pytest.raises(EmosetError, match=r"the Hub cannot be used as expected .*a teapot.*run the same command again"):
        send(built)


def test_a_hub_that_cannot_be_reached_is_told(hub: Any, built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(EmosetError, match=r"the Hub cannot be used as expected \(.*refused.*\)"):
        send(built)


def test_who_works_offline_is_told(hub: Any, built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(EmosetError, match=r"set to work offline\. To do: unset HF_HUB_OFFLINE"):
        send(built)


def test_two_at_once_do_not_undo_each_other(hub: Any, built: Path) -> None:
    send(built, corpora=["emodb"])
    api = HfApi(endpoint=hub.url, token=hub.token)
    once: list[int] = []

    def somebody(method: str, path: str) -> None:
        if "/preupload/" in path and not once:
            once.append(1)
            api.upload_file(path_or_fileobj=b"x", path_in_repo="notes.txt", repo_id=REPO, repo_type="dataset")

    hub.refuse = somebody
    with pytest.raises(
        EmosetError, match=r"somebody else changed the repository in the meantime\. To do: run the same"
    ):
        send(built)
    assert "config_name: urdu" not in hub.repository(REPO).files["README.md"].decode()
    hub.refuse = lambda method, path: None
    send(built)
    assert hub.repository(REPO).files["notes.txt"] == b"x"


def test_other_configurations_and_files_of_others_stay_on_the_hub(hub: Any, built: Path, tmp_path: Path) -> None:
    send(built, corpora=["emodb"])
    api = HfApi(endpoint=hub.url, token=hub.token)
    for path in ("notes.txt", "emodb/train-00009.arrow", "emodb/mine.wav"):
        api.upload_file(path_or_fileobj=b"x", path_in_repo=path, repo_id=REPO, repo_type="dataset")
    shutil.move(built / "emodb", tmp_path / "emodb")
    report = send(built, corpora=["urdu"])
    assert not any(f.path.startswith("emodb/") for f in report.files)
    card = hub.repository(REPO).files["README.md"].decode()
    assert "config_name: emodb" in card
    assert "config_name: urdu" in card
    shutil.move(tmp_path / "emodb", built / "emodb")
    report = send(built)
    assert [(f.path, f.action) for f in report.changed] == [("emodb/train-00009.arrow", "remove")]
    assert {"notes.txt", "emodb/mine.wav", ".gitattributes"} <= set(hub.repository(REPO).files)


def test_a_card_of_others_is_not_overwritten_but_a_bare_one_is(hub: Any, built: Path) -> None:
    api = HfApi(endpoint=hub.url, token=hub.token)
    api.create_repo(REPO, repo_type="dataset")
    put = {"path_in_repo": "README.md", "repo_id": REPO, "repo_type": "dataset"}
    api.upload_file(path_or_fileobj=b"---\nlicense: mit\n---\n# Somebody's own\n", **put)
    with pytest.raises(EmosetError, match=r"there is a README\.md that 'emoset publish' did not write"):
        send(built)
    api.upload_file(path_or_fileobj=b"---\nlicense: mit\n---\n", **put)
    send(built)
    assert b"EmoSet (speech)" in hub.repository(REPO).files["README.md"]


def test_a_model_of_the_same_name_is_another_thing(hub: Any, built: Path) -> None:
    HfApi(endpoint=hub.url, token=hub.token).create_repo(REPO)
    send(built)
    assert set(hub.repositories) == {("models", REPO), ("datasets", REPO)}
    assert list(hub.repositories["models", REPO].files) == [".gitattributes"]


def test_a_dry_run_makes_no_repository(hub: Any, built: Path) -> None:
    told = send(built, dry_run=True)
    assert hub.repositories == {}
    assert all(method in ("GET", "HEAD") for method, _ in hub.requests)
    assert send(built).files == told.files


def test_identity_is_checked_against_the_hub(hub: Any, built: Path) -> None:
    send(built, audio=False)
    assert check_identity(built, ADDRESS, token=hub.token).ok
    rewrite(built, "urdu", "test-00000.arrow", lambda table: with_column(table, "sha256", "0" * 64))
    assert len(check_identity(built, ADDRESS, token=hub.token).changed) == 1
    with pytest.raises(EmosetError, match="hf auth login"):
        check_identity(built, ADDRESS, token="hf_wrong")  # noqa: S106
