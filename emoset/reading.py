"""The engine: a recipe and a raw root give utterances and an account of every file. No audio is read."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from emoset.account import Account, Finding, Problem, Rejection
from emoset.errors import RawDataError
from emoset.finding import find
from emoset.parts import Counts
from emoset.schema import SPLITS
from emoset.speakers import read_speakers, recorded_splits
from emoset.splits import hashed_split
from emoset.tree import JUNK, RawTree, ignoring_rule
from emoset.utterance import Utterance, fields_of, make_utterance, reason_to_exclude
from emoset.words import split_name

if TYPE_CHECKING:
    from emoset.recipe import Recipe

TWIN_MARKER: Final = "emoset-twin.json"
"""File in the root of a synthetic raw corpus; it tells what must come out of it."""


@dataclass(frozen=True)
class Reading:
    """What a raw root holds, file by file.

    Args:
        recipe: what it was read with.
        tree: the raw root.
        layout: ``distribution``, or the kind of list by the user: ``manifest``, ``emonet``, ``folders``, ``pattern``.
        utterances: sorted by split and id.
        annotations: files that labels or speakers were read from.
        ignored: rule to files.
        excluded: reason to utterances or files.
        rejected: what is not as the recipe says.
        expect: counts that must come out: the recipe's, or the twin's own.
        synthetic: whether the raw root is a twin.
        speaker_independent: whether no speaker is in two splits: claimed by the recipe, or found in a user's list.
        split_source: official, the rule that the recipe names, or the user's list.
    """

    recipe: Recipe
    tree: RawTree
    layout: str
    utterances: tuple[Utterance, ...]
    annotations: tuple[str, ...]
    ignored: Mapping[str, tuple[str, ...]]
    excluded: Mapping[str, tuple[str, ...]]
    rejected: tuple[Rejection, ...]
    expect: Counts
    synthetic: bool
    speaker_independent: bool
    split_source: str

    def raise_if_rejected(self) -> None:
        """Raise `RawDataError` with the first problems, if there is any."""
        if self.rejected:
            shown = "\n  ".join(map(str, self.rejected[:10]))
            more = f"\n  and {len(self.rejected) - 10} more" if len(self.rejected) > 10 else ""
            raise RawDataError(
                f"{len(self.rejected)} problems in {self.tree.root}:\n  {shown}{more}\n ",
                where=self.recipe.configuration,
            )


def read_raw(recipe: Recipe, root: Path | RawTree, pattern: str | None = None) -> Reading:
    """Read a raw root with a recipe.

    Args:
        recipe: of the corpus or variant.
        root: folder that holds the corpus as distributed, or with a list by the user; or its tree.
        pattern: a path pattern of the user's, for a corpus whose layout is not public.

    Returns:
        The utterances and the account of every file; problems are in ``rejected``.

    Raises:
        RawDataError: the folder is absent or empty, or holds nothing of this corpus.
    """
    tree = root if isinstance(root, RawTree) else RawTree(root)
    account = Account()
    for name in tree.clashes:
        account.reject(name, "two files have this name up to Unicode normalisation", "remove one of them")
    for name in tree.irregular:
        if rule := ignoring_rule(name, recipe.ignore) or ignoring_rule(name, JUNK):
            account.ignored[rule].append(name)
        else:
            account.reject(
                name, "it is no regular file but a pipe, a device or a broken link", "remove it or mend the link"
            )
    twin = _twin_counts(recipe, tree, account)
    candidates = [n for n in tree.files if _is_candidate(n, recipe, account)]
    found = find(recipe, tree, candidates, account, pattern)
    utterances, source = _utterances(recipe, tree, candidates, found, account)
    _account_for_the_rest(candidates, utterances, found, account)
    expect = (recipe.expect if found.layout == "distribution" else Counts()) if twin is None else twin
    _check_counts(utterances, expect, account)
    independent = _independence(recipe, utterances, source, account)
    return Reading(
        recipe, tree, found.layout, utterances, tuple(sorted(account.annotations)),
        {k: tuple(v) for k, v in sorted(account.ignored.items())},
        {k: tuple(v) for k, v in sorted(account.excluded.items())},
        tuple(account.rejected), expect, twin is not None, independent, source,
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
    markers = [name for name in tree.files if name.rpartition("/")[2] == TWIN_MARKER]
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


def _utterances(
    recipe: Recipe, tree: RawTree, candidates: list[str], found: Finding, account: Account
) -> tuple[tuple[Utterance, ...], str]:
    """The utterances, sorted, and where their split comes from; what is none goes into the account."""
    speakers = read_speakers(recipe, tree, candidates, account)
    pairs = [(audio, row, fields_of(recipe, audio, row)) for audio, row in found.pairs]
    by, splits, source = _splits(recipe, found.layout, [(audio.key, fields) for audio, _, fields in pairs])
    utterances: dict[str, Utterance] = {}
    seen: dict[str, str] = {}
    for audio, row, fields in pairs:
        segment = f"#{row.start:g}-{row.end:g}" if row.start is not None and row.end is not None else ""
        key = audio.key + segment
        reason = reason_to_exclude(recipe, key, fields.get("label", ""), audio.listed)
        if key in seen:
            account.reject(audio.name, f"the same utterance as {seen[key]}", "remove one of the two copies")
        elif reason:
            account.excluded[reason].append(audio.name)
        else:
            decider = audio.key if by is None else fields.get(by, "")
            split = splits.get(split_name(decider) if by == "split" else decider)
            try:
                utterances[key] = make_utterance(recipe, audio, row, key, fields, speakers, split)
            except Problem as problem:
                account.rejected.append(problem.rejection)
                account.told.add(audio.name)
        seen.setdefault(key, audio.name)
    return tuple(sorted(utterances.values(), key=lambda u: (SPLITS.index(u.split), u.id))), source


def _splits(
    recipe: Recipe, layout: str, told: list[tuple[str, dict[str, str]]]
) -> tuple[str | None, dict[str, str], str]:
    """The field that decides (None: the utterance's key), its values' splits, and where they come from."""
    if layout != "distribution" and any(fields.get("split") for _, fields in told):
        return "split", {name: name for name in SPLITS}, "as listed by the user"
    if not recipe.split.hashed:
        return recipe.split.by, recorded_splits(recipe), recipe.split.source
    values = {fields[recipe.split.by] for _, fields in told if fields.get(recipe.split.by)}
    if values:
        return recipe.split.by, hashed_split(recipe.id, values), recipe.split.source
    keys = {key for key, _ in told}
    return None, hashed_split(recipe.id, keys), "emoset: by a hash of the utterances, since no speakers are known"


def _account_for_the_rest(
    candidates: list[str], utterances: tuple[Utterance, ...], found: Finding, account: Account
) -> None:
    """Files that nothing has told of: outside of the corpus's own folder they are ignored, inside rejected."""
    used = {u.path for u in utterances} | account.annotations | account.told
    used |= {r.where for r in account.rejected} | {n for names in account.excluded.values() for n in names}
    for name in candidates:
        if name in used:
            continue
        if not name.startswith(found.top):
            account.ignored[f"outside of the corpus's folder {found.top}"].append(name)
        else:
            account.reject(name, "the recipe knows no such file", "remove it, or add an ignore rule with its reason")


def _check_counts(utterances: tuple[Utterance, ...], expect: Counts, account: Account) -> None:
    clauses = differences(utterances, expect)
    if clauses:
        account.reject(
            "the corpus as a whole", "; ".join(clauses),
            "compare with the distribution; a copy that lacks files can be built with --allow-partial",
        )  # fmt: skip


def _independence(recipe: Recipe, utterances: tuple[Utterance, ...], source: str, account: Account) -> bool:
    """Whether no speaker is in two splits; where the recipe claims it, a crossing speaker is rejected."""
    homes: dict[str, set[str]] = defaultdict(set)
    for u in utterances:
        if u.speaker:
            homes[u.speaker].add(u.split)
    crossing = sorted(speaker for speaker, splits in homes.items() if len(splits) > 1)
    if source != recipe.split.source:  # a user's list claims nothing: tell what is true
        return not crossing and all(u.speaker for u in utterances)
    if not recipe.split.speaker_independent:
        return False
    for speaker in crossing:
        account.reject(
            f"speaker {speaker}",
            f"it is in {' and '.join(sorted(homes[speaker]))}, though the split claims independence",
            "correct the split, or declare speaker_independent=False",
        )
    return True
