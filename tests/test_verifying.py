"""Verification against other builds and raw copies, and with no network at all."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

import emoset
from emoset.audio import decode, sanity, wav_bytes
from emoset.cli import app
from emoset.comparing import compare
from emoset.converting import Told
from emoset.errors import DataFolderError
from emoset.reading import read_raw
from emoset.reports import AUDIO_TABLE, Tally
from emoset.shards import read_shard, shard_paths

# -- against another build --------------------------------------------------------------------------------


@pytest.fixture
def other(raw_twins: Path, tmp_path: Path) -> tuple[Path, str, str]:
    """Another build of emodb: one recording is louder by a step, one is missing; their ids."""
    raw = Path(shutil.copytree(raw_twins / "emodb", tmp_path / "raw"))
    first, second, *_ = sorted(raw.rglob("*.wav"))
    samples, rate = soundfile.read(first, dtype="int16")
    samples[10] += 3
    soundfile.write(first, samples, rate)
    second.unlink()
    emoset.build("emodb", raw, tmp_path / "data", allow_partial=True, progress=False)
    return tmp_path / "data", f"emodb/{first.stem}", f"emodb/{second.stem}"


def test_a_comparison_tells_which_rows_differ_and_by_how_much(data_dir: Path, other: tuple[Path, str, str]) -> None:
    folder, changed, missing = other
    [told] = compare(data_dir, folder, ["emodb"], progress=False)
    assert not told.same
    assert told.only_here == (missing,)
    assert told.only_there == ()
    assert told.columns == {}
    [difference] = told.audio
    assert (difference.id, difference.largest) == (changed, 3)
    assert difference.frames[0] == difference.frames[1]
    assert 40 < difference.snr < 120
    assert told.software == {}
    assert "audio differs in 1 rows" in str(told)


def test_the_command_compares_and_its_status_tells(data_dir: Path, other: tuple[Path, str, str]) -> None:
    command = ["verify", str(data_dir), "--corpus", "emodb", "--quiet", "--against"]
    same, differing = (CliRunner().invoke(app, [*command, str(where)]) for where in (data_dir, other[0]))
    assert (same.exit_code, differing.exit_code) == (0, 1)
    assert "all equal" in same.output
    assert other[1] in differing.output


def test_a_comparison_needs_both(data_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(DataFolderError, match=r"there is no manifest\.json"):
        compare(data_dir, tmp_path, ["emodb"], progress=False)
    with pytest.raises(DataFolderError, match="nothing is built there"):
        compare(tmp_path, tmp_path, progress=False)


# -- raw sources ------------------------------------------------------------------------------------------


def test_a_raw_copy_is_held_to_what_was_built_from_it(raw_twins: Path, data_dir: Path, tmp_path: Path) -> None:
    raw = Path(shutil.copytree(raw_twins / "urdu", tmp_path / "raw"))
    command = ["verify", str(data_dir), "--raw", f"urdu={raw}", "--quiet"]
    assert CliRunner().invoke(app, command).exit_code == 0
    first, second, third, *_ = sorted(raw.rglob("*.wav"))
    first.write_bytes(first.read_bytes()[:-2] + b"\0\1")
    second.unlink()
    shutil.copy(third, third.with_name("extra.wav"))
    told = CliRunner().invoke(app, command)
    assert told.exit_code == 1
    for kind, path in (("missing", second), ("changed", first), ("extra", third.with_name("extra.wav"))):
        assert f"{kind}: {path.relative_to(raw).as_posix()}" in told.output


# -- the table of sound checks ----------------------------------------------------------------------------


def test_every_row_has_its_sound_checks(data_dir: Path) -> None:
    with (data_dir / "urdu" / AUDIO_TABLE).open() as file:
        told = list(csv.DictReader(file))
    rows = [r for split in ("train", "validation", "test") for p in shard_paths(data_dir / "urdu", split)
            for r in read_shard(p).to_pylist()]  # fmt: skip
    assert [row["id"] for row in rows] == [line["id"] for line in told]
    for row, line in zip(rows, told, strict=True):
        samples = decode(row["audio"]["bytes"], "x").samples.astype(float) / 32768
        assert float(line["seconds"]) == pytest.approx(len(samples) / 16_000, abs=1e-4)
        assert float(line["peak"]) == pytest.approx(np.abs(samples).max(), abs=1e-5)
        assert float(line["rms_db"]) == pytest.approx(10 * np.log10((samples**2).mean()), abs=0.02)
        assert float(line["offset"]) == pytest.approx(samples.mean(), abs=1e-5)
        assert line["form"] == "WAV/PCM_16 at 44100 Hz, 1 channel"


def test_unusual_recordings_are_noted_and_not_changed(raw_twins: Path, tmp_path: Path) -> None:
    raw = Path(shutil.copytree(raw_twins / "emodb", tmp_path / "raw"))
    quiet, shifted, clipped = sorted(raw.rglob("*.wav"))[:3]
    n = 16_000
    noise = np.random.default_rng(0).integers(-2000, 2000, n).astype(np.int16)
    sounds = {
        quiet: np.where(np.arange(n) < 500, noise, 0).astype(np.int16),
        shifted: (noise + 8000).astype(np.int16),
        clipped: np.clip(20.0 * noise, -32768, 32767).astype(np.int16),
    }
    for path, samples in sounds.items():
        soundfile.write(path, samples, n, subtype="PCM_16")
    [report] = emoset.build("emodb", raw, tmp_path / "data", progress=False).corpora
    notes = "\n".join(report.warnings)
    for path, words in (
        (quiet, "silent for more than nine tenths"), (shifted, "have an offset of more than 5 %"),
        (clipped, "were clipped when they were made"),
    ):  # fmt: skip
        assert any(words in line and path.name in line for line in report.warnings), (words, notes)
    rows = {r["id"]: r for s in report.manifest["splits"] for p in shard_paths(report.folder, s)
            for r in read_shard(p).to_pylist()}  # fmt: skip
    for path, samples in sounds.items():
        stored = decode(rows[f"emodb/{path.stem}"]["audio"]["bytes"], "x").samples
        np.testing.assert_array_equal(stored, samples)


def test_recordings_that_occur_twice_are_noted(raw_twins: Path) -> None:
    reading = replace(read_raw(emoset.get_recipe("emodb"), raw_twins / "emodb"), synthetic=False)
    first, *_, last = reading.utterances
    tally = Tally(reading)
    sound = sanity(decode(wav_bytes(np.arange(1000, dtype=np.int16)), "x"))
    tally.add([first, last], [Told((2044, "same"), "WAV", sound)] * 2)
    notes = [note for note in tally.notes() if "occur more than once" in note]
    assert len(notes) == 2  # byte for byte, and in several splits
    assert all(first.file in note and last.file in note for note in notes)


def test_a_changed_table_is_named(data_dir: Path, tmp_path: Path) -> None:
    data = Path(shutil.copytree(data_dir / "emodb", tmp_path / "emodb")).parent
    table = data / "emodb" / AUDIO_TABLE
    table.write_text(table.read_text().replace("train", "tests", 1))
    assert emoset.verify(data, ["emodb"], progress=False).changed == (f"emodb/{AUDIO_TABLE}: its sha256 differs",)


# -- without any network ----------------------------------------------------------------------------------


def test_a_built_folder_loads_and_verifies_with_sockets_blocked(data_dir: Path, tmp_path: Path) -> None:
    code = f"""
import json, socket, sys
opened = []
def audit(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"):
        opened.append((event, str(arguments)))
        raise OSError("no network")
sys.addaudithook(audit)
import warnings; warnings.simplefilter("ignore")
import emoset
from emoset.torch import UtteranceDataset
data = {str(data_dir)!r}
rows = emoset.load_dataset("emodb", "train", data_dir=data)
length = len(rows[0]["audio"]["array"])
item = UtteranceDataset("emodb", "train", data_dir=data)[0]["length"]
ok = emoset.verify(data, ["emodb"], progress=False).ok
print(json.dumps([length, item, ok, [s.state for s in emoset.status(data, ["emodb"], raw={str(tmp_path)!r})], opened]))
"""
    environment = {"HF_HOME": str(tmp_path / "hf"), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    length, item, ok, states, opened = json.loads(done.stdout)
    assert opened == []
    assert length == item > 0
    assert ok
    assert states == ["verified"]
