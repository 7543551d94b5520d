"""The whole path in one go, on synthetic speech: raw corpora, shards, loading, training, benchmark.

Each step shows the line that a user would type for it, and then runs it. Usage: python docs/examples/demo.py [FOLDER]
"""

from __future__ import annotations

import subprocess
import sys
import time
import warnings
from pathlib import Path

from rich.console import Console

import emoset
from emoset.benchmarking.pictures import class_counts_picture
from emoset.shards import read_manifest

SCALES = {"emodb": 0.4, "urdu": 0.4, "cremad": 0.03}
console = Console(highlight=False)


def step(title: str, line: str) -> None:
    """Say what comes next, and the line that does it."""
    console.rule(f"[bold]{title}")
    console.print(f"[green]{line}[/green]\n", soft_wrap=True)


def shell(title: str, line: str) -> None:
    """Run a command as a user would, with this Python's scripts on the path."""
    step(title, f"$ {line}")
    program, *arguments = line.split()
    subprocess.run([str(Path(sys.executable).parent / program), *arguments], check=True)  # noqa: S603


def main() -> None:
    """Run all steps below one folder."""
    started = time.monotonic()
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "demo")
    raw, data, runs, results = (folder / name for name in ("raw", "data", "runs", "results"))
    corpora = " ".join(SCALES)

    for corpus, scale in SCALES.items():
        shell(f"A synthetic twin of {corpus}", f"emoset twin {corpus} --out {raw} --scale {scale}")
    shell("Build the shards, with an account of every file", f"emoset build {corpora} --raw {raw} --out {data}")
    shell("Check them", f"emoset verify {data}")

    step("Load", f'>>> ds = emoset.load_dataset("emodb", data_dir="{data}")')
    with warnings.catch_warnings(action="ignore"):  # that the data are synthetic is what this demonstration is about
        dataset = emoset.load_dataset("emodb", data_dir=data)
    row = dataset["train"][0]
    console.print(dataset, soft_wrap=True)
    console.print(f"{row['id']}: {dataset['train'].features['label'].int2str(row['label'])}, {row['audio']['array']}")

    shell(
        "Train the baseline on one corpus",
        f"emonet train emodb --data {data} --out {runs}/emodb --preset quick --overwrite",
    )
    shell(
        "Train and test it on each corpus by itself",
        f"emoset benchmark emonet_models:Baseline {corpora} --data {data} --arg preset=quick --out {results}",
    )
    shell(
        "The same for a model of one's own",
        f"emoset benchmark docs/examples/svm_logmel.py:SvmOnLogMel {corpora} --data {data} --out {results}-svm",
    )
    manifests = {corpus: read_manifest(data / corpus) for corpus in SCALES}
    counts = {c: {s: told["classes"] for s, told in m["splits"].items()} for c, m in manifests.items()}
    class_counts_picture(counts, results / "class_counts.png")

    step("Done", f"{time.monotonic() - started:.0f} s; to look at:")
    for path in (data / "README.md", results / "table.md", results / "confusion.png", results / "class_counts.png"):
        console.print(f"  {path}", soft_wrap=True)


if __name__ == "__main__":
    main()
