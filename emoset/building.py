"""The build: raw root to utterances to shards and manifest, in one pass, with an account of every file."""

from __future__ import annotations

import hashlib
import os
import shutil
import uuid
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import soundfile

from emoset.account import Rejection
from emoset.audio import decode, read_bytes, sample_hash, wav_bytes
from emoset.errors import AudioError, BuildError, RawDataError
from emoset.indexing import compare_with_index
from emoset.progress import Progress
from emoset.reading import Reading, differences, read_raw
from emoset.recipe import Recipe
from emoset.registry import get_recipe, resolve
from emoset.schema import COLUMNS, SPLITS
from emoset.shards import FORMAT_VERSION, ShardWriter, default_data_dir, file_hash, split_hash, write_manifest
from emoset.summary import write_readme
from emoset.utterance import Utterance

RAW_VARIABLE = "EMOSET_RAW"
"""Environment variable: folder that holds one raw root per corpus, named by its id."""

_GROUP = 16
"""Utterances converted by one task: few enough for bounded memory, enough to make tasks worth sending."""


@dataclass(frozen=True)
class CorpusReport:
    """What became of every file of one corpus.

    Args:
        configuration: corpus or variant.
        folder: where the shards lie; None if none were written.
        used: files that became utterances.
        annotations: files that labels or speakers were read from.
        ignored, excluded: rule or reason to files.
        rejected: what is not as the recipe says.
        warnings: differences from published counts.
        manifest: as written.
    """

    configuration: str
    folder: Path | None
    used: tuple[str, ...]
    annotations: tuple[str, ...]
    ignored: Mapping[str, tuple[str, ...]]
    excluded: Mapping[str, tuple[str, ...]]
    rejected: tuple[Rejection, ...]
    warnings: tuple[str, ...]
    manifest: Mapping[str, Any]

    def __str__(self) -> str:
        lines = [f"{self.configuration}: {len(self.used)} files used, {len(self.annotations)} annotation files"]
        lines += [f"  ignored {len(v)}: {k}" for k, v in self.ignored.items()]
        lines += [
            f"  excluded {len(v)}: {k} ({', '.join(v[:3])}{', ...' * (len(v) > 3)})" for k, v in self.excluded.items()
        ]
        lines += [f"  rejected {r}" for r in self.rejected]
        lines += [f"  note: {w}" for w in self.warnings]
        if self.folder:
            partial = " PARTIAL: some files were rejected" if self.manifest["partial"] else ""
            lines.append(f"  -> {self.folder}{partial}")
        return "\n".join(lines)


@dataclass(frozen=True)
class BuildReport:
    """The reports of all corpora of a build."""

    corpora: tuple[CorpusReport, ...]

    def __str__(self) -> str:
        return "\n".join(map(str, self.corpora))


@dataclass(frozen=True, slots=True)
class _Converted:
    """One utterance with its stored audio, or the reason why there is none."""

    utterance: Utterance
    wav: bytes = b""
    sha256: str = ""
    seconds: float = 0.0
    clipped: int = 0
    form: str = ""
    source: tuple[int, str] = (0, "")
    rejection: Rejection | None = None


def build(
    corpora: str | Sequence[str],
    raw: str | Path | Mapping[str, str | Path] | None = None,
    out: str | Path | None = None,
    *,
    allow_partial: bool = False,
    pattern: str | None = None,
    workers: int | None = None,
    progress: bool = True,
) -> BuildReport:
    """Build corpora into shards.

    Args:
        corpora: name or names of corpora or variants, or the path of a recipe module.
        raw: raw root of the one corpus; or the folder that holds ``<id>/`` for each corpus; or a mapping of
            corpus id to raw root. Default: ``$EMOSET_RAW/<id>``.
        out: data folder; default: ``$EMOSET_HOME``, else the user's cache.
        allow_partial: write shards although files were rejected; manifest and dataset stay marked as partial.
        pattern: a path pattern with the groups label, and speaker, gender, split where paths tell them: for one
            corpus whose layout is not public.
        workers: threads; default: the number of cores, at most 8.
        progress: show a progress bar.

    Returns:
        The account of every file of every corpus.

    Raises:
        BuildError: something is not as the recipe says; nothing was written for that corpus. Its ``report``
            attribute holds the account.
        RawDataError: a raw root is missing, empty or of another corpus.
        UnknownNameError: there is no such corpus.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as out:
        ...     [report] = build("emodb", raw=raw, out=out, progress=False).corpora
        ...     report.rejected, report.manifest["synthetic"], sorted(p.name for p in report.folder.iterdir())[0]
        ((), True, 'manifest.json')
    """
    names = resolve(corpora if isinstance(corpora, str) else list(corpora))
    recipes = [get_recipe(name) for name in names]
    roots = [_raw_root(recipe, raw, len(recipes)) for recipe in recipes]
    data_dir = Path(out) if out is not None else default_data_dir()
    reports = []
    with ThreadPoolExecutor(workers or min(os.cpu_count() or 1, 8)) as executor:
        for recipe, root in zip(recipes, roots, strict=True):
            reports.append(
                build_corpus(
                    recipe, root, data_dir, executor, allow_partial=allow_partial, pattern=pattern, progress=progress
                )
            )
    return BuildReport(tuple(reports))


def _raw_root(recipe: Recipe, raw: str | Path | Mapping[str, str | Path] | None, corpora: int) -> Path:
    if isinstance(raw, Mapping):
        for name in (recipe.configuration, recipe.id):
            if name in raw:
                return Path(raw[name])
    else:
        parent = raw if raw is not None else os.environ.get(RAW_VARIABLE)
        if parent:
            inside = [Path(parent) / name for name in (recipe.raw_name, recipe.id)]
            found = next((folder for folder in inside if folder.is_dir()), None)
            return found or (Path(parent) if raw is not None and corpora == 1 else inside[-1])
    raise RawDataError(
        "no raw folder is given", where=recipe.id,
        expected="the folder that holds the corpus as distributed",
        cure=f"give it with --raw {recipe.id}=FOLDER, or set {RAW_VARIABLE} to the folder of {recipe.id}/",
    )  # fmt: skip


def build_corpus(
    recipe: Recipe,
    root: Path,
    data_dir: Path,
    executor: Executor,
    *,
    allow_partial: bool,
    pattern: str | None,
    progress: bool,
) -> CorpusReport:
    """Build one corpus through any standard executor. See `build`."""
    try:
        reading = read_raw(recipe, root, pattern)
    except RawDataError as error:
        raise _better_message(error, recipe, root) from None
    data_dir.mkdir(parents=True, exist_ok=True)
    folder = data_dir / f".building-{recipe.configuration}-{uuid.uuid4().hex}"
    folder.mkdir()
    try:
        report = _write(reading, folder, executor, progress)
        if report.rejected and not allow_partial:
            raise _refused(report)
        if not report.used:
            raise _refused(
                replace(report, rejected=(*report.rejected, Rejection(str(root), "nothing is left", "see above")))
            )
        target = data_dir / recipe.configuration
        _put_in_place(folder, target)
        write_readme(data_dir)
        return replace(report, folder=target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _refused(report: CorpusReport) -> BuildError:
    count = len(report.rejected)
    error = BuildError(
        f"refused, {count} problem{'s' * (count != 1)}:\n{report}\nNo shards were written",
        where=report.configuration,
        cure="mend what was rejected, or build what is left with --allow-partial",
    )  # fmt: skip
    error.report = report
    return error


def _better_message(error: RawDataError, recipe: Recipe, root: Path) -> RawDataError:
    """Where nothing matches, say which corpus the folder looks like."""
    if "none of the" not in error.got:
        return error
    counts: dict[str, int] = {}
    for other in (r for r in map(get_recipe, resolve("all")) if r.id != recipe.id):
        try:
            reading = read_raw(other, root)
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


def _put_in_place(folder: Path, target: Path) -> None:
    """Exchange the built folder for what stands there; each rename is atomic."""
    if target.exists():
        old = target.with_name(f".old-{target.name}-{uuid.uuid4().hex}")
        target.rename(old)
        folder.rename(target)
        shutil.rmtree(old)
    else:
        folder.rename(target)


def _write(reading: Reading, folder: Path, executor: Executor, progress: bool) -> CorpusReport:
    recipe, rejected = reading.recipe, list(reading.rejected)
    written: list[Utterance] = []
    seconds: dict[str, float] = defaultdict(float)
    sources: dict[str, tuple[int, str]] = {}
    clipped = 0
    notes: list[str] = []
    forms: dict[str, list[str]] = defaultdict(list)
    writers = {split: ShardWriter(folder, split) for split in SPLITS}
    with Progress(recipe.configuration, len(reading.utterances), progress) as bar:
        for done in _convert_all(reading, executor):
            bar.advance()
            if done.rejection:
                rejected.append(done.rejection)
                continue
            u = done.utterance
            sources[u.file] = done.source
            seconds[u.split] += done.seconds
            clipped += done.clipped
            forms[done.form].append(u.path)
            written.append(u)
            writers[u.split].write(_row(done))
    for writer in writers.values():
        writer.close()
    if not reading.synthetic and reading.layout == "distribution":
        rejected += compare_with_index(recipe, sources, {u.file: u.path for u in written}, notes)
    clauses = [] if reading.synthetic else differences(written, recipe.published)
    usual = max(forms, key=lambda form: len(forms[form]), default="")
    for form, names in sorted(forms.items()):
        if form != usual:
            shown = ", ".join(names[:3]) + ", ..." * (len(names) > 3)
            notes.append(f"{len(names)} of {len(written)} files are {form}, not {usual} as most: {shown}")
    warnings = notes + ([f"published counts differ: {'; '.join(clauses)}"] if clauses else [])
    if clipped:
        warnings.append(f"{clipped} samples were clipped to 16 bits")
    for name in reading.annotations:
        data = reading.tree.path(name).read_bytes()
        sources[name] = (len(data), hashlib.sha256(data).hexdigest())
    manifest = _manifest(
        reading, written, rejected, seconds, sources, warnings, [p for w in writers.values() for p in w.paths]
    )
    write_manifest(folder, manifest)
    return CorpusReport(
        recipe.configuration, None, tuple(dict.fromkeys(u.path for u in written)), reading.annotations,
        reading.ignored, reading.excluded, tuple(rejected), tuple(warnings), manifest,
    )  # fmt: skip


def _convert_all(reading: Reading, executor: Executor) -> Iterator[_Converted]:
    """Convert in order, with a bounded number of tasks under way."""
    waiting: deque[Future[list[_Converted]]] = deque()
    for first in range(0, len(reading.utterances), _GROUP):
        paths = [(u, reading.tree.path(u.path)) for u in reading.utterances[first : first + _GROUP]]
        waiting.append(executor.submit(convert, paths, reading.recipe.channels))
        if len(waiting) >= 8:
            yield from waiting.popleft().result()
    while waiting:
        yield from waiting.popleft().result()


def convert(utterances: Iterable[tuple[Utterance, Path]], channels: Literal["mean"] | int) -> list[_Converted]:
    """Read, decode, resample and hash utterances; a task for any executor."""
    results = []
    for utterance, path in utterances:
        try:
            data = read_bytes(path, utterance.path)
            sound = decode(data, utterance.path, utterance.start, utterance.end, channels)
            if sound.samples.min() == sound.samples.max():
                raise AudioError(
                    "it is silent: all samples are equal", where=utterance.path,
                    cure="copy it again, or exclude it with a reason",
                )  # fmt: skip
        except AudioError as error:
            reason = error.got + (f"; expected {error.expected}" if error.expected else "")
            results.append(
                _Converted(utterance, rejection=Rejection(utterance.path, reason, error.cure or "copy it again"))
            )
            continue
        source = (len(data), hashlib.sha256(data).hexdigest())
        results.append(
            _Converted(
                utterance,
                wav_bytes(sound.samples),
                sample_hash(sound.samples),
                sound.seconds,
                sound.clipped,
                sound.form,
                source,
            )
        )
    return results


def _row(done: _Converted) -> dict[str, Any]:
    row = asdict(done.utterance)
    row["audio"] = {"bytes": done.wav, "path": done.utterance.file}
    row["duration"], row["sha256"] = done.seconds, done.sha256
    return {column: row[column] for column in COLUMNS}


def _manifest(
    reading: Reading,
    written: Sequence[Utterance],
    rejected: Sequence[Rejection],
    seconds: Mapping[str, float],
    sources: Mapping[str, tuple[int, str]],
    warnings: Sequence[str],
    shards: Sequence[Path],
) -> dict[str, Any]:
    """Everything about the build that depends on its inputs alone: no times, no paths of this machine."""
    recipe = reading.recipe
    by_split = {s: [u for u in written if u.split == s] for s in SPLITS}
    return {
        "format_version": FORMAT_VERSION,
        "corpus": recipe.id,
        "configuration": recipe.configuration,
        "title": recipe.title,
        "recipe_version": recipe.version,
        "licence": recipe.licence,
        "redistribute": recipe.redistribute,
        "citation": recipe.citation,
        "layout": reading.layout,
        "speaker_independent": reading.speaker_independent,
        "split_source": reading.split_source,
        "split_hash": split_hash((u.id, u.split, u.label) for u in written),
        "partial": bool(rejected),
        "synthetic": reading.synthetic,
        "classes": dict(sorted(Counter(u.label for u in written).items())),
        "splits": {
            split: {
                "utterances": len(us),
                "seconds": round(seconds[split], 3),
                "speakers": sorted({u.speaker for u in us if u.speaker}),
                "classes": dict(sorted(Counter(u.label for u in us).items())),
            }
            for split, us in by_split.items() if us
        },
        "shards": {p.name: {"bytes": p.stat().st_size, "sha256": file_hash(p)} for p in shards},
        "sources": {path: {"bytes": size, "sha256": digest} for path, (size, digest) in sorted(sources.items())},
        "ignored": {rule: list(files) for rule, files in reading.ignored.items()},
        "excluded": {reason: list(files) for reason, files in reading.excluded.items()},
        "rejected": [asdict(r) for r in rejected],
        "warnings": list(warnings),
        "software": {
            "emoset": version("emoset-speech"),
            "soundfile": version("soundfile"),
            "libsndfile": soundfile.__libsndfile_version__,
            "soxr": version("soxr"),
            "pyarrow": version("pyarrow"),
        },
    }  # fmt: skip
