"""Figures: what is counted of a built corpus, from its manifest and from every row of its shards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from emoset.audio import Sanity, Sound, sanity
from emoset.errors import DataFolderError
from emoset.schema import SAMPLING_RATE, SPLITS, WAV_HEADER_BYTES
from emoset.shards import read_manifest, read_shard

_COLUMNS: Final = (
    "id", "label", "label_raw", "emotion", "speaker", "gender", "language", "kind", "text", "duration",
)  # fmt: skip
_CURE: Final = "run 'emoset verify' on the folder, then build the corpus again"


@dataclass(frozen=True, slots=True)
class Row:
    """What is told of an utterance, and where its audio lies.

    Args:
        id, label, label_raw, emotion, speaker, gender, language, kind, text, duration: columns of the shard.
        split: its split.
        sound: measures of its samples.
        shard: file that holds it.
        place: number of its row in that file.
    """

    id: str
    label: str
    label_raw: str | None
    emotion: str | None
    speaker: str | None
    gender: str | None
    language: str | None
    kind: str | None
    text: str | None
    duration: float
    split: str
    sound: Sanity
    shard: Path
    place: int


@dataclass(frozen=True)
class Corpus:
    """A built configuration, without its audio.

    Args:
        name: of the configuration.
        manifest: as built.
        rows: of all splits.
    """

    name: str
    manifest: Mapping[str, Any]
    rows: tuple[Row, ...]

    @property
    def splits(self) -> list[str]:
        """The splits that it has, in order."""
        return [split for split in SPLITS if split in self.manifest["splits"]]

    @property
    def seconds(self) -> float:
        """Duration of all of it."""
        return sum(row.sound.seconds for row in self.rows)

    @property
    def speakers(self) -> set[str]:
        """The speakers that are known."""
        return {row.speaker for row in self.rows if row.speaker}

    @property
    def must_stay_here(self) -> bool:
        """Whether it holds recordings that must not be passed on."""
        return not self.manifest["synthetic"] and not self.manifest.get("redistribute", False)

    def by_split(self, rows: Iterable[Row]) -> dict[str, int]:
        """How many of these rows each split has."""
        counts = Counter(row.split for row in rows)
        return {split: counts[split] for split in self.splits}

    def classes(self) -> dict[str, dict[str, int]]:
        """Class to split to number of utterances, classes in alphabetical order."""
        counts = Counter((row.label, row.split) for row in self.rows)
        return {label: {s: counts[label, s] for s in self.splits} for label in sorted({label for label, _ in counts})}

    def emotions(self) -> dict[str, str]:
        """Class to the emotion that it stands for, where it has one."""
        return {row.label: row.emotion for row in self.rows if row.emotion}

    def genders(self) -> dict[str, dict[str, int]]:
        """Gender to split to number of speakers; those whose gender is not known come last."""
        pairs = {(row.gender or "not known", row.split, row.speaker) for row in self.rows if row.speaker}
        counts = Counter((gender, split) for gender, split, _ in pairs)
        found = sorted({gender for gender, _ in counts}, key=lambda gender: (gender == "not known", gender))
        return {gender: {s: counts[gender, s] for s in self.splits} for gender in found}

    def per_speaker(self) -> dict[str, list[tuple[str, int]]]:
        """Split to its speakers with their numbers of utterances, most first."""
        counts = Counter((row.split, row.speaker) for row in self.rows if row.speaker)
        ranked = sorted(counts.items(), key=lambda item: (-item[1], str(item[0][1])))
        return {s: [(str(who), count) for (split, who), count in ranked if split == s] for s in self.splits}

    def values(self, of: Callable[[Row], float]) -> dict[str, NDArray[np.float64]]:
        """Split to a value of each of its rows."""
        return {s: np.array([of(row) for row in self.rows if row.split == s], np.float64) for s in self.splits}


def read_corpus(folder: Path, advance: Callable[[int], None] = lambda _: None) -> Corpus:
    """Read and measure every row of a built configuration; keeps no audio in memory.

    Args:
        folder: of the configuration.
        advance: told of rows that are done, how many.

    Raises:
        DataFolderError: a file is damaged, or the rows are not those that the manifest counts.
    """
    manifest = read_manifest(folder)
    rows: list[Row] = []
    for name in sorted(manifest["shards"], key=_order):
        found = list(_read_rows(folder / name, name.rsplit("-", 1)[0]))
        advance(len(found))
        rows += found
    corpus = Corpus(folder.name, manifest, tuple(rows))
    counted = {s: {label: counts[s] for label, counts in corpus.classes().items() if counts[s]} for s in corpus.splits}
    told = {split: dict(facts["classes"]) for split, facts in manifest["splits"].items()}
    if not rows or counted != told or len(rows) != sum(split["utterances"] for split in manifest["splits"].values()):
        raise DataFolderError(
            "the rows of the shards are not those that were built", where=str(folder),
            expected="as many of each class and split as the manifest says", cure=_CURE,
        )  # fmt: skip
    return corpus


def samples_of(row: Row) -> NDArray[np.int16]:
    """The stored samples of an utterance.

    Raises:
        DataFolderError: they cannot be read.
    """
    table = read_shard(row.shard)
    value = table["audio"][row.place]
    return _samples(value["bytes"].as_buffer(), row.shard, row.place)


def _order(name: str) -> tuple[int, str]:
    split = name.rsplit("-", 1)[0]
    return (SPLITS.index(split) if split in SPLITS else len(SPLITS), name)


def _read_rows(path: Path, split: str) -> Iterator[Row]:
    table = read_shard(path)
    try:
        told = table.select([*_COLUMNS, "audio"])
        told.validate(full=True)  # damaged offsets would lead anywhere
    except (pa.ArrowException, KeyError, ValueError) as error:
        raise DataFolderError(
            f"the shard is damaged ({str(error).splitlines()[0]})", where=str(path), cure=_CURE
        ) from None
    rows = zip(*(told[name].to_pylist() for name in _COLUMNS), strict=True)
    buffers = (value.as_buffer() for chunk in told["audio"].chunks for value in chunk.field("bytes"))
    for place, (cells, buffer) in enumerate(zip(rows, buffers, strict=True)):
        sound = sanity(Sound(_samples(buffer, path, place), "", SAMPLING_RATE, 1, 0))
        columns: dict[str, Any] = dict(zip(_COLUMNS, cells, strict=True))
        yield Row(**columns, split=split, sound=sound, shard=path, place=place)


def _samples(buffer: Any, path: Path, place: int) -> NDArray[np.int16]:
    head = buffer[:WAV_HEADER_BYTES].to_pybytes() if buffer is not None else b""
    if head[:4] != b"RIFF" or head[36:40] != b"data" or len(buffer) < WAV_HEADER_BYTES + 2:
        raise DataFolderError(f"row {place} is not stored as a canonical 16-bit WAV", where=str(path), cure=_CURE)
    count = (len(buffer) - WAV_HEADER_BYTES) // 2
    return np.frombuffer(buffer, "<i2", count, WAV_HEADER_BYTES).astype(np.int16, copy=False)
