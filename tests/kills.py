"""Runs that are killed, told to end, or left without disk space, at instants of all kinds; and what becomes of them.

    with Ground(folder) as ground, ground.lane() as lane:
        for outcome in lane.live(Life((Strike("SIGKILL", "build", 0.5),))):
            assert not outcome.wrong

What is struck is the true command in a process of its own: it fetches a packed twin from a server on this computer,
unpacks it, builds it and verifies the build. It is stopped first, so that the file system tells which stage it is in;
then it is struck, and goes on if it can. An instant is a share of a stage: of its time, seen from without, or of the
changes that it makes to the file system, counted by an audit hook within. What holds afterwards is in `Lane`.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import warnings
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

import psutil
from bad_server import closed_address, serve_folder

import emoset
from emoset.downloading import MARKER
from emoset.errors import EmosetError, NotBuiltError
from emoset.staging import is_staged

STAGES: Final = ("start", "fetch", "extract", "read", "build", "finish")
"""As the file system shows them; in ``read`` the raw root stands, in ``finish`` the build does."""

AIMS: Final = ("fetch", "extract", "build")
STRIKES: Final = ("SIGKILL", "SIGTERM", "SIGINT", "ENOSPC")

_CORPUS: Final = "emodb"
_STATUS: Final = {"SIGKILL": -signal.SIGKILL, "SIGTERM": 143, "SIGINT": 130, "ENOSPC": 1}
_FULL: Final = ("No space left", "free on the disk", "File too large")
_DISK: Final = 32 << 20
_SLOWNESS: Final = 0.1
"""Seconds added to each task and, tenfold smaller, to each file unpacked, so that clocks can aim at a stage."""

_PATIENCE: Final = 60.0
"""Seconds after which a run counts as hanging."""

_WORKERS_END: Final = 10.0
"""Seconds within which worker processes must end after their parent; idle machines need less than one."""

_CHILD: Final = """
import ctypes, errno, fcntl, os, signal, sys, time

if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # to be killed, though it be stopped, when who started it is gone

def no_locks(*_):
    raise OSError(errno.ENOLCK, "No locks available")

if "KILLS_NO_LOCKS" in os.environ:
    fcntl.flock = fcntl.lockf = no_locks

from emoset import building, cli, unpacking

signal.signal(signal.SIGINT, signal.default_int_handler)  # shells start what runs in the background without it
folder, stop_at, slow = os.environ["KILLS_FOLDER"], int(os.environ["KILLS_STOP_AT"]), float(os.environ["KILLS_SLOW"])
changes = []

def count(event, args):
    if event == "open":
        told = isinstance(args[0], str) and args[0].startswith(folder) and args[2] & (os.O_WRONLY | os.O_RDWR)
    else:
        told = event in ("os.rename", "os.mkdir", "os.rmdir", "os.remove") and (
            args[-1] >= 0 or os.fsdecode(args[0]).startswith(folder)
        )
    if told:
        changes.append(os.fsdecode(args[0]))
        if len(changes) == stop_at:
            os.kill(os.getpid(), signal.SIGSTOP)

def slowly(task, convert=building.convert):
    time.sleep(slow)
    return convert(task)

def create(self, *args, create=unpacking.Output.__init__):
    create(self, *args)
    time.sleep(slow / 10)

if slow:
    building.convert, unpacking.Output.__init__ = slowly, create
if sys.argv[-1] != "1":
    building._WORTHWHILE = 0.0  # worker processes from the first task on
if stop_at or "KILLS_TRACE" in os.environ:
    sys.addaudithook(count)
open(os.environ["KILLS_BEGUN"], "w").close()
try:
    cli.main()
finally:
    if "KILLS_TRACE" in os.environ:
        with open(os.environ["KILLS_TRACE"], "w") as file:
            file.write("\\n".join(changes))
"""


@dataclass(frozen=True)
class Strike:
    """How and when a run is disturbed.

    Args:
        how: one of `STRIKES`.
        aim: one of `AIMS`; or ``start``, for a disk that is too small from the start.
        at: share of that stage that has passed; or part of a path, the last change to which is meant.
        by_clock: whether that is a share of its time; else of the changes that it makes to the file system.
        group: whether the signal goes to all processes of the run, as from a keyboard or a job scheduler.
        workers: number of processes that convert.
        room: bytes that a full disk still takes.
    """

    how: str
    aim: str
    at: float | str
    by_clock: bool = False
    group: bool = False
    workers: int = 1
    room: int = 0


@dataclass(frozen=True)
class Life:
    """Runs in one place, each struck over what the one before left, and then one that is not.

    Args:
        strikes: the disturbed runs.
        older: whether a build of an older copy stands in the data folder.
        has_raw: whether the raw root stands, so that nothing is fetched.
    """

    strikes: tuple[Strike, ...]
    older: bool = False
    has_raw: bool = False


@dataclass
class Outcome:
    """What became of a struck run.

    Args:
        strike: what was planned.
        stage: in which it was struck; None if it had ended before.
        raw: ``absent`` or ``whole``.
        data: ``absent``, ``older`` or ``built``.
        left: number of names of work in progress that it left.
        survived: seconds for which worker processes outlived it.
        mistaken: whether something partial was taken as complete.
        wrong: what is not as promised.
        healed: whether the next run that nobody disturbed gave the right bytes, and left nothing else.
    """

    strike: Strike
    stage: str | None = None
    raw: str = ""
    data: str = ""
    left: int = 0
    survived: float = 0.0
    mistaken: bool = False
    wrong: list[str] = field(default_factory=list)
    healed: bool = False

    def __str__(self) -> str:
        return f"{self.strike} struck in {self.stage}: {'; '.join(self.wrong) or 'nothing wrong'}"


def lives(seed: int) -> Iterator[Life]:
    """Plans without end; the same under the same seed."""
    rng = random.Random(seed)  # noqa: S311 - nothing is kept secret
    while True:
        has_raw = rng.random() < 0.35
        strikes = []
        for how in rng.choices(STRIKES, k=rng.choice((1, 1, 1, 2, 3))):
            aim = "build" if has_raw else rng.choice(AIMS)
            if how == "ENOSPC" and rng.random() < 0.3:
                aim = "start"
            workers = 2 if aim == "build" and rng.random() < 0.4 else 1
            by_clock = rng.random() < (0.8 if workers > 1 else 0.5)
            strikes.append(
                Strike(how, aim, rng.random(), by_clock, rng.random() < 0.4, workers, rng.choice((0, 0, 5_000, 100_000)))
            )  # fmt: skip
        yield Life(tuple(strikes), rng.random() < 0.3, has_raw)


class Ground:
    """What all runs share: a twin, packed and served; and what a run that nobody disturbs makes of it.

    Args:
        folder: to work in.
        scale: of the twin.
        fetch_seconds: that a disturbed run takes to fetch it.
    """

    def __init__(self, folder: Path, scale: float = 0.05, fetch_seconds: float = 0.6) -> None:
        self.folder = folder
        self.lock = threading.Lock()
        emoset.twin(_CORPUS, folder / "twin", scale=scale, seed=0, progress=False)
        archive = _pack(folder / "twin" / _CORPUS, folder / "web" / _CORPUS / "download.zip")
        emoset.twin(_CORPUS, folder / "older-twin", scale=scale / 2, seed=1, progress=False)
        self.older = folder / "older"
        emoset.build(_CORPUS, folder / "older-twin", self.older, progress=False)
        self._slow = serve_folder(folder / "web", bandwidth=archive.stat().st_size / fetch_seconds)
        self._fast = serve_folder(folder / "web")
        self.seconds: dict[tuple[str, int], float] = {}

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            stack.enter_context(self._slow)
            stack.enter_context(self._fast)
            stack.enter_context(
                _environment(EMOSET_MIRROR=self._fast.url(""), NO_PROXY="*", EMOSET_RAW=str(self.folder / "none"))
            )
            self._measure()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def lane(self) -> Lane:
        """A place for runs one after the other; several lanes may be used at once."""
        return Lane(self, Path(tempfile.mkdtemp(prefix="lane-", dir=self.folder)))

    def start(
        self, folder: Path, workers: int = 1, stop_at: int = 0, slow: float = 0.0, *, trace: bool = False,
        locks: bool = True,
    ) -> subprocess.Popen[bytes]:  # fmt: skip
        """Start a run whose raw roots and data lie in a folder; what it says goes to a file beside that."""
        environment = {
            **os.environ, "EMOSET_MIRROR": self._slow.url(""), "EMOSET_RAW": str(folder / "raw"),
            "KILLS_FOLDER": str(folder), "KILLS_STOP_AT": str(stop_at), "KILLS_SLOW": str(slow),
            "KILLS_BEGUN": str(folder.with_name("begun")), "NO_PROXY": "127.0.0.1",
            "http_proxy": closed_address(""), "https_proxy": closed_address(""),  # nothing leaves this computer
        }  # fmt: skip
        if trace:
            environment["KILLS_TRACE"] = str(folder.with_name("trace"))
        if not locks:
            environment["KILLS_NO_LOCKS"] = "1"
        told = ["build", _CORPUS, "--out", str(folder / "data"), "--quiet", "--workers", str(workers)]
        with folder.with_name("said").open("ab") as said:
            return subprocess.Popen(
                [sys.executable, "-c", _CHILD, *told], env=environment, stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL, stderr=said, start_new_session=True,
            )  # fmt: skip

    def sweep(self, strikes: Sequence[str] = ("SIGKILL", "SIGTERM")) -> Iterator[Life]:
        """Plans that strike at each change to the file system that a run makes, one by one."""
        for how in strikes:
            for aim, older in (("fetch", False), ("extract", False), ("build", False), ("build", True)):
                count = self.count_changes(aim, older)
                for i in range(count):
                    yield Life((Strike(how, aim, (i + 0.5) / count),), older, has_raw=aim == "build")

    def count_changes(self, stage: str, older: bool) -> int:
        """How many changes a stage makes to the file system."""
        first, end = self.changes[stage]
        return end - first + (len(self.older_data) + 2) * (older and stage == "build")  # what is older is removed

    def crowd(self, folder: Path, count: int, strikes: Sequence[tuple[str, float]] = ()) -> list[str]:
        """Have several processes download and build the same at once, where file locks do not work.

        Args:
            folder: to work in, empty.
            count: of processes.
            strikes: signals for the first of them, and the seconds after which each comes.

        Returns:
            What is wrong with the result.
        """
        work = folder / "disk"
        work.mkdir(parents=True)
        processes = [self.start(work, slow=_SLOWNESS, locks=False) for _ in range(count)]
        begun = time.monotonic()
        struck = sorted(zip(strikes, processes, strict=False), key=lambda each: each[0][1])
        for (how, after), process in struck:
            time.sleep(max(0.0, begun + after - time.monotonic()))
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.Signals[how])
        statuses = [process.wait(_PATIENCE) for process in processes]
        said = work.with_name("said").read_text(errors="replace")
        wrong = [f"exit statuses {statuses}: {said}"] * any(statuses[len(strikes) :])
        for (how, _), status in zip(strikes, statuses, strict=False):
            wrong += [f"{how} gives {status}"] * (status not in (0, _STATUS[how], -signal.Signals[how]))
        if any(how == "SIGKILL" for how, _ in strikes):
            return wrong + self.heal(work)
        return wrong + self.differences(work)

    def heal(self, work: Path) -> list[str]:
        """Run undisturbed in a folder, and say what is not as if nothing had ever happened there."""
        try:
            with self.lock, _environment(EMOSET_RAW=str(work / "raw")):
                emoset.build(_CORPUS, out=work / "data", workers=1, progress=False)
        except (EmosetError, OSError) as error:
            return [f"the next run fails: {error}"]
        return [f"after the next run: {what}" for what in self.differences(work)]

    def differences(self, work: Path) -> list[str]:
        """How a finished folder differs from that of a run that nobody disturbed."""
        wrong = problems(work)
        for name, right in (("raw", self.raw), ("data", self.data)):
            found = contents(work / name)
            differing = sorted(path for path in found.keys() | right if found.get(path) != right.get(path))
            wrong += [f"{name} differs: {', '.join(differing)}"] * bool(differing)
        return wrong

    def _measure(self) -> None:
        """The undisturbed run: its results, how long its stages take, and the changes that it makes in each."""
        work = self.folder / "reference" / "disk"
        work.mkdir(parents=True)
        self._time(work, 1)
        self.raw, self.data = contents(work / "raw"), contents(work / "data")
        self.raw_root, self.rows = work / "raw" / _CORPUS, emoset.status(work / "data", [_CORPUS])[0].utterances
        self.older_data = {path: data for path, data in contents(self.older).items() if path.startswith(_CORPUS)}
        self.bytes = sum(map(_size, (work, self.folder / "web")))
        self.paths = work.with_name("trace").read_text().splitlines()
        unpacks = next(i for i, path in enumerate(self.paths) if path.endswith(".unpacked"))
        builds = next(i for i, path in enumerate(self.paths) if path.startswith(str(work / "data")))
        self.changes = {"fetch": (0, unpacks), "extract": (unpacks, builds), "build": (builds, len(self.paths))}

    def stage_seconds(self, stage: str, workers: int) -> float:
        """How long a stage takes with so many workers."""
        with self.lock:
            if workers not in {each for _, each in self.seconds}:
                work = self.folder / f"with-{workers}" / "disk"
                work.mkdir(parents=True)
                self._time(work, workers)
        return self.seconds[stage, workers]

    def _time(self, work: Path, workers: int) -> None:
        process = self.start(work, workers, slow=_SLOWNESS, trace=True)
        seen = dict.fromkeys(STAGES, 0.0)
        before = time.monotonic()
        while process.poll() is None:
            time.sleep(0.002)
            stage, now = stage_of(work, process.pid), time.monotonic()
            seen[stage] += now - before
            before = now
        said = work.with_name("said").read_text()
        if process.returncode or problems(work):
            raise RuntimeError(f"the undisturbed run failed: {said}")
        self.seconds |= {(stage, workers): seconds for stage, seconds in seen.items()}


class Lane:
    """A place for runs one after the other, on a small disk of its own where that is permitted.

    After every strike:

    - the exit status is that of the signal, or 1 with a message that names the full disk, and no traceback;
    - raw root and built folder are whole or not there, and everybody who is asked says so;
    - nothing half-done is left, unless the run was killed outright; no worker process stays.
    """

    def __init__(self, ground: Ground, folder: Path) -> None:
        self.ground, self.work = ground, folder / "disk"
        self.raw, self.data, self._ballast = self.work / "raw", self.work / "data", self.work / "ballast"
        self.work.mkdir()
        mount = shutil.which("mount") if hasattr(os, "geteuid") and os.geteuid() == 0 else None
        told = [str(mount), "-t", "tmpfs", "-o", f"size={_DISK}", "tmpfs", str(self.work)]
        self.has_disk = bool(mount) and subprocess.run(told, capture_output=True, check=False).returncode == 0

    @property
    def can_fill(self) -> bool:
        """Whether ENOSPC can be had here, or EFBIG in its place."""
        return self.has_disk or hasattr(resource, "prlimit")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the disk back."""
        if self.has_disk:
            subprocess.run(["umount", "--lazy", str(self.work)], check=True)

    def live(self, life: Life) -> list[Outcome]:
        """Run a life to its end, and say what became of each strike."""
        for path in self.work.iterdir():
            shutil.rmtree(path)
        if life.older:
            shutil.copytree(self.ground.older, self.data)
        if life.has_raw:
            shutil.copytree(self.ground.raw_root, self.raw / _CORPUS)
        outcomes = []
        for strike in life.strikes:
            outcomes.append(self._suffer(strike, life))
            if outcomes[-1].data == "built":
                break  # it is done: no more to disturb
        wrong = self.ground.heal(self.work)
        for outcome in outcomes:
            outcome.healed = not wrong
        outcomes[-1].wrong += wrong
        return outcomes

    def _suffer(self, strike: Strike, life: Life) -> Outcome:
        outcome = Outcome(strike)
        stop_at = 0 if strike.by_clock or strike.aim == "start" else self._change(strike, life)
        for name in ("said", "begun"):
            self.work.with_name(name).unlink(missing_ok=True)
        process = self.ground.start(self.work, strike.workers, stop_at, _SLOWNESS * strike.by_clock)
        try:
            if strike.aim == "start" or self._bring_to(process, strike):
                outcome.stage = stage_of(self.work, process.pid) if strike.aim != "start" else "start"
                self._strike(process, strike)
            status = process.wait(_PATIENCE)
            if strike.how == "ENOSPC" and not status:
                outcome.stage = None  # the room sufficed
            ended = time.monotonic()
            while _alive(process.pid) and time.monotonic() - ended < _WORKERS_END:
                time.sleep(0.01)
            outcome.survived = time.monotonic() - ended
            if outcome.survived >= _WORKERS_END:
                outcome.wrong.append("worker processes stay")
        except subprocess.TimeoutExpired:
            outcome.wrong.append("it hangs")
            status = None
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            self._ballast.unlink(missing_ok=True)
        with self.ground.lock:
            self._look(outcome, life)
        self._judge(outcome, status, process.pid)
        return outcome

    def _change(self, strike: Strike, life: Life) -> int:
        """The number, within its run, of the change to the file system that is meant."""
        if isinstance(strike.at, str):
            number = max(i for i, path in enumerate(self.ground.paths) if strike.at in path)
        else:
            share = strike.at * self.ground.count_changes(strike.aim, life.older)
            number = self.ground.changes[strike.aim][0] + int(share)
        return 1 + number - life.has_raw * self.ground.changes["build"][0]

    def _bring_to(self, process: subprocess.Popen[bytes], strike: Strike) -> bool:
        """Wait for the instant, and have all processes stopped; whether the run has not ended before."""
        if strike.by_clock:
            aim = STAGES.index(strike.aim)
            begun = self.work.with_name("begun")
            _wait(lambda: process.poll() is not None or begun.exists())
            _wait(lambda: process.poll() is not None or STAGES.index(stage_of(self.work, process.pid)) >= aim)
            time.sleep(float(strike.at) * self.ground.stage_seconds(strike.aim, strike.workers))
        else:
            _wait(lambda: process.poll() is not None or _is_stopped(process.pid))
        if process.poll() is not None:
            return False
        os.killpg(process.pid, signal.SIGSTOP)
        _wait(lambda: process.poll() is not None or _is_stopped(process.pid))
        return process.returncode is None

    def _strike(self, process: subprocess.Popen[bytes], strike: Strike) -> None:
        if strike.how == "ENOSPC":
            self._fill(process.pid, int(float(strike.at) * self.ground.bytes) if strike.aim == "start" else strike.room)
        elif strike.group:
            os.killpg(process.pid, signal.Signals[strike.how])
        else:
            os.kill(process.pid, signal.Signals[strike.how])
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGCONT)

    def _fill(self, process: int, room: int) -> None:
        """Leave no more room than this on the disk; where it is everybody's, let no file become larger."""
        if self.has_disk:
            free = os.statvfs(self.work)
            with self._ballast.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, max(free.f_bavail * free.f_frsize - room, 1))
        else:
            resource.prlimit(process, resource.RLIMIT_FSIZE, (room, room))

    def _look(self, outcome: Outcome, life: Life) -> None:
        """Say what stands, and whether readers say the same."""
        raw, data = contents(self.raw / _CORPUS), contents(self.data / _CORPUS)
        whole = {path.removeprefix(f"{_CORPUS}/"): told for path, told in self.ground.raw.items()}
        outcome.raw = "absent" if not raw else "whole" if raw == whole else "partial"
        known = {"built": self.ground.data, "older": self.ground.older_data if life.older else {}}
        found = {f"{_CORPUS}/{path}": told for path, told in data.items()}
        matching = (
            name for name, told in known.items()
            if found == {path: hashed for path, hashed in told.items() if path.startswith(_CORPUS)}
        )  # fmt: skip
        outcome.data = next(matching, "partial") if data else "absent"
        wrong = [f"{name} is partial" for name in ("raw", "data") if getattr(outcome, name) == "partial"]
        [told] = emoset.status(self.data, [_CORPUS], raw=self.raw)
        if told.state not in (("built", "verified") if data else ("raw found",) if raw else ("absent",)):
            wrong.append(f"status says {told.state}")
        try:
            with warnings.catch_warnings(action="ignore"):
                rows = sum(map(len, emoset.load_dataset(_CORPUS, data_dir=self.data).values()))
            if not data or (outcome.data == "built" and rows != self.ground.rows):
                wrong.append(f"{rows} rows are loaded")
        except NotBuiltError:
            if data:
                wrong.append("the build is not found")
        outcome.mistaken = bool(wrong)
        outcome.wrong += wrong

    def _judge(self, outcome: Outcome, status: int | None, pid: int) -> None:
        """Compare exit status, message and what is left with what is promised."""
        how, said = outcome.strike.how, self.work.with_name("said").read_text(errors="replace")
        left = [str(path.relative_to(self.work)) for path in self.work.rglob("*") if is_staged(path.name)]
        outcome.left = len(left)
        allowed = {_STATUS[how]}
        if outcome.data == "built" and outcome.stage in (None, "finish"):
            allowed |= {0, -signal.Signals[how]} if how in ("SIGTERM", "SIGINT") else {0}  # it was leaving anyway
        if status not in allowed:
            outcome.wrong.append(f"exit status {status}: {said[-800:]}")
        if how == "ENOSPC" and status == 1 and not any(text in said for text in _FULL):
            outcome.wrong.append(f"the message does not name the full disk: {said}")
        alone = outcome.strike.workers == 1 or not outcome.strike.group  # else workers that are just starting tell too
        if "Traceback" in said and how != "SIGKILL" and alone:
            outcome.wrong.append(f"traceback: {said}")
        own = [name for name in left if f".{pid}." in name]
        if own and how != "SIGKILL":
            outcome.wrong.append(f"left: {', '.join(own)}")


def problems(work: Path) -> list[str]:
    """What is wrong with the finished data folder and raw roots of a run, taken for themselves."""
    report = emoset.verify(work / "data", progress=False)
    left = [path for path in work.rglob("*") if is_staged(path.name)]
    left += [path for path in (work / "raw").iterdir() if path.name != _CORPUS]
    return [f"left: {path.relative_to(work)}" for path in left] + [str(report)] * (not report.ok)


def contents(folder: Path) -> dict[str, str]:
    """Hash of each file below a folder, with neither stamps nor the port that it was fetched from."""
    hashes = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and not name.startswith(".stamps/"):
            data = path.read_bytes()
            if path.name == MARKER:
                data = re.sub(rb"127\.0\.0\.1:\d+", b"", data)
            hashes[name] = hashlib.sha256(data).hexdigest()
    return hashes


def stage_of(work: Path, process: int) -> str:
    """The stage that its folders show a run in, whatever others left there."""
    raw, data = _names(work / "raw"), _names(work / "data")

    def own(names: list[str]) -> list[str]:
        return [name for name in names if is_staged(name) and f".{process}." in name]

    if any(name.endswith(f".{_CORPUS}") for name in own(data)):
        return "build"
    if _CORPUS in raw:
        times = [
            (work / part / _CORPUS).stat().st_mtime_ns for part in ("raw", "data") if _names(work / part / _CORPUS)
        ]
        return "finish" if len(times) == 2 and times[1] > times[0] else "read"
    if own(_names(work / "raw" / ".downloads" / _CORPUS)):
        return "fetch"
    return "extract" if own(raw) else "start"


def _names(folder: Path) -> list[str]:
    with contextlib.suppress(OSError):
        return [path.name for path in folder.iterdir()]
    return []


def _pack(root: Path, archive: Path) -> Path:
    """A zip with the recordings in an archive of their own."""
    archive.parent.mkdir(parents=True)
    inner = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as packed, tarfile.open(fileobj=inner, mode="w:gz", compresslevel=1) as nested:
        for path in sorted(p for p in root.rglob("*") if p.is_file()):
            name = path.relative_to(root).as_posix()
            if path.suffix == ".wav":
                nested.add(path, name)
            else:
                packed.write(path, name)
        nested.close()
        packed.writestr("recordings.tar.gz", inner.getvalue())
    return archive


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _wait(until: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not until() and time.monotonic() < deadline:
        time.sleep(0.001)


def _is_stopped(process: int) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return bool(psutil.Process(process).status() == psutil.STATUS_STOPPED)
    return False


def _alive(group: int) -> list[int]:
    """The processes of a group that still run."""
    found = []
    for pid in psutil.pids():
        with contextlib.suppress(ProcessLookupError, PermissionError, psutil.NoSuchProcess):
            if os.getpgid(pid) == group and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                found.append(pid)
    return found


@contextlib.contextmanager
def _environment(**variables: str) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
