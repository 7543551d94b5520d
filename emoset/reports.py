"""Reports: the account of a build, as people read it, as its manifest keeps it, and as a table of sound checks."""

from __future__ import annotations

import csv
import io
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from emoset.account import Rejection
from emoset.converting import Told
from emoset.reading import Reading, differences
from emoset.schema import SPLITS
from emoset.shards import FORMAT_VERSION, FileFacts, split_hash
from emoset.stamps import recipe_hash, software
from emoset.utterance import Utterance

AUDIO_TABLE: Final = "audio.csv"
"""Table of a built configuration: what each recording is like. Nothing in it changed a sample."""

_AUDIO_COLUMNS: Final = (
    "id", "split", "file", "form", "seconds", "peak", "rms_db", "offset", "silence", "clipped", "flat",
)  # fmt: skip


@dataclass(frozen=True)
class CorpusReport:
    """What became of every file of one corpus.

    Args:
        configuration: corpus or variant.
        folder: where the shards lie, a folder or an address; None if none were written.
        used: files that became utterances.
        annotations: files that labels or speakers were read from.
        ignored, excluded: rule or reason to files.
        rejected: what is not as the recipe says.
        warnings: differences from published counts, and what is unusual about the recordings.
        manifest: as written.
        unchanged: whether nothing had to be done, since it was built from just these files before.
    """

    configuration: str
    folder: Path | str | None
    used: tuple[str, ...]
    annotations: tuple[str, ...]
    ignored: Mapping[str, tuple[str, ...]]
    excluded: Mapping[str, tuple[str, ...]]
    rejected: tuple[Rejection, ...]
    warnings: tuple[str, ...]
    manifest: Mapping[str, Any]
    unchanged: bool = False

    def __str__(self) -> str:
        lines = [f"{self.configuration}: {len(self.used)} files used, {len(self.annotations)} annotation files"]
        lines += [f"  ignored {len(v)}: {k}" for k, v in self.ignored.items()]
        lines += [f"  excluded {len(v)}: {k} ({_some(v)})" for k, v in self.excluded.items()]
        lines += [f"  rejected {r}" for r in self.rejected]
        lines += [f"  note: {w}" for w in self.warnings]
        if self.folder:
            partial = " PARTIAL: some files were rejected" if self.manifest["partial"] else ""
            lines.append(f"  -> {self.folder}{partial}{' (nothing has changed since it was built)' * self.unchanged}")
        return "\n".join(lines)


@dataclass(frozen=True)
class BuildReport:
    """The reports of all corpora of a build."""

    corpora: tuple[CorpusReport, ...]

    def __str__(self) -> str:
        return "\n".join(map(str, self.corpora))


@dataclass
class Tally:
    """What has been converted so far."""

    reading: Reading
    written: list[Utterance] = field(default_factory=list)
    rejected: list[Rejection] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    sources: dict[str, tuple[int, str]] = field(default_factory=dict)
    forms: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    clipped: int = 0
    _table: io.BytesIO = field(default_factory=io.BytesIO)
    _unusual: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        # Bytes: a StringIO takes four for each letter, which would be a tenth of a large build's memory.
        text = io.TextIOWrapper(self._table, "utf-8", newline="", write_through=True)
        self._writer = csv.writer(text, lineterminator="\n")
        self._writer.writerow(_AUDIO_COLUMNS)

    def add(self, utterances: Iterable[Utterance], told: Iterable[Told]) -> None:
        """Count what is told of utterances."""
        for utterance, one in zip(utterances, told, strict=True):
            if one.rejection or one.sanity is None:
                if one.rejection:
                    self.rejected.append(one.rejection)
                continue
            sane = one.sanity
            self.written.append(utterance)
            self.sources[utterance.file] = one.source
            self.seconds[utterance.split] += sane.seconds
            self.forms[one.form].append(utterance.path)
            self.clipped += sane.clipped
            self._writer.writerow((  # text at once: a tuple for each would be most of a build's memory
                utterance.id, utterance.split, utterance.file, one.form, f"{sane.seconds:.4f}", f"{sane.peak:.5f}",
                f"{sane.rms_db:.2f}", f"{sane.offset:.5f}", f"{sane.silence:.3f}", sane.clipped, sane.flat,
            ))  # fmt: skip
            for reason in _unusual(sane.silence, sane.offset, sane.flat, sane.seconds):
                self._unusual[reason].append(utterance.path)

    def audio_table(self) -> bytes:
        """The table of sound checks, as CSV."""
        return self._table.getvalue()

    def notes(self) -> list[str]:
        """What is worth a look, a line each."""
        notes = []
        usual = max(self.forms, key=lambda form: len(self.forms[form]), default="")
        for form, names in sorted(self.forms.items()):
            if form != usual:
                notes.append(
                    f"{len(names)} of {len(self.written)} files are {form}, not {usual} as most: {_some(names)}"
                )
        notes += [f"{len(names)} recordings {reason}: {_some(names)}" for reason, names in self._unusual.items()]
        if not self.reading.synthetic:  # a twin may say the same thing twice
            notes += self._copies()
            if clauses := differences(self.written, self.reading.recipe.published):
                notes.append(f"published counts differ: {'; '.join(clauses)}")
        if self.clipped:
            notes.append(f"{self.clipped} samples were clipped to 16 bits")
        return notes

    def _copies(self) -> list[str]:
        """Recordings with the very bytes of another."""
        homes: dict[str, dict[str, str]] = defaultdict(dict)
        for u in self.written:
            homes[self.sources[u.file][1]].setdefault(u.file, u.split)
        twice = [files for files in homes.values() if len(files) > 1]
        across = [files for files in twice if len(set(files.values())) > 1]
        return [
            f"{len(found)} recordings occur more than once, {what}: {_some(' = '.join(files) for files in found)}"
            for what, found in (("byte for byte", twice), ("in several splits", across)) if found
        ]  # fmt: skip


def _unusual(silence: float, offset: float, flat: int, seconds: float) -> Iterable[str]:
    if silence > 0.9:
        yield "are silent for more than nine tenths"
    if abs(offset) > 0.05:
        yield "have an offset of more than 5 % of full scale"
    if flat > 0.001 * 16_000 * seconds:
        yield "were clipped when they were made (more than 1 sample in 1,000 lies in a flat run at full scale)"


def _some(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:3]) + ", ..." * (len(names) > 3)


def manifest(
    tally: Tally,
    rejected: Sequence[Rejection],
    warnings: Sequence[str],
    shards: Mapping[str, FileFacts],
    tables: Mapping[str, FileFacts],
    programs: Mapping[str, str],
) -> dict[str, Any]:
    """Everything about the build that depends on its inputs alone: no times, no paths of this machine."""
    reading, written = tally.reading, tally.written
    recipe = reading.recipe
    by_split = {s: [u for u in written if u.split == s] for s in SPLITS}
    return {
        "format_version": FORMAT_VERSION,
        "corpus": recipe.id,
        "configuration": recipe.configuration,
        "title": recipe.title,
        "recipe_version": recipe.version,
        "recipe_hash": recipe_hash(recipe),
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
                "seconds": round(tally.seconds[split], 3),
                "speakers": sorted({u.speaker for u in us if u.speaker}),
                "classes": dict(sorted(Counter(u.label for u in us).items())),
            }
            for split, us in by_split.items() if us
        },
        "shards": dict(sorted(shards.items())),
        "tables": dict(tables),
        "sources": {p: {"bytes": size, "sha256": digest} for p, (size, digest) in sorted(tally.sources.items())},
        "annotations": list(reading.annotations),
        "ignored": {rule: list(files) for rule, files in reading.ignored.items()},
        "excluded": {reason: list(files) for reason, files in reading.excluded.items()},
        "rejected": [asdict(r) for r in rejected],
        "warnings": list(warnings),
        "software": {**software(), **programs},
    }  # fmt: skip


def report_of(
    manifest: Mapping[str, Any], folder: Path | None, *, used: Sequence[str] | None = None, unchanged: bool = False
) -> CorpusReport:
    """The report that a manifest tells."""
    annotations = tuple(manifest["annotations"])
    return CorpusReport(
        manifest["configuration"], folder,
        tuple(used if used is not None else (f for f in manifest["sources"] if f not in set(annotations))), annotations,
        {k: tuple(v) for k, v in manifest["ignored"].items()}, {k: tuple(v) for k, v in manifest["excluded"].items()},
        tuple(Rejection(**r) for r in manifest["rejected"]), tuple(manifest["warnings"]), manifest, unchanged,
    )  # fmt: skip
