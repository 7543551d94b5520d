"""Time to the first row: of `emoset.load_dataset`, and of plain `datasets` on the same folder.

    python benchmarks/loading_first_row.py                                  # on synthetic twins that are made first
    python benchmarks/loading_first_row.py --data DATA --names emodb meld   # on corpora of a data folder

Each time is that of a process of its own; the rounds of all cases alternate, and the median is told with the smallest
and the largest. Cold: a cache of `datasets` that is empty. Warm: one that the same call has filled. Copied: cold, and
the folder is a copy, whose shards are hashed before they are trusted. Python itself is started before the clock; the
files are in the memory of the operating system in all cases.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import emoset
from emoset.registry import COLLECTIONS

_OURS = """
import json, sys, time, warnings
warnings.simplefilter("ignore")
start = time.perf_counter()
import emoset
told = {"import emoset": time.perf_counter() - start}
if sys.argv[1:]:
    import emoset.loading
    told["import"] = time.perf_counter() - start
    then = time.perf_counter()
    dataset = emoset.load_dataset(sys.argv[2], "train", data_dir=sys.argv[1])
    told["load"] = time.perf_counter() - then
    then = time.perf_counter()
    assert len(dataset[0]["audio"]["array"])
    told["row"] = time.perf_counter() - then
told["all"] = time.perf_counter() - start
print(json.dumps(told))
"""

_PLAIN = """
import json, sys, time, warnings
warnings.simplefilter("ignore")
start = time.perf_counter()
import datasets
datasets.disable_progress_bars()
told = {"import": time.perf_counter() - start}
then = time.perf_counter()
dataset = datasets.load_dataset(sys.argv[1], sys.argv[2], split="train")
dataset = dataset.cast_column("audio", datasets.Audio(decode=False))
told["load"] = time.perf_counter() - then
then = time.perf_counter()
assert len(dataset[0]["audio"]["bytes"])
told["row"] = time.perf_counter() - then
told["all"] = time.perf_counter() - start
print(json.dumps(told))
"""


def measure(code: str, home: Path, *arguments: object) -> dict[str, float]:
    """The seconds that a fresh process tells."""
    environment = {**os.environ, "HF_HOME": str(home), "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    told: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return told


def rounds(folder: Path, data: Path, names: Sequence[str], count: int) -> dict[str, list[dict[str, float]]]:
    """All cases, one after another, that often."""
    copy = folder / "copy"
    built = [name for each in names for name in COLLECTIONS.get(each, (each,))]
    for name in dict.fromkeys(built):
        shutil.copytree(data / name, copy / name)
    found: dict[str, list[dict[str, float]]] = {"import emoset": []}
    for number in range(count):
        found["import emoset"].append(measure(_OURS, folder / "none"))
        for name in names:
            cases = {
                f"`{name}`, cold": (_OURS, data, folder / f"cold-{name}-{number}"),
                f"`{name}`, copied": (_OURS, copy, folder / f"copied-{name}-{number}"),
                f"`{name}`, warm": (_OURS, data, folder / f"cold-{name}-{number}"),
            }
            if name not in COLLECTIONS:
                plain = folder / f"plain-{name}-{number}"
                cases[f"`{name}` by plain datasets, cold"] = (_PLAIN, data, plain)
                cases[f"`{name}` by plain datasets, warm"] = (_PLAIN, data, plain)
            for title, (code, where, home) in cases.items():
                found.setdefault(title, []).append(measure(code, home, where, name))
        for used in folder.glob("*-*"):
            shutil.rmtree(used)
    return found


def table(found: dict[str, list[dict[str, float]]]) -> list[str]:
    """The medians, in milliseconds."""
    lines = ["| case | imports | load | first row | together | from to |", "| --- | ---: | ---: | ---: | ---: | ---: |"]
    for title, times in found.items():
        cells = [f"{statistics.median(t[key] for t in times) * 1e3:.1f}" if key in times[0] else "" for key in
                 ("import", "load", "row", "all")]  # fmt: skip
        spread = [round(limit(t["all"] for t in times) * 1e3) for limit in (min, max)]
        lines.append(f"| {title} | {' | '.join(cells)} | {spread[0]} to {spread[1]} |")
    return lines


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="data folder; default: twins of emodb in its size, and of emoset26")
    parser.add_argument("--names", nargs="+", default=["emodb", "emoset26"])
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder, data = Path(name), given.data
        if data is None:
            data = folder / "data"
            for corpus in dict.fromkeys([*COLLECTIONS["emoset26"]]):
                scale = 1.0 if corpus == "emodb" else 0.0005
                [raw] = emoset.twin(corpus, folder / "raw", scale=scale, progress=False)
                emoset.build(corpus, {corpus: raw}, data, progress=False)
                shutil.rmtree(raw)
        lines = table(rounds(folder, data, given.names, given.rounds))
    print(f"Milliseconds; datasets {version('datasets')}, pyarrow {version('pyarrow')}, Python "
          f"{platform.python_version()}, {os.cpu_count()} cores; median of {given.rounds} processes.\n")  # fmt: skip
    print("\n".join(lines))


if __name__ == "__main__":
    main()
