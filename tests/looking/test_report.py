from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import shutil
import struct
import subprocess
import sys
import zlib
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import soundfile

from emoset.errors import DataFolderError, EmosetError, UnknownNameError
from emoset.looking import report
from emoset.looking.charts import duration_edges, histogram, speaker_columns
from emoset.looking.figures import Row, read_corpus, samples_of
from emoset.looking.samples import LONGEST, choose
from emoset.looking.spectrograms import BANDS, RANGE_DB, log_mel, picture, place_of
from emoset.shards import read_manifest, read_shard, write_manifest


@pytest.fixture(scope="module")
def page(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return report(data_dir, tmp_path_factory.mktemp("page") / "report.html", progress=False)


@pytest.fixture(scope="module")
def hostile(hostile_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return report(hostile_dir, tmp_path_factory.mktemp("page") / "report.html", progress=False)


class Reader(HTMLParser):
    """Elements as (tag, attributes), and the text of cells and of the notices."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.rows: list[tuple[dict[str, str | None], list[str]]] = []
        self.text: list[str] = []
        self._code = self._cell = False
        self.feed(page.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._code = tag in ("script", "style")
        if tag == "tr":
            self.rows.append((dict(attrs), []))
        if tag in ("td", "th"):
            self.rows[-1][1].append("")
            self._cell = True

    def handle_endtag(self, tag: str) -> None:
        self._code = False
        self._cell = self._cell and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        if not self._code:
            self.text.append(data)
            if self._cell:
                self.rows[-1][1][-1] += data


def _media(page: Path) -> list[dict[str, str]]:
    found = re.findall(r'<script type="application/json" id="media-(\d+)">(.*?)</script>', page.read_text("utf-8"))
    assert [int(number) for number, _ in found] == list(range(len(found)))
    return [json.loads(text) for _, text in found]


def test_the_counts_of_every_class_are_the_manifests(page: Path, data_dir: Path) -> None:
    reader = Reader(page)
    for folder in data_dir.iterdir():
        if not folder.is_dir() or folder.name.startswith("."):
            continue
        manifest = read_manifest(folder)
        rows = {row[0]["data-label"]: row[1][1:] for row in reader.rows
                if row[0].get("data-corpus") == folder.name and "data-label" in row[0]}  # fmt: skip
        assert {label: int(cells[-1]) for label, cells in rows.items()} == manifest["classes"]
        for place, split in enumerate(manifest["splits"].values()):
            assert {label: int(cells[place]) for label, cells in rows.items() if cells[place] != "0"} == split[
                "classes"
            ]


def test_the_overview_tells_what_the_manifests_tell(page: Path, data_dir: Path) -> None:
    rows = {str(row["data-corpus"]): cells for row, cells in Reader(page).rows
            if "data-corpus" in row and "data-label" not in row}  # fmt: skip
    assert sorted(rows) == sorted(p.parent.name for p in data_dir.glob("*/manifest.json"))
    for name, (head, utterances, hours, speakers, *splits, classes, licence) in rows.items():
        manifest = read_manifest(data_dir / name)
        assert manifest["title"] in head
        assert "SYNTHETIC twin, no real speech" in head
        assert int(utterances) == sum(manifest["classes"].values())
        assert hours == f"{sum(s['seconds'] for s in manifest['splits'].values()) / 3600:.2f}"
        assert int(speakers) == len({s for split in manifest["splits"].values() for s in split["speakers"]})
        assert [int(split) for split in splits] == [s["utterances"] for s in manifest["splits"].values()]
        assert classes.startswith(str(len(manifest["classes"])))
        assert manifest["licence"] in licence
        assert ("not to be passed on" in licence) is not manifest["redistribute"]


def test_what_variants_share_counts_once_in_the_first_sentence(page: Path, data_dir: Path) -> None:
    ids = {i for shard in data_dir.glob("*/*.arrow") for i in read_shard(shard)["id"].to_pylist()}
    assert f"4 corpora, 5 configurations, {len(ids)} utterances, " in page.read_text("utf-8")


def test_speakers_are_counted_by_gender_and_split(page: Path, data_dir: Path) -> None:
    rows = [cells for row, cells in Reader(page).rows if cells and cells[0] in ("female", "male")]
    found = Counter(sum(map(int, cells[1:])) for cells in rows)
    expected: Counter[int] = Counter()
    for name in sorted(p.parent.name for p in data_dir.glob("*/manifest.json")):
        tables = [read_shard(p) for p in data_dir.glob(f"{name}/*.arrow")]
        pairs = {(g, s) for t in tables for g, s in zip(t["gender"].to_pylist(), t["speaker"].to_pylist(), strict=True)}
        expected.update(Counter(gender for gender, _ in pairs).values())
    assert found == expected


def test_so_many_samples_of_each_class_spread_over_splits(page: Path, data_dir: Path, told: Any) -> None:
    samples = told(page)["samples"]
    assert len({(s["corpus"], s["id"]) for s in samples}) == len(samples)
    for name in ("emodb", "urdu", "cremad", "iemocap"):
        for label, count in read_manifest(data_dir / name)["classes"].items():
            mine = [s for s in samples if s["corpus"] == name and s["label"] == label]
            assert len(mine) == min(3, count)
            splits = sum(label in split["classes"] for split in read_manifest(data_dir / name)["splits"].values())
            assert len({s["split"] for s in mine}) == min(len(mine), splits)


def test_choosing_is_by_hash_not_by_order(data_dir: Path) -> None:
    rows = read_corpus(data_dir / "cremad").rows
    assert choose(rows, 2) == choose(reversed(rows), 2)
    assert choose(rows, 2, seed=1) != choose(rows, 2)
    assert choose(rows, 0) == []
    four = [row for row in choose(rows, 4) if row.label == "anger"]
    assert len({row.speaker for row in four}) == 4
    assert {row.gender for row in four} == {"female", "male"}


def test_the_audio_in_the_page_is_the_stored_audio(hostile: Path, hostile_dir: Path, told: Any) -> None:
    rows = {row.id: row for name in ("emodb", "urdu") for row in read_corpus(hostile_dir / name).rows}
    samples, media = told(hostile)["samples"], _media(hostile)
    assert len(samples) == len(media)
    for sample, one in zip(samples, media, strict=True):
        stored = samples_of(rows[sample["id"]])
        decoded, rate = soundfile.read(io.BytesIO(base64.b64decode(one["audio"])), dtype="int16")
        assert rate == 16000
        np.testing.assert_array_equal(decoded, stored[: round(LONGEST * 16000)])
        assert sample["seconds"] == round(len(stored) / 16000, 2)
        assert sample["shown"] == round(len(decoded) / 16000, 2)
    assert {s["shown"] for s in samples if s["seconds"] > LONGEST} == {LONGEST}
    assert "Of longer recordings the first 6 seconds are in this page." in hostile.read_text("utf-8")


def test_the_same_data_give_the_same_bytes(page: Path, data_dir: Path, tmp_path: Path) -> None:
    copied = shutil.copytree(data_dir, tmp_path / "elsewhere")
    again = report(copied, tmp_path / "new" / "other.html", progress=False)
    assert again.read_bytes() == page.read_bytes()
    other = report(data_dir, tmp_path / "seed.html", seed=1, progress=False)
    assert other.read_bytes() != page.read_bytes()


def test_the_page_tells_nothing_of_the_machine(page: Path, data_dir: Path) -> None:
    text = page.read_text("utf-8")
    assert str(data_dir) not in text
    assert str(Path.home()) not in text


def test_the_page_stays_small(page: Path, data_dir: Path, tmp_path: Path, told: Any) -> None:
    seconds = sum(sample["shown"] for sample in told(page)["samples"])
    assert page.stat().st_size < 150_000 + 60_000 * seconds
    silent = report(data_dir, tmp_path / "silent.html", per_class=0, progress=False)
    assert silent.stat().st_size < 300_000
    assert "No samples were asked for." in silent.read_text("utf-8")
    assert _media(silent) == []


def test_only_the_corpora_asked_for(data_dir: Path, tmp_path: Path, told: Any) -> None:
    page = report(data_dir, tmp_path / "a.html", corpora=["urdu", "emodb"], per_class=1, progress=False)
    assert [s["corpus"] for s in told(page)["samples"]] == ["emodb"] * 7 + ["urdu"] * 4
    assert "cremad" not in page.read_text("utf-8")


def test_texts_of_the_data_stay_texts(hostile: Path, page: Path) -> None:
    text = hostile.read_text("utf-8")
    assert not re.search(r"<script>alert|<img src=x|<i>\d</i>", text)
    reader = Reader(hostile)
    kinds = Counter(tag for tag, _ in reader.elements)
    assert kinds["script"] == 2 + len(_media(hostile))
    assert kinds["style"] == 1
    assert not [a for _, attributes in reader.elements for a in attributes if a.startswith("on") or a == "style"]
    shown = "".join(reader.text)
    for part in ("Title <script>alert(1)</script>", "note </script><img", "<script>alert(1)</script> et al."):
        assert part in shown


def test_the_policy_names_just_the_pages_own_style_and_script(page: Path) -> None:
    text = page.read_text("utf-8")
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', text)
    assert policy
    parts = dict(part.strip().split(" ", 1) for part in policy[1].replace("&#x27;", "'").split(";"))
    assert parts["default-src"] == "'none'"
    assert parts["img-src"] == parts["media-src"] == "data:"
    for part, pattern in (("style-src", r"<style>(.*?)</style>"), ("script-src", r"<script>(.*?)</script>")):
        inline = re.findall(pattern, text, re.DOTALL)
        assert len(inline) == 1
        digest = base64.b64encode(hashlib.sha256(inline[0].encode()).digest()).decode()
        assert parts[part] == f"'sha256-{digest}'"
    assert not re.findall(r'(?:src|href)="(?!data:|#)[^"]*"', text)
    assert "@import" not in text
    assert "url(" not in text


def test_what_must_not_be_passed_on_is_told_at_the_top(
    hostile: Path, page: Path, hostile_dir: Path, tmp_path: Path
) -> None:
    sentence = "This page holds audio of corpora that must not be passed on"
    above = hostile.read_text("utf-8").split("</header>")[0]
    assert sentence in above
    assert "only for me" in above
    assert "PARTIAL" in above
    assert "SYNTHETIC:</b> there is no real speech in urdu." in above
    assert sentence not in page.read_text("utf-8")
    silent = report(hostile_dir, tmp_path / "silent.html", per_class=0, progress=False)
    assert sentence not in silent.read_text("utf-8")


def test_the_account_of_the_build_is_told(hostile: Path, hostile_dir: Path) -> None:
    shown = " ".join("".join(Reader(hostile).text).split())
    for part in ("2: documents", "1: <script>alert(1)</script>", "0<script>alert(1)</script>.wav", "and 3 more",
                 "not speaker-independent", "PARTIAL: files were rejected"):  # fmt: skip
        assert part in shown
    count = sum(read_manifest(hostile_dir / "urdu")["classes"].values())
    assert f"none is known; of {count} utterances the speaker is not known" in shown


def test_the_command_line_needs_no_drawing_library(data_dir: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from emoset.looking import report; report(sys.argv[1], sys.argv[2], corpora=['urdu'], progress=False);"
        "print(sorted({'torch', 'datasets', 'matplotlib', 'PIL'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(data_dir), str(tmp_path / "a.html")], capture_output=True, text=True
    )
    assert done.stdout.strip() == "[]", done.stderr


# Errors


def _message(kind: type[EmosetError], *args: Any, **options: Any) -> str:
    with pytest.raises(kind) as caught:
        report(*args, progress=False, **options)
    return str(caught.value)


def test_a_folder_without_builds(tmp_path: Path) -> None:
    message = _message(DataFolderError, tmp_path / "nothing", tmp_path / "a.html")
    assert (
        message
        == f"{tmp_path / 'nothing'}: nothing is built there; expected a data folder. To do: run 'emoset build' first."
    )


def test_an_unknown_corpus_is_answered_with_the_nearest(data_dir: Path, tmp_path: Path) -> None:
    message = _message(UnknownNameError, data_dir, tmp_path / "a.html", corpora=["emo-db"])
    assert message.startswith("unknown built corpus 'emo-db'; expected one of cremad, emodb, ")
    assert "(nearest: emodb" in message


def test_a_negative_number_of_samples(data_dir: Path, tmp_path: Path) -> None:
    assert _message(EmosetError, data_dir, tmp_path / "a.html", per_class=-1).startswith("-1 samples of each class")


def test_places_where_no_page_can_be(data_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for out, reason in (
        (tmp_path, "it is a folder"),
        (tmp_path / "file" / "a.html", f"{tmp_path / 'file'} is not a folder"),
        (data_dir / "report.html", "it lies in the data folder, which holds nothing but what was built"),
        (data_dir / "emodb" / "report.html", "it lies in the data folder"),
        (Path("/proc/nowhere/a.html"), ""),
    ):
        message = _message(EmosetError, data_dir, out, corpora=["urdu"])
        assert message.startswith(f"{out}: the page cannot be written ({reason}")
    assert not list(data_dir.rglob("report.html"))


def _damaged(data_dir: Path, folder: Path) -> Path:
    shutil.copytree(data_dir / "urdu", folder / "urdu")
    return folder / "urdu" / "test-00000.arrow"


@pytest.mark.parametrize("damage", ["cut", "gone", "empty", "other columns", "header", "no audio"])
def test_a_damaged_shard_is_named(data_dir: Path, tmp_path: Path, damage: str) -> None:
    shard = _damaged(data_dir, tmp_path / "data")
    table, data = read_shard(data_dir / "urdu" / shard.name), shard.read_bytes()
    if damage == "cut":
        shard.write_bytes(data[: len(data) // 2])
    elif damage == "gone":
        shard.unlink()
    elif damage == "empty":
        shard.write_bytes(b"")
    elif damage == "header":
        shard.write_bytes(data.replace(b"RIFF", b"RIFX"))
    else:
        audio = pa.nulls(table.num_rows, table.schema.field("audio").type)
        new = table.drop(["speaker"]) if damage == "other columns" else table.set_column(2, table.field("audio"), audio)
        with shard.open("wb") as file, pa.ipc.new_stream(file, new.schema) as stream:
            stream.write_table(new)
    assert _message(DataFolderError, tmp_path / "data", tmp_path / "a.html").startswith(f"{shard}: ")
    assert not (tmp_path / "a.html").exists()


def test_damaged_offsets_do_no_harm(data_dir: Path, tmp_path: Path) -> None:
    shard = _damaged(data_dir, tmp_path / "data")
    data, found = bytearray(shard.read_bytes()), 0
    for place in range(0, len(data) - 12, 4):  # offsets of strings rise from 0; make the third one point far away
        first, second, third = struct.unpack_from("<iii", data, place)
        if first == 0 and 5 < second < 200 and 0 < third - second < 200:
            struct.pack_into("<i", data, place + 8, 2**30)
            found += 1
    assert found
    shard.write_bytes(data)
    assert str(shard) in _message(DataFolderError, tmp_path / "data", tmp_path / "a.html")


def test_rows_that_the_manifest_does_not_count(data_dir: Path, tmp_path: Path) -> None:
    shard = _damaged(data_dir, tmp_path / "data")
    manifest = read_manifest(shard.parent)
    manifest["splits"]["test"]["classes"]["anger"] += 1
    write_manifest(shard.parent, manifest)
    message = _message(DataFolderError, tmp_path / "data", tmp_path / "a.html")
    assert message.startswith(f"{shard.parent}: the rows of the shards are not those that were built")


# Figures


def test_measures_are_those_of_the_samples(data_dir: Path) -> None:
    corpus = read_corpus(data_dir / "emodb")
    for row in corpus.rows[::9]:
        samples = samples_of(row) / 32768
        assert row.sound.peak == pytest.approx(np.abs(samples).max())
        assert row.sound.rms_db == pytest.approx(10 * np.log10((samples**2).mean()), abs=0.006)
        assert row.duration == pytest.approx(row.sound.seconds, abs=1e-6)
    told: list[int] = []
    read_corpus(data_dir / "emodb", told.append)
    assert sum(told) == len(corpus.rows)


def test_histograms_hold_every_value() -> None:
    values = {"train": np.array([-100.0, -60.0, -59.0, 0.0]), "test": np.array([-31.0, 3.0])}
    svg = histogram(values, range(-60, 1, 10), "dBFS", "Levels", "<")
    assert re.findall("<title>(.*?)</title>", svg) == [
        "below \N{MINUS SIGN}50 dBFS: train 3",
        "\N{MINUS SIGN}40 to \N{MINUS SIGN}30 dBFS: test 1",
        "\N{MINUS SIGN}10 to 0 dBFS: train 1, test 1",
    ]


@pytest.mark.parametrize("seconds", [[0.0001], [0.02, 0.03], [1.0] * 5, [2.5, 3.1], [3.0] * 300 + [400.0], [3600.0]])
def test_durations_of_any_kind_have_bins(seconds: list[float]) -> None:
    values = np.array(seconds)
    edges, tails = duration_edges(values)
    assert edges[0] == 0
    assert 2 <= len(edges) <= 50
    assert np.all(np.diff(edges) > 0)
    assert (tails == ">") == (values.max() >= edges[-1])
    svg = histogram({"train": values}, edges, "s", "Durations", tails)
    assert sum(int(n) for n in re.findall(r"train ([\d,]+)</title>", svg)) == len(values)


def test_many_speakers_share_columns() -> None:
    few, averaged = speaker_columns({"train": [("a:1", 3), ("a:2", 1)], "test": [("a:3", 2)]}, "x")
    assert not averaged
    assert re.findall("<title>(.*?)</title>", few) == ["a:1: train 3", "a:2: train 1", "a:3: test 2"]
    many, averaged = speaker_columns({"train": [(f"a:{n}", n % 7 + 1) for n in range(1000)]}, "x")
    assert averaged
    assert many.count("<title>mean of 8 speakers") == 125


def test_a_tone_lies_where_its_frequency_is() -> None:
    time = np.arange(32000) / 16000
    for hertz in (300, 1000, 3000, 7000):
        level = log_mel((10000 * np.sin(2 * np.pi * hertz * time)).astype(np.int16))
        assert level.shape == (BANDS, 200)
        assert abs(level[:, 100].argmax() + 0.5 - BANDS * place_of(hertz)) <= 1
        assert level.max() == 0
        assert level.min() >= -RANGE_DB


@pytest.mark.parametrize("samples", [np.zeros(16000), np.ones(1), np.full(399, -32768), np.arange(161)])
def test_any_samples_make_a_valid_picture(samples: np.ndarray[Any, Any]) -> None:
    data = picture(samples.astype(np.int16))
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    chunks, place = {}, 8
    while place < len(data):
        length, name = struct.unpack_from(">I4s", data, place)
        body = data[place + 8 : place + 8 + length]
        assert struct.unpack_from(">I", data, place + 8 + length)[0] == zlib.crc32(name + body)
        chunks[name], place = body, place + 12 + length
    width, height, depth, colours = struct.unpack_from(">IIBB", chunks[b"IHDR"])
    assert (width, height, depth, colours) == (-(-len(samples) // 160), BANDS, 8, 3)
    lines = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, width + 1)
    assert not lines[:, 0].any()
    assert lines.max() < len(chunks[b"PLTE"]) / 3
    grey = np.frombuffer(chunks[b"PLTE"], np.uint8).reshape(-1, 3) @ [0.2126, 0.7152, 0.0722]
    assert np.all(np.diff(grey) > 0)


def test_rows_hold_no_audio() -> None:
    assert "samples" not in Row.__slots__
