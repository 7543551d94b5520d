"""audformat: a database with schemes, splits and tables, and WAV files.

The header is parsed here, by YAML's safe loader: audformat's own would run what a hostile header says. For the same
reason no pickled table is read.
"""

from __future__ import annotations

import re
import warnings
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from emoset.errors import RawDataError
from emoset.exchange.lists import split_told_by
from emoset.exchange.raw_root import FIELDS, LABELS, Incoming
from emoset.exchange.rows import COLUMN_NAMES, Built, Row, homepage_of, relative_name
from emoset.progress import Progress
from emoset.schema import COLUMNS, SAMPLING_RATE

_HEADER: Final = "db.yaml"
_SPLIT_IDS: Final = {"train": "train", "validation": "dev", "test": "test"}
_OF_EMOTION: Final = (
    "label", "label_raw", "emotion", "arousal", "valence", "activation", "pleasure", "dominance",
)  # fmt: skip
"""Columns of the tables ``emotion.train`` and so on; the table ``files`` has all others."""

_CLOSED: Final = ("label", "emotion", "arousal", "valence", "speaker", "gender")
"""Columns whose scheme lists all values."""

_Place = tuple[str, float | None, float | None]
"""File, start and end; no start and no end for a whole file."""


def write(built: Built, folder: Path, bar: Progress) -> None:
    """Write ``db.yaml``, the tables ``files`` and ``emotion.<split>`` as Parquet, and the audio to ``wav/``.

    Args:
        built: what to write.
        folder: to write to.
        bar: counts utterances.
    """
    import audformat

    rows: list[Row] = []
    for split in built.splits:
        for row in built.rows(split):
            path = folder / _file_of(row)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(row.wav)
            rows.append(Row(row.split, row.key, b"", row.values))
            bar.advance()
    told = built.manifest
    database = audformat.Database(
        built.configuration, source=homepage_of(built), usage=audformat.define.Usage.OTHER,
        languages=_languages({str(row.values["language"]) for row in rows}), description=told["title"],
        license=told["licence"], meta={"citation": told["citation"], "recipe_version": told["recipe_version"]},
    )  # fmt: skip
    database.media["audio"] = audformat.Media(
        type="audio", format="wav", sampling_rate=SAMPLING_RATE, channels=1, bit_depth=16
    )
    for name in COLUMN_NAMES:
        values = sorted({row.values[name] for row in rows if row.values[name] is not None}) if name in _CLOSED else []
        kind = "str" if COLUMNS.get(name) in (None, COLUMNS["id"]) else "float"
        database.schemes[name] = audformat.Scheme(labels=values) if values else audformat.Scheme(kind)
    _fill(database, "files", rows, [name for name in COLUMN_NAMES if name not in _OF_EMOTION])
    for split in built.splits:
        name = _SPLIT_IDS[split]
        database.splits[name] = audformat.Split(name)
        _fill(database, f"emotion.{name}", [row for row in rows if row.split == split], _OF_EMOTION, name)
    database.save(str(folder), storage_format=audformat.define.TableStorageFormat.PARQUET)


def read(source: Path, columns: Mapping[str, str]) -> Iterator[Incoming]:
    """The files or segments that have a label; of them, what all tables tell.

    Args:
        source: the folder of the database, or its header.
        columns: field to the name of its column, as ``column``, or as ``table.column`` where tables disagree.

    Raises:
        RawDataError: the header or a table could run code, is damaged, or tells contradictions.
    """
    path = source / _HEADER if source.is_dir() else source
    database = _loaded(path)
    with _our_errors(path):
        found, splits = _joined(database, columns)
    labels = _labels(columns)
    labelled = [place for place, values in found.items() if any(name in values for name in labels)]
    if not labelled:
        names = ", ".join(sorted({name for values in found.values() for name in values}))
        raise RawDataError(
            f"no table has a column {' or '.join(labels)}", where=str(path), expected=f"one of {names or 'none'}",
            cure="name the column that tells the label, as in label=NAME",
        )  # fmt: skip
    for file, start, end in labelled:
        where = f"{path.name}, {file}"
        audio = path.parent / relative_name(file, where)
        if not audio.is_file():
            raise RawDataError(f"there is no file {file}", where=where, cure="put the audio beside the header")
        whole = (file, None, None)
        among = splits[file, start, end] or splits[whole]
        if len(among) > 1:
            raise RawDataError(f"it is in {' and '.join(sorted(among))}", where=where, expected="one split")
        told = {**found.get(whole, {}), **found[file, start, end]}
        yield Incoming(file, audio, told, where, next(iter(among), None), start, end)


def _labels(columns: Mapping[str, str]) -> tuple[str, ...]:
    return (columns["label"],) if "label" in columns else LABELS


def _file_of(row: Row) -> str:
    return f"wav/{row.key}.wav"


def _fill(database: Any, name: str, rows: list[Row], columns: Sequence[str], split: str | None = None) -> None:
    """Give a database a table of files."""
    import audformat

    index = audformat.filewise_index([_file_of(row) for row in rows])
    database[name] = table = audformat.Table(index, split_id=split, media_id="audio")
    for column in columns:
        table[column] = audformat.Column(scheme_id=column)
        table[column].set([row.values[column] for row in rows])


def _languages(tags: set[str]) -> list[str]:
    """The three-letter codes of those that have one."""
    import audformat

    codes = set()
    for tag in tags:
        try:
            codes.add(audformat.utils.map_language(tag.partition("-")[0]))
        except ValueError:
            continue
    return sorted(codes)


def _loaded(path: Path) -> Any:
    """A database with all its tables, none of which was pickled."""
    import audformat
    import yaml

    try:
        header = yaml.safe_load(path.read_bytes())
    except FileNotFoundError:
        raise RawDataError("there is no header", where=str(path), expected="a file db.yaml") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        told = " ".join(str(getattr(error, "problem", error)).split())
        raise RawDataError(
            f"the header is refused ({told})", where=str(path), expected="plain YAML without tags that could run code"
        ) from None
    with _our_errors(path):
        database = audformat.Database.load_header_from_yaml(header)
        for name in (*database.misc_tables, *database.tables):
            stem = f"{path.stem}.{name}"
            if not re.fullmatch(r"[\w.-]+", name):
                raise RawDataError(f"a table is called {name!r}", where=str(path), expected="a plain name")
            if (path.parent / f"{stem}.pkl").exists():
                raise RawDataError(
                    "a pickled table is refused, since it could run code", where=str(path.parent / f"{stem}.pkl"),
                    cure="remove it if the table is there as CSV or Parquet too, else ask its owner for that",
                )  # fmt: skip
            database[name].load(str(path.parent / stem))
    return database


@contextmanager
def _our_errors(path: Path) -> Iterator[None]:
    """Whatever audformat stumbles over is the database's fault, and it is named."""
    try:
        yield
    except RawDataError:
        raise
    except Exception as error:
        raise RawDataError(
            f"it cannot be read as an audformat database ({type(error).__name__}: {str(error)[:100]})", where=str(path),
            cure="get it again",
        ) from None  # fmt: skip


def _joined(database: Any, columns: Mapping[str, str]) -> tuple[dict[_Place, dict[str, Any]], dict[_Place, set[str]]]:
    """What all tables tell of each file or segment, and the splits that it is in."""
    found: dict[_Place, dict[str, Any]] = defaultdict(dict)
    splits: dict[_Place, set[str]] = defaultdict(set)
    differing: dict[str, set[str]] = defaultdict(set)
    wanted = {*_labels(columns), *(columns.get(field, field) for field in FIELDS if field != "label")}
    for name, table in database.tables.items():
        split = database.splits[table.split_id].type if table.split_id else split_told_by(name)
        for place, values in _rows(database, table):
            splits[place] |= {split} if split and split != "other" else set()
            for column, value in values.items():
                qualified = f"{name}.{column}"
                if qualified in columns.values():
                    found[place][qualified] = value
                elif found[place].setdefault(column, value) != value:
                    differing[column].add(qualified)
    for column, qualified_names in differing.items():
        if column in wanted:
            raise RawDataError(
                f"tables tell different {column} of a file", cure=f"choose one by name, such as {min(qualified_names)}"
            )
        warnings.warn(f"the column {column!r} is left out, since tables tell different ones", stacklevel=2)
        for values in found.values():
            values.pop(column, None)
    return found, splits


def _rows(database: Any, table: Any) -> Iterator[tuple[_Place, dict[str, Any]]]:
    """Place and values of each row, with what a scheme tells of a value, such as the gender of a speaker."""
    told_by_value = {}
    for name, column in table.columns.items():
        labels = database.schemes[column.scheme_id].labels if column.scheme_id else None
        if isinstance(labels, str):
            labels = database.misc_tables[labels].df.to_dict("index")
        if isinstance(labels, dict):
            told_by_value[name] = {value: told for value, told in labels.items() if isinstance(told, dict)}
    frame = table.df.reset_index()
    for record in frame.to_dict("records"):
        values = {name: value for name, raw in record.items() if (value := _plain(raw)) is not None}
        place = (str(values.pop("file")), values.pop("start", 0.0) or None, values.pop("end", None))
        for name, by_value in told_by_value.items():
            for attribute, raw in by_value.get(values.get(name), {}).items():
                if (value := _plain(raw)) is not None:
                    values.setdefault(str(attribute), value)
        yield place, values


def _plain(value: Any) -> Any:
    """A value as Python has it; times as seconds, dates as text, None if it is absent."""
    import pandas as pd

    if not pd.api.types.is_scalar(value) or pd.isna(value):
        return None
    if isinstance(value, pd.Timedelta):
        return value.total_seconds()
    value = value.item() if hasattr(value, "item") else value
    return value if isinstance(value, str | int | float) else str(value)
