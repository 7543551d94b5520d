"""Downloading: open corpora come from their sources, whole or not at all; for the others, how to get them."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import platformdirs
import requests

from emoset.archives import archive_kind, extract
from emoset.errors import ArchiveError, EmosetError, RawDataError
from emoset.fetching import Fetched, fetch
from emoset.indexing import read_index, verify_raw
from emoset.listing import LISTS
from emoset.parts import Manifest, Source
from emoset.progress import Progress
from emoset.reading import TWIN_MARKER
from emoset.recipe import Recipe, describe
from emoset.registry import get_recipe, resolve
from emoset.staging import remove_leftovers, staged, sync_folder, write_text

RAW_VARIABLE: Final = "EMOSET_RAW"
"""Environment variable: folder that holds one raw root per corpus, named by its id."""

MIRROR_VARIABLE: Final = "EMOSET_MIRROR"
"""Environment variable: address below which ``<corpus>/<file>`` is tried before the recipe's own sources."""

MARKER: Final = ".emoset-download.json"
"""File in a raw root that was downloaded: what from, and with which hashes."""

_DOWNLOADS: Final = ".downloads"
_FILES_AT_ONCE: Final = 8


def default_raw_dir() -> Path:
    """The folder of raw roots used where none is named: ``$EMOSET_RAW``, else below the user's cache."""
    named = os.environ.get(RAW_VARIABLE)
    return Path(named) if named else Path(platformdirs.user_cache_dir("emoset-raw"))


def download(corpora: str | Sequence[str], raw_dir: str | Path | None = None, *, progress: bool = True) -> list[Path]:
    """Download corpora and unpack them into raw roots; what is there already is left as it is.

    Sizes and hashes are checked where they are known, and files against the index of the true distribution. A
    download that was interrupted goes on with the files that it lacks.

    Args:
        corpora: name or names of corpora.
        raw_dir: folder that gets one folder per corpus; default: ``$EMOSET_RAW``, else below the user's cache.
        progress: show progress bars.

    Returns:
        The raw roots.

    Raises:
        FetchError: a file could not be fetched, or is not what it should be.
        ArchiveError: an archive is damaged or holds what must not be unpacked.
        RawDataError: a corpus cannot be downloaded freely (the message tells how to get it), or its files are not
            those of the true distribution.
        UnknownNameError: there is no such corpus.

    Example:
        >>> download("emodb", raw) == [Path(raw) / "emodb"]  # it is there
        True
    """
    names = resolve(corpora if isinstance(corpora, str) else list(corpora))
    recipes = {recipe.raw_name: recipe for recipe in map(get_recipe, names)}
    folder = Path(raw_dir) if raw_dir is not None else default_raw_dir()
    return [download_corpus(recipe, folder / name, progress) for name, recipe in recipes.items()]


def find_raw_root(
    recipe: Recipe, raw: str | Path | Mapping[str, str | Path] | None, corpora: int = 1, progress: bool = True
) -> Path:
    """The raw root to build a corpus from: the one named, else the one in the folder of raw roots, else a download.

    Args:
        recipe: of the corpus.
        raw: its raw root, or a folder of several, or a mapping of corpus to raw root; see `build`.
        corpora: how many are built, which tells a raw root from a folder of several.
        progress: show progress bars.

    Raises:
        RawDataError: none is given, and the corpus cannot be downloaded freely.
        FetchError, ArchiveError: the download failed.
    """
    if isinstance(raw, Mapping):
        for name in (recipe.configuration, recipe.id):
            if name in raw:
                return Path(raw[name])
        raw = None
    parent = Path(raw) if raw is not None else default_raw_dir()
    inside = [parent / name for name in (recipe.raw_name, recipe.id)]
    found = next((folder for folder in inside if folder.is_dir()), None)
    if raw is None:
        return download_corpus(recipe, found or inside[0], progress)
    return found or (parent if corpora == 1 else inside[-1])


def download_corpus(recipe: Recipe, root: Path, progress: bool) -> Path:
    """Download one corpus. See `download`."""
    kept = root.parent / _DOWNLOADS / recipe.raw_name
    if root.is_dir() and any(root.iterdir()):
        if (root / MARKER).is_file():
            _clean(kept)  # a run that was killed right after the root had its name left it
        return root  # downloaded earlier, whole as it has its name; or the user's own copy, which is never touched
    if not recipe.sources:
        why = "no address of its files is known" if recipe.access == "open" else f"its access is '{recipe.access}'"
        raise RawDataError(
            f"no raw folder is given, and it cannot be downloaded: {why}", where=recipe.id,
            expected=f"it in {root}, or --raw {recipe.raw_name}=FOLDER", cure=how_to_get(recipe),
        )  # fmt: skip
    remove_leftovers(root.parent)
    kept.mkdir(parents=True, exist_ok=True)
    remove_leftovers(kept)
    try:
        _download(recipe, root, kept, progress)
    except (EmosetError, OSError):
        if not (root / MARKER).is_file():
            raise  # otherwise another process has finished the same, and has taken its files away
    finally:
        for folder in (kept, kept.parent):
            with suppress(OSError):
                folder.rmdir()  # if it is empty; files that were fetched whole stay for the next run
    _clean(kept)
    return root


def _download(recipe: Recipe, root: Path, kept: Path, progress: bool) -> None:
    with staged(root) as tree:
        tree.mkdir()
        told = [facts for source in recipe.sources for facts in _take(recipe, source, kept, tree, progress)]
        _check(recipe, tree, progress)
        about = {"corpus": recipe.id, "recipe_version": recipe.version, "files": told}
        write_text(tree / MARKER, json.dumps(about, indent=1) + "\n")
        sync_folder(tree)
        try:
            tree.rename(root)
        except OSError:
            if not (root.is_dir() and any(root.iterdir())):
                raise  # otherwise another process was faster, or the user put a copy there: that is never replaced
        sync_folder(root.parent)


def _clean(kept: Path) -> None:
    """Remove what was fetched, and what killed runs left."""
    shutil.rmtree(kept, ignore_errors=True)
    remove_leftovers(kept.parent.parent)
    with suppress(OSError):
        kept.parent.rmdir()


def how_to_get(recipe: Recipe) -> str:
    """What a user has to do for a corpus that cannot be downloaded freely, and what then must lie in the folder.

    Example:
        >>> print(how_to_get(get_recipe("iemocap")))
        ask its owners at https://sail.usc.edu/iemocap/iemocap_release.htm, unpack what they send; emoset looks for ...
    """
    where = f" at {recipe.homepage}" if recipe.homepage else ""
    step = {
        "open": f"download it{where}",
        "request": f"ask its owners{where}",
        "licence": f"obtain a licence{where}",
        "closed": f"ask its authors (it is not distributed{where})",
    }[recipe.access]
    ways = "; or ".join(LISTS if isinstance(way, Manifest) else describe(way) for way in recipe.ways)
    return (
        f"{step}, unpack what they send; emoset looks for {ways}. 'emoset locate FOLDER' finds copies that you "
        "have already"
    )


def _take(recipe: Recipe, source: Source, kept: Path, tree: Path, progress: bool) -> Iterator[dict[str, Any]]:
    """Fetch one source and put it, or what it holds, into the tree."""
    place = tree / source.into if source.into else tree
    if "{path}" in source.url:
        yield _fetch_indexed(recipe, source, kept / "files", place, progress)
        return
    urls = [source.url, *source.mirrors]
    if mirror := os.environ.get(MIRROR_VARIABLE):
        urls.insert(0, f"{mirror.rstrip('/')}/{recipe.id}/{quote(source.file_name)}")
    with Progress(f"download {source.file_name}", source.bytes, progress, in_bytes=True) as bar:
        fetched = fetch(
            urls, kept / source.file_name, bytes=source.bytes, sha256=source.sha256, md5=source.md5,
            advance=bar.advance,
        )  # fmt: skip
    place.mkdir(parents=True, exist_ok=True)
    facts: dict[str, Any] = {"url": fetched.url, "bytes": fetched.bytes, "sha256": fetched.sha256}
    if archive_kind(fetched.path) is None:
        shutil.copyfile(fetched.path, place / source.file_name)
    else:
        facts |= _unpack(recipe, source, fetched, place, progress)
    yield facts


def _unpack(recipe: Recipe, source: Source, fetched: Fetched, place: Path, progress: bool) -> dict[str, Any]:
    with staged(place / "unpacked") as folder:
        try:
            extracted = extract(fetched.path, folder, encoding=source.encoding, progress=progress)
        except ArchiveError:
            if not source.hashed:  # nothing vouches for it: it may be the download that is damaged
                fetched.path.unlink()
            raise
        _merge(folder, place, recipe, source)
    return {"members": extracted.files, "members_sha256": extracted.digest}


def _merge(folder: Path, place: Path, recipe: Recipe, source: Source) -> None:
    """Move what was unpacked to where it belongs; two archives never overwrite each other's files."""
    for path in sorted(folder.iterdir()):
        target = place / path.name
        if path.is_dir() and target.is_dir():
            _merge(path, target, recipe, source)
        elif target.exists():
            raise ArchiveError(
                f"it holds {path.name}, which an earlier archive of {recipe.id} holds too", where=source.file_name,
                cure="give one of them a folder of its own: into=... of its Source",
            )  # fmt: skip
        else:
            path.rename(target)


def _fetch_indexed(recipe: Recipe, source: Source, kept: Path, place: Path, progress: bool) -> dict[str, Any]:
    """Fetch every file of the index, several at once; those that an earlier run fetched are not fetched again."""
    index = read_index(recipe.id)
    if not index:
        raise RawDataError(
            "its source names files one by one, and there is no index of them", where=recipe.id,
            expected=f"corpora/{recipe.id}/index.csv", cure="make it with 'emoset index'",
        )  # fmt: skip
    sessions = threading.local()
    mirror = os.environ.get(MIRROR_VARIABLE)
    with Progress(f"download {recipe.id}", sum(s for s, _ in index.values()), progress, in_bytes=True) as bar:

        def take(path: str) -> None:
            if not hasattr(sessions, "session"):
                sessions.session = requests.Session()
            size, digest = index[path]
            urls = [url.replace("{path}", quote(path)) for url in (source.url, *source.mirrors)]
            if mirror:
                urls.insert(0, f"{mirror.rstrip('/')}/{recipe.id}/{quote(path)}")
            there = kept / path
            known = there.stat().st_size if there.is_file() else 0
            fetched = fetch(
                urls, there, bytes=size, sha256=digest, advance=bar.advance, session=sessions.session
            )  # fmt: skip
            if known == fetched.bytes:
                bar.advance(known)

        executor = ThreadPoolExecutor(_FILES_AT_ONCE)
        try:
            for _ in executor.map(take, index):
                pass
        finally:
            executor.shutdown(cancel_futures=True)
    for path in index:
        (place / path).parent.mkdir(parents=True, exist_ok=True)
        (kept / path).rename(place / path)
    lines = "\n".join(f"{path}\t{size}\t{digest}" for path, (size, digest) in sorted(index.items()))
    return {"url": source.url, "files": len(index), "index_sha256": hashlib.sha256(lines.encode()).hexdigest()}


def _check(recipe: Recipe, tree: Path, progress: bool) -> None:
    """Compare the files with the index of the true distribution, where one is known."""
    if read_index(recipe.id) is None or any(tree.rglob(TWIN_MARKER)):
        return
    report = verify_raw(recipe, tree, progress=progress)
    if not report.ok:
        names = [*report.missing, *report.changed, *report.extra]
        raise RawDataError(
            f"what was downloaded is not the distribution that is known: {report.verdict} ({', '.join(names[:3])}"
            f"{', ...' * (len(names) > 3)})",
            where=recipe.id,
            cure="if the owners have changed it, take a newer emoset-speech; otherwise download again",
        )
