"""Looking at data: one page with figures, spectrograms and players."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from emoset.errors import DataFolderError, EmosetError, unknown_name
from emoset.looking.figures import Corpus, read_corpus
from emoset.looking.page import page
from emoset.looking.samples import choose, media_of, told_of
from emoset.progress import Progress
from emoset.shards import built_configurations, default_data_dir, read_manifest
from emoset.staging import write_whole

__all__ = ["report"]


def report(
    data_dir: str | Path | None = None,
    out: str | Path = "report.html",
    *,
    corpora: Sequence[str] | None = None,
    per_class: int = 3,
    seed: int = 0,
    progress: bool = True,
) -> Path:
    """Write one HTML page about built corpora: counts, distributions, and samples to see and hear.

    The page holds all that it shows, audio too, and loads nothing from a network. The same data give the same page.

    Args:
        data_dir: data folder; default: ``$EMOSET_HOME``, else the user's cache.
        out: file to write; not in the data folder, which holds nothing but what was built.
        corpora: configurations to tell of; default: all that are built.
        per_class: utterances of each class and corpus to show; 0 for none, which leaves out all audio.
        seed: chooses others.
        progress: show a progress bar.

    Returns:
        The file written.

    Raises:
        DataFolderError: nothing is built there, or a file is damaged.
        UnknownNameError: a corpus is not built there.
        EmosetError: the page cannot be written to that file.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = report(data, Path(folder) / "report.html", corpora=["emodb"], progress=False)
        ...     path.read_text("utf-8")[:15]
        '<!doctype html>'
    """
    root, path = Path(data_dir) if data_dir is not None else default_data_dir(), Path(out)
    names = _names(root, corpora)
    if per_class < 0:
        raise EmosetError(f"{per_class} samples of each class", expected="0 or more")
    _check_out(path, root)
    total = sum(split["utterances"] for name in names for split in read_manifest(root / name)["splits"].values())
    found: list[Corpus] = []
    samples: list[dict[str, Any]] = []
    media: list[dict[str, str]] = []
    with Progress("report", total, progress) as bar:
        for name in names:
            corpus = read_corpus(root / name, bar.advance)
            chosen = choose(corpus.rows, per_class, seed)
            found.append(corpus)
            samples += [told_of(corpus, row) for row in chosen]
            media += [media_of(row) for row in chosen]
    try:
        return write_whole(path, page(found, samples, media, seed).encode("utf-8", "replace"))
    except OSError as error:
        raise _unwritable(path, error.strerror or str(error)) from error


def _names(root: Path, corpora: Sequence[str] | None) -> list[str]:
    built = built_configurations(root)
    if not built:
        raise DataFolderError(
            "nothing is built there", where=str(root), expected="a data folder", cure="run 'emoset build' first"
        )
    for name in corpora or ():
        if name not in built:
            raise unknown_name("built corpus", name, built, "build it with 'emoset build', or name another")
    return [name for name in built if corpora is None or name in corpora]


def _check_out(path: Path, root: Path) -> None:
    """Refuse what could not be written, before all is read."""
    if path.is_dir():
        raise _unwritable(path, "it is a folder")
    if path.resolve().is_relative_to(root.resolve()):
        raise _unwritable(path, "it lies in the data folder, which holds nothing but what was built")
    above = next(folder for folder in path.resolve().parents if folder.exists())
    if not above.is_dir():
        raise _unwritable(path, f"{above} is not a folder")
    if not os.access(above, os.W_OK):
        raise _unwritable(path, f"nothing may be written into {above}")


def _unwritable(path: Path, reason: str) -> EmosetError:
    return EmosetError(
        f"the page cannot be written ({reason})", where=str(path), expected="a file of your own", cure="name another"
    )
