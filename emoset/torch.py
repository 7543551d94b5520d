"""The fast path for training: utterances of a built corpus as a PyTorch dataset, sliced out of the memory map."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor
from torch.utils.data import Dataset

from emoset.errors import DataFolderError, EmosetError, NotBuiltError, unknown_name
from emoset.schema import LABEL_COLUMNS, SAMPLING_RATE, WAV_HEADER_BYTES
from emoset.shards import built_configurations, default_data_dir, read_manifest, read_shard, shard_paths, split_names
from emoset.summary import remarks

Crop: TypeAlias = Literal["random", "centre", "whole"]
Item: TypeAlias = dict[str, Any]

_SCALE = np.float32(1 / 32768)


class UtteranceDataset(Dataset[Item]):
    """The utterances of one split of a built corpus.

    Nothing is decoded or copied but the samples that an item needs. The object holds no Python object per
    row, can be pickled, and opens its files anew in every process.

    Args:
        name: corpus or variant, such as ``emodb``.
        split: ``train``, ``validation`` or ``test``.
        data_dir: data folder; default: ``$EMOSET_HOME``, else the user's cache.
        labels: column of the labels: ``label``, ``emotion``, ``arousal``, ``valence`` or ``label_raw``. Rows
            in which it is null are left out; ``left_out`` counts them.
        window: seconds of a crop; None: whole utterances.
        crop: where the window lies: ``random`` (uniformly), ``centre``, or ``whole`` to ignore the window.
        seed: of the random crops, which depend on it, the epoch and the index alone.

    Raises:
        NotBuiltError: the corpus is not built in that folder.
        UnknownNameError: no such split, label column or crop.
        DataFolderError: a shard cannot be read, or lacks rows.

    Example:
        >>> UtteranceDataset("emodb", "train", data_dir="no-such-folder")
        Traceback (most recent call last):
        ...
        emoset.errors.NotBuiltError: no-such-folder: emodb is not built there; expected ... 'emoset build ...
    """

    def __init__(
        self,
        name: str,
        split: str,
        *,
        data_dir: str | Path | None = None,
        labels: str = "label",
        window: float | None = None,
        crop: Crop = "random",
        seed: int = 0,
    ) -> None:
        root = Path(data_dir) if data_dir is not None else default_data_dir()
        folder = root / name
        if not folder.is_dir():
            built = ", ".join(built_configurations(root)) or "nothing"
            raise NotBuiltError(
                f"{name} is not built there", where=str(root), expected=f"the folder {name}/ (built: {built})",
                cure=f"run 'emoset build {name} --out {root}'",
            )  # fmt: skip
        if labels not in LABEL_COLUMNS:
            raise unknown_name("label column", labels, LABEL_COLUMNS)
        if crop not in get_args(Crop):
            raise unknown_name("crop", crop, get_args(Crop))
        if window is not None and window <= 0:
            raise EmosetError(f"a window of {window} seconds", where=name, expected="more than 0, or None")
        if split not in (splits := split_names(folder)):
            raise unknown_name("split", split, splits)
        self.name, self.split, self.seed, self.epoch, self.crop = name, split, seed, 0, crop
        self.window = None if window is None or crop == "whole" else max(round(window * SAMPLING_RATE), 1)
        self._paths = shard_paths(folder, split)
        self._buffers: list[pa.Buffer] | None = None
        tables = {s: [read_shard(path) for path in shard_paths(folder, s)] for s in splits}
        self.classes: tuple[str, ...] = _classes(tables, labels)
        manifest = read_manifest(folder)
        told = ("recipe_version", "split_hash", "partial", "synthetic")
        self.build = {key: manifest.get(key) for key in told}
        if remark := remarks({**manifest, "speaker_independent": True}):
            warnings.warn(f"{name}: {remark}", stacklevel=2)
        expected = manifest["splits"][split]["utterances"]
        if (found := sum(table.num_rows for table in tables[split])) != expected:
            raise DataFolderError(
                f"{found} rows in the shards of {split}", where=str(folder), expected=f"the manifest's {expected}",
                cure="run 'emoset verify' on the folder, then build the corpus again",
            )  # fmt: skip
        self._index(tables[split], labels)

    def _index(self, tables: Sequence[pa.Table], labels: str) -> None:
        """Note for every row its label, its buffer and where in it the samples lie."""
        names, parts, offsets = pa.array(self.classes, pa.string()), [], []
        chunks = [chunk for table in tables for chunk in table["audio"].chunks]
        for chunk in chunks:
            audio = chunk.field("bytes")
            if audio.null_count:
                raise self._unreadable("rows without audio")
            ends = np.frombuffer(audio.buffers()[1], np.int32)[audio.offset : audio.offset + len(audio) + 1]
            offsets.append(ends.astype(np.int64))
        codes = [pc.index_in(c, names).fill_null(-1).to_numpy() for t in tables for c in t[labels].chunks]
        kept = np.flatnonzero(np.concatenate(codes) >= 0) if codes else np.empty(0, np.intp)
        self.left_out = sum(len(c) for c in codes) - len(kept)
        parts = [np.full(len(o) - 1, number, np.int32) for number, o in enumerate(offsets)]
        empty = [np.empty(0, np.int64)]
        self._buffer_of = np.concatenate([*parts, *empty]).astype(np.int32)[kept]
        self._starts = np.concatenate([*(o[:-1] for o in offsets), *empty])[kept] + WAV_HEADER_BYTES
        self._ends = np.concatenate([*(o[1:] for o in offsets), *empty])[kept]
        self.labels: npt.NDArray[np.int64] = np.concatenate([*codes, *empty])[kept].astype(np.int64)
        self._buffers = [chunk.field("bytes").buffers()[2] for chunk in chunks]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> Item:
        """One utterance: ``audio``, float32 (n,) in [-1, 1); ``label``, its class index; ``length``.

        ``n`` is the window, with zeros after a shorter signal, or else the whole utterance; ``length`` is
        the number of samples before those zeros.
        """
        if not -len(self) <= index < len(self):
            raise IndexError(f"index {index} of {len(self)} utterances")
        index %= len(self)
        samples = self._samples(index)
        length = self.window or len(samples)
        spare = max(len(samples) - length, 0)
        start = spare // 2
        if self.crop == "random" and spare:
            start = int(np.random.default_rng([self.seed, self.epoch, index]).integers(0, spare + 1))
        part = samples[start : start + length]
        audio = np.zeros(length, dtype=np.float32)
        np.multiply(part, _SCALE, out=audio[: len(part)], dtype=np.float32)
        return {"audio": torch.from_numpy(audio), "label": int(self.labels[index]), "length": len(part)}

    def _samples(self, index: int) -> npt.NDArray[np.int16]:
        """The stored samples, as a view of the memory map."""
        if self._buffers is None:
            tables = [read_shard(path) for path in self._paths]
            self._buffers = [chunk.field("bytes").buffers()[2] for t in tables for chunk in t["audio"].chunks]
        start, end = int(self._starts[index]), int(self._ends[index])
        data = self._buffers[self._buffer_of[index]]
        header = data[start - WAV_HEADER_BYTES : start].to_pybytes() if end >= start else b""
        if header[:4] != b"RIFF" or header[36:40] != b"data":
            raise self._unreadable(f"row {index} is not stored as a canonical 16-bit WAV")
        return np.frombuffer(data, "<i2", count=(end - start) // 2, offset=start)

    def _unreadable(self, got: str) -> DataFolderError:
        where = ", ".join(map(str, self._paths))
        return DataFolderError(got, where=where, cure=f"build again with 'emoset build {self.name}'")

    def set_epoch(self, epoch: int) -> None:
        """Choose other random crops, the same for the same epoch. Call it before the loader starts its workers."""
        self.epoch = epoch

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_buffers": None}

    def __repr__(self) -> str:
        return f"UtteranceDataset({self.name!r}, {self.split!r}: {len(self)} utterances, {len(self.classes)} classes)"


def _classes(tables: dict[str, list[pa.Table]], labels: str) -> tuple[str, ...]:
    """The sorted union of a label column over all splits."""
    found: set[str] = set()
    for table in (table for split in tables.values() for table in split):
        found.update(value for value in pc.unique(table[labels]).to_pylist() if value is not None)
    return tuple(sorted(found))


def collate(items: Sequence[Item]) -> dict[str, Tensor]:
    """Items as one batch, with zeros after the shorter signals.

    Args:
        items: of ``UtteranceDataset``, one or more.

    Returns:
        ``audio``, float32 (batch, longest); ``label`` and ``length``, int64 (batch,).

    Example:
        >>> batch = collate([{"audio": torch.ones(n), "label": 0, "length": n} for n in (1, 3)])
        >>> batch["audio"].tolist()
        [[1.0, 0.0, 0.0], [1.0, 1.0, 1.0]]
    """
    waves = [item["audio"] for item in items]
    audio = torch.nn.utils.rnn.pad_sequence(waves, batch_first=True)
    return {
        "audio": audio,
        "label": torch.tensor([item["label"] for item in items]),
        "length": torch.tensor([item["length"] for item in items]),
    }
