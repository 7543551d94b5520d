"""Lists: the tables of a raw root, as `emoset.listing` reads them, and the words in file names."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from emoset.reading import TWIN_MARKER
from emoset.schema import SPLITS
from emoset.words import split_name

LIST_NAMES: Final = {"train": "train.csv", "validation": "devel.csv", "test": "test.csv"}
"""The lists of the EmoNet layout, by split."""


def split_told_by(name: str) -> str | None:
    """The split that a file's or table's name tells by one of its words; None if none or several do.

    Example:
        >>> split_told_by("emotion.dev.gold"), split_told_by("shard-000000")
        ('validation', None)
    """
    found = {split_name(word) for word in re.split(r"[^a-z]+", name.lower())} & set(SPLITS)
    return found.pop() if len(found) == 1 else None


def write_list(path: Path, rows: Sequence[Mapping[str, str]], titles: Sequence[str]) -> None:
    """Write a list that `emoset.listing` reads."""
    text = io.StringIO()
    # A carriage return counts as the end of a row unless it is quoted.
    writers = [csv.writer(text, lineterminator="\n", quoting=how) for how in (csv.QUOTE_MINIMAL, csv.QUOTE_ALL)]
    writers[0].writerow(titles)
    for row in rows:
        values = [row.get(title, "") for title in titles]
        writers[any("\r" in value for value in values)].writerow(values)
    path.write_bytes(text.getvalue().encode())


def write_twin_marker(folder: Path, corpus: str, configuration: str, count: int) -> None:
    """Mark a raw root as synthetic."""
    marker = {"configurations": {corpus: {}, configuration: {"utterances": count}}}
    (folder / TWIN_MARKER).write_text(json.dumps(marker, indent=1) + "\n", "utf-8")


def is_title(name: str) -> bool:
    """Whether a list can have a column of this name."""
    return re.fullmatch(r"[\w.-]+", name) is not None


def text_of(value: Any) -> str:
    """The text of a value in a list; of an absent one, NaN among them, the empty text.

    Example:
        >>> text_of(31.0), text_of(2.5), text_of(None)
        ('31', '2.5', '')
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
