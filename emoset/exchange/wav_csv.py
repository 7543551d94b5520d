"""CSV with WAV files: the EmoNet layout (``train.csv``, ``devel.csv``, ``test.csv``) and one ``manifest.csv``."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from emoset.errors import RawDataError
from emoset.exchange.lists import LIST_NAMES, split_told_by, text_of, write_list, write_twin_marker
from emoset.exchange.raw_root import Incoming
from emoset.exchange.rows import COLUMN_NAMES, Built, relative_name
from emoset.progress import Progress

_MANIFEST = "manifest.csv"
_IN_LISTS = ("speaker", "gender", "age", "language", "text", "activation", "pleasure", "dominance")
_PATHS = ("path", "file", "filename")


def write(built: Built, folder: Path, bar: Progress) -> None:
    """Write ``<corpus>/`` in the EmoNet layout, which is a raw root of its own, and ``manifest.csv`` with all columns.

    Args:
        built: what to write.
        folder: to write to.
        bar: counts utterances.
    """
    corpus = str(built.manifest["corpus"])
    home = folder / corpus
    home.mkdir()
    everything: list[dict[str, str]] = []
    lists: dict[str, list[dict[str, str]]] = {split: [] for split in LIST_NAMES}
    for split in built.splits:
        for row in built.rows(split):
            path = home / f"{row.key}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(row.wav)
            told = {name: text for name, value in row.values.items() if (text := text_of(value))}
            everything.append({"path": f"{corpus}/{row.key}.wav", "split": split, **told})
            told["speaker"] = told.get("speaker", "").removeprefix(f"{corpus}:")
            lists[split].append({"file": f"{row.key}.wav", "label": told["label"], **{
                name: told[name] for name in _IN_LISTS if told.get(name)
            }})  # fmt: skip
            bar.advance()
    write_list(folder / _MANIFEST, everything, ["path", "split", *COLUMN_NAMES])
    used = [name for name in _IN_LISTS if any(name in row for rows in lists.values() for row in rows)]
    for split, name in LIST_NAMES.items():
        write_list(home / name, lists[split], ["file", "label", *used])
    if built.manifest["synthetic"]:
        write_twin_marker(home, corpus, built.configuration, built.count)


def read(source: Path, columns: Mapping[str, str]) -> Iterator[Incoming]:
    """The utterances that lists name.

    Args:
        source: a list, or a folder with ``manifest.csv``, with lists whose names tell their splits, or with one list.
        columns: not needed.

    Raises:
        RawDataError: there is no list, or a list or a file that it names cannot be read.
    """
    for path in [source] if source.is_file() else _lists(source):
        yield from _rows(path)


def _lists(folder: Path) -> list[Path]:
    found = sorted(folder.glob("*.csv"))
    by_split = [path for path in found if split_told_by(path.stem)]
    chosen = [path for path in found if path.name == _MANIFEST] or by_split or found
    if not chosen or (chosen is found and len(found) > 1):
        raise RawDataError(
            f"it holds {len(found)} lists", where=str(folder),
            expected="manifest.csv, or train.csv, devel.csv and test.csv, or one list",
            cure="give the path of the list",
        )  # fmt: skip
    return chosen


def _rows(path: Path) -> Iterator[Incoming]:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RawDataError(f"byte {error.start} is not UTF-8", where=str(path), expected="UTF-8 text") from None
    head = text.split("\n", 1)[0]
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=head.count))
    try:
        titles = [title.strip() for title in reader.fieldnames or ()]
        title = next((t for t in titles if t.lower() in _PATHS), None)
        if title is None:
            raise RawDataError(
                f"no column names the files; it has {', '.join(titles) or 'none'}", where=str(path),
                expected=f"a column {', '.join(_PATHS)}",
            )  # fmt: skip
        reader.fieldnames = titles
        for values in reader:
            yield _item(path, f"{path.name}, line {reader.line_num}", title, values)
    except csv.Error as error:
        raise RawDataError(f"it cannot be read as a table ({error})", where=str(path)) from None


def _item(path: Path, where: str, title: str, values: dict[str, Any]) -> Incoming:
    if None in values or any(value is None for value in values.values()):
        raise RawDataError("a row has not as many columns as the titles", where=where)
    name = relative_name(values.pop(title).strip().replace("\\", "/").removeprefix("./"), where)
    audio = path.parent / name
    if not audio.is_file():
        raise RawDataError(f"there is no file {name}", where=where, cure="correct the path; it starts at the list")
    times: dict[str, float | None] = {}
    for moment in ("start", "end"):
        try:
            times[moment] = float(told) if (told := (values.pop(moment, "") or "").strip()) else None
        except ValueError:
            raise RawDataError(f"{moment} is {told!r}", where=where, expected="seconds") from None
    told = {name: value.strip() for name, value in values.items()}
    return Incoming(name, audio, told, where, split_told_by(path.stem), **times)
