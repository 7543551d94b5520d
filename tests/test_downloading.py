"""From nothing to a verified build: download, unpack, locate, status; against a server that serves packed twins."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from bad_server import BadServer, Reply, serve_folder
from typer.testing import CliRunner

import emoset
from emoset import downloading
from emoset.cli import app
from emoset.downloading import MARKER, download_corpus, how_to_get
from emoset.errors import ArchiveError, FetchError, RawDataError
from emoset.parts import Source
from emoset.recipe import Recipe


def _visible(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if p.name != ".stamps")


def _zip(raw: Path, archive: Path, top: str = "") -> Path:
    archive.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for path in sorted(raw.rglob("*")):
            if path.is_file():
                packed.write(path, top + path.relative_to(raw).as_posix())
    return archive


@pytest.fixture(scope="session")
def mirror(raw_twins: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a mirror serves: twins packed as the real archives are."""
    folder = tmp_path_factory.mktemp("mirror")
    _zip(raw_twins / "emodb", folder / "emodb" / "download.zip")  # no top folder
    _zip(raw_twins / "urdu", folder / "urdu" / "master.zip", "URDU-Dataset-master/")
    return folder


@pytest.fixture
def served(mirror: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[BadServer]:
    with serve_folder(mirror) as server:
        monkeypatch.setenv("EMOSET_MIRROR", server.url("").rstrip("/"))
        monkeypatch.setenv("EMOSET_RAW", str(tmp_path / "raw"))
        monkeypatch.setenv("NO_PROXY", "*")
        yield server


def test_one_command_goes_from_nothing_to_a_verified_build(served: BadServer, data_dir: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    before = [told.state for told in emoset.status(data, ["emodb", "urdu"])]
    done = CliRunner().invoke(app, ["build", "emodb", "urdu", "--out", str(data), "--quiet"])
    assert done.exit_code == 0, done.output
    assert "all as built" in done.output
    assert before == ["absent", "absent"]
    told = emoset.status(data, ["emodb", "urdu", "iemocap"])
    assert [one.state for one in told] == ["verified", "verified", "absent"]
    assert told[0].raw_root == tmp_path / "raw" / "emodb"
    assert told[0].raw_bytes > 100_000 < told[0].built_bytes
    assert told[0].utterances == 21
    for name in ("emodb", "urdu"):
        for shard in (data_dir / name).glob("*.arrow"):
            assert (data / name / shard.name).read_bytes() == shard.read_bytes()
    marker = json.loads((tmp_path / "raw" / "emodb" / MARKER).read_text())
    assert marker["files"][0]["url"] == served.url("/emodb/download.zip")
    assert set(marker["files"][0]) == {"url", "bytes", "sha256", "members", "members_sha256"}
    assert _visible(tmp_path / "raw") == ["emodb", "urdu"]  # neither archives nor half-done things stay


def test_what_was_downloaded_is_not_downloaded_again(served: BadServer, tmp_path: Path) -> None:
    for _ in range(2):
        done = CliRunner().invoke(app, ["download", "emodb", "--quiet"])
        assert done.output == f"{tmp_path / 'raw' / 'emodb'}\n"
    assert len(served.asked("/emodb/download.zip")) == 1


def test_a_copy_of_the_user_s_is_never_touched(served: BadServer, tmp_path: Path) -> None:
    own = tmp_path / "raw" / "emodb" / "wav" / "precious.wav"
    own.parent.mkdir(parents=True)
    own.write_bytes(b"x")
    assert emoset.download("emodb", progress=False) == [tmp_path / "raw" / "emodb"]
    assert own.read_bytes() == b"x"
    assert served.asked("/emodb/download.zip") == []


def _with_sources(name: str, *sources: Source) -> Recipe:
    return emoset.get_recipe(name).model_copy(update={"sources": sources})


def test_a_damaged_download_leaves_nothing_and_the_next_run_heals(
    mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    data = (mirror / "emodb" / "download.zip").read_bytes()
    broken = bytearray(data)
    broken[len(data) // 2] ^= 1
    with BadServer({"/a.zip": Reply(bytes(broken)), "/b.zip": Reply(data)}) as server:
        with pytest.raises(ArchiveError, match=r"a\.zip"):
            download_corpus(_with_sources("emodb", Source(url=server.url("/a.zip"))), tmp_path / "emodb", False)
        assert not (tmp_path / "emodb").exists()
        root = download_corpus(_with_sources("emodb", Source(url=server.url("/b.zip"))), tmp_path / "emodb", False)
    assert _visible(root.parent) == ["emodb"]
    assert len(list(root.rglob("*.wav"))) == 21


def test_a_page_instead_of_the_archive_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    page = b"<!DOCTYPE html><html><title>Quota exceeded</title></html>" * 50
    with BadServer({"/download.zip": Reply(page)}) as server:
        recipe = _with_sources("emodb", Source(url=server.url("/download.zip")))
        with pytest.raises(FetchError, match="web page"):
            download_corpus(recipe, tmp_path / "emodb", False)
    assert not (tmp_path / "emodb").exists()


def test_mirrors_are_tried_in_order(mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    with serve_folder(mirror) as server:
        source = Source(url=server.url("/gone.zip"), mirrors=(server.url("/emodb/download.zip"),))
        download_corpus(_with_sources("emodb", source), tmp_path / "emodb", False)
    assert (tmp_path / "emodb" / MARKER).is_file()


def test_several_archives_make_one_corpus_and_never_overwrite_each_other(
    raw_twins: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    web = tmp_path / "web"
    web.mkdir()
    files = sorted(p for p in (raw_twins / "emodb").rglob("*") if p.is_file())
    for name, some in (("one", files[::2]), ("two", files[1::2])):
        with tarfile.open(web / f"{name}.tar.gz", "w:gz") as packed:
            for path in some:
                packed.add(path, path.relative_to(raw_twins / "emodb").as_posix())
    (web / "notes.pdf").write_bytes(b"%PDF-1.4 not an archive")
    with serve_folder(web) as server:
        urls = [server.url(f"/{name}") for name in ("one.tar.gz", "two.tar.gz", "notes.pdf")]
        root = download_corpus(_with_sources("emodb", *(Source(url=u) for u in urls)), tmp_path / "emodb", False)
        assert (root / "notes.pdf").read_bytes() == b"%PDF-1.4 not an archive"
        assert emoset.build("emodb", root, tmp_path / "data", progress=False).corpora[0].rejected == ()
        twice = _with_sources("emodb", Source(url=urls[0]), Source(url=urls[0], name="again.tar.gz"))
        with pytest.raises(ArchiveError, match="an earlier archive of emodb holds too"):
            download_corpus(twice, tmp_path / "other" / "emodb", False)


def test_what_is_not_the_known_distribution_is_refused(
    raw_twins: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    fake = Path(shutil.copytree(raw_twins / "emodb", tmp_path / "fake"))
    (fake / "emoset-twin.json").unlink()
    _zip(fake, tmp_path / "web" / "download.zip")
    with serve_folder(tmp_path / "web") as server:
        recipe = _with_sources("emodb", Source(url=server.url("/download.zip")))
        with pytest.raises(RawDataError, match="what was downloaded is not the distribution that is known"):
            download_corpus(recipe, tmp_path / "raw" / "emodb", False)
    assert not (tmp_path / "raw" / "emodb").exists()


def test_files_of_an_index_are_fetched_one_by_one_and_only_once(
    raw_twins: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    root = raw_twins / "cremad"
    index = emoset.indexing.load_index(_index_of(root, tmp_path))
    monkeypatch.setattr(downloading, "read_index", lambda corpus: index)
    monkeypatch.setattr(downloading, "_check", lambda *_: None)
    name = next(iter(sorted(index)))
    with serve_folder(root) as server:
        recipe = _with_sources("cremad", Source(url=server.url("/{path}")))
        (root / name).rename(tmp_path / "hidden")
        try:
            with pytest.raises(FetchError, match="404"):
                download_corpus(recipe, tmp_path / "raw" / "cremad", False)
        finally:
            (tmp_path / "hidden").rename(root / name)
        done = download_corpus(recipe, tmp_path / "raw" / "cremad", False)
        counts = [len(server.asked("/" + path)) for path in index]
    assert {p.relative_to(done).as_posix() for p in done.rglob("*.wav")} == {p for p in index if p.endswith(".wav")}
    assert max(counts) <= 2
    assert _visible(done.parent) == ["cremad"]


def _index_of(root: Path, folder: Path) -> Path:
    text = emoset.indexing.make_index(root, progress=False)
    (folder / "index.csv").write_text(text)
    return folder / "index.csv"


def test_legacy_names_come_out_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    web = io.BytesIO()
    with zipfile.ZipFile(web, "w") as packed:
        info = zipfile.ZipInfo("Degout/01-D-1-1.wav")
        packed.writestr(info, b"x")
    data = web.getvalue().replace(b"Degout", "Dégoût".encode("cp850"))
    with BadServer({"/CaFE_48k.zip": Reply(data)}) as server:
        source = Source(url=server.url("/CaFE_48k.zip"), encoding="cp850", into="CaFE")
        root = download_corpus(
            _with_sources("urdu", source).model_copy(update={"id": "cafe"}), tmp_path / "cafe", False
        )
    assert [p.relative_to(root).as_posix() for p in root.rglob("*.wav")] == ["CaFE/Dégoût/01-D-1-1.wav"]


# -- what cannot be downloaded ----------------------------------------------------------------------------


def test_a_corpus_behind_a_licence_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMOSET_RAW", str(tmp_path))
    with pytest.raises(RawDataError, match=r"iemocap: .*cannot be downloaded: its access is 'request'") as caught:
        emoset.build("iemocap", None, tmp_path / "data", progress=False)
    text = str(caught.value)
    for part in ("https://sail.usc.edu/iemocap", str(tmp_path / "iemocap"), "--raw iemocap=FOLDER", "emoset locate"):
        assert part in text
    assert not (tmp_path / "data" / "iemocap").exists()


@pytest.mark.parametrize("recipe", emoset.list_corpora(), ids=lambda recipe: recipe.id)
def test_every_corpus_tells_how_to_get_it_and_what_is_expected(recipe: Recipe) -> None:
    text = how_to_get(recipe)
    assert "unpack" in text
    assert len(text) > 100
    if recipe.sources:
        assert all(source.url.startswith(("http://", "https://")) and source.file_name for source in recipe.sources)


# -- locate and status ------------------------------------------------------------------------------------


def test_copies_are_found_wherever_they_lie(raw_twins: Path, tmp_path: Path) -> None:
    lab = tmp_path / "lab"
    places = {"emodb": "corpora/german/EMO-DB", "urdu": "corpora/URDU-Dataset-master", "cremad": "x", "iemocap": "y/z"}
    for name, place in places.items():
        shutil.copytree(raw_twins / name, lab / place)
    shutil.copytree(raw_twins / "emodb", lab / "backup" / "emodb")
    next((lab / "backup" / "emodb").rglob("*.wav")).unlink()
    (lab / "thesis.pdf").write_text("x")
    found = emoset.locate(lab, progress=False)
    complete = {copy.corpus: copy.root for copy in found if copy.complete}
    for name in places:
        assert emoset.build(name, complete[name], tmp_path / "data", progress=False).corpora[0].rejected == ()
    [damaged] = [copy for copy in found if copy.corpus == "emodb" and not copy.complete]
    assert (lab / "backup" / "emodb") in (damaged.root, *damaged.root.parents)
    assert "20 utterances, not 21" in damaged.problems[0]
    done = CliRunner().invoke(app, ["locate", str(lab), "emodb", "urdu", "--quiet"])
    assert done.exit_code == 0
    assert "emoset build emodb urdu --out DATA --raw emodb=" in done.output


def test_nothing_is_found_where_nothing_is(tmp_path: Path) -> None:
    (tmp_path / "song.wav").write_bytes(b"x")
    assert emoset.locate(tmp_path, progress=False) == []
    assert CliRunner().invoke(app, ["locate", str(tmp_path), "--quiet"]).exit_code == 1


def test_status_tells_every_state(raw_twins: Path, tmp_path: Path) -> None:
    raw, data = tmp_path / "raw", tmp_path / "data"
    for name in ("emodb", "urdu", "cremad", "iemocap"):
        shutil.copytree(raw_twins / name, raw / name)
    next((raw / "urdu").rglob("*.wav")).unlink()
    emoset.build(["emodb", "cremad"], raw, data, progress=False)
    emoset.verify(data, ["cremad"], progress=False)
    told = {
        one.configuration: one for one in emoset.status(data, ["emodb", "urdu", "cremad", "iemocap", "tess"], raw=raw)
    }
    states = {name: one.state for name, one in told.items()}
    assert states == {
        "emodb": "built",
        "urdu": "raw incomplete",
        "cremad": "verified",
        "iemocap": "raw found",
        "tess": "absent",
    }
    assert "utterances, not" in told["urdu"].problem
    assert "SYNTHETIC" in told["emodb"].remarks
    shard = next((data / "cremad").glob("*.arrow"))
    shard.write_bytes(shard.read_bytes()[:-1] + b"\1")
    assert emoset.status(data, ["cremad"], raw=raw)[0].state == "built"  # changed since it was verified
    done = CliRunner().invoke(app, ["status", "emodb", "tess", "--data", str(data), "--raw", str(raw)])
    assert done.exit_code == 0
    assert "absent" in done.output
