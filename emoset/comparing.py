"""Comparing two data folders: which rows differ, in what, and by how much."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from emoset.audio import pcm_samples
from emoset.errors import DataFolderError
from emoset.progress import Progress
from emoset.schema import COLUMNS, SPLITS
from emoset.shards import built_configurations, read_manifest, read_shard, shard_paths


@dataclass(frozen=True)
class AudioDifference:
    """By how much the samples of one utterance differ.

    Args:
        id: of the utterance.
        frames: numbers of samples, here and there.
        largest: largest difference of a sample, of those that both have, in steps of 16 bits.
        snr: power of the samples over that of the difference, in dB.
    """

    id: str
    frames: tuple[int, int]
    largest: int
    snr: float

    def __str__(self) -> str:
        length = "" if self.frames[0] == self.frames[1] else f"{self.frames[0]} and {self.frames[1]} samples, "
        return f"{self.id}: {length}differs by {self.largest} steps of 16 bits at most, SNR {self.snr:.1f} dB"


@dataclass(frozen=True)
class Comparison:
    """How one configuration differs between two data folders.

    Args:
        configuration: its name.
        rows: ids that both have.
        only_here, only_there: ids that only one of them has.
        columns: column to ids whose value differs, the split among them.
        audio: utterances whose samples differ.
        software: package to its two versions, where they differ.
    """

    configuration: str
    rows: int
    only_here: tuple[str, ...]
    only_there: tuple[str, ...]
    columns: dict[str, tuple[str, ...]]
    audio: tuple[AudioDifference, ...]
    software: dict[str, tuple[str, str]]

    @property
    def same(self) -> bool:
        """Whether all rows are equal."""
        return not (self.only_here or self.only_there or self.columns or self.audio)

    def __str__(self) -> str:
        lines = [f"{self.configuration}: {self.rows} rows in both{', all equal' * self.same}"]
        for what, ids in (("only here", self.only_here), ("only there", self.only_there), *self.columns.items()):
            named = what if what.startswith("only") else f"{what} differs"
            lines += [f"  {named}, {len(ids)}: {', '.join(ids[:5])}{', ...' * (len(ids) > 5)}"] if ids else []
        if self.audio:
            worst = max(self.audio, key=lambda difference: difference.largest)
            lines.append(f"  audio differs in {len(self.audio)} rows; the most: {worst}")
            lines += [f"  software: {name} {here} here, {there} there" for name, (here, there) in self.software.items()]
        return "\n".join(lines)


def compare(
    data_dir: str | Path, other: str | Path, corpora: Sequence[str] | None = None, *, progress: bool = True
) -> list[Comparison]:
    """Compare the rows of two data folders, wherever and with whatever versions they were built.

    Args:
        data_dir: one data folder.
        other: the other one.
        corpora: configurations to compare; default: all of either.
        progress: show a progress bar.

    Raises:
        DataFolderError: one of them lacks a configuration, or cannot be read.

    Example:
        >>> [told] = compare(data, data, ["emodb"], progress=False)
        >>> told.same, told.rows
        (True, 21)
    """
    here, there = Path(data_dir), Path(other)
    names = list(corpora) if corpora else sorted({*built_configurations(here), *built_configurations(there)})
    if not names:
        raise DataFolderError(
            "nothing is built there", where=str(here), expected="a data folder", cure="run 'emoset build' first"
        )
    comparisons = []
    with Progress("compare", len(names), progress) as bar:
        for name in names:
            comparisons.append(_compare(here / name, there / name, name))
            bar.advance()
    return comparisons


def _compare(here: Path, there: Path, name: str) -> Comparison:
    software = [read_manifest(folder).get("software", {}) for folder in (here, there)]
    rows, others = _rows(here), _rows(there)
    columns: dict[str, list[str]] = {}
    audio = []
    common = [each for each in rows if each in others]
    for each in common:
        (table, row, split), (table2, row2, split2) = rows[each], others[each]
        if split != split2:
            columns.setdefault("split", []).append(each)
        for column in COLUMNS:
            if column not in ("audio", "duration") and table[column][row].as_py() != table2[column][row2].as_py():
                if column == "sha256":
                    audio.append(_difference(each, _samples(table, row), _samples(table2, row2)))
                else:
                    columns.setdefault(column, []).append(each)
    differing = sorted({k for told in software for k in told if software[0].get(k) != software[1].get(k)})
    return Comparison(
        name, len(common), tuple(i for i in rows if i not in others), tuple(i for i in others if i not in rows),
        {column: tuple(ids) for column, ids in columns.items()}, tuple(audio),
        {k: (software[0].get(k, "none"), software[1].get(k, "none")) for k in differing},
    )  # fmt: skip


def _rows(folder: Path) -> dict[str, tuple[Any, int, str]]:
    """Id to the table that holds it, its row there, and its split."""
    return {each: place for split in SPLITS for path in shard_paths(folder, split) for each, place in _ids(path, split)}


def _ids(path: Path, split: str) -> Iterator[tuple[str, tuple[Any, int, str]]]:
    table = read_shard(path)
    for row, each in enumerate(table["id"].to_pylist()):
        yield each, (table, row, split)


def _samples(table: Any, row: int) -> np.ndarray[Any, np.dtype[np.int16]]:
    return pcm_samples(table["audio"][row]["bytes"].as_buffer())


def _difference(name: str, here: Any, there: Any) -> AudioDifference:
    both = min(len(here), len(there))
    wide = here[:both].astype(np.int64)
    difference = wide - there[:both]
    noise = float(np.square(difference).sum())
    power = float(np.square(wide).sum())
    snr = 10 * np.log10(max(power, 1e-9) / noise) if noise else float("inf")
    return AudioDifference(name, (len(here), len(there)), int(np.abs(difference).max(initial=0)), float(snr))
