"""Exchange: built corpora as lhotse cuts, audformat databases, WebDataset tars or CSV with WAV, and back."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any, Final

from emoset.errors import DataFolderError, RawDataError, unknown_name
from emoset.exchange.raw_root import RawRoot
from emoset.exchange.rows import LICENCE_FILE, facts_of, licence_text, open_built, read_facts, write_facts
from emoset.progress import Progress
from emoset.staging import put_in_place, remove_leftovers, staged, write_text

__all__ = ["FORMATS", "export_to", "import_from"]

FORMATS: Final = {
    "audformat": "emoset.exchange.audformat_db",
    "lhotse": "emoset.exchange.lhotse_cuts",
    "wav": "emoset.exchange.wav_csv",
    "webdataset": "emoset.exchange.webdataset_tars",
}
"""Format to the module that writes and reads it. Each imports its library only when it is used."""


def export_to(
    format: str,
    name: str,
    out: str | Path,
    *,
    data_dir: str | Path | None = None,
    splits: list[str] | tuple[str, ...] | None = None,
    progress: bool = True,
) -> Path:
    """Write a built corpus in the form of another project. It is there whole or not at all.

    Args:
        format: ``lhotse``, ``audformat``, ``webdataset`` or ``wav``.
        name: corpus or variant, such as ``emodb`` or ``iemocap-full``.
        out: folder to write to; one that holds an earlier export of the same corpus in the same form is replaced.
        data_dir: data folder; default: ``$EMOSET_HOME``, else the user's cache.
        splits: those to export; default: all.
        progress: show a progress bar.

    Returns:
        The folder written.

    Raises:
        UnknownNameError: there is no such format, corpus or split.
        NotBuiltError: the corpus is not built in that data folder.
        DataFolderError: the data folder is damaged, or the folder to write to holds something else.
        ModuleNotFoundError: the library of that format is not installed.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     out = export_to("wav", "emodb", f"{folder}/emodb", data_dir=data, progress=False)
        ...     sorted(p.name for p in out.iterdir() if p.name[0] != ".")
        ['LICENCE.txt', 'emodb', 'manifest.csv']
    """
    write = _module(format).write
    built = open_built(name, data_dir, splits)
    target = Path(out).resolve()
    if target.exists() and (target.is_file() or any(target.iterdir())):
        facts = read_facts(target) if target.is_dir() else None
        if facts is None or (facts["format"], facts["configuration"]) != (format, built.configuration):
            raise DataFolderError(
                "something else is there", where=str(target), expected="an empty folder, or an older export like this",
                cure="choose another folder",
            )  # fmt: skip
    remove_leftovers(target.parent)
    with staged(target) as folder:
        folder.mkdir()
        with Progress(f"{name} to {format}", built.count, progress) as bar:
            write(built, folder, bar)
        write_text(folder / LICENCE_FILE, licence_text(built))
        write_facts(folder, facts_of(built, format))
        put_in_place(folder, target)
    return target


def import_from(
    format: str, source: str | Path, raw_out: str | Path, /, *, progress: bool = True, **columns: str
) -> Path:
    """Make a raw root that ``emoset build`` reads of a collection in the form of another project.

    Audio is copied as it is. Where all utterances tell their split, the lists are ``train.csv``, ``devel.csv`` and
    ``test.csv``, which every corpus accepts; where none does, ``manifest.csv``, for corpora without a public layout.

    Args:
        format: ``lhotse``, ``audformat``, ``webdataset`` or ``wav``.
        source: folder of the collection, or one file of it. It need not be an export by `export_to`.
        raw_out: folder to write to, absent or empty.
        progress: show a progress bar.
        columns: what fields of the collection mean: ``label="emotion", speaker="spk", split="partition"``, also
            ``gender``, ``age``, ``language``, ``text``, ``activation``, ``pleasure``, ``dominance``. Without it they
            are looked for under these names; ``split=""`` is not to look for it. Other fields go into ``extra``.

    Returns:
        The raw root.

    Raises:
        UnknownNameError: there is no such format.
        RawDataError: the collection is damaged, does not tell what is needed, or holds what must not be read.
        ModuleNotFoundError: the library of that format is not installed.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     out = export_to("wav", "emodb", f"{folder}/emodb", data_dir=data, progress=False)
        ...     root = import_from("wav", out, f"{folder}/raw", progress=False)
        ...     (root / "train.csv").read_text().splitlines()[0]
        'file,label,age,gender,language,sentence,speaker,take'
    """
    read = _module(format).read
    origin, target = Path(source).resolve(), Path(raw_out).resolve()
    if not origin.exists():
        raise RawDataError("there is no such file or folder", where=str(source), cure="give the collection's folder")
    if target.exists() and (target.is_file() or any(target.iterdir())):
        raise RawDataError(
            "the folder is not empty", where=str(target), expected="an absent or empty folder",
            cure="choose another folder; what may be a true corpus is never replaced",
        )  # fmt: skip
    remove_leftovers(target.parent)
    with staged(target) as folder:
        folder.mkdir()
        root = RawRoot(folder, columns)
        with Progress(f"{target.name} from {format}", None, progress) as bar:
            for item in read(origin, columns):
                root.add(item)
                bar.advance()
        root.finish(origin)
        put_in_place(folder, target)
    return target


def _module(format: str) -> Any:
    if format not in FORMATS:
        raise unknown_name("format", format, FORMATS)
    return import_module(FORMATS[format])
