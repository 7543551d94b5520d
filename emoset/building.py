"""The build: raw root to utterances to shards and manifest, in one pass, with an account of every file."""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import Any

from loky import ProcessPoolExecutor, cpu_count

from emoset.account import Rejection
from emoset.containers import ffmpeg_version
from emoset.converting import Converted, Task, convert, end_with, tasks
from emoset.downloading import find_raw_root
from emoset.errors import BuildError, EmosetError, RawDataError
from emoset.indexing import compare_with_index
from emoset.progress import Progress
from emoset.reading import Reading, read_raw
from emoset.recipe import Recipe
from emoset.registry import get_recipe, resolve
from emoset.remote import is_address, upload
from emoset.reports import AUDIO_TABLE, BuildReport, CorpusReport, Tally, manifest, report_of
from emoset.shards import SHARD_BYTES, FileFacts, ShardWriter, default_data_dir, read_manifest, write_manifest
from emoset.slots import Slots
from emoset.staging import put_in_place, remove_leftovers, staged, write_whole
from emoset.stamps import STAMPS, fingerprint, is_unchanged, write_stamp
from emoset.summary import write_readme
from emoset.tree import RawTree
from emoset.verifying import check_configuration

_AHEAD = 3
"""Tasks under way besides those that the workers are at or have next."""

_STORING = 3
"""Tasks whose rows are on their way to the disk."""

_WORTHWHILE = 0.3
"""Seconds of work after which it pays to start processes, which takes about as long."""

_MUCH = 2**28
"""Bytes of a raw root with which it pays at once."""


def build(
    corpora: str | Sequence[str],
    raw: str | Path | Mapping[str, str | Path] | None = None,
    out: str | Path | None = None,
    *,
    allow_partial: bool = False,
    pattern: str | None = None,
    rebuild: bool = False,
    shard_bytes: int = SHARD_BYTES,
    workers: int | Executor | None = None,
    scheduler: str | None = None,
    progress: bool = True,
) -> BuildReport:
    """Build corpora into shards; what has not changed since it was built is left as it is.

    Args:
        corpora: name or names of corpora or variants, or the path of a recipe module.
        raw: raw root of the one corpus; or the folder that holds ``<id>/`` for each corpus; or a mapping of
            corpus id to raw root. Default: ``$EMOSET_RAW/<id>``, where open corpora are downloaded to if absent.
        out: data folder, or the address of one in an object store, which gets what is finished; default:
            ``$EMOSET_HOME``, else the user's cache.
        allow_partial: write shards although files were rejected; manifest and dataset stay marked as partial.
        pattern: a path pattern with the groups label, and speaker, gender, split where paths tell them: for one
            corpus whose layout is not public.
        rebuild: build again even if nothing has changed.
        shard_bytes: size at which a shard is closed.
        workers: processes, by default one per core and at most 8; or any standard executor, whose workers must see
            the raw root under the same path.
        scheduler: address of a Dask scheduler whose workers do the work instead, such as ``tcp://host:8786``.
        progress: show a progress bar.

    Returns:
        The account of every file of every corpus.

    Raises:
        BuildError: something is not as the recipe says; nothing was written for that corpus. Its ``report``
            attribute holds the account.
        RawDataError: a raw root is missing, empty or of another corpus.
        FetchError: a corpus could not be downloaded.
        UnknownNameError: there is no such corpus.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as out:
        ...     [report] = build("emodb", raw=raw, out=out, progress=False).corpora
        ...     report.rejected, report.manifest["synthetic"], sorted(p.name for p in report.folder.iterdir())[0]
        ((), True, 'audio.csv')
    """
    if is_address(out):
        with tempfile.TemporaryDirectory(prefix="emoset-") as folder:
            report = build(
                corpora, raw, folder, allow_partial=allow_partial, pattern=pattern, shard_bytes=shard_bytes,
                workers=workers, scheduler=scheduler, progress=progress,
            )  # fmt: skip
            places = upload(Path(folder), str(out), [each.configuration for each in report.corpora])
        return BuildReport(tuple(replace(r, folder=p) for r, p in zip(report.corpora, places, strict=True)))
    names = resolve(corpora if isinstance(corpora, str) else list(corpora))
    recipes = [get_recipe(name) for name in names]
    data_dir = Path(out) if out is not None else default_data_dir()
    settings = Settings(data_dir, allow_partial, pattern, rebuild, shard_bytes, progress)
    roots = [find_raw_root(recipe, raw, len(recipes), progress) for recipe in recipes]
    data_dir.mkdir(parents=True, exist_ok=True)
    for place in (data_dir, data_dir / STAMPS):
        remove_leftovers(place)
    with _workers(workers, scheduler) as crew:
        return BuildReport(
            tuple(build_corpus(recipe, root, crew, settings) for recipe, root in zip(recipes, roots, strict=True))
        )


@dataclass(frozen=True)
class Settings:
    """How to build, and where to; see `build`."""

    data_dir: Path
    allow_partial: bool
    pattern: str | None
    rebuild: bool
    shard_bytes: int
    progress: bool


@dataclass
class Crew:
    """Who converts: an executor by somebody else; or this process, and others as soon as there is enough to do.

    Args:
        count: number of workers, of which this process is one.
        foreign: an executor whose workers may be on other machines; what they made is sent back.
    """

    count: int
    foreign: Executor | None = None
    slots: Slots = field(init=False)
    _own: Any = None
    _started: Future[int] = field(default_factory=Future)
    _given: list[Future[Converted]] = field(default_factory=list)
    _alone: float = 0.0

    def __post_init__(self) -> None:
        self.slots = Slots(0 if self.foreign else self.ahead + _STORING + 1)

    @property
    def ahead(self) -> int:
        """Tasks that may be under way at once."""
        return 2 * self.count + _AHEAD

    def submit(self, task: Task) -> tuple[int | None, Future[Converted]]:
        """Have a task done, by this process if no other one is there or all have enough to do; with its slot."""
        if self.foreign is not None:
            return None, self.foreign.submit(convert, task)
        slot = self.slots.take()
        if slot is not None:
            task = replace(task, slot=self.slots.address(slot))
        self._given = [future for future in self._given if not future.done()]
        if self._started.done() and len(self._given) < 2 * self.count:
            self._given.append(self._own.submit(convert, task))
            return slot, self._given[-1]
        start = time.perf_counter()
        future: Future[Converted] = Future()
        future.set_result(convert(task))
        self._alone += time.perf_counter() - start
        if self._alone >= _WORTHWHILE:
            self.call_others()
        return slot, future

    def call_others(self) -> None:
        """Start the other processes, which are here some time later."""
        if self._own is None and self.count > 1 and self.foreign is None:
            # Processes, since threads would wait for each other between the many short calls into libraries.
            self._own = ProcessPoolExecutor(self.count - 1, initializer=end_with, initargs=(os.getpid(),))
            self._started = self._own.submit(os.getpid)

    def leave(self) -> None:
        """Send our own processes home, whatever they are at."""
        if self._own is not None:
            self._own.shutdown(kill_workers=True)
            self._own = None  # and with it its semaphores
        self.slots.close()


@contextmanager
def _workers(workers: int | Executor | None, scheduler: str | None) -> Iterator[Crew]:
    if scheduler is not None:
        distributed = import_module("distributed")
        try:
            client = distributed.Client(scheduler, timeout=30)
        except (OSError, ValueError) as error:
            raise BuildError(
                f"no Dask scheduler answers ({error})", where=scheduler, expected="an address such as tcp://host:8786",
                cure="start one with 'dask scheduler', and workers with 'dask worker'",
            ) from None  # fmt: skip
        with client:
            yield Crew(max(sum(client.nthreads().values()), 1), client.get_executor())
    elif isinstance(workers, Executor):
        yield Crew(int(getattr(workers, "_max_workers", 8)), workers)
    else:
        crew = Crew(workers or min(cpu_count(), 8))
        try:
            yield crew
        finally:
            crew.leave()


def build_corpus(recipe: Recipe, root: Path, crew: Crew, settings: Settings) -> CorpusReport:
    """Build one corpus. See `build`."""
    tree = RawTree(root)
    target = settings.data_dir / recipe.configuration
    made_from = {
        "raw": tree.state,
        "fingerprint": fingerprint(
            recipe, pattern=settings.pattern, allow_partial=settings.allow_partial, shard_bytes=settings.shard_bytes
        ),
    }
    if not settings.rebuild and is_unchanged(settings.data_dir, recipe.configuration, **made_from):
        return report_of(read_manifest(target), target, unchanged=True)
    if tree.bytes >= _MUCH:
        crew.call_others()
    try:
        reading = read_raw(recipe, tree, settings.pattern)
    except RawDataError as error:
        raise _better_message(error, recipe, tree) from None
    with staged(target) as folder:
        folder.mkdir()
        report = _write(reading, folder, crew, settings)
        if report.rejected and not settings.allow_partial:
            raise _refused(report)
        if not report.used:
            raise _refused(
                replace(report, rejected=(*report.rejected, Rejection(str(root), "nothing is left", "see above")))
            )
        if not _stands_already(folder, target):
            put_in_place(folder, target)
    write_readme(settings.data_dir)
    write_stamp(settings.data_dir, recipe.configuration, **made_from)
    return replace(report, folder=target)


def _stands_already(folder: Path, target: Path) -> bool:
    """Whether just what was built is there, unharmed: then who reads it now is not disturbed."""
    if not target.is_dir():
        return False
    told = check_configuration(target, target.name)
    return not told.problems and read_manifest(target)["digest"] == read_manifest(folder)["digest"]


def _refused(report: CorpusReport) -> BuildError:
    count = len(report.rejected)
    error = BuildError(
        f"refused, {count} problem{'s' * (count != 1)}:\n{report}\nNo shards were written",
        where=report.configuration,
        cure="mend what was rejected, or build what is left with --allow-partial",
    )  # fmt: skip
    error.report = report
    return error


def _better_message(error: RawDataError, recipe: Recipe, tree: RawTree) -> RawDataError:
    """Where nothing matches, say which corpus the folder looks like."""
    if "none of the" not in error.got:
        return error
    counts: dict[str, int] = {}
    for other in (r for r in map(get_recipe, resolve("all")) if r.id != recipe.id):
        try:
            reading = read_raw(other, tree)
        except RawDataError:
            continue
        if reading.layout == "distribution":  # a folder per class could be anybody's
            counts[other.id] = len(reading.utterances)
    if any(counts.values()):
        other = get_recipe(max(counts, key=lambda name: counts[name]))
        return RawDataError(
            f"{error.got}, but {counts[other.id]} match {other.id} ({other.title})", where=error.where,
            expected=error.expected, cure=f"build {other.id} from it, or give the folder of {recipe.id}",
        )  # fmt: skip
    return error


def _write(reading: Reading, folder: Path, crew: Crew, settings: Settings) -> CorpusReport:
    recipe, tally = reading.recipe, Tally(reading)
    storing: deque[_Storing] = deque()
    with (
        ShardWriter(folder, settings.shard_bytes) as writer,
        Progress(recipe.configuration, len(reading.utterances), settings.progress) as bar,
    ):
        for task, slot, done in _convert_all(reading, crew):
            tally.add(task.utterances, done.told)
            storing.append(_Storing(writer, task, done, slot, crew.slots))
            while len(storing) > _STORING:
                storing.popleft().finish()
            bar.advance(len(task.utterances))
        while storing:
            storing.popleft().finish()
        writer.finish()
        crew.slots.empty()
    rejected, notes = [*reading.rejected, *tally.rejected], tally.notes()
    if not reading.synthetic and reading.layout == "distribution":
        rejected += compare_with_index(recipe, tally.sources, {u.file: u.path for u in tally.written}, notes)
    for name in reading.annotations:
        data = reading.tree.path(name).read_bytes()
        tally.sources[name] = (len(data), hashlib.sha256(data).hexdigest())
    table = tally.audio_table()
    write_whole(folder / AUDIO_TABLE, table)
    tables: dict[str, FileFacts] = {AUDIO_TABLE: {"bytes": len(table), "sha256": hashlib.sha256(table).hexdigest()}}
    told = write_manifest(folder, manifest(tally, rejected, notes, writer.shards, tables, _programs(tally)))
    return report_of(told, None, used=list(dict.fromkeys(u.path for u in tally.written)))


def _programs(tally: Tally) -> dict[str, str]:
    """Versions of programs that decoded something."""
    used = any(form.startswith("ffmpeg") for form in tally.forms)
    return {"ffmpeg": ffmpeg_version() or "unknown"} if used else {}


class _Storing:
    """What a task made, in batches or in a slot, on its way to the disk."""

    def __init__(self, writer: ShardWriter, task: Task, done: Converted, slot: int | None, slots: Slots) -> None:
        self._slots, self._slot = slots, slot
        self._messages = [] if slot is None else slots.messages(slot, done.in_slot)
        split = task.utterances[0].split
        self._under_way = [*writer.write(split, done.batches), *writer.write_messages(split, *self._messages)]

    def finish(self) -> None:
        """Wait for the disk, and let others use the slot."""
        for part in self._under_way:
            part.result()
        for message in self._messages:
            message.release()
        if self._slot is not None:
            self._slots.give_back(self._slot)


def _convert_all(reading: Reading, crew: Crew) -> Iterator[tuple[Task, int | None, Converted]]:
    """Convert in order, with a bounded number of tasks under way."""
    recipe = reading.recipe
    waiting: deque[tuple[Task, int | None, Future[Converted]]] = deque()
    try:
        for task in tasks(reading.utterances, reading.tree, recipe.channels, recipe.raw_pcm):
            waiting.append((task, *crew.submit(task)))
            while waiting and (waiting[0][2].done() or len(waiting) >= crew.ahead):
                first, slot, future = waiting.popleft()
                yield first, slot, _result(first, future)
        while waiting:
            first, slot, future = waiting.popleft()
            yield first, slot, _result(first, future)
    finally:
        for _, _, future in waiting:
            future.cancel()


def _result(task: Task, future: Future[Converted]) -> Converted:
    try:
        return future.result()
    except (EmosetError, OSError):
        raise
    except Exception as error:
        # Worker processes can be killed by the system for their memory, with whatever executor.
        foreign = type(error).__module__.split(".")[0] == "distributed"
        if not foreign and not isinstance(error, BrokenExecutor):
            raise
        raise BuildError(
            f"a worker was lost while it read {task.utterances[0].path} and what follows ({type(error).__name__})",
            where=task.utterances[0].corpus, cure="see what ended it (memory?), and run the same command again",
        ) from None  # fmt: skip
