"""The engine: a recipe and a raw root give utterances and an account of every file. No audio is read."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from emoset.errors import RawDataError
from emoset.finding import Account, Audio, Rejection, find
from emoset.parts import Counts, Row
from emoset.schema import GENDERS, SPLITS
from emoset.tree import JUNK, RawTree, ignoring_rule, match_tail, tail_pattern

if TYPE_CHECKING:
    from emoset.recipe import Recipe

TWIN_MARKER: Final = "emoset-twin.json"
"""File in the root of a synthetic raw corpus; it tells what must come out of it."""

_NUMBERS = ("age", "activation", "pleasure", "dominance")
_NOT_EXTRA = {
    "label",
    "speaker",
    "gender",
    "language",
    "split",
    "text",
    "stem",
    "code",
    "top_",
    "tail_",
    *_NUMBERS,
}
_GENDERS = {"f": "female", "w": "female", "m": "male", "c": "child", **{g: g for g in GENDERS}}
_SPLIT_NAMES = {"dev": "validation", "devel": "validation", "val": "validation", **{s: s for s in SPLITS}}


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
    account = Account()
    utterances: dict[str, Utterance] = {}
    for name in tree.clashes:
        account.reject(name, "two files have this name up to Unicode normalisation", "remove one of them")
    twin = _twin_counts(recipe, tree, account)
    candidates = [n for n in tree.files if _is_candidate(n, recipe, account)]
    found = find(recipe, tree, candidates, account)
    speakers = _speakers(recipe, tree, candidates, account)
    splits = recorded_splits(recipe)
    seen: dict[str, str] = {}
    accounted: set[str] = set()
    for audio, row in found:
        segment = f"#{row.start:g}-{row.end:g}" if row.start is not None and row.end is not None else ""
        key = audio.key + segment
        reason = recipe.exclude.get(key) or recipe.leave_out.get({**audio.fields, **row.fields}.get("label", ""))
        if key in seen:
            account.reject(audio.name, f"the same utterance as {seen[key]}", "remove one of the two copies")
        elif reason:
            account.excluded[reason].append(audio.name)
        else:
            try:
                utterances[key] = _utterance(recipe, audio, row, key, speakers, splits)
            except _Problem as problem:
                account.rejected.append(problem.rejection)
                accounted.add(audio.name)
        seen.setdefault(key, audio.name)
    used = accounted | {u.path for u in utterances.values()} | account.annotations
    used |= {r.where for r in account.rejected} | {n for names in account.excluded.values() for n in names}
    for name in candidates:
        if name not in used:
            account.reject(name, "the recipe knows no such file", "remove it, or add an ignore rule with its reason")
    ordered = tuple(sorted(utterances.values(), key=lambda u: (SPLITS.index(u.split), u.id)))
    expect = recipe.expect if twin is None else twin
    _check_counts(ordered, expect, account)
    _check_independence(recipe, ordered, account)
    return Reading(
        recipe, tree, ordered, tuple(sorted(account.annotations)),
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


def _twin_counts(recipe: Recipe, tree: RawTree, account: Account) -> Counts | None:
    markers = [name for name in tree.files if PurePosixPath(name).name == TWIN_MARKER]
    account.annotations.update(markers)
    if not markers:
        return None
    try:
        [marker] = [json.loads(tree.text(name, "utf-8")) for name in markers]
        return Counts(**marker["configurations"][recipe.configuration])
    except (ValueError, KeyError, TypeError):
        account.reject(
            ", ".join(markers), f"it does not tell the counts of one {recipe.configuration}", "write the twin again"
        )
        return Counts()


def _is_candidate(name: str, recipe: Recipe, account: Account) -> bool:
    if name in account.annotations:
        return False
    rule = ignoring_rule(name, recipe.ignore) or ignoring_rule(name, JUNK)
    if rule:
        account.ignored[rule].append(name)
    return rule is None


@dataclass(frozen=True, slots=True)
class Speaker:
    """What is known of a speaker: gender and age in years."""

    gender: str | None
    age: float | None

    def __str__(self) -> str:
        return f"{self.gender}, {self.age:g} years" if self.age is not None else str(self.gender)


def recorded_speakers(recipe: Recipe) -> dict[str, Speaker]:
    """Speaker id to what the recipe or its table in ``corpora/`` tells.

    Example:
        >>> from emoset.registry import get_recipe
        >>> str(recorded_speakers(get_recipe("emodb"))["03"])
        'male, 31 years'
    """
    speakers = {s: Speaker(g, recipe.ages.get(s)) for g in GENDERS for s in getattr(recipe, g)}
    for row in corpus_table(recipe.id, recipe.speakers) if recipe.speakers else ():
        speakers[row["speaker"]] = Speaker(row["gender"] or None, float(row["age"]) if row.get("age") else None)
    return speakers


def recorded_splits(recipe: Recipe) -> dict[str, str]:
    """Value of the field that decides, such as a speaker id, to split.

    Example:
        >>> from emoset.registry import get_recipe
        >>> recorded_splits(get_recipe("emodb"))["10"]
        'test'
    """
    split = recipe.split
    if split.table:
        return {row[split.by]: row["split"] for row in corpus_table(recipe.id, split.table)}
    return {name: name for name in SPLITS} if split.by == "split" else split.assignment()


def _speakers(recipe: Recipe, tree: RawTree, names: list[str], account: Account) -> dict[str, Speaker]:
    """Recorded speakers, and those of the distribution's own table, which must not say otherwise."""
    speakers = recorded_speakers(recipe)
    table = recipe.speaker_table
    if table is None:
        return speakers
    compiled = tail_pattern(table.file)
    columns = {"speaker": table.speaker, "gender": table.gender} | ({"age": table.age} if table.age else {})
    for name in (n for n in names if match_tail(compiled, n)):
        account.annotations.add(name)
        for line, values in tree.rows(name, table.encoding, table.delimiter, columns):
            where = f"{name}, line {line}"
            try:
                told = Speaker(_gender(values["gender"], where), _number("age", values.get("age"), where))
            except _Problem as problem:
                account.rejected.append(problem.rejection)
                continue
            known = speakers.setdefault(values["speaker"], told)
            if known != told:
                account.reject(
                    where,
                    f"speaker {values['speaker']} is {told}; known is {known}",
                    "restore the file from the distribution",
                )
    return speakers


class _Problem(Exception):
    """Why an utterance is rejected."""

    def __init__(self, where: str, reason: str, cure: str) -> None:
        self.rejection = Rejection(where, reason, cure)


def _utterance(
    recipe: Recipe,
    audio: Audio,
    row: Row,
    key: str,
    speakers: Mapping[str, Speaker],
    splits: Mapping[str, str],
) -> Utterance:
    """Make one utterance of an audio file and what is said of it.

    Raises:
        _Problem: something about it is not as the recipe says.
    """
    where = row.where or audio.name
    fields = {**audio.fields, **row.fields}
    code = _code(recipe, audio, fields, where)
    speaker, gender = fields.get("speaker"), _gender(fields.get("gender"), where)
    known = speakers.get(speaker) if speaker else None
    if known and gender and known.gender and gender != known.gender:
        raise _Problem(audio.name, f"speaker {speaker} is {known.gender}, the name says {gender}", "correct the name")
    meaning = recipe.meaning(recipe.labels[code])
    numbers = {name: _number(name, fields.get(name), where) for name in _NUMBERS}
    if known and known.age is not None:
        numbers["age"] = known.age
    extra = {f: v for f, v in fields.items() if f not in _NOT_EXTRA}
    return Utterance(
        id=f"{recipe.id}/{key}", corpus=recipe.id, path=audio.name, file=audio.file,
        split=_split(recipe, audio, fields, splits), label=recipe.labels[code], label_raw=code,
        emotion=meaning.emotion, arousal=meaning.arousal, valence=meaning.valence,
        language=fields.get("language") or recipe.languages[0], kind=recipe.kind,
        speaker=f"{recipe.id}:{speaker}" if speaker else None,
        gender=(known.gender if known else None) or gender, text=fields.get("text") or None,
        start=row.start, end=row.end,
        extra=json.dumps(extra, sort_keys=True, ensure_ascii=False) if extra else None, **numbers,
    )  # fmt: skip


def _code(recipe: Recipe, audio: Audio, fields: Mapping[str, str], where: str) -> str:
    """The corpus's code of the label, checked against the recipe and against the file's own name."""
    code = fields.get("label")
    if not code:
        raise _Problem(where, f"no label is told for {audio.key}", "restore the annotation")
    if code not in recipe.labels:
        raise _Problem(
            where, f"unknown emotion code {code!r}; the recipe knows {', '.join(sorted(recipe.labels))}",
            "correct the file's name or annotation, or add the code to the recipe's labels",
        )  # fmt: skip
    if audio.codes and audio.codes.get(fields["code"]) != code:
        raise _Problem(audio.name, f"its name says {fields['code']!r}, its folder {code!r}", "put it where it belongs")
    return code


def _gender(text: str | None, where: str) -> str | None:
    if not text:
        return None
    if text.lower() not in _GENDERS:
        raise _Problem(where, f"unknown gender {text!r}", "write female, male or child")
    return _GENDERS[text.lower()]


def _number(name: str, text: str | None, where: str) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        raise _Problem(where, f"{name} is {text!r}, not a number", "restore the annotation") from None


def _split(recipe: Recipe, audio: Audio, fields: Mapping[str, str], splits: Mapping[str, str]) -> str:
    by = recipe.split.by
    decider = fields.get(by, "")
    split = splits.get(_SPLIT_NAMES.get(decider.lower(), decider) if by == "split" else decider)
    if split is None:
        raise _Problem(audio.name, f"{by} {decider!r} is in no split", "correct the name, or add it to the split")
    return split


def _check_counts(utterances: tuple[Utterance, ...], expect: Counts, account: Account) -> None:
    clauses = differences(utterances, expect)
    if clauses:
        account.reject(
            "the corpus as a whole", "; ".join(clauses),
            "compare with the distribution; a copy that lacks files can be built with --allow-partial",
        )  # fmt: skip


def _check_independence(recipe: Recipe, utterances: tuple[Utterance, ...], account: Account) -> None:
    if not recipe.split.speaker_independent:
        return
    homes: dict[str, set[str]] = defaultdict(set)
    for u in utterances:
        if u.speaker:
            homes[u.speaker].add(u.split)
    for speaker, splits in sorted(homes.items()):
        if len(splits) > 1:
            account.reject(
                f"speaker {speaker}",
                f"it is in {' and '.join(sorted(splits))}, though the split claims independence",
                "correct the split, or declare speaker_independent=False",
            )  # fmt: skip
