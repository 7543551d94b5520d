"""Speed and memory of a build, against a bare loop of the same library calls on the same files, in one run.

    python benchmarks/conversion.py                      # 1 h of 16 kHz mono, 1 h of 44.1 kHz stereo; ratios
    python benchmarks/conversion.py --memory 1 10 100    # hours: seconds, peak memory and rebuild of each

The bare loop reads a file, decodes it, averages channels, resamples, hashes source and samples, appends the WAV
bytes to one file, and hashes that as it grows. The build does that too, and finds the files, makes utterances of
them, measures the samples, and writes Arrow shards and a manifest. Each starts without an old output.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile
import soxr

import emoset
from emoset.audio import wav_bytes

SECONDS = 3.6
RECIPE = r'''"""A made-up corpus of any size, to measure with."""

from emoset.recipe import PathPattern, Recipe, Split

RECIPE = Recipe(
    id="measured", title="A made-up corpus", languages=("en",), kind="acted", access="open", licence="none",
    citation="none", version="1.0.0",
    found_by=PathPattern(regex=r"(?P<speaker>s\d\d)_(?P<label>[a-d])_(?P<number>\d+)\.wav"),
    labels={"a": "anger", "b": "sadness", "c": "neutral", "d": "happiness"},
    split=Split(by="speaker", hashed=True, source="emoset: by a hash"),
)
'''.replace("\\", "\\")


def write_corpus(folder: Path, files: int, rate: int, channels: int, distinct: int) -> Path:
    """A raw root of that many recordings; hard links to fewer distinct ones keep the disk small."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    names = [f"s{i % 40:02d}_{'abcd'[i // 40 % 4]}_{i:06d}.wav" for i in range(files)]
    for i, name in enumerate(names):
        path = folder / name[:3] / name
        path.parent.mkdir(exist_ok=True)
        if i < distinct:
            t = np.arange(round(SECONDS * rate))[:, None] / rate
            tone = 0.3 * np.sin(2 * np.pi * (110 + i % 200) * t) * (1 + 0.5 * np.sin(2 * np.pi * 4 * t))
            noise = 0.01 * rng.standard_normal((len(t), channels))
            soundfile.write(path, tone + noise, rate, subtype="PCM_16")
        else:
            os.link(folder / names[i % distinct][:3] / names[i % distinct], path)
    return folder


def bare_loop(raw: Path, out: Path) -> None:
    """What any converter must do at least, in one thread."""
    written = hashlib.sha256()
    with out.open("wb") as file:
        for path in sorted(raw.rglob("*.wav")):
            data = path.read_bytes()
            with soundfile.SoundFile(io.BytesIO(data)) as sound:
                native = (sound.samplerate, sound.channels, sound.subtype) == (16_000, 1, "PCM_16")
                samples = sound.read(dtype="int16" if native else "float32", always_2d=not native)
                rate = sound.samplerate
            if not native:
                mono = samples[:, 0].copy()
                for channel in range(1, samples.shape[1]):
                    mono += samples[:, channel]
                mono /= samples.shape[1]
                if rate != 16_000:
                    mono = soxr.resample(mono, rate, 16_000, quality="VHQ")
                samples = np.clip(np.rint(mono * 32768), -32768, 32767).astype(np.int16)
            hashlib.sha256(data).hexdigest()
            hashlib.sha256(samples.tobytes()).hexdigest()
            stored = wav_bytes(samples)
            written.update(stored)
            file.write(stored)
        file.flush()
        os.fsync(file.fileno())


def seconds(work: Callable[[], object], *old: Path) -> float:
    """How long something takes, with an old output removed and all of the machine's writing done."""
    for each in old:
        shutil.rmtree(each) if each.is_dir() else each.unlink(missing_ok=True)
    os.sync()
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def ratios(folder: Path, hours: float, rounds: int) -> list[str]:
    """Speed of builds with one and two workers as ratios of the bare loop's, each pair measured in turn."""
    lines = ["| source | bare loop | 1 worker | 2 workers |", "| --- | --- | --- | --- |"]
    for title, rate, channels in (("16 kHz mono", 16_000, 1), ("44.1 kHz stereo", 44_100, 2)):
        files = round(hours * 3600 / SECONDS)
        raw = write_corpus(folder / f"raw-{rate}", files, rate, channels, min(files, 1000))
        out = folder / "out"

        def build(workers: int, raw: Path = raw, out: Path = out) -> None:
            emoset.build(str(folder / "measured.py"), raw, out, workers=workers, progress=False)

        bare_loop(raw, folder / "bare")  # everything is in the page cache afterwards
        bare, one, two = [], [], []
        for _ in range(rounds):
            bare.append(seconds(lambda raw=raw: bare_loop(raw, folder / "bare"), out, folder / "bare"))
            one.append(seconds(lambda: build(1), out, folder / "bare"))
            two.append(seconds(lambda: build(2), out, folder / "bare"))
        speed = files * SECONDS / statistics.median(bare)
        cells = [
            f"{statistics.median(b / t for b, t in zip(bare, times, strict=True)):.2f}"
            f" ({65 * 3600 * statistics.median(times) / (files * SECONDS):.0f} s for 65 h)"
            for times in (one, two)
        ]
        lines.append(f"| {title} | {speed:.0f} x real time | {cells[0]} | {cells[1]} |")
        shutil.rmtree(raw)
    return lines


_CHILD = """
import json, resource, sys, time, emoset
start = time.perf_counter()
report = emoset.build(sys.argv[1], sys.argv[2], sys.argv[3], workers=2, progress=False)
seconds = time.perf_counter() - start
main, other = (resource.getrusage(who).ru_maxrss / 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
print(json.dumps({"seconds": seconds, "main": main, "other": other}))
"""


def memory(folder: Path, hours: list[float]) -> list[str]:
    """Seconds, peak memory of both workers, and seconds of a rebuild with nothing changed, by hours."""
    lines = [
        "| hours | files | build | s per hour | peak memory of the main process | of the other | again, unchanged |",
        "| --- " * 7 + "|",
    ]
    for each in hours:
        files = round(each * 3600 / SECONDS)
        raw = write_corpus(folder / "raw", files, 16_000, 1, min(files, 500))
        told = []
        for _ in range(2):
            command = [sys.executable, "-c", _CHILD, str(folder / "measured.py"), str(raw), str(folder / "out")]
            told.append(json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout))
        first, again = told
        lines.append(
            f"| {each:g} | {files} | {first['seconds']:.1f} s | {first['seconds'] / each:.2f} |"
            f" {first['main']:.0f} MB | {first['other']:.0f} MB | {again['seconds']:.2f} s |"
        )
        shutil.rmtree(raw)
        shutil.rmtree(folder / "out")
    return lines


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, default=12.0, help="of speech, for the ratios")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory", type=float, nargs="+", metavar="HOURS")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "measured.py").write_text(RECIPE)
        lines = memory(folder, given.memory) if given.memory else ratios(folder, given.hours, given.rounds)
    print("\n".join(lines))


if __name__ == "__main__":
    main()
