"""Locating: which copies of corpora lie below a folder, and how far each corpus is on its way to a verified build."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from emoset.downloading import default_raw_dir
from emoset.errors import RawDataError
from emoset.parts import Manifest, Reader, Table
from emoset.progress import Progress
from emoset.reading import TWIN_MARKER, Reading, read_raw
from emoset.recipe import Recipe
from emoset.registry import get_recipe, resolve
from emoset.shards import built_configurations, default_data_dir, read_manifest
from emoset.stamps import is_verified
from emoset.summary import remarks
from emoset.tree import RawTree, match_tail, tail_pattern

_NEARLY_ALL: Final = 0.9
"""A folder below holds the copy if it has this share of the recordings; else they lie side by side below this one."""

_TOO_FEW: Final = 0.05
"""Less than this share of a corpus is no copy of it but a coincidence of names."""

_LEAST: Final = 10
"""Nor are fewer recordings than this, where the size of the corpus is not known."""


@dataclass(frozen=True)
class Copy:
    """A copy of a corpus that was found.

    Args:
        corpus: name to build it by.
        root: its raw root.
        utterances: that the recipe finds there.
        expected: that it should find; None where no number is known.
        problems: what is not as the recipe says.
        synthetic: whether it is a twin.
    """

    corpus: str
    root: Path
    utterances: int
    expected: int | None
    problems: tuple[str, ...]
    synthetic: bool

    @property
    def complete(self) -> bool:
        """Whether everything is as the recipe says."""
        return not self.problems

    def __str__(self) -> str:
        of = f" of {self.expected}" if self.expected else ""
        twin = ", a synthetic twin" if self.synthetic else ""
        state = "complete" if self.complete else f"{len(self.problems)} problems, first: {self.problems[0]}"
        return f"{self.corpus}: {self.root}: {self.utterances}{of} utterances{twin}, {state}"


def locate(folder: str | Path, corpora: str | Sequence[str] = "all", *, progress: bool = True) -> list[Copy]:
    """Find copies of corpora anywhere below a folder, by their file names and annotations; reads no audio.

    Args:
        folder: to search.
        corpora: which to look for.
        progress: show a progress bar.

    Returns:
        The copies found, the most complete of each corpus first.

    Raises:
        RawDataError: the folder is absent or empty.
        UnknownNameError: there is no such corpus.

    Example:
        >>> [(copy.corpus, copy.complete) for copy in locate(raw, ["emodb", "ravdess"], progress=False)]
        [('emodb', True)]
    """
    root = Path(folder)
    names = RawTree(root).files
    recipes = {r.raw_name: r for r in map(get_recipe, resolve(corpora if isinstance(corpora, str) else list(corpora)))}
    copies = []
    with Progress("locate", len(recipes), progress) as bar:
        for recipe in recipes.values():
            found = [copy for place in _places(recipe, names) if (copy := _copy(recipe, root / place))]
            copies += sorted(found, key=lambda copy: (len(copy.problems), -copy.utterances, str(copy.root)))
            bar.advance()
    return copies


def _places(recipe: Recipe, names: Sequence[str]) -> list[str]:
    """Folders, relative, that may hold a copy."""
    places: dict[str, None] = {}
    for way in recipe.ways:
        if isinstance(way, Manifest):  # its file names are anybody's: only the folder's own name tells
            wanted = {_plain(recipe.id), _plain(recipe.raw_name)}
            for name in names:
                parts = name.split("/")[:-1]
                hits = [i for i, part in enumerate(parts) if _plain(part) in wanted]
                places.update({"/".join(parts[: i + 1]): None for i in hits[:1]})
            continue
        audio = tail_pattern(way.audio_pattern().regex)
        files = {name: match["tail_"] for name in names if (match := match_tail(audio, name))}
        needed: list[str] = []
        if isinstance(way, Table | Reader):
            table = tail_pattern(way.file if isinstance(way, Table) else way.annotations)
            needed = [name for name in names if match_tail(table, name)]
            if not needed:
                continue
        if files:
            places.update(dict.fromkeys(_roots("", files, needed)))
    return list(places)


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _roots(place: str, files: dict[str, str], needed: list[str]) -> Iterator[str]:
    """The deepest folders that still hold nearly all recordings, and annotations where there are any."""
    below: dict[str, dict[str, str]] = defaultdict(dict)
    start = len(place) + 1 if place else 0
    for name, tail in files.items():
        head, slash, _ = name[start:].partition("/")
        if slash and len(name) - len(tail) > start + len(head):  # not into folders that the recipe itself names
            below[place + "/" * bool(place) + head][name] = tail
    everything = len(set(files.values()))
    inside = [
        (child, held) for child, held in sorted(below.items())
        if len(set(held.values())) >= _NEARLY_ALL * everything
        and (not needed or any(name.startswith(child + "/") for name in needed))
    ]  # fmt: skip
    if not inside:
        yield place
    for child, held in inside:
        yield from _roots(child, held, [name for name in needed if name.startswith(child + "/")])


def _copy(recipe: Recipe, root: Path) -> Copy | None:
    try:
        reading = read_raw(recipe, root)
    except RawDataError:
        return None
    expected = _expected(recipe, reading)
    least = max(_TOO_FEW * (expected or 0), 1 if reading.synthetic else _LEAST)
    if len(reading.utterances) < least or any(TWIN_MARKER in told.where for told in reading.rejected):
        return None  # a coincidence of names, or somebody else's twin
    return Copy(
        recipe.raw_name, root, len(reading.utterances), expected, tuple(map(str, reading.rejected)), reading.synthetic
    )


def _expected(recipe: Recipe, reading: Reading) -> int | None:
    if reading.layout != "distribution" and not reading.synthetic:
        return None
    return reading.expect.utterances or (None if reading.synthetic else recipe.published.utterances)


State = Literal["absent", "raw incomplete", "raw found", "built", "verified"]


@dataclass(frozen=True)
class CorpusStatus:
    """How far a corpus or variant is.

    Args:
        configuration: its name.
        state: ``absent``, ``raw incomplete``, ``raw found``, ``built`` (and perhaps changed since) or ``verified``.
        raw_root: where its raw files are; None if they are not found.
        raw_bytes: their size.
        problem: the first of what is wrong with them.
        utterances: in the build.
        built_bytes: size of the build.
        remarks: what a reader must know of the build.
    """

    configuration: str
    state: State
    raw_root: Path | None = None
    raw_bytes: int = 0
    problem: str = ""
    utterances: int = 0
    built_bytes: int = 0
    remarks: str = ""


def status(
    data_dir: str | Path | None = None, corpora: str | Sequence[str] = "all", *, raw: str | Path | None = None
) -> list[CorpusStatus]:
    """How far each corpus is: absent, raw found, built, verified; with sizes.

    Args:
        data_dir: data folder; default: ``$EMOSET_HOME``, else the user's cache.
        corpora: which to tell of.
        raw: folder of raw roots; default: ``$EMOSET_RAW``, else where downloads go.

    Raises:
        DataFolderError: a built folder is damaged.
        UnknownNameError: there is no such corpus.

    Example:
        >>> [(told.configuration, told.utterances) for told in status(data, ["emodb", "tess"])]
        [('emodb', 21), ('tess', 0)]
    """
    folder = Path(data_dir) if data_dir is not None else default_data_dir()
    raw_dir = Path(raw) if raw is not None else default_raw_dir()
    built = set(built_configurations(folder))
    names = resolve(corpora if isinstance(corpora, str) else list(corpora))
    if corpora == "all":
        names = [*names, *sorted(built - set(names))]
    return [_status(name, folder, raw_dir, built) for name in names]


def _status(name: str, folder: Path, raw_dir: Path, built: set[str]) -> CorpusStatus:
    recipe = get_recipe(name)
    places = [raw_dir / recipe.raw_name, raw_dir / recipe.id]
    root = next((place for place in places if place.is_dir() and any(place.iterdir())), None)
    raw_bytes, problem = _raw(recipe, root) if root else (0, "")
    if recipe.configuration in built:
        manifest = read_manifest(folder / recipe.configuration)
        return CorpusStatus(
            recipe.configuration, "verified" if is_verified(folder, recipe.configuration) else "built", root, raw_bytes,
            problem, sum(manifest["classes"].values()),
            sum(entry.stat().st_size for entry in os.scandir(folder / recipe.configuration)), remarks(manifest),
        )  # fmt: skip
    state: State = "absent" if root is None else "raw incomplete" if problem else "raw found"
    return CorpusStatus(recipe.configuration, state, root, raw_bytes, problem)


def _raw(recipe: Recipe, root: Path) -> tuple[int, str]:
    """Size of a raw root, and the first of what is wrong with it."""
    tree = RawTree(root)
    size = sum(map(tree.size, tree.files))
    try:
        rejected = read_raw(recipe, tree).rejected
    except RawDataError as error:
        return size, str(error)
    return size, str(rejected[0]) if rejected else ""
