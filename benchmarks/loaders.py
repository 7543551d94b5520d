"""Speed and memory of the training loader, against a bare NumPy loop and ``datasets``, on one synthetic corpus.

    python benchmarks/loaders.py                           # utterances a second, and ratios
    python benchmarks/loaders.py --memory 2000 20000       # utterances: memory of an epoch with two workers

Everybody makes the same thing: batches of 64 random crops of 2 s, float32 in [-1, 1), in a new random order each round.
The bare loop slices a memory map of the shards, draws one crop after the other and fills one array over and over.
Tuned, it draws the crops of a batch at once and slices plain arrays; with two arrays in turn it leaves the last batch
intact while it makes the next, as every loader must. Rounds of all of them alternate, and ratios are medians over
rounds. In one process the time is the process's CPU time, so that what else the machine does hardly counts; with
workers it is the wall clock's. torchcodec takes part where it can be imported.
"""

from __future__ import annotations

import argparse
import io
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import soundfile
import torch
from torch.utils.data import DataLoader

import emoset
from emoset.schema import SAMPLING_RATE
from emoset.shards import shard_paths
from emoset.torch import Loader, ShuffleSampler, UtteranceDataset

BATCH, WINDOW = 64, 2 * SAMPLING_RATE
RECIPE = r'''"""A made-up corpus of any size, to measure with."""

from emoset.recipe import PathPattern, Recipe, Split

RECIPE = Recipe(
    id="measured", title="A made-up corpus", languages=("en",), kind="acted", access="open", licence="none",
    citation="none", version="1.0.0",
    found_by=PathPattern(regex=r"(?P<speaker>s\d\d)_(?P<label>[a-d])_(?P<number>\d+)\.wav"),
    labels={"a": "anger", "b": "sadness", "c": "neutral", "d": "happiness"},
    split=Split(train=tuple(f"s{i:02d}" for i in range(38)), validation=("s38",), test=("s39",)),
)
'''


def build(folder: Path, utterances: int, shortest: float, longest: float, distinct: int = 500) -> Path:
    """A data folder with that many utterances; hard links to fewer distinct ones keep the raw folder small."""
    rng = np.random.default_rng(0)
    names = [f"s{i % 40:02d}_{'abcd'[i // 40 % 4]}_{i:06d}.wav" for i in range(utterances)]
    (folder / "raw").mkdir(parents=True)
    for i, name in enumerate(names):
        if i < distinct:
            samples = rng.normal(0, 3000, round(rng.uniform(shortest, longest) * SAMPLING_RATE)).astype(np.int16)
            soundfile.write(folder / "raw" / name, samples, SAMPLING_RATE, subtype="PCM_16")
        else:
            os.link(folder / "raw" / names[i % distinct], folder / "raw" / name)
    (folder / "measured.py").write_text(RECIPE)
    emoset.build(str(folder / "measured.py"), folder / "raw", folder / "data", progress=False)
    return folder / "data"


class Bare:
    """A loop over memory maps of the shards, with the places of the samples found beforehand."""

    def __init__(self, data: Path) -> None:
        self.maps = [np.memmap(path, "<i2", mode="r") for path in shard_paths(data / "measured", "train")]
        self.places: list[tuple[int, int, int]] = []  # map, first sample, samples
        for number, mapped in enumerate(self.maps):
            content = mapped.tobytes()
            at = content.find(b"RIFF")
            while at >= 0:
                size = int.from_bytes(content[at + 40 : at + 44], "little")
                self.places.append((number, (at + 44) // 2, size // 2))
                at = content.find(b"RIFF", at + 44 + size)

    def epoch(self, rng: np.random.Generator) -> int:
        """Every utterance once; how many they were."""
        order = rng.permutation(len(self.places))[: len(self.places) // BATCH * BATCH].tolist()
        batch = np.empty((BATCH, WINDOW), dtype=np.float32)
        for first in range(0, len(order), BATCH):
            for i, row in enumerate(order[first : first + BATCH]):
                number, start, count = self.places[row]
                start += int(rng.integers(count - WINDOW + 1))
                batch[i] = self.maps[number][start : start + WINDOW]
            batch *= np.float32(1 / 32768)
        return len(order)

    def tuned_epoch(self, rng: np.random.Generator, arrays: int) -> int:
        """The same, as fast as NumPy makes it, into so many arrays in turn."""
        maps, (numbers, starts, counts) = [m.view(np.ndarray) for m in self.maps], np.array(self.places).T
        order = rng.permutation(len(self.places))[: len(self.places) // BATCH * BATCH]
        batches = [np.empty((BATCH, WINDOW), dtype=np.float32) for _ in range(arrays)]
        for first in range(0, len(order), BATCH):
            rows, batch = order[first : first + BATCH], batches[first // BATCH % arrays]
            begins = starts[rows] + rng.integers(counts[rows] - WINDOW + 1)
            for out, number, begin in zip(batch, numbers[rows].tolist(), begins.tolist(), strict=True):
                out[:] = maps[number][begin : begin + WINDOW]
            batch *= np.float32(1 / 32768)
        return len(order)


def consumed(loader: Iterable[Any], drop: bool = False) -> int:
    """How many crops came; the usual loop holds a batch until the next one is there."""
    count = 0
    for batch in loader:
        audio = batch["audio"]
        assert audio.shape[1:] == (WINDOW,)  # noqa: S101
        count += len(audio)
        if drop:
            del batch, audio
    return count


class Cropping:
    """Makes a batch of rows of ``datasets``, by a way to fill one crop."""

    def __init__(self, fill: Callable[[Any, np.ndarray[Any, Any]], None]) -> None:
        self.fill = fill

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        """The batch."""
        audio = np.empty((len(rows), WINDOW), dtype=np.float32)
        for out, row in zip(audio, rows, strict=True):
            self.fill(row["audio"], out)
        return {"audio": torch.from_numpy(audio)}


_rng = np.random.default_rng(0)


def from_array(audio: Any, out: np.ndarray[Any, Any]) -> None:
    """A crop of the decoded array."""
    start = int(_rng.integers(len(audio["array"]) - WINDOW + 1))
    out[:] = audio["array"][start : start + WINDOW]


def from_soundfile(audio: Any, out: np.ndarray[Any, Any]) -> None:
    """A crop read by soundfile, and no more than the crop."""
    with soundfile.SoundFile(io.BytesIO(audio["bytes"])) as sound:
        sound.seek(int(_rng.integers(sound.frames - WINDOW + 1)))
        sound.read(WINDOW, dtype="float32", out=out)


def from_torchcodec(audio: Any, out: np.ndarray[Any, Any]) -> None:
    """A crop read by torchcodec, and no more than the crop."""
    spare = audio.metadata.duration_seconds_from_header - WINDOW / SAMPLING_RATE
    start = float(_rng.uniform(0, max(spare - 0.001, 0)))
    samples = audio.get_samples_played_in_range(start, start + WINDOW / SAMPLING_RATE + 0.001).data[0]
    out[:] = samples[:WINDOW].numpy()


def subjects(data: Path) -> dict[str, tuple[Callable[[], int], bool]]:
    """What is measured, by what the table calls it: a round of it, and whether it has workers."""
    with warnings.catch_warnings(action="ignore"):
        ours = UtteranceDataset("measured", "train", data_dir=data, window=WINDOW / SAMPLING_RATE)
        stored = emoset.load_dataset("measured", "train", data_dir=data).select_columns(["audio"])
        encoded = emoset.load_dataset("measured", "train", data_dir=data, decode=False).select_columns(["audio"])
    plain = encoded.cast_column("audio", datasets.Audio(SAMPLING_RATE))
    bare, rng = Bare(data), np.random.default_rng(0)
    sampler = ShuffleSampler(ours, BATCH, drop_last=True)
    one, two = Loader(ours, sampler), Loader(ours, sampler, num_workers=2, persistent_workers=True)

    def hugging(rows: Any, fill: Any, count: int) -> Callable[[], int]:
        def epoch() -> int:
            chosen = rng.permutation(len(rows))[:count].tolist()
            return consumed(DataLoader(rows, BATCH, sampler=chosen, drop_last=True, collate_fn=Cropping(fill)))

        return epoch

    known: dict[str, tuple[Callable[[], int], bool]] = {
        "bare loop": (lambda: bare.epoch(rng), False),
        "tuned bare loop, one array": (lambda: bare.tuned_epoch(rng, 1), False),
        "tuned bare loop, two arrays in turn": (lambda: bare.tuned_epoch(rng, 2), False),
        "`UtteranceDataset`": (lambda: consumed(one), False),
        "the same, each batch dropped before the next": (lambda: consumed(one, drop=True), False),
        "the same, 2 workers": (lambda: consumed(two), True),
        "`emoset.load_dataset`": (hugging(stored, from_array, 1024), False),
        "`datasets` and soundfile": (hugging(encoded, from_soundfile, 1024), False),
    }
    try:
        import torchcodec  # noqa: F401
    except (ImportError, OSError, RuntimeError):  # RuntimeError: its libraries do not fit
        print("torchcodec is not installed, or does not load.\n")
    else:
        known["`datasets` and torchcodec"] = (hugging(plain, from_torchcodec, 128), False)
    return known


def speed(data: Path, rounds: int) -> list[str]:
    """Utterances a second of everything, and ratios."""
    known = subjects(data)
    taken: dict[str, list[tuple[float, float]]] = {title: [] for title in known}
    for number in range(-1, rounds):  # the first round only warms up
        for title, (epoch, _) in known.items():
            cpu, wall = time.process_time(), time.perf_counter()
            count = epoch()
            if number >= 0:
                taken[title].append(((time.process_time() - cpu) / count, (time.perf_counter() - wall) / count))
    lines = [
        "| what | clock | utterances/s | of the bare loop | `UtteranceDataset`, times its speed |",
        "| --- " * 5 + "|",
    ]
    for title, times in taken.items():
        clock = int(known[title][1])
        each = [t[clock] for t in times]
        bare, ours = ([t[clock] for t in taken[name]] for name in ("bare loop", "`UtteranceDataset`"))
        cells = (
            title, ("CPU", "wall")[clock], f"{1 / statistics.median(each):,.0f}",
            f"{statistics.median(b / t for b, t in zip(bare, each, strict=True)):.3g}",
            f"{statistics.median(t / o for t, o in zip(each, ours, strict=True)):.3g}",
        )  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def status(process: str | int) -> dict[str, float]:
    """Memory of a process in MB: all, mapped files, and the rest."""
    lines = Path(f"/proc/{process}/status").read_text("utf-8").splitlines()
    found = {line.split(":")[0]: int(line.split()[1]) / 1024 for line in lines if line.startswith(("VmRSS", "RssFile"))}
    return {"all": found["VmRSS"], "files": found["RssFile"]}


def epoch_in_memory(data: Path) -> None:
    """Print as JSON what the processes hold after the first and the last batches of an epoch with two workers."""
    torch.set_num_threads(1)
    with warnings.catch_warnings(action="ignore"):
        train = UtteranceDataset("measured", "train", data_dir=data, window=0.5)
    told = []
    loader = Loader(train, ShuffleSampler(train, BATCH), num_workers=2)
    for number, _ in enumerate(loader):
        if number in (10, len(loader) - 5):
            told.append([status("self"), *(status(child.pid or 0) for child in multiprocessing.active_children())])
    print(json.dumps({"rows": len(train), "told": told}))


def memory(folder: Path, sizes: list[int]) -> list[str]:
    """What the main process and the larger worker hold, by the number of utterances."""
    lines = [
        "| utterances | shards | main process, without mapped files: begin, end | worker: begin, end | mapped files |",
        "| --- " * 5 + "|",
    ]
    for size in sizes:
        data = build(folder / str(size), size, 0.6, 1.0)
        command = [sys.executable, __file__, "--epoch", str(data)]
        done = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        shards = sum(path.stat().st_size for path in shard_paths(data / "measured", "train")) / 2**20
        own = [[process["all"] - process["files"] for process in moment] for moment in done["told"]]
        files = max(process["files"] for process in done["told"][-1])
        lines.append(
            f"| {done['rows']:,} | {shards:.0f} MB | {own[0][0]:.0f}, {own[-1][0]:.0f} MB |"
            f" {max(own[0][1:]):.0f}, {max(own[-1][1:]):.0f} MB | {files:.0f} MB |"
        )
    return lines


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--utterances", type=int, default=4000, help="of 3 to 5 s, for the speed")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--memory", type=int, nargs="+", metavar="UTTERANCES")
    parser.add_argument("--epoch", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.epoch:
        epoch_in_memory(given.epoch)
        return
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        if given.memory:
            lines = memory(Path(name), given.memory)
        else:
            lines = speed(build(Path(name), given.utterances, 3, 5), given.rounds)
    print("\n".join(lines))


if __name__ == "__main__":
    main()
