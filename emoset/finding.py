"""Finding: which audio files are a corpus's, and what its annotations say of each."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from emoset.errors import RawDataError
from emoset.parts import Manifest, PathPattern, Reader, Row, Table, fill, template_names
from emoset.tree import RawTree, match_tail, tail_pattern

if TYPE_CHECKING:
    from emoset.recipe import Recipe

_EMONET_FILES = {"train.csv": "train", "devel.csv": "validation", "val.csv": "validation", "test.csv": "test"}


@dataclass(frozen=True, slots=True)
class Rejection:
    """A file, row or count that is not as the recipe says, with the reason and the cure."""

    where: str
    reason: str
    cure: str

    def __str__(self) -> str:
        return f"{self.where}: {self.reason}. To do: {self.cure}."


@dataclass
class Account:
    """What reading has found so far."""

    annotations: set[str] = field(default_factory=set)
    ignored: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    excluded: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    rejected: list[Rejection] = field(default_factory=list)

    def reject(self, where: str, reason: str, cure: str) -> None:
        """Note that something is not as the recipe says."""
        self.rejected.append(Rejection(where, reason, cure))


@dataclass(frozen=True, slots=True)
class Audio:
    """An audio file that matches the recipe's pattern."""

    name: str
    file: str
    key: str
    fields: Mapping[str, str]
    codes: Mapping[str, str] = field(default_factory=dict)


def find(recipe: Recipe, tree: RawTree, names: list[str], account: Account) -> Iterator[tuple[Audio, Row]]:
    """Pair audio files with what is said of them, one pair an utterance.

    Args:
        recipe: says where to look.
        tree: the raw root.
        names: its files, without those that a rule ignores.
        account: takes annotation files and what is rejected.

    Raises:
        RawDataError: nothing of this corpus is there, or the annotations are missing.
    """
    for way in recipe.ways:
        if isinstance(way, Manifest):
            yield from _from_manifest(tree, names, account)
            return
        pattern = way.audio_pattern()
        compiled = tail_pattern(pattern.regex)
        audios = [a for n in names if (a := audio_of(n, pattern, compiled, recipe.aliases))]
        if audios:
            break
    else:
        patterns = [w.audio_pattern().regex for w in recipe.ways if not isinstance(w, Manifest)]
        raise RawDataError(
            f"none of the {len(names)} files matches the recipe",
            where=f"{recipe.id}: {tree.root}",
            expected=f"files like {' or '.join(patterns)}",
            cure="check that --raw names the folder of this corpus",
        )
    if not isinstance(way, Table | Reader):
        for audio in audios:
            yield audio, Row(audio.key)
        return
    by_key = defaultdict(list)
    for row in _rows(way, tree, names, account):
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
            account.reject(orphans[0].where, f"there is no audio for {key}", "restore the audio file")


def audio_of(name: str, pattern: PathPattern, compiled: re.Pattern[str], aliases: Mapping[str, str]) -> Audio | None:
    """The audio file that a relative name is by the pattern, or None.

    Args:
        name: relative to the raw root.
        pattern: of the corpus's audio files.
        compiled: its expression, by `tail_pattern`.
        aliases: key or stem as some copies have it, to the true one.
    """
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
    return Audio(name, file, key, fields, pattern.codes)


def _rows(way: Table | Reader, tree: RawTree, names: list[str], account: Account) -> list[Row]:
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
    columns = {**way.columns, **{c: c for c in template_names(way.key)}}
    for line, values in tree.rows(name, way.encoding, way.delimiter, columns):
        yield Row(fill(way.key, values), {f: values[f] for f in way.columns}, f"{name}, line {line}")


def _from_manifest(tree: RawTree, names: list[str], account: Account) -> Iterator[tuple[Audio, Row]]:
    """Rows of ``manifest.csv``, else of the EmoNet layout; paths are relative to the raw root."""
    manifests = ["manifest.csv"] if "manifest.csv" in names else [n for n in _EMONET_FILES if n in names]
    if not manifests or (manifests != ["manifest.csv"] and "train.csv" not in manifests):
        raise RawDataError(
            "there is no manifest",
            where=str(tree.root),
            expected="manifest.csv (columns path, label, ...), or train.csv, devel.csv, test.csv (file, label)",
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
            if name not in tree.files:
                account.reject(where, f"there is no file {name}", "correct the path; it starts at the raw folder")
                continue
            try:
                start, end = (float(v) if v else None for v in (values.pop("start", ""), values.pop("end", "")))
            except ValueError as error:
                account.reject(where, f"start or end is no number ({error})", "give seconds, such as 1.25")
                continue
            fields = {f: v for f, v in values.items() if v}
            if manifest != "manifest.csv":
                fields["split"] = _EMONET_FILES[manifest]
            key = str(PurePosixPath(name).with_suffix(""))
            yield Audio(name, name, key, {}), Row(key, fields, where, start, end)
