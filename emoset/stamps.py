"""Stamps: what a built configuration was made from and last checked as, so that nothing is done twice.

A stamp lies beside the built folders, in ``.stamps``, since it holds times of this machine's files; what is built
does not depend on it, and it may be removed at any time.
"""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from importlib import resources
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import soundfile

from emoset.errors import DataFolderError
from emoset.recipe import Recipe
from emoset.shards import files_of, read_manifest
from emoset.staging import write_text

STAMPS: Final = ".stamps"


def fingerprint(recipe: Recipe, **settings: object) -> str:
    """A hash over all that a build depends on besides the raw files: recipe, engine, codecs and settings."""
    told = {
        "recipe": recipe_hash(recipe),
        "engine": _engine(),
        "software": software(),
        "settings": {name: str(value) for name, value in sorted(settings.items())},
    }
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def recipe_hash(recipe: Recipe) -> str:
    """A hash over a recipe: its facts, the source of its functions, and its tables."""
    told = {"facts": recipe.model_dump(), "tables": _tables(recipe.id)}
    return hashlib.sha256(json.dumps(told, sort_keys=True, default=_plain).encode()).hexdigest()


def _plain(value: object) -> object:
    """JSON for what it knows not: functions count by their source, sets by their sorted members."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, set | frozenset):
        return sorted(value)
    if inspect.isfunction(value):
        with suppress(OSError):
            return Path(value.__code__.co_filename).read_text("utf-8")
        return value.__qualname__
    return repr(value)


def _tables(corpus: str) -> dict[str, str]:
    folder = resources.files("emoset.corpora") / corpus
    if not folder.is_dir():
        return {}
    tables = sorted((p for p in folder.iterdir() if p.name.endswith(".csv")), key=lambda p: p.name)
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in tables}


@cache
def _engine() -> str:
    """A hash over this package's own code: who works on it never gets yesterday's result."""
    code = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        code.update(path.read_bytes())
    return code.hexdigest()


def software() -> dict[str, str]:
    """Versions of what the stored samples depend on."""
    import soxr

    return {
        "emoset": version("emoset-speech"),
        "soundfile": version("soundfile"),
        "libsndfile": soundfile.__libsndfile_version__,
        "soxr": version("soxr"),
        "libsoxr": soxr.__libsoxr_version__,
        "numpy": version("numpy"),
        "pyarrow": version("pyarrow"),
    }


def write_stamp(data_dir: Path, configuration: str, **made_from: str) -> None:
    """Note what a configuration was made from; without that, that it was found to be as its manifest says.

    Where the data folder cannot be written to, there is no stamp, and things are done again.
    """
    folder = data_dir / configuration
    stamp = {
        **(_read(data_dir, configuration) or {}), **made_from, "verified": not made_from,
        "manifest": read_manifest(folder).get("digest"), "files": _files(folder),
    }  # fmt: skip
    with suppress(OSError):
        (data_dir / STAMPS).mkdir(exist_ok=True)
        write_text(data_dir / STAMPS / f"{configuration}.json", json.dumps(stamp, indent=1) + "\n")


def is_verified(data_dir: Path, configuration: str) -> bool:
    """Whether a configuration was found to be as its manifest says, and no file of it has changed since."""
    stamp = _current(data_dir, configuration)
    return stamp is not None and stamp.get("verified") is True


def is_unchanged(data_dir: Path, configuration: str, **made_from: str) -> bool:
    """Whether a configuration was made from just this, and no file of it has changed since."""
    stamp = _current(data_dir, configuration)
    return stamp is not None and all(stamp.get(name) == value for name, value in made_from.items())


def _current(data_dir: Path, configuration: str) -> dict[str, Any] | None:
    """The stamp, if it is about the files that are there."""
    stamp = _read(data_dir, configuration)
    if stamp is None:
        return None
    try:
        digest = read_manifest(data_dir / configuration).get("digest")
    except DataFolderError:
        return None
    return stamp if stamp["manifest"] == digest and stamp["files"] == _files(data_dir / configuration) else None


def _read(data_dir: Path, configuration: str) -> dict[str, Any] | None:
    with suppress(OSError, ValueError):
        stamp = json.loads((data_dir / STAMPS / f"{configuration}.json").read_text("utf-8"))
        if isinstance(stamp, dict) and {"manifest", "files"} <= set(stamp):
            return stamp
    return None


def _files(folder: Path) -> dict[str, list[int]]:
    """Size and time of each file of a configuration; what is missing has none."""
    files = {}
    for name in files_of(read_manifest(folder)):
        with suppress(OSError):
            status = (folder / name).stat()
            files[name] = [status.st_size, status.st_mtime_ns]
    return files
