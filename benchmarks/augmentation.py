"""Speed of augmentation: utterances a second of each step and pipeline, for crops of 3 s, in one process.

    python benchmarks/augmentation.py                # on a synthetic twin that is made first
    python benchmarks/augmentation.py --data DATA    # on the corpus emodb of a data folder

Every step is applied to every crop (p = 1), named pipelines as they are. "Reading alone" is the same data set without
augmentation. Rounds of all of them alternate, and the time is the process's CPU time, so that what else the machine
does hardly counts.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import soundfile

import emoset
from emoset.augmentation import (
    PIPELINES,
    Augmentation,
    BackgroundNoise,
    Gain,
    Noise,
    Pipeline,
    PitchShift,
    RoomImpulse,
    TimeMask,
    TimeStretch,
)
from emoset.schema import SAMPLING_RATE
from emoset.torch import UtteranceDataset

SECONDS = 3.0


def write_recordings(folder: Path) -> None:
    """Backgrounds of a minute at two rates, and an impulse response of half a second."""
    rng = np.random.default_rng(0)
    for name, rate, seconds in (("slow", 16_000, 60.0), ("fast", 44_100, 60.0), ("room", 16_000, 0.5)):
        samples = 0.1 * rng.standard_normal(round(seconds * rate))
        if name == "room":
            samples *= np.exp(-np.linspace(0, 7, len(samples)))
        (folder / name).mkdir()
        soundfile.write(folder / name / "made_up.wav", samples, rate)


def measured(folder: Path) -> dict[str, Augmentation | None]:
    """What is measured, by what the table calls it."""
    steps = {
        "`Noise`": Noise(p=1),
        "`Gain`": Gain(p=1),
        "`TimeStretch`": TimeStretch(p=1),
        "`PitchShift`": PitchShift(p=1),
        "`TimeMask`": TimeMask(p=1),
        "`RoomImpulse`, 0.5 s": RoomImpulse(p=1, folder=folder / "room"),
        "`BackgroundNoise`, WAV of 16 kHz": BackgroundNoise(p=1, folder=folder / "slow"),
        "`BackgroundNoise`, WAV of 44.1 kHz": BackgroundNoise(p=1, folder=folder / "fast"),
    }
    single = {title: Augmentation(Pipeline(name="one", steps=(step,))) for title, step in steps.items()}
    return {
        "reading alone": None,
        **single,
        **{f'pipeline `"{name}"`': Augmentation(pipeline) for name, pipeline in PIPELINES.items()},
    }


def seconds_each(dataset: UtteranceDataset, augment: Augmentation | None, count: int, epoch: int) -> float:
    """CPU seconds an utterance takes; what is shorter than 3 s is augmented with the zeros that follow it."""
    dataset.set_epoch(epoch)
    start = time.process_time()
    for index in range(count):
        audio = dataset[index % len(dataset)]["audio"].numpy()
        if augment is not None:
            augment(audio, epoch=epoch, index=index)
    return (time.process_time() - start) / count


def table(folder: Path, data: Path, count: int, rounds: int) -> list[str]:
    """Medians over the rounds, as Markdown."""
    with warnings.catch_warnings(action="ignore"):  # that the data are synthetic does not matter here
        dataset = UtteranceDataset("emodb", "train", data_dir=data, window=SECONDS)
    write_recordings(folder)
    subjects = measured(folder)
    times: dict[str, list[float]] = {title: [] for title in subjects}
    for epoch in range(-1, rounds):  # the first round only warms up
        for title, augment in subjects.items():
            taken = seconds_each(dataset, augment, count, max(epoch, 0))
            times[title] += [taken] if epoch >= 0 else []
    bare = statistics.median(times["reading alone"])
    lines = ["| step or pipeline | utterances/s | ms each | times reading alone |", "| --- " * 4 + "|"]
    for title, taken_each in times.items():
        taken = statistics.median(taken_each)
        lines.append(f"| {title} | {1 / taken:,.0f} | {1e3 * taken:.3f} | {taken / bare:.0f} |")
    return lines


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="data folder that holds emodb; default: a twin is made")
    parser.add_argument("--count", type=int, default=200, help="utterances a round")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        data = given.data
        if data is None:
            data = Path(name) / "data"
            emoset.twin("emodb", Path(name) / "raw", progress=False)
            emoset.build("emodb", Path(name) / "raw", data, progress=False)
        (Path(name) / "recordings").mkdir()
        lines = table(Path(name) / "recordings", data, given.count, given.rounds)
    print(f"Crops of {SECONDS:g} s at {SAMPLING_RATE} Hz, CPU time of one process, median of {given.rounds} rounds.\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
