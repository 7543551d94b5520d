"""Lists by the user: manifest.csv, the EmoNet layout, or a folder per class, for corpora without a public layout.

The EmoNet layout is read for every corpus: it is the form in which labs that took part in EmoSet hold them.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Final

from emoset.account import Account, Audio, Finding, Problem, number_of
from emoset.audio import SUFFIXES
from emoset.parts import Manifest, Row, Way
from emoset.tree import RawTree
from emoset.words import plain, split_name

LISTS: Final = (
    "manifest.csv (columns path, label, ...), or train.csv, devel.csv and test.csv (file, label), or a folder per class"
)
"""What a user can prepare, for messages."""

_PATHS: Final = ("path", "file", "filename")
_LABELS: Final = ("label", "emotion", "class")


def find_listing(
    labels: Mapping[str, str], ways: Sequence[Way], tree: RawTree, names: Sequence[str], account: Account
) -> Finding | None:
    """What a user's list names, or None where there is none that applies.

    Args:
        labels: the recipe's codes; empty where any label is taken.
        ways: of the recipe; other lists than the EmoNet layout are read only where `Manifest` is among them.
        tree: the raw root.
        names: its files, without those that a rule ignores.
        account: takes the lists and what is rejected.
    """
    supplied = any(isinstance(way, Manifest) for way in ways)
    if supplied and (found := [n for n in names if PurePosixPath(n).name == "manifest.csv"]):
        return _listed("manifest", {found[0]: None}, tree, account)
    if emonet := _emonet_files(tree, names):
        return _listed("emonet", emonet, tree, account)
    if supplied and (pairs := list(_folders(labels, names))):
        return Finding("folders", pairs, "")
    return None


def _emonet_files(tree: RawTree, names: Sequence[str]) -> dict[str, str | None]:
    """Path of each list to its split, if all of them lie in one folder and look as they should."""
    for train in (n for n in names if n.rpartition("/")[2] == "train.csv"):
        folder = train.removesuffix("train.csv")
        devel = next((n for d in ("devel", "val", "dev") if (n := f"{folder}{d}.csv") in names), None)
        if devel and f"{folder}test.csv" in names:
            return {train: "train", devel: "validation", f"{folder}test.csv": "test"}
    return {}


def _listed(layout: str, lists: Mapping[str, str | None], tree: RawTree, account: Account) -> Finding:
    top = next(iter(lists)).rpartition("/")[0]
    top += "/" * bool(top)
    return Finding(
        layout, [pair for name, split in lists.items() for pair in _rows(name, split, top, tree, account)], top
    )


def _rows(name: str, split: str | None, top: str, tree: RawTree, account: Account) -> Iterator[tuple[Audio, Row]]:
    """Rows of one list. Paths are relative to its folder; backslashes and a leading ./ are tolerated."""
    account.annotations.add(name)
    text = tree.text(name, "utf-8-sig")
    head = text.split("\n", 1)[0].strip()
    delimiter = max(",;\t", key=head.count)
    try:
        cells = next(csv.reader([head], delimiter=delimiter)) or [""]
    except csv.Error:  # a garbled line, of which the rows will tell
        cells = head.split(delimiter)
    titles = {t.strip().lower(): t.strip() for t in cells}
    # The EmoNet layout may lack titles: then the first column is the path, the last one the label.
    first, *_, last = (*titles.values(), *titles.values())
    path = next((titles[t] for t in _PATHS if t in titles), first if split else "path")
    label = next((titles[t] for t in _LABELS if t in titles), last if split else "label")
    field_of = {path: "path_", label: "label", titles.get("partition", "partition"): "split"}
    columns = {field_of.get(t, t.lower()): t for t in titles.values()} | {"path_": path, "label": label}
    for line, values in tree.rows(name, "utf-8-sig", delimiter, columns):
        where = f"{name}, line {line}"
        file = top + values.pop("path_").replace("\\", "/").removeprefix("./")
        if file not in tree:
            account.reject(where, f"there is no file {file}", "correct the path; it starts at the folder of the list")
            continue
        try:
            start, end = (number_of(f, values.pop(f, ""), where) for f in ("start", "end"))
        except Problem as problem:
            account.rejected.append(problem.rejection)
            continue
        fields = {f: v for f, v in values.items() if v} | ({"split": split} if split else {})
        key = file.removeprefix(top).rpartition(".")[0]
        yield Audio(file, file.removeprefix(top), key, {}, listed=True), Row(key, fields, where, start, end)


def _folders(labels: Mapping[str, str], names: Sequence[str]) -> Iterator[tuple[Audio, Row]]:
    """Files in ``<class>/`` or ``<split>/<class>/``, if that is how all audio files lie."""
    audio = [n for n in names if PurePosixPath(n).suffix.lower() in SUFFIXES]
    parts = [PurePosixPath(n).parts for n in audio]
    if not audio or any(len(p) < 2 for p in parts):
        return
    by_split = all(len(p) > 2 and split_name(p[0]) in ("train", "validation", "test") for p in parts)
    known = {plain(name) for name in (*labels, *labels.values())}
    if labels and not all(plain(p[by_split]) in known for p in parts):
        return
    for name, p in zip(audio, parts, strict=True):
        key = name.rpartition(".")[0]
        fields = {"label": p[by_split]} | ({"split": p[0]} if by_split else {})
        yield Audio(name, name, key, {}, listed=True), Row(key, fields)
