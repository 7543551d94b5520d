"""Selecting: which rows of a loaded corpus are meant, by split, slice and filters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from emoset.errors import EmosetError, UnknownNameError, unknown_name
from emoset.schema import GENDERS, KINDS, SPLITS

ALL: Final = "all"
"""The split that is all splits, one after another."""

Filters: TypeAlias = Mapping[str, Sequence[str]]
"""Column to the values that are kept."""

_WORDS: Final[Mapping[str, Sequence[str]]] = {"gender": GENDERS, "kind": KINDS}
"""Values that a column may have at all."""


def filters_of(**wanted: str | Sequence[str] | None) -> dict[str, list[str]]:
    """What is to be kept, by column; those that are None are left out.

    Raises:
        UnknownNameError: a value that the column cannot have.

    Example:
        >>> filters_of(language="de", gender=None, kind=("acted", "induced"))
        {'language': ['de'], 'kind': ['acted', 'induced']}
    """
    filters = {c: [v] if isinstance(v, str) else list(v) for c, v in wanted.items() if v is not None}
    for column, values in filters.items():
        _check(column, values, _WORDS.get(column, values))
    return filters


def check_present(filters: Filters, tables: Iterable[Any]) -> None:
    """Refuse languages and speakers that no row has.

    Raises:
        UnknownNameError: naming the nearest ones.
    """
    columns = [column for column in filters if column not in _WORDS]
    present: dict[str, set[str]] = {column: set() for column in columns}
    for table in tables if columns else ():
        for column in columns:
            present[column].update(v for v in pc.unique(table[column]).to_pylist() if v is not None)
    for column in columns:
        _check(column, filters[column], present[column])


def _check(column: str, values: Sequence[str], known: Iterable[str]) -> None:
    for value in values:
        if value not in known:
            raise unknown_name(column, value, known)


def ranges(split: str, lengths: Mapping[str, int]) -> list[tuple[str, int, int]]:
    """The parts of a split, as `datasets` understands it: its name, its first row, and the row after its last.

    Args:
        split: such as ``train``, ``train+test``, ``train[:10%]``, ``train[10:20]`` or ``all``.
        lengths: rows of each split.

    Raises:
        UnknownNameError: there is no such split, or it cannot be understood.

    Example:
        >>> ranges("train[50%:]+test", {"train": 10, "test": 4})
        [('train', 5, 10), ('test', 0, 4)]
    """
    known = {**lengths, ALL: sum(lengths.values())}
    try:
        instruction = datasets.ReadInstruction.from_spec(split)
    except (ValueError, AssertionError):
        raise _unreadable(split, lengths) from None
    for name in (part.strip().partition("[")[0].partition("(")[0] for part in split.split("+")):
        if name not in known:
            raise unknown_name("split", name, lengths)
    try:
        return [(part.splitname, part.from_, max(part.from_, part.to)) for part in instruction.to_absolute(known)]
    except (ValueError, AssertionError) as error:
        raise _unreadable(split, lengths, f" ({error})") from None


def _unreadable(split: str, lengths: Mapping[str, int], why: str = "") -> EmosetError:
    return UnknownNameError(
        f"the split {split!r} cannot be understood{why}",
        expected=f"one of {', '.join(lengths)}, all, or slices and sums of them: 'train[:10%]', 'train[10:20]+test'",
    )


def kept(table: Any, filters: Filters) -> Any:
    """Indexes of the rows that pass all filters."""
    masks = [pc.is_in(table[column], value_set=pa.array(values, pa.string())) for column, values in filters.items()]
    mask = masks[0]
    for other in masks[1:]:
        mask = pc.and_(mask, other)
    return np.flatnonzero(mask.to_numpy())


def nothing_left(split: str, where: str, filters: Filters, table: Any) -> EmosetError:
    """The error for a split without rows; it tells what the filters left out."""
    if not filters or not len(table):
        return EmosetError(f"{split} has no rows", where=where, expected="at least one", cure="take a longer slice")
    wanted = ", ".join(f"{column} {' or '.join(values)}" for column, values in filters.items())
    told = []
    for column in filters:
        present = sorted(v for v in pc.unique(table[column]).to_pylist() if v is not None)
        told.append(f"{column} {', '.join(present[:8]) or 'nowhere'}{', ...' if len(present) > 8 else ''}")
    return EmosetError(
        f"no row of {split} is left", where=where, expected=f"rows with {wanted}",
        cure=f"loosen the filters, or take another split; {split} has {'; '.join(told)}",
    )  # fmt: skip


def in_order(splits: Iterable[str]) -> list[str]:
    """Splits in their usual order, each once."""
    return sorted(set(splits), key=SPLITS.index)
