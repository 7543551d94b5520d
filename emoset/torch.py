"""The fast path for training: utterances of built corpora as a PyTorch dataset, sliced out of the memory map."""

from __future__ import annotations

import mmap
import warnings
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Self, TypeAlias, get_args

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from emoset.collating import Batch, Item, Memory, collate, mask
from emoset.errors import DataFolderError, EmosetError, NotBuiltError, unknown_name
from emoset.samplers import (
    BalancedSampler,
    BatchSampler,
    BucketSampler,
    RoundRobinSampler,
    ShuffleSampler,
    speaker_folds,
)
from emoset.schema import LABEL_COLUMNS, SAMPLING_RATE, WAV_HEADER_BYTES
from emoset.shards import built_configurations, default_data_dir, read_manifest, read_shard, shard_paths, split_names
from emoset.summary import remarks

if TYPE_CHECKING:
    from emoset.augmentation import Augmentation

__all__ = [
    "BalancedSampler", "Batch", "BatchSampler", "BucketSampler", "Crop", "Item", "Loader", "RoundRobinSampler",
    "ShuffleSampler", "UtteranceDataset", "collate", "mask", "speaker_folds",
]  # fmt: skip

Crop: TypeAlias = Literal["random", "centre", "whole"]
Ints: TypeAlias = npt.NDArray[np.int64]

_NEAR: Final = 2**17
"""Samples that stay in a processor's own cache."""

_SCALE = np.float32(1 / 32768)
_HEADER = WAV_HEADER_BYTES // 2
"""Length of a WAV header, in the 16-bit units of a view of the memory map."""


class UtteranceDataset(Dataset[Item]):
    """The utterances of one split of a built corpus, or of several corpora one after another.

    Nothing is decoded or copied but the samples that an item needs. The object holds arrays and no Python object per
    row, can be pickled, and maps its files anew in every process. A ``DataLoader`` with `collate` reads whole batches
    at once.

    Args:
        name: corpus or variant, such as ``emodb``, or a sequence of them. With a sequence, items also tell their
            ``corpus``, an index into ``corpora``.
        split: ``train``, ``validation`` or ``test``; ``train+validation`` joins them, ``all`` is all of them.
        data_dir: data folder; default: ``$EMOSET_HOME``, else the user's cache.
        labels: column of the labels: ``label``, ``emotion``, ``arousal``, ``valence`` or ``label_raw``. Rows
            in which it is null are left out; ``left_out`` counts them.
        window: seconds of a crop; None: whole utterances.
        crop: where the window lies: ``random`` (uniformly), ``centre``, or ``whole`` to ignore the window.
        seed: of the random crops, which depend on it, the epoch and the index alone.
        augment: applied to the crop before zeros fill the window; what it makes longer than the window loses its end.
        own_classes: True: labels count within the classes of their own corpus, ``classes_of[corpus]``, for models
            with a head per corpus; False: within the union, ``classes``.

    Attributes:
        classes: the label column's values in all splits of all corpora, sorted.
        classes_of: the same of each corpus alone.
        labels: int64 (utterances,), class indexes.
        lengths: int32 (utterances,), samples of the whole utterance.
        speakers: int32 (utterances,), indexes into ``speaker_names``, or -1 where the speaker is unknown.
        corpus: int16 (utterances,), indexes into ``corpora``.
        build: version, split hash and flags of the build; by corpus where a sequence was given.

    Raises:
        NotBuiltError: a corpus is not built in that folder.
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
        name: str | Sequence[str],
        split: str,
        *,
        data_dir: str | Path | None = None,
        labels: str = "label",
        window: float | None = None,
        crop: Crop = "random",
        seed: int = 0,
        augment: Augmentation | None = None,
        own_classes: bool = False,
    ) -> None:
        root = Path(data_dir) if data_dir is not None else default_data_dir()
        self.several = not isinstance(name, str)
        self.corpora: tuple[str, ...] = tuple(name) if self.several else (str(name),)
        self.name = " + ".join(self.corpora)
        if not self.corpora or len(set(self.corpora)) < len(self.corpora):
            raise EmosetError(
                f"the corpora {self.corpora}", where=str(root), expected="at least one, each of them once"
            )
        if labels not in LABEL_COLUMNS:
            raise unknown_name("label column", labels, LABEL_COLUMNS)
        if crop not in get_args(Crop):
            raise unknown_name("crop", crop, get_args(Crop))
        if window is not None and window <= 0:
            raise EmosetError(f"a window of {window} seconds", where=self.name, expected="more than 0, or None")
        self.split, self.seed, self.crop, self.augment, self.own_classes = split, seed, crop, augment, own_classes
        self.window = None if window is None or crop == "whole" else max(round(window * SAMPLING_RATE), 1)
        self._epoch = _shared(torch.zeros((), dtype=torch.int64))
        found = [_Corpus(root, name, split, labels) for name in self.corpora]
        self.classes_of = {name: corpus.classes for name, corpus in zip(self.corpora, found, strict=True)}
        self.classes: tuple[str, ...] = tuple(sorted({value for corpus in found for value in corpus.classes}))
        builds = {name: corpus.build for name, corpus in zip(self.corpora, found, strict=True)}
        self.build: dict[str, Any] = builds if self.several else builds[self.name]
        for name, corpus in zip(self.corpora, found, strict=True):
            if corpus.remark:
                warnings.warn(f"{name}: {corpus.remark}", stacklevel=2)
        self._paths = [path for corpus in found for path in corpus.shards]
        self.speaker_names: tuple[str, ...] = tuple(sorted({name for corpus in found for name in corpus.speakers}))
        self._index(found, labels)
        self._views: list[npt.NDArray[np.int16]] | None = None
        self._memory = Memory()

    def _index(self, found: Sequence[_Corpus], labels: str) -> None:
        """Note for every row its label and speaker, and where in which file its samples lie."""
        names = pa.array(self.speaker_names, pa.string())
        parts: list[tuple[npt.NDArray[Any], ...]] = [tuple(np.empty(0, np.int64) for _ in range(6))]
        for number, corpus in enumerate(found):
            classes = pa.array(corpus.classes if self.own_classes else self.classes, pa.string())
            for path in corpus.shards:
                shard, size = self._paths.index(path), path.stat().st_size
                for batch in read_shard(path).select(["audio", labels, "speaker"]).to_batches():
                    starts, ends = _places(batch.column(0), path, size)
                    label, speaker = (
                        pc.index_in(batch.column(i), value_set=values).fill_null(-1).to_numpy(zero_copy_only=False)
                        for i, values in ((1, classes), (2, names))
                    )
                    odd = starts % 2
                    lengths = np.where(ends < starts, -1, (ends - starts) // 2)
                    parts.append(
                        (2 * shard + odd, (starts - odd) // 2, lengths, label, speaker, np.full(len(starts), number))
                    )
        view, start, length, label, speaker, corpora = (np.concatenate(column) for column in zip(*parts, strict=True))
        kept = label >= 0
        self.left_out = int(len(kept) - kept.sum())
        self._view_of: npt.NDArray[np.int32] = view[kept].astype(np.int32)
        self._starts: Ints = start[kept].astype(np.int64)
        self.lengths: npt.NDArray[np.int32] = length[kept].astype(np.int32)
        self.labels: Ints = label[kept].astype(np.int64)
        self.speakers: npt.NDArray[np.int32] = speaker[kept].astype(np.int32)
        self.corpus: npt.NDArray[np.int16] = corpora[kept].astype(np.int16)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def seconds(self) -> npt.NDArray[np.float32]:
        """Durations of the whole utterances, float32 (utterances,)."""
        return self.lengths.astype(np.float32) / np.float32(SAMPLING_RATE)

    @property
    def epoch(self) -> int:
        """The epoch that the random crops and the augmentation are drawn for."""
        return int(self._epoch)

    def set_epoch(self, epoch: int) -> None:
        """Choose other random crops and augmentations, the same for the same epoch; persistent workers hear of it.

        Call it between epochs: what workers have still to read for the last one would be drawn anew.
        """
        self._epoch.fill_(epoch)

    def select(self, rows: npt.ArrayLike) -> Self:
        """The dataset of some of the rows, in that order: a fold, a speaker, one corpus of several.

        Its crops and augmentations go by the indexes in the selection.

        Args:
            rows: indexes, or one truth value per row.

        Raises:
            IndexError: no such row.
            EmosetError: more or fewer truth values than rows.

        Example:
            >>> train = UtteranceDataset("emodb", "train", data_dir=data)
            >>> first = train.select(train.speakers == 0)
            >>> sorted(set(first.speakers.tolist())), first.classes == train.classes
            ([0], True)
        """
        chosen = np.asarray(rows)
        if chosen.dtype == bool and chosen.shape != (len(self),):
            raise EmosetError(
                f"truth values of shape {chosen.shape}", where=f"select, {self.name}, {self.split}",
                expected=f"one for each of {len(self)} utterances",
            )  # fmt: skip
        chosen = np.flatnonzero(chosen) if chosen.dtype == bool else self._rows(chosen)
        new = self.__copy__()
        for name in ("_view_of", "_starts", "lengths", "labels", "speakers", "corpus"):
            setattr(new, name, getattr(self, name)[chosen])
        return new

    def __getitem__(self, index: int) -> Item:
        """One utterance: ``audio``, float32 (n,) in [-1, 1); ``label``, its class index; ``length``.

        ``n`` is the window, with zeros after a shorter signal, or else the whole utterance; ``length`` is
        the number of samples before those zeros. With several corpora also ``corpus``.
        """
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        """Many utterances at once, as a ``DataLoader`` asks for them; `collate` gives them as they are."""
        rows = self._rows(indices)
        views = self._opened(rows)
        length = self.lengths[rows].astype(np.int64)
        start = self._starts[rows]
        if self.window:
            spare = np.maximum(length - self.window, 0)
            start += _drawn(self.seed, self.epoch, rows, spare + 1) if self.crop == "random" else spare // 2
            length -= spare
        where = zip(self._view_of[rows].tolist(), start.tolist(), (start + length).tolist(), strict=True)
        parts: list[npt.NDArray[Any]] = [views[view][begin:end] for view, begin, end in where]
        if self.augment is not None:
            epoch, numbered = self.epoch, zip(rows.tolist(), parts, strict=True)
            parts = [self.augment(part * _SCALE, epoch=epoch, index=row)[: self.window] for row, part in numbered]
            length = np.array([len(part) for part in parts], dtype=np.int64)
        width = self.window or int(length.max(initial=0))
        audio = self._memory.take(len(rows), width)
        flat, some = audio.reshape(-1), max(_NEAR // max(width, 1), 1)
        full = bool((length == width).all())
        for first in range(0, len(rows), some):
            block, chosen = flat[first * width : (first + some) * width], parts[first : first + some]
            if full:
                np.concatenate(chosen, out=block)
            else:
                for out, part in zip(block.reshape(len(chosen), width), chosen, strict=True):
                    out[: len(part)], out[len(part) :] = part, 0
            if self.augment is None:  # a second pass, while they are in the cache, is faster than to do both at once
                np.multiply(block, _SCALE, out=block)
        arrays = {"audio": audio, "label": self.labels[rows], "length": length}
        if self.several:
            arrays["corpus"] = self.corpus[rows].astype(np.int64)
        return Batch({key: torch.from_numpy(values) for key, values in arrays.items()}, ragged=self.window is None)

    def _rows(self, indices: npt.ArrayLike) -> Ints:
        rows = np.asarray(indices, dtype=np.int64)
        if (rows.view(np.uint64) >= len(self)).any():  # or negative
            wrong = (rows < -len(self)) | (rows >= len(self))
            if wrong.any():
                raise IndexError(f"index {rows[wrong][0]} of {len(self)} utterances")
            rows = np.where(rows < 0, rows + len(self), rows)
        return rows

    def _opened(self, rows: Ints) -> list[npt.NDArray[np.int16]]:
        """The memory maps, two views of each file, after a look at the headers of rows not met before."""
        if self._views is None:
            self._checked = np.zeros(len(self), dtype=np.bool_)
            self._views = [view for path in self._paths for view in _views(path)]
        checked = self._checked[rows]
        if checked.all():
            return self._views
        for row in rows[~checked].tolist():
            start = int(self._starts[row])
            header = self._views[self._view_of[row]][start - _HEADER : start].tobytes()
            if header[:4] != b"RIFF" or header[36:40] != b"data" or self.lengths[row] < 0:
                path = self._paths[self._view_of[row] // 2]
                raise _unreadable(f"row {row} is not stored as a canonical 16-bit WAV", path)
        self._checked[rows] = True
        return self._views

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_views": None, "_checked": None, "_memory": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._epoch, self._memory = _shared(self._epoch), Memory()

    def __copy__(self) -> Self:
        new = object.__new__(type(self))
        new.__setstate__({**self.__getstate__(), "_epoch": self._epoch.clone()})
        return new

    def __repr__(self) -> str:
        return f"UtteranceDataset({self.name!r}, {self.split!r}: {len(self)} utterances, {len(self.classes)} classes)"


class _Corpus:
    """One corpus while it is opened: what its shards hold, met one by one, and what its manifest tells."""

    def __init__(self, root: Path, name: str, split: str, labels: str) -> None:
        folder = root / name
        if not folder.is_dir():
            built = ", ".join(built_configurations(root)) or "nothing"
            raise NotBuiltError(
                f"{name} is not built there", where=str(root), expected=f"the folder {name}/ (built: {built})",
                cure=f"run 'emoset build {name} --out {root}'",
            )  # fmt: skip
        known = split_names(folder)
        for part in (wanted := known if split == "all" else split.split("+")):
            if part not in known:
                raise unknown_name("split", part, known)
        manifest = read_manifest(folder)
        told = ("recipe_version", "split_hash", "partial", "synthetic")
        self.build = {key: manifest.get(key) for key in told}
        self.remark = remarks({**manifest, "speaker_independent": True})
        utterances = {part: manifest["splits"][part]["utterances"] for part in wanted}
        del manifest  # it lists every file
        self.shards = [path for part in utterances for path in shard_paths(folder, part)]
        values: set[str | None] = set()
        self.speakers: set[str] = set()
        for part in known:
            found = 0
            for path in shard_paths(folder, part):
                table = read_shard(path)
                values.update(pc.unique(table[labels]).to_pylist())
                if part in utterances:
                    found += table.num_rows
                    self.speakers.update(v for v in pc.unique(table["speaker"]).to_pylist() if v is not None)
            if part in utterances and found != utterances[part]:
                raise DataFolderError(
                    f"{found} rows in the shards of {part}", where=str(folder),
                    expected=f"the manifest's {utterances[part]}",
                    cure="run 'emoset verify' on the folder, then build the corpus again",
                )  # fmt: skip
        self.classes = tuple(sorted(v for v in values if v is not None))


def _places(audio: Any, path: Path, size: int) -> tuple[Ints, Ints]:
    """Where in the file the samples of every row of a batch begin and end, in bytes."""
    data = audio.field("bytes")
    if not len(data):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    if data.null_count:
        raise _unreadable("rows without audio", path)
    root = content = data.buffers()[2]
    while root.parent is not None:
        root = root.parent
    if root.size != size:  # a buffer of its own, not a part of the mapped file
        raise _unreadable("compressed rows", path)
    ends = np.frombuffer(data.buffers()[1], np.int32)[data.offset : data.offset + len(data) + 1].astype(np.int64)
    ends += content.address - root.address
    return ends[:-1] + WAV_HEADER_BYTES, ends[1:]


def _views(path: Path) -> list[npt.NDArray[np.int16]]:
    """A file as 16-bit integers that begin at even and at odd places."""
    try:
        with path.open("rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:
        raise _unreadable(f"the shard cannot be mapped ({error})", path) from None
    return [np.frombuffer(mapped, "<i2", count=(len(mapped) - odd) // 2, offset=odd) for odd in (0, 1)]


def _unreadable(got: str, path: Path) -> DataFolderError:
    return DataFolderError(got, where=str(path), cure=f"build again with 'emoset build {path.parent.name}'")


def _shared(number: Tensor) -> Tensor:
    """The number in memory that worker processes see as well, so that they hear of new epochs."""
    try:
        return number.share_memory_()  # type: ignore[no-any-return, no-untyped-call]
    except RuntimeError:  # a system without shared memory has no workers either
        return number


def _drawn(seed: int, epoch: int, rows: Ints, below: Ints) -> Ints:
    """For every row a number from 0 to below ``below``, by SplitMix64 over seed, epoch and row."""
    high = _mixed(_key(seed, epoch) + rows.view(np.uint64)) >> np.uint64(32)
    return ((high * below.view(np.uint64)) >> np.uint64(32)).view(np.int64)


@lru_cache(maxsize=8)
def _key(seed: int, epoch: int) -> npt.NDArray[np.uint64]:
    return _mixed(_mixed(np.array([seed % 2**64], dtype=np.uint64)) + np.array([epoch % 2**64], dtype=np.uint64))


def _mixed(x: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    x = (x + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


class Loader(DataLoader[Any]):
    """A ``DataLoader`` whose place can be written down and taken up again, to the batch.

    It sets the epoch of dataset and sampler by itself: each pass is the next epoch. Unlike a sampler's own state, its
    state does not count what workers have read ahead.

    Args:
        dataset: `UtteranceDataset`.
        sampler: of batches, such as `ShuffleSampler`.
        options: of ``torch.utils.data.DataLoader``, such as ``num_workers``; ``collate_fn`` is `collate` by default.

    Example:
        >>> train = UtteranceDataset("emodb", "train", data_dir=data, window=0.5)
        >>> loader = Loader(train, ShuffleSampler(train, 4))
        >>> batch = next(iter(loader))
        >>> batch["audio"].shape, loader.state_dict()["batch"]
        (torch.Size([4, 8000]), 1)
    """

    def __init__(self, dataset: UtteranceDataset, sampler: BatchSampler, **options: Any) -> None:
        # Without a generator of its own every pass, one that is taken up again too, draws from PyTorch's global one.
        defaults = {"collate_fn": collate, "generator": torch.Generator()}
        super().__init__(dataset, batch_sampler=sampler, **{**defaults, **options})
        self._place = sampler
        self._given = 0

    @property
    def epoch(self) -> int:
        """The epoch that the next batch belongs to."""
        return self._place.epoch

    def set_epoch(self, epoch: int) -> None:
        """Go to the beginning of an epoch."""
        self._place.set_epoch(epoch)
        self._given = 0

    def __iter__(self) -> Any:
        """The batches of the epoch, or those that remain after `load_state_dict`; then the next epoch begins."""
        self.dataset.set_epoch(self.epoch)  # type: ignore[attr-defined]
        self._given = self._place.start
        for batch in self._read():
            self._given += 1
            held = [batch]
            del batch  # a batch that the caller drops must not live on here
            yield held.pop()
        self.set_epoch(self.epoch + 1)

    def _read(self) -> Iterator[Any]:
        if self.num_workers or self.pin_memory:
            yield from super().__iter__()
        else:  # what DataLoader does, without its overhead, which is a tenth of the time
            read, collated = self.dataset.__getitems__, self.collate_fn  # type: ignore[attr-defined]
            for rows in self._place:
                yield collated(read(rows))

    def state_dict(self) -> dict[str, int]:
        """The place after the last batch that was handed out, as whole numbers."""
        return {**self._place.state_dict(), "batch": self._given}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Go to the place that a loader of the same data and settings wrote down.

        Raises:
            EmosetError: the state is of other data or settings.
        """
        self._place.load_state_dict(state)
        self._given = self._place.start
