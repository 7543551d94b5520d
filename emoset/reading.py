"""The engine: a recipe and a raw root give utterances and an account of every file. No audio is read."""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from emoset.errors import RawDataError
from emoset.parts import Counts, Manifest, PathPattern, Reader, Row, Table, fill
from emoset.schema import SPLITS
from emoset.tree import JUNK, RawTree, ignoring_rule, match_tail, tail_pattern

if TYPE_CHECKING:
    from emoset.recipe import Recipe

TWIN_MARKER: Final = "emoset-twin.json"
"""File in the root of a synthetic raw corpus; it tells what must come out of it."""

_COLUMN_FIELDS = ("label", "speaker", "gender", "age", "language", "split", "text", "activation", "pleasure", "dominance")  # fmt: skip
_HIDDEN_FIELDS = {"stem", "code", "top_", "tail_"}
_GENDERS = {"f": "female", "female": "female", "w": "female", "m": "male", "male": "male", "c": "child", "child": "child"}  # fmt: skip
_SPLIT_NAMES = {"train": "train", "dev": "validation", "devel": "validation", "val": "validation", "validation": "validation", "test": "test"}  # fmt: skip
_EMONET_FILES = {"train.csv": "train", "devel.csv": "validation", "val.csv": "validation", "test.csv": "test"}


@dataclass(frozen=True, slots=True)
class Utterance:
    """One labelled recording or segment, before its audio is read.

    Args:
        id: stable across copies: ``<corpus>/<key>``, with ``#<start>-<end>`` for segments.
        corpus: recipe id.
        path: as found, relative to the raw root.
        file: canonical path in the distribution.
        split: ``train``, ``validation`` or ``test``.
        label: class name.
        label_raw: the corpus's own code.
        start, end: seconds, for segments; None for the whole file.
    """

    id: str
    corpus: str
    path: str
    file: str
    split: str
    label: str
    label_raw: str
    emotion: str | None
    arousal: str | None
    valence: str | None
    language: str
    kind: str
    speaker: str | None = None
    gender: str | None = None
    age: float | None = None
    text: str | None = None
    activation: float | None = None
    pleasure: float | None = None
    dominance: float | None = None
    start: float | None = None
    end: float | None = None
    extra: str | None = None


@dataclass(frozen=True, slots=True)
class Rejection:
    """A file, row or count that is not as the recipe says, with the reason and the cure."""

    where: str
    reason: str
    cure: str

    def __str__(self) -> str:
        return f"{self.where}: {self.reason}. To do: {self.cure}."


@dataclass(frozen=True)
class Reading:
    """What a raw root holds, file by file.

    Args:
        recipe: what it was read with.
        tree: the raw root.
        utterances: sorted by split and id.
        annotations: files that labels or speakers were read from.
        ignored: rule to files.
        excluded: reason to utterances or files.
        rejected: what is not as the recipe says.
        expect: counts that must come out: the recipe's, or the twin's own.
        synthetic: whether the raw root is a twin.
    """

    recipe: Recipe
    tree: RawTree
    utterances: tuple[Utterance, ...]
    annotations: tuple[str, ...]
    ignored: Mapping[str, tuple[str, ...]]
    excluded: Mapping[str, tuple[str, ...]]
    rejected: tuple[Rejection, ...]
    expect: Counts
    synthetic: bool

    def raise_if_rejected(self) -> None:
        """Raise `RawDataError` with the first problems, if there is any."""
        if self.rejected:
            shown = "\n  ".join(map(str, self.rejected[:10]))
            more = f"\n  and {len(self.rejected) - 10} more" if len(self.rejected) > 10 else ""
            raise RawDataError(
                f"{len(self.rejected)} problems in {self.tree.root}:\n  {shown}{more}\n ",
                where=self.recipe.configuration,
            )


@dataclass
class _Account:
    """What reading has found so far."""

    utterances: dict[str, Utterance] = field(default_factory=dict)
    annotations: set[str] = field(default_factory=set)
    ignored: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    excluded: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    rejected: list[Rejection] = field(default_factory=list)

    def reject(self, where: str, reason: str, cure: str) -> None:
        self.rejected.append(Rejection(where, reason, cure))


@dataclass(frozen=True, slots=True)
class _Audio:
    """An audio file that matches the recipe's pattern."""

    name: str
    file: str
    key: str
    fields: Mapping[str, str]


def corpus_table(corpus: str, name: str) -> list[dict[str, str]]:
    """The rows of a table in ``corpora/<corpus>/``.

    Example:
        >>> sorted(corpus_table("cremad", "splits.csv")[0])
        ['speaker', 'split']
    """
    text = (resources.files("emoset.corpora") / corpus / name).read_text("utf-8")
    return list(csv.DictReader(io.StringIO(text)))


def read_raw(recipe: Recipe, root: Path) -> Reading:
    """Read a raw root with a recipe.

    Args:
        recipe: of the corpus or variant.
        root: folder that holds the corpus as distributed.

    Returns:
        The utterances and the account of every file; problems are in ``rejected``.

    Raises:
        RawDataError: the folder is absent or empty, or holds nothing of this corpus.
    """
    tree = RawTree(root)
    account = _Account()
    for name in tree.clashes:
        account.reject(name, "two files have this name up to Unicode normalisation", "remove one of them")
    twin = _twin_counts(recipe, tree, account)
    candidates = [n for n in tree.files if _is_candidate(n, recipe, account)]
    if isinstance(recipe.found_by, Manifest):
        found = _from_manifest(tree, candidates, account)
    else:
        found = _from_pattern(recipe, tree, candidates, account)
    speakers = _speakers(recipe, tree, candidates, account)
    splits = _splits(recipe)
    seen: dict[str, str] = {}
    for audio, row in found:
        _add(recipe, audio, row, speakers, splits, seen, account)
    used = {u.path for u in account.utterances.values()} | account.annotations
    used |= {r.where for r in account.rejected} | {n for names in account.excluded.values() for n in names}
    for name in candidates:
        if name not in used:
            account.reject(name, "the recipe knows no such file", "remove it, or add an ignore rule with its reason")
    expect = recipe.expect if twin is None else twin
    utterances = tuple(sorted(account.utterances.values(), key=lambda u: (SPLITS.index(u.split), u.id)))
    _check_counts(utterances, expect, account)
    _check_independence(recipe, utterances, account)
    return Reading(
        recipe, tree, utterances, tuple(sorted(account.annotations)),
        {k: tuple(v) for k, v in sorted(account.ignored.items())},
        {k: tuple(v) for k, v in sorted(account.excluded.items())},
        tuple(account.rejected), expect, twin is not None,
    )  # fmt: skip


def differences(utterances: Iterable[Utterance], counts: Counts) -> list[str]:
    """How the utterances differ from given counts, one clause each.

    Example:
        >>> differences([], Counts(utterances=535))
        ['0 utterances, not 535']
    """
    utterances = list(utterances)
    clauses = []
    if counts.utterances is not None and len(utterances) != counts.utterances:
        clauses.append(f"{len(utterances)} utterances, not {counts.utterances}")
    speakers = len({u.speaker for u in utterances if u.speaker})
    if counts.speakers is not None and speakers != counts.speakers:
        clauses.append(f"{speakers} speakers, not {counts.speakers}")
    if counts.labels:
        found = Counter(u.label for u in utterances)
        clauses += [
            f"{found[label]} of class {label}, not {counts.labels.get(label, 0)}"
            for label in sorted(set(found) | set(counts.labels))
            if found[label] != counts.labels.get(label, 0)
        ]
    return clauses


def _twin_counts(recipe: Recipe, tree: RawTree, account: _Account) -> Counts | None:
    if TWIN_MARKER not in tree.files:
        return None
    account.annotations.add(TWIN_MARKER)
    try:
        marker = json.loads(tree.text(TWIN_MARKER, "utf-8"))
        return Counts(**marker["configurations"][recipe.configuration])
    except (ValueError, KeyError, TypeError):
        account.reject(
            TWIN_MARKER, f"it does not tell the counts of {recipe.configuration}", "write the twin again"
        )
        return Counts()


def _is_candidate(name: str, recipe: Recipe, account: _Account) -> bool:
    if name == TWIN_MARKER:
        return False
    rule = ignoring_rule(name, recipe.ignore) or ignoring_rule(name, JUNK)
    if rule:
        account.ignored[rule].append(name)
    return rule is None


def _from_pattern(
    recipe: Recipe, tree: RawTree, names: list[str], account: _Account
) -> Iterator[tuple[_Audio, Row]]:
    way = recipe.found_by
    assert not isinstance(way, Manifest)  # noqa: S101 - narrows the type for mypy
    pattern = way.audio_pattern()
    compiled = tail_pattern(pattern.regex)
    audios = [a for n in names if (a := _audio(n, pattern, compiled, recipe.aliases))]
    if not audios:
        raise RawDataError(
            f"none of the {len(names)} files matches the recipe",
            where=f"{recipe.id}: {tree.root}",
            expected=f"files like {pattern.regex}",
            cure="check that --raw names the folder of this corpus",
        )
    if not isinstance(way, Table | Reader):
        for audio in audios:
            yield audio, Row(audio.key)
        return
    rows = _rows(way, tree, names, account)
    by_key = defaultdict(list)
    for row in rows:
        by_key[row.key].append(row)
    for audio in audios:
        matching = by_key.pop(audio.key, None)
        if matching is None:
            account.reject(audio.name, "no row of the annotations tells its label", "restore the annotation files")
            continue
        for row in matching:
            yield audio, row
    for key, orphans in by_key.items():
        if any("label" in row.fields for row in orphans) and key not in recipe.exclude:
            account.reject(f"{orphans[0].where}", f"there is no audio for {key}", "restore the audio file")


def _audio(name: str, pattern: PathPattern, compiled: re.Pattern[str], aliases: Mapping[str, str]) -> _Audio | None:
    match = match_tail(compiled, name)
    if match is None:
        return None
    groups = {g: v for g, v in match.groupdict().items() if v is not None}
    tail = groups["tail_"]
    stem = PurePosixPath(tail).stem
    fields = {**groups, "stem": aliases.get(stem, stem)}
    fields |= {f: fill(t, fields) for f, t in pattern.derive.items()}
    key = fill(pattern.key, fields)
    if key in aliases:
        key = aliases[key]
    file = fill(pattern.path, fields) if pattern.path else tail
    return _Audio(name, file, key, fields)


def _rows(way: Table | Reader, tree: RawTree, names: list[str], account: _Account) -> list[Row]:
    """All rows of the annotation files, those of a `Reader` with equal keys merged."""
    compiled = tail_pattern(way.file if isinstance(way, Table) else way.annotations)
    files = [n for n in names if match_tail(compiled, n)]
    if not files:
        raise RawDataError(
            "the annotations are missing",
            where=str(tree.root),
            expected=f"a file like {compiled.pattern.split('(?P<tail_>', 1)[1][:-1]}",
            cure="restore it from the distribution",
        )
    account.annotations.update(files)
    if isinstance(way, Table):
        return [row for name in files for row in _table_rows(way, tree, name)]
    merged: dict[tuple[str, float | None, float | None], Row] = {}
    for name in files:
        for row in way.read(name, tree.text(name, way.encoding)):
            where = row.where or name
            place = (row.key, row.start, row.end)
            known = merged.get(place)
            clash = set(known.fields) & set(row.fields) if known else set()
            if known and clash:
                account.reject(
                    where,
                    f"{row.key} has its {', '.join(sorted(clash))} told twice, first in {known.where}",
                    "keep one of the two",
                )
                continue
            fields = {**(known.fields if known else {}), **row.fields}
            merged[place] = Row(row.key, fields, known.where if known else where, row.start, row.end)
    return list(merged.values())


def _table_rows(way: Table, tree: RawTree, name: str) -> Iterator[Row]:
    columns = {**way.columns, **{c: c for c in re.findall(r"\{(\w+)\}", way.key)}}
    for line, values in tree.rows(name, way.encoding, way.delimiter, columns):
        yield Row(fill(way.key, values), {f: values[f] for f in way.columns}, f"{name}, line {line}")


def _from_manifest(tree: RawTree, names: list[str], account: _Account) -> Iterator[tuple[_Audio, Row]]:
    """Rows of ``manifest.csv``, else of the EmoNet layout; paths are relative to the raw root."""
    manifests = ["manifest.csv"] if "manifest.csv" in names else [n for n in _EMONET_FILES if n in names]
    if not manifests or (manifests != ["manifest.csv"] and "train.csv" not in manifests):
        raise RawDataError(
            "there is no manifest",
            where=str(tree.root),
            expected="manifest.csv (columns path, label, ...), or train.csv, devel.csv and test.csv (file, label)",
            cure="write one of them into the raw folder",
        )
    for manifest in manifests:
        account.annotations.add(manifest)
        text = tree.text(manifest, "utf-8-sig")
        delimiter = max(",;\t", key=text.split("\n", 1)[0].count)
        titles = {t.strip().lower(): t.strip() for t in text.split("\n", 1)[0].strip().split(delimiter)}
        path = next((titles[t] for t in ("path", "file", "filename") if t in titles), "path")
        label = next((titles[t] for t in ("label", "emotion", "class") if t in titles), "label")
        known = {path: "path_", label: "label", titles.get("partition", "partition"): "split"}
        columns = {known.get(t, t): t for t in titles.values()} | {"path_": path, "label": label}
        for line, values in tree.rows(manifest, "utf-8-sig", delimiter, columns):
            where = f"{manifest}, line {line}"
            name = values.pop("path_")
            start, end = values.pop("start", ""), values.pop("end", "")
            if name not in tree.files:
                account.reject(where, f"there is no file {name}", "correct the path, relative to the raw folder")
                continue
            fields = {f: v for f, v in values.items() if v}
            if manifest != "manifest.csv":
                fields["split"] = _EMONET_FILES[manifest]
            key = str(PurePosixPath(name).with_suffix(""))
            row = Row(key, fields, where, float(start) if start else None, float(end) if end else None)
            yield _Audio(name, name, key, {}), row


@dataclass(frozen=True, slots=True)
class _Speaker:
    gender: str | None
    age: float | None


def _speakers(recipe: Recipe, tree: RawTree, names: list[str], account: _Account) -> dict[str, _Speaker]:
    """Gender and age by speaker: recorded, and from the distribution's own table, which must not differ."""
    speakers = {
        s: _Speaker(gender, recipe.ages.get(s))
        for gender in ("female", "male", "child")
        for s in getattr(recipe, gender)
    }
    if recipe.speakers:
        for row in corpus_table(recipe.id, recipe.speakers):
            age = float(row["age"]) if row.get("age") else None
            speakers[row["speaker"]] = _Speaker(row["gender"] or None, age)
    table = recipe.speaker_table
    if table is None:
        return speakers
    compiled = tail_pattern(table.file)
    columns = {"speaker": table.speaker, "gender": table.gender} | ({"age": table.age} if table.age else {})
    for name in (n for n in names if match_tail(compiled, n)):
        account.annotations.add(name)
        for line, values in tree.rows(name, table.encoding, table.delimiter, columns):
            where = f"{name}, line {line}"
            gender = _GENDERS.get(values["gender"].lower())
            if gender is None:
                account.reject(where, f"unknown gender {values['gender']!r}", "restore the file")
                continue
            told = _Speaker(gender, float(values["age"]) if values.get("age") else None)
            known = speakers.setdefault(values["speaker"], told)
            if known != told:
                account.reject(
                    where, f"speaker {values['speaker']} is {told.gender}, {told.age}, not {known.gender}, {known.age}",
                    "restore the file from the distribution",
                )  # fmt: skip
    return speakers


def _splits(recipe: Recipe) -> dict[str, str]:
    split = recipe.split
    if split.table:
        return {row[split.by]: row["split"] for row in corpus_table(recipe.id, split.table)}
    return {name: name for name in SPLITS} if split.by == "split" else split.assignment()


def _add(
    recipe: Recipe,
    audio: _Audio,
    row: Row,
    speakers: Mapping[str, _Speaker],
    splits: Mapping[str, str],
    seen: dict[str, str],
    account: _Account,
) -> None:
    """Make one utterance of an audio file and its annotation, or account for it otherwise."""
    where = row.where or audio.name
    segment = f"#{row.start:g}-{row.end:g}" if row.start is not None and row.end is not None else ""
    key = audio.key + segment
    fields = {**audio.fields, **row.fields}
    if key in seen:
        first = seen[key]
        account.reject(audio.name, f"the same utterance as {first}", "remove one of the two copies")
        return
    seen[key] = audio.name
    reason = recipe.exclude.get(key) or recipe.leave_out.get(fields.get("label", ""))
    if reason:
        account.excluded[reason].append(audio.name)
        return
    code = fields.get("label")
    if code is None:
        account.reject(where, f"no label is told for {key}", "restore the annotation")
        return
    if code not in recipe.labels:
        known = ", ".join(sorted(recipe.labels))
        account.reject(
            audio.name, f"unknown emotion code {code!r}; the recipe knows {known}",
            "correct the file's name or annotation, or add the code to labels",
        )  # fmt: skip
        return
    codes = getattr(recipe.found_by, "codes", {})
    if codes and codes.get(fields["code"]) != code:
        account.reject(audio.name, f"its name says {fields['code']!r}, its folder {code!r}", "put it where it belongs")
        return
    speaker, gender, age = fields.get("speaker"), None, None
    if fields.get("gender"):
        gender = _GENDERS.get(fields["gender"].lower())
        if gender is None:
            account.reject(where, f"unknown gender {fields['gender']!r}", "write female, male or child")
            return
    if speaker and (known := speakers.get(speaker)):
        if gender and known.gender and gender != known.gender:
            account.reject(audio.name, f"speaker {speaker} is {known.gender}, the name says {gender}", "correct the name")
            return
        gender, age = known.gender or gender, known.age
    decider = fields.get(recipe.split.by, "")
    split = splits.get(_SPLIT_NAMES.get(decider.lower(), decider) if recipe.split.by == "split" else decider)
    if split is None:
        account.reject(audio.name, f"{recipe.split.by} {decider!r} is in no split", "correct the name, or add it to the split")
        return
    language = fields.get("language") or recipe.languages[0]
    meaning = recipe.meaning(recipe.labels[code])
    numbers: dict[str, float | None] = {}
    for name in ("age", "activation", "pleasure", "dominance"):
        try:
            numbers[name] = float(fields[name]) if fields.get(name) else None
        except ValueError:
            account.reject(where, f"{name} is {fields[name]!r}, not a number", "restore the annotation")
            return
    extra = {f: v for f, v in fields.items() if f not in _COLUMN_FIELDS and f not in _HIDDEN_FIELDS}
    account.utterances[key] = Utterance(
        id=f"{recipe.id}/{key}", corpus=recipe.id, path=audio.name, file=audio.file, split=split,
        label=recipe.labels[code], label_raw=code, emotion=meaning.emotion, arousal=meaning.arousal,
        valence=meaning.valence, language=language, kind=recipe.kind,
        speaker=f"{recipe.id}:{speaker}" if speaker else None, gender=gender,
        age=numbers["age"] if age is None else age, text=fields.get("text") or None,
        activation=numbers["activation"], pleasure=numbers["pleasure"], dominance=numbers["dominance"],
        start=row.start, end=row.end,
        extra=json.dumps(extra, sort_keys=True, ensure_ascii=False) if extra else None,
    )  # fmt: skip


def _check_counts(utterances: tuple[Utterance, ...], expect: Counts, account: _Account) -> None:
    clauses = differences(utterances, expect)
    if clauses:
        account.reject(
            "the corpus as a whole", "; ".join(clauses),
            "compare with the distribution; a copy that lacks files can be built with --allow-partial",
        )  # fmt: skip


def _check_independence(recipe: Recipe, utterances: tuple[Utterance, ...], account: _Account) -> None:
    if not recipe.split.speaker_independent:
        return
    homes: dict[str, set[str]] = defaultdict(set)
    for u in utterances:
        if u.speaker:
            homes[u.speaker].add(u.split)
    for speaker, splits in sorted(homes.items()):
        if len(splits) > 1:
            account.reject(
                f"speaker {speaker}", f"is in {' and '.join(sorted(splits))}, though the split claims independence",
                "correct the split, or declare speaker_independent=False",
            )  # fmt: skip
