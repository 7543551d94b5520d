"""Finding: which audio files are a corpus's, and what its annotations say of each."""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from emoset.account import Account, Audio, Finding
from emoset.errors import RawDataError
from emoset.listing import LISTS, find_listing
from emoset.parts import Manifest, PathPattern, Reader, Row, Table, Way, fill, template_names
from emoset.tree import RawTree, match_tail, tail_pattern

if TYPE_CHECKING:
    from emoset.recipe import Recipe


_SUFFIX = re.compile(r"\.(?:wav|flac|mp3|ogg|m4a|mp4|avi|webm|sph)$", re.IGNORECASE)


def find(recipe: Recipe, tree: RawTree, names: list[str], account: Account, pattern: str | None) -> Finding:
    """Pair audio files with what is said of them.

    A pattern of the user's comes first, then lists in the EmoNet layout, which any corpus may be held in, then
    the ways of the recipe.

    Args:
        recipe: says where to look.
        tree: the raw root.
        names: its files, without those that a rule ignores.
        account: takes annotation files and what is rejected.
        pattern: a path pattern of the user's.

    Raises:
        RawDataError: nothing of this corpus is there, or the annotations are missing.
    """
    if pattern is not None:
        own = PathPattern(regex=pattern, key="{path_}")
        audios = [replace(a, listed=True) for a in _audios(own, names, recipe)]
        if audios:
            return Finding("pattern", [(audio, Row(audio.key)) for audio in audios], _top(audios))
        raise _nothing(recipe, tree, names, [pattern])
    if listing := find_listing(recipe.labels, recipe.ways, tree, names, account):
        return listing
    patterns = []
    lacking: RawDataError | None = None
    for way in recipe.ways:
        if isinstance(way, Manifest):
            continue
        patterns.append(way.audio_pattern().regex)
        if not (audios := _audios(way.audio_pattern(), names, recipe)):
            continue
        if isinstance(way, Table | Reader) and not _annotations(way, names):
            lacking = lacking or _no_annotations(way, tree)  # a later way may do without
            continue
        return Finding("distribution", list(_pairs(recipe, way, audios, tree, names, account)), _top(audios))
    if lacking:
        raise lacking
    raise _nothing(recipe, tree, names, patterns)


def _nothing(recipe: Recipe, tree: RawTree, names: list[str], patterns: list[str]) -> RawDataError:
    if not patterns:
        return RawDataError(
            "there is no list of the recordings", where=f"{recipe.id}: {tree.root}", expected=LISTS,
            cure="write one of these into the raw folder, or give --pattern",
        )  # fmt: skip
    return RawDataError(
        f"none of the {len(names)} files matches the recipe", where=f"{recipe.id}: {tree.root}",
        expected=f"files like {' or '.join(patterns)}", cure="check that --raw names the folder of this corpus",
    )  # fmt: skip


def _audios(pattern: PathPattern, names: list[str], recipe: Recipe) -> list[Audio]:
    compiled = tail_pattern(pattern.regex)
    return [a for n in names if (a := audio_of(n, pattern, compiled, recipe.aliases))]


def _top(audios: list[Audio]) -> str:
    tops = {audio.fields["top_"] for audio in audios}
    return tops.pop() if len(tops) == 1 else ""


def _pairs(
    recipe: Recipe, way: Way, audios: list[Audio], tree: RawTree, names: list[str], account: Account
) -> Iterator[tuple[Audio, Row]]:
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
            if audio.key in recipe.exclude:
                account.excluded[recipe.exclude[audio.key]].append(audio.name)
            else:
                account.reject(audio.name, "no row of the annotations tells its label", "restore the annotation files")
            continue
        for row in matching:
            yield audio, row
    for key, orphans in by_key.items():
        if key in recipe.exclude:
            account.excluded[recipe.exclude[key]].append(orphans[0].where)
        elif any("label" in row.fields for row in orphans):
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
    folder, slash, last = tail.rpartition("/")
    stem = last[: last.rindex(".")] if "." in last[1:] else last
    fields = {**groups, "stem": aliases.get(stem, stem), "path_": f"{folder}{slash}{stem}"}
    fields |= {f: fill(t, fields) for f, t in pattern.derive.items()}
    key = fill(pattern.key, fields)
    if key in aliases:
        key = aliases[key]
    file = fill(pattern.path, fields) if pattern.path else tail
    file = name if file == name else file  # one text, not two, for each of perhaps 100,000 files
    return Audio(name, file, key, fields, pattern.codes)


def _annotations(way: Table | Reader, names: list[str]) -> list[str]:
    compiled = tail_pattern(way.file if isinstance(way, Table) else way.annotations)
    return [n for n in names if match_tail(compiled, n)]


def _no_annotations(way: Table | Reader, tree: RawTree) -> RawDataError:
    return RawDataError(
        "the annotations are missing", where=str(tree.root),
        expected=f"a file like {way.file if isinstance(way, Table) else way.annotations}",
        cure="restore it from the distribution",
    )  # fmt: skip


def _rows(way: Table | Reader, tree: RawTree, names: list[str], account: Account) -> list[Row]:
    """All rows of the annotation files, those of a `Reader` with equal keys merged."""
    files = _annotations(way, names)
    account.annotations.update(files)
    if isinstance(way, Table):
        return [row for name in files for row in _table_rows(way, tree, name)]
    merged: dict[tuple[str, float | None, float | None], Row] = {}
    for name in files:
        for row in _read(way, tree, name):
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


def _read(way: Reader, tree: RawTree, name: str) -> list[Row]:
    """The rows of one annotation file; whatever a recipe's function stumbles over is the file's fault, and named."""
    text = tree.text(name, way.encoding)
    try:
        return list(way.read(name, text))
    except (ValueError, LookupError, TypeError, AttributeError, csv.Error) as error:
        raise RawDataError(
            f"it cannot be read as an annotation file ({type(error).__name__}: {error})", where=name,
            cure="restore it from the distribution",
        ) from error  # fmt: skip


def _table_rows(way: Table, tree: RawTree, name: str) -> Iterator[Row]:
    columns = {**way.columns, **{c: c for c in template_names(way.key)}}
    for line, values in tree.rows(name, way.encoding, way.delimiter, columns):
        # A table may name files with their suffix; keys have none.
        yield Row(_SUFFIX.sub("", fill(way.key, values)), {f: values[f] for f in way.columns}, f"{name}, line {line}")
