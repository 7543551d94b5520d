"""The promises of a build, measured: faults of servers, hostile archives, containers, garbage, environments.

    python benchmarks/trust.py              # prints the tables of docs/trust.md
    python benchmarks/trust.py --pythons python3.12 python3.13

Each table names what was tried, how much came out right, and how much was silently wrong, which must be nothing.
Kills are measured by benchmarks/kills.py, speed and memory by benchmarks/conversion.py.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import emoset
from emoset import fetching
from emoset.archives import extract
from emoset.audio import decode, wav_bytes
from emoset.errors import ArchiveError, AudioError, EmosetError, FetchError
from emoset.fetching import fetch
from emoset.shards import read_manifest

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))

import audio_formats  # noqa: E402 - these lie beside the tests, which use them too
import bad_server  # noqa: E402
import hostile_archives  # noqa: E402

BODY = b"PK\x03\x04" + b"".join(hashlib.sha256(bytes([n])).digest() for n in range(250)) * 3
SHA256 = hashlib.sha256(BODY).hexdigest()


@contextlib.contextmanager
def impatient() -> Iterator[None]:
    """Waiting is not what is measured."""
    kept = fetching._sleep, fetching._TIMEOUTS, fetching._WINDOW
    fetching._sleep, fetching._TIMEOUTS, fetching._WINDOW = (lambda seconds: None), (2.0, 0.2), 0.1
    try:
        yield
    finally:
        fetching._sleep, fetching._TIMEOUTS, fetching._WINDOW = kept


def faults() -> str:
    """Every fault of a server, once and for ever, with nothing or the hash known."""
    outcomes: dict[str, Counter[str]] = {"once, then healthy": Counter(), "for ever": Counter()}
    with impatient(), bad_server.BadServer({}) as server:
        for name, fault in bad_server.FAULTS.items():
            for known in ({}, {"sha256": SHA256}):
                if fault.unseen and not known:
                    continue
                for once in (True, False):
                    paths = [f"/{name}/{len(known)}/{once}/x.zip", f"/{name}/{len(known)}/{once}/mirror/x.zip"]
                    server.replies |= {
                        paths[0]: bad_server.faulty(name, BODY, once), paths[1]: bad_server.Reply(BODY)
                    }  # fmt: skip
                    urls = [server.url(path) for path in paths[: 2 if once and not fault.heals else 1]]
                    outcomes["once, then healthy" if once else "for ever"][_fetched(urls, known)] += 1
    unseen = sum(fault.unseen for fault in bad_server.FAULTS.values())
    rows = [
        f"| {when} | {told.total()} | {told['right']} | {told['refused']} | {told['wrong']} |"
        for when, told in outcomes.items()
    ]
    return "\n".join([
        f"{len(bad_server.FAULTS)} kinds of faults, each without and with the hash known; {unseen} of them, which "
        "nobody can see without a hash, with the hash only.\n",
        "| fault | plays | right file | refused aloud | silently wrong |", "| --- | --- | --- | --- | --- |", *rows,
    ]) + "\n"  # fmt: skip


def _fetched(urls: list[str], known: dict[str, str]) -> str:
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "x.zip"
        try:
            fetch(urls, target, limit=10 * len(BODY), **known)
        except FetchError:
            return "wrong" if any(Path(folder).iterdir()) else "refused"
        return "right" if target.read_bytes() == BODY else "wrong"


def archives() -> str:
    """Hostile archives must be refused with nothing written, benign ones come out whole."""
    refused = accepted = 0
    wrong = []
    with tempfile.TemporaryDirectory() as name:
        for number, (kind, make) in enumerate(hostile_archives.HOSTILE.items()):
            home = Path(name) / f"hostile-{number}" / "home"
            home.mkdir(parents=True)
            archive = make(home)
            before = sorted(home.parent.rglob("*"))
            try:
                extract(archive, home / "out", progress=False)
                wrong.append(kind)
            except ArchiveError:
                refused += 1
                wrong += [kind] * (sorted(home.parent.rglob("*")) != before)
        for number, (kind, (make, files, encoding)) in enumerate(hostile_archives.BENIGN.items()):
            home = Path(name) / f"benign-{number}"
            home.mkdir()
            out = home / "out"
            extract(make(home), out, encoding=encoding, progress=False)
            found = {p.relative_to(out).as_posix(): p.read_bytes() for p in out.rglob("*") if p.is_file()}
            accepted += found == files
            wrong += [kind] * (found != files)
    return (
        "| archives | tried | as they should | not |\n| --- | --- | --- | --- |\n"
        f"| hostile, refused | {len(hostile_archives.HOSTILE)} | {refused} | "
        f"{len(hostile_archives.HOSTILE) - refused} |\n"
        f"| benign, accepted whole | {len(hostile_archives.BENIGN)} | {accepted} | "
        f"{len(hostile_archives.BENIGN) - accepted} |\n" + "".join(f"\nWRONG: {kind}\n" for kind in wrong)
    )


def formats() -> str:
    """Every container and coding at several rates and channel counts, whole and in segments."""
    problems = {str(form): told for form in audio_formats.FORMATS if (told := audio_formats.problem(form))}
    lossy = [form for form in audio_formats.FORMATS if form.snr is not None]
    exact = [form for form in audio_formats.FORMATS if form.snr is None]
    rows = "".join(
        f"| {title} | {len(forms)} | {sum(str(form) not in problems for form in forms)} |\n"
        for title, forms in (("lossless, sample for sample", exact), ("lossy, by their signal-to-noise ratio", lossy))
    )
    wrong = "".join(f"\nWRONG: {form}: {told}\n" for form, told in problems.items())
    return f"| formats | tried | right |\n| --- | --- | --- |\n{rows}{wrong}"


def garbage(count: int) -> str:
    """Damaged recordings: our own error, naming the file, or samples; never another exception."""
    import numpy as np

    rng = np.random.default_rng(0)
    makers = [wav_bytes((rng.integers(-9000, 9000, 4000)).astype(np.int16))]
    makers += [form.data for form in audio_formats.FORMATS[::9]]
    outcomes: Counter[str] = Counter()
    for _ in range(count):
        data = bytearray(makers[rng.integers(len(makers))])
        for _ in range(rng.integers(1, 8)):
            data[rng.integers(min(len(data), 200 if rng.random() < 0.7 else len(data)))] = rng.integers(256)
        cut = len(data) if rng.random() < 0.5 else rng.integers(len(data))
        try:
            decode(bytes(data[:cut]), "corpus: wav/a.wav")
            outcomes["decoded"] += 1
        except AudioError as error:
            outcomes["refused" if "wav/a.wav" in str(error) else "unnamed"] += 1
        except EmosetError:
            outcomes["unnamed"] += 1
        except Exception as error:  # what is counted here must not exist
            outcomes[f"WRONG: {type(error).__name__}"] += 1
    rows = "".join(f"| {what} | {times} |\n" for what, times in sorted(outcomes.items()))
    return f"| {count} damaged recordings of {len(makers)} formats | |\n| --- | --- |\n{rows}"


_CHILD = """
import sys, emoset
emoset.build(["emodb", "urdu", "iemocap"], sys.argv[1], sys.argv[2], workers=int(sys.argv[3]), progress=False)
"""


def environments(pythons: list[str]) -> str:
    """Builds of the same raw files in other surroundings must have the same shards."""
    with tempfile.TemporaryDirectory() as name:
        raw = Path(name) / "raw"
        emoset.twin(["emodb", "urdu", "iemocap"], raw, scale=0.02, progress=False)
        told = {}
        surroundings = [
            ("as it is", sys.executable, "1", {}),
            ("4 processes", sys.executable, "4", {}),
            ("other time zone and locale", sys.executable, "2", {"TZ": "Pacific/Chatham", "LC_ALL": "tr_TR.UTF-8"}),
            ("other hash seed and temporary folder", sys.executable, "2", {"PYTHONHASHSEED": "7", "TMPDIR": name}),
            ("ASCII only", sys.executable, "2", {"LC_ALL": "C", "PYTHONUTF8": "0"}),
            *((python, python, "2", {}) for python in pythons),
        ]
        for title, python, workers, extra in surroundings:
            out = Path(name) / title.replace("/", "_")
            environment = {**os.environ, **extra}
            subprocess.run([python, "-c", _CHILD, str(raw), str(out), workers], env=environment, check=True)
            told[title] = {
                f"{c}/{shard}": facts["sha256"]
                for c in ("emodb", "urdu", "iemocap") for shard, facts in read_manifest(out / c)["shards"].items()
            }  # fmt: skip
        first = next(iter(told.values()))
        rows = "".join(
            f"| {title} | {sum(first[k] == v for k, v in t.items())} of {len(first)} |\n" for title, t in told.items()
        )
        return f"| environment | shards with equal hashes |\n| --- | --- |\n{rows}"


def main() -> None:
    """Print the tables, and leave with status 1 if anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pythons", nargs="*", default=[], help="further interpreters with emoset installed")
    parser.add_argument("--garbage", type=int, default=10_000)
    given = parser.parse_args()
    text = "\n".join(
        f"## {title}\n\n{make()}"
        for title, make in (
            ("A web server that misbehaves", faults),
            ("Archives", archives),
            ("Containers and codings", formats),
            ("Garbage", lambda: garbage(given.garbage)),
            ("Same bytes everywhere", lambda: environments(given.pythons)),
        )
    )
    print(text)
    sys.exit("WRONG" in text)


if __name__ == "__main__":
    main()
