"""Indexes: path, bytes and sha256 of every file of a true distribution, and whether a copy is one."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path, PurePosixPath

from emoset.account import Rejection
from emoset.errors import RawDataError
from emoset.progress import Progress
from emoset.reading import TWIN_MARKER
from emoset.recipe import Recipe
from emoset.shards import file_hash, read_manifest
from emoset.tree import JUNK, RawTree, ignoring_rule

Index = Mapping[str, tuple[int, str]]
"""Path in the distribution to bytes and sha256."""

INDEX = "index.csv"


@dataclass(frozen=True)
class RawReport:
    """How a copy of a corpus compares with the index of the true distribution.

    Args:
        corpus: recipe id.
        root: the raw root.
        files: number of files that the index names.
        same: how many of them are there, byte for byte.
        missing: absent from the copy.
        changed: there, with other content.
        extra: recordings that the index does not name and no rule ignores.
    """

    corpus: str
    root: Path
    files: int
    same: int
    missing: tuple[str, ...]
    changed: tuple[str, ...]
    extra: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether the copy is the true distribution."""
        return not (self.missing or self.changed or self.extra)

    @property
    def verdict(self) -> str:
        """What the differences amount to, in a sentence."""
        there = self.same + len(self.changed)
        if self.ok:
            return "this is the true distribution"
        if not there:
            return "none of its recordings is there: this is another corpus, or a twin"
        if not self.same:
            return "all names are right and all contents differ: the copy was re-encoded, or is of another release"
        if self.changed and len(self.changed) > self.same:
            return "most contents differ: the copy was re-encoded in part, or is of another release"
        parts = [
            f"{len(names)} {'file is' if len(names) == 1 else 'files are'} {what}"
            for names, what in ((self.changed, "damaged"), (self.missing, "missing"), (self.extra, "not part of it"))
            if names
        ]
        return "this is the true distribution, except that " + ", ".join(parts)

    def __str__(self) -> str:
        lines = [f"{self.corpus} in {self.root}: {self.same} of {self.files} files are as distributed"]
        for kind in ("missing", "changed", "extra"):
            names = getattr(self, kind)
            lines += [f"  {kind}: {name}" for name in names[:20]]
            lines += [f"  and {len(names) - 20} more {kind}"] if len(names) > 20 else []
        return "\n".join([*lines, f"  {self.verdict}"])


def read_index(corpus: str) -> dict[str, tuple[int, str]] | None:
    """The index of a corpus, or None where none is known.

    Example:
        >>> len(read_index("emodb"))
        535
    """
    path = resources.files("emoset.corpora") / corpus / INDEX
    return _rows(path.read_text("utf-8")) if path.is_file() else None


def load_index(path: str | Path) -> dict[str, tuple[int, str]]:
    """An index from a file that `make_index` wrote.

    Raises:
        RawDataError: it is not such a file.
    """
    try:
        return _rows(Path(path).read_text("utf-8"))
    except (OSError, ValueError, KeyError, TypeError):
        raise RawDataError(
            "it cannot be read as an index", where=str(path), expected="CSV with path, bytes and sha256",
            cure="make it with 'emoset index'",
        ) from None  # fmt: skip


def sources_of(folder: Path) -> dict[str, tuple[int, str]]:
    """The files that a built configuration was made from, as an index.

    Args:
        folder: of the configuration.

    Raises:
        DataFolderError: it is no build, or damaged.
    """
    told = read_manifest(folder).get("sources", {})
    return {path: (facts["bytes"], facts["sha256"]) for path, facts in told.items()}


def _rows(text: str) -> dict[str, tuple[int, str]]:
    return {row["path"]: (int(row["bytes"]), row["sha256"]) for row in csv.DictReader(io.StringIO(text))}


def make_index(raw_root: str | Path, *, progress: bool = True) -> str:
    """The index of a raw root, as CSV text with the columns path, bytes and sha256.

    Args:
        raw_root: a copy that is known to be the true distribution.
        progress: show a progress bar.

    Raises:
        RawDataError: the folder is absent or empty.
    """
    tree = RawTree(Path(raw_root))
    names = [n for n in tree.files if ignoring_rule(n, JUNK) is None and n != TWIN_MARKER]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("path", "bytes", "sha256"))
    with Progress("index", len(names), progress) as bar:
        for name in names:
            writer.writerow((name, tree.path(name).stat().st_size, file_hash(tree.path(name))))
            bar.advance()
    return text.getvalue()


def verify_raw(recipe: Recipe, raw_root: str | Path, index: Index | None = None, *, progress: bool = True) -> RawReport:
    """Compare a copy of a corpus with the index of the true distribution.

    Args:
        recipe: of the corpus.
        raw_root: the copy, nested at any depth.
        index: as `read_index` gives it; default: the one of the book.
        progress: show a progress bar.

    Raises:
        RawDataError: the folder is absent or empty, or no index is known for the corpus.
    """
    known = index if index is not None else read_index(recipe.id)
    if known is None:
        raise RawDataError(
            "no index of the true distribution is known", where=recipe.id,
            cure="make one with 'emoset index' from a copy that you trust, and give it with --index",
        )  # fmt: skip
    tree = RawTree(Path(raw_root))
    places = _places(tree, known)
    same, changed = 0, []
    with Progress(f"verify {recipe.id}", len(places), progress) as bar:
        for name, found in places.items():
            size, digest = known[name]
            path = tree.path(found)
            if path.stat().st_size == size and file_hash(path) == digest:
                same += 1
            else:
                changed.append(name)
            bar.advance()
    used = set(places.values())
    tops = {found.removesuffix(name) for name, found in places.items()}
    top = tops.pop() if len(tops) == 1 else ""
    suffixes = {PurePosixPath(name).suffix for name in known}
    rules = {**recipe.ignore, **JUNK}
    extra = [
        n for n in tree.files
        if n not in used and n.startswith(top) and PurePosixPath(n).suffix in suffixes and not ignoring_rule(n, rules)
    ]  # fmt: skip
    missing = sorted(set(known) - set(places))
    return RawReport(recipe.id, tree.root, len(known), same, tuple(missing), tuple(changed), tuple(extra))


def _places(tree: RawTree, index: Index) -> dict[str, str]:
    """Path of the index to the file of the copy: the one that ends so, the least nested first."""
    by_name: dict[str, list[str]] = {}
    for name in sorted(tree.files, key=lambda n: (n.count("/"), n)):
        by_name.setdefault(name.rpartition("/")[2], []).append(name)
    places = {}
    for path in index:
        candidates = by_name.get(path.rpartition("/")[2], [])
        match = next((c for c in candidates if c == path or c.endswith("/" + path)), None)
        if match is not None:
            places[path] = match
    return places


def compare_with_index(
    recipe: Recipe, sources: Mapping[str, tuple[int, str]], found: Mapping[str, str], notes: list[str]
) -> list[Rejection]:
    """Files of a build whose content is not that of the true distribution.

    A few differing files are damaged and rejected. If most differ, the copy was re-encoded as a whole: that is
    legitimate, and gives a note.

    Args:
        recipe: of the corpus.
        sources: canonical path to bytes and sha256, as read.
        found: canonical path to the path in the raw root.
        notes: gets the note.
    """
    index = read_index(recipe.id) or {}
    common = [file for file in found if file in index]
    differing = [file for file in common if sources[file] != index[file]]
    if 2 * len(differing) > len(common):
        notes.append(f"{len(differing)} of {len(common)} files differ from the true distribution: a re-encoded copy")
        return []
    return [
        Rejection(
            found[file], "its content is not that of the true distribution", "copy it again from the distribution"
        )
        for file in differing
    ]
