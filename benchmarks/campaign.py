"""The long checks, whose figures the documentation publishes: every mutant on every recipe, and the real file lists.

Usage: make campaign. Writes docs/figures.md. Real file lists are read from the folder named by
EMOSET_SHARED; without it their column says so.
"""

from __future__ import annotations

import csv
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from importlib import resources
from pathlib import Path

from rich.progress import track

import emoset
from emoset.checking import code_lines
from emoset.reading import read_raw
from emoset.registry import known_names

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))
sys.path.insert(0, str(ROOT / "tests" / "recipes"))

import mutants  # noqa: E402 - lies beside the tests, which use it too
import real_lists  # noqa: E402


def recipe_figures() -> str:
    """How many recipes there are and how long they are."""
    lines = sorted(
        code_lines(Path(str(resources.files("emoset.recipes") / f"{r.id}.py"))) for r in emoset.list_corpora()
    )
    return (
        f"| recipes | {len(lines)} |\n| with variants | {len(known_names())} |\n"
        f"| code lines: least / median / most | {lines[0]} / {statistics.median(lines):g} / {lines[-1]} |\n"
    )


def list_figures() -> str:
    """Rows of the real file lists, and how many came out wrong."""
    shared = os.environ.get("EMOSET_SHARED")
    if not shared:
        return "Not measured: EMOSET_SHARED names no folder with real file lists.\n"
    rows = [
        "| corpus | rows checked | wrong label, speaker or gender | missing | extra |",
        "| --- | --- | --- | --- | --- |",
    ]
    for path in sorted((Path(shared) / "listings").glob("*.csv")):
        if path.name.endswith(".index.csv"):
            continue
        with tempfile.TemporaryDirectory() as folder, path.open(encoding="utf-8") as file:
            told = list(csv.DictReader(file))
            found = real_lists.compare(path.stem, told, Path(folder), read_raw)
            rows.append(
                f"| `{path.stem}` | {len(told)} | {len(found.wrong)} | {len(found.missing)} | {len(found.extra)} |"
            )
    return "\n".join(rows) + "\n"


def mutant_figures() -> str:
    """All kinds of damage on all recipes."""
    verdicts: dict[str, Counter[str]] = {kind: Counter() for kind in mutants.KINDS}
    unseen: list[str] = []
    for name in track(known_names(), "mutants"):
        with tempfile.TemporaryDirectory() as folder:
            subject = mutants.Subject(emoset.get_recipe(name), Path(folder))
            for seed, kind in enumerate(mutants.KINDS):
                outcome = subject.judge(kind, seed)
                verdicts[kind]["does not apply" if outcome is None else outcome.verdict] += 1
                if outcome is not None and not outcome.allowed:
                    unseen.append(f"- {name}, {kind}: {outcome.verdict}")
    tried = sum(sum(c.values()) - c["does not apply"] for c in verdicts.values())
    columns = (mutants.HARMLESS, mutants.REPORTED, mutants.INDEXED, "does not apply")
    rows = [f"| {kind} | " + " | ".join(str(c[column]) for column in columns) + " |" for kind, c in verdicts.items()]
    head = f"| damage | {' | '.join(columns)} |\n| --- | --- | --- | --- | --- |\n"
    missed = "\n".join(unseen) or "None passed unseen."
    return (
        f"{tried} mutants of {len(mutants.KINDS)} kinds were tried; {len(unseen)} not as allowed.\n\n{missed}\n\n{head}"
        + "\n".join(rows)
        + "\n"
    )


def suite_figures() -> str:
    """The time of the test suite, as `make test` runs it after the checks of form and types."""
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-n", "2"], capture_output=True, text=True, cwd=ROOT, check=False
    )
    last = done.stdout.strip().splitlines()[-1]
    return f"| test suite | {last.split(' in ')[0]} in {time.monotonic() - started:.0f} s, two processes |\n"


def main() -> None:
    """Measure all and write the page."""
    started = time.monotonic()
    parts = (recipe_figures() + suite_figures(), list_figures(), mutant_figures())
    minutes = (time.monotonic() - started) / 60
    text = f"""# Figures of the recipe book

Made by `make campaign`.

| figure | value |
| --- | --- |
{parts[0]}| time of this campaign | {minutes:.0f} min on {os.cpu_count()} cores |

## Held to real file lists

{parts[1]}
## Damaged copies

A mutant is harmless if the build gives the same rows and samples; reported if it is refused or noted with the file's
name (or, where a file is gone, the differing count); indexed if only the index of the true distribution tells.

Two limits. A twin tells its own counts, so every lost file is noticed here; of a true corpus only those with verified
counts (`expect`) refuse a lost file, the others at most warn. And a mutant is compared with an index made of its own
twin; indexes of true distributions exist for emodb, urdu, cremad and ravdess alone.

{parts[2]}"""
    (ROOT / "docs" / "figures.md").write_text(text, encoding="utf-8", newline="\n")
    print(text)


if __name__ == "__main__":
    main()
