"""Which utterances come together in a batch, and in which order: the same for the same seed and epoch, everywhere.

Every sampler here is a *batch sampler*: ``DataLoader(dataset, batch_sampler=...)``, or `emoset.torch.Loader`. What it
gives depends on its settings, the seed and the epoch alone, not on workers or global random states.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Literal, Protocol, TypeAlias, get_args

import numpy as np
import numpy.typing as npt
from torch.utils.data import Sampler

from emoset.errors import EmosetError, unknown_name
from emoset.schema import SAMPLING_RATE

Rows: TypeAlias = npt.NDArray[np.int64]
Level: TypeAlias = Literal["corpus", "label", "speaker"]

_SETTINGS: Final = ("seed", "rows", "batches", "world_size")
"""What a state must have in common with the sampler that takes it up."""


class Utterances(Protocol):
    """What samplers read of a dataset: arrays with one number per utterance, as `UtteranceDataset` has them."""

    labels: Any
    corpus: Any
    speakers: Any
    corpora: tuple[str, ...]
    own_classes: bool
    window: int | None

    @property
    def seconds(self) -> Any:
        """Durations."""

    def __len__(self) -> int: ...


class BatchSampler(Sampler[list[int]]):
    """Base of the samplers: gives lists of indexes, one per batch.

    Like PyTorch's ``DistributedSampler``, it repeats an epoch until `set_epoch` names another one; `Loader` does that
    by itself.

    Args:
        rows: utterances of the dataset.
        batch_size: utterances of a batch; None where it varies.
        seed: 0 or more.
        rank, world_size: this process and the number of them, where each takes its share of every epoch. Leave them
            alone where something else shares batches out, as Accelerate does.
        drop_last: whether smaller batches are left out.
    """

    def __init__(
        self, rows: int, batch_size: int | None, seed: int, rank: int, world_size: int, drop_last: bool = False
    ) -> None:
        for name, value, least in (("batch_size", batch_size, 1), ("seed", seed, 0), ("world_size", world_size, 1)):
            if value is not None and value < least:
                raise EmosetError(f"{name} {value}", where=type(self).__name__, expected=f"{least} or more")
        if not 0 <= rank < world_size:
            raise EmosetError(f"rank {rank}", where=type(self).__name__, expected=f"0 to {world_size - 1}")
        if not rows:
            raise EmosetError("no utterances", where=type(self).__name__, expected="at least one")
        self.rows, self.batch_size, self.seed, self.drop_last = rows, batch_size, seed, drop_last
        self.rank, self.world_size = rank, world_size
        self.epoch, self.start = 0, 0
        self._given = 0
        self._plan: tuple[int, Sequence[Rows]] | None = None

    def _batches(self, rng: np.random.Generator) -> Sequence[Rows]:
        """All batches of the current epoch, for all processes."""
        raise NotImplementedError

    def _share(self) -> Sequence[Rows]:
        """The batches of the current epoch for this process: as many as for every other."""
        if self._plan is None or self._plan[0] != self.epoch:
            batches = self._batches(np.random.default_rng([self.seed, self.epoch]))
            whole = len(batches) - len(batches) % self.world_size
            self._plan = self.epoch, batches[self.rank : whole : self.world_size]
        return self._plan[1]

    def __len__(self) -> int:
        """Batches of the whole current epoch."""
        return len(self._share())

    def __iter__(self) -> Iterator[list[int]]:
        """The batches of the current epoch, or those that remain after `load_state_dict`."""
        self._given, self.start = self.start, 0
        for batch in self._share()[self._given :]:
            self._given += 1
            yield batch.tolist()

    def set_epoch(self, epoch: int) -> None:
        """Choose another order, the same for the same epoch, and begin with its first batch."""
        self.epoch, self.start, self._given = epoch, 0, 0

    def state_dict(self) -> dict[str, int]:
        """The place after the last batch that was given, as whole numbers.

        A ``DataLoader`` with workers takes batches ahead of time; `Loader` knows which of them were used.
        """
        return {
            "epoch": self.epoch, "batch": self._given, "batches": len(self), "rows": self.rows, "seed": self.seed,
            "world_size": self.world_size,
        }  # fmt: skip

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Let the next iteration give what remained at that place; after the last batch, the next epoch.

        Raises:
            EmosetError: the state is of other data or settings.
        """
        lacking = [key for key in ("epoch", "batch", *_SETTINGS) if key not in state]
        if lacking:
            raise EmosetError(
                f"a state without {', '.join(lacking)}", where=type(self).__name__, expected="a state_dict"
            )
        for key in ("epoch", "batch"):
            if type(state[key]) is not int or state[key] < 0:
                raise EmosetError(
                    f"a state of {key} {state[key]!r}", where=type(self).__name__, expected="a whole number, 0 or more"
                )
        before = self.epoch
        self.set_epoch(state["epoch"])
        for key, own in self.state_dict().items():
            if key in _SETTINGS and state[key] != own:
                self.set_epoch(before)
                raise EmosetError(
                    f"a state of {key} {state[key]}", where=type(self).__name__, expected=f"{key} {own}",
                    cure="give the data and settings with which it was saved",
                )  # fmt: skip
        if state["batch"] >= len(self):
            self.set_epoch(state["epoch"] + 1)
        else:
            self.start = self._given = state["batch"]


class ShuffleSampler(BatchSampler):
    """Every utterance once, in random order.

    Args:
        data: the dataset.
        batch_size: utterances of a batch.
        seed: 0 or more.
        drop_last: whether the last batch is left out if it is smaller.
        rank, world_size: see `BatchSampler`.

    Example:
        >>> from emoset.torch import UtteranceDataset
        >>> train = UtteranceDataset("emodb", "train", data_dir=data)
        >>> sorted(row for batch in ShuffleSampler(train, 2) for row in batch) == list(range(len(train)))
        True
    """

    def __init__(
        self,
        data: Utterances,
        batch_size: int,
        *,
        seed: int = 0,
        drop_last: bool = False,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        super().__init__(len(data), batch_size, seed, rank, world_size, drop_last)

    def _batches(self, rng: np.random.Generator) -> Sequence[Rows]:
        return _cut(rng.permutation(self.rows), self.batch_size or 1, self.drop_last)


class BucketSampler(BatchSampler):
    """Every utterance once, in batches of similar durations, so that there is little padding; for whole utterances.

    Durations are blurred before they are sorted, so that every epoch has other batches; these come in random order.

    Args:
        data: the dataset.
        batch_size: utterances of a batch; or else
        max_seconds: most that a batch may hold, padding included. How many batches that makes differs a little
            between epochs, and Accelerate needs ``even_batches=False``.
        blur: share by which a duration may seem longer or shorter.
        seed: 0 or more.
        drop_last: whether utterances that do not fill a batch of ``batch_size`` are left out, others in every epoch.
        rank, world_size: see `BatchSampler`.

    Raises:
        EmosetError: neither or both of ``batch_size`` and ``max_seconds``, or an utterance is longer than that.

    Example:
        >>> from emoset.torch import UtteranceDataset
        >>> train = UtteranceDataset("emodb", "train", data_dir=data)
        >>> batches = list(BucketSampler(train, max_seconds=20))
        >>> all(len(rows) * train.seconds[rows].max() <= 20 for rows in batches)
        True
    """

    def __init__(
        self,
        data: Utterances,
        batch_size: int | None = None,
        *,
        max_seconds: float | None = None,
        blur: float = 0.1,
        seed: int = 0,
        drop_last: bool = False,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        super().__init__(len(data), batch_size, seed, rank, world_size, drop_last)
        if (batch_size is None) == (max_seconds is None):
            got = f"batch_size {batch_size} and max_seconds {max_seconds}"
            raise EmosetError(got, where="BucketSampler", expected="one of them")
        if not 0 <= blur < 1:
            raise EmosetError(f"blur {blur}", where="BucketSampler", expected="0 or more, and less than 1")
        self.max_seconds, self.blur = max_seconds, blur
        window = math.inf if data.window is None else data.window / SAMPLING_RATE
        self._seconds = np.minimum(data.seconds, window).astype(np.float32)
        if max_seconds is not None and (longest := float(self._seconds.max())) > max_seconds:
            raise EmosetError(
                f"an utterance of {longest:.2f} seconds", where="BucketSampler",
                expected=f"at most max_seconds {max_seconds:g}", cure="allow more, or give the dataset a window",
            )  # fmt: skip

    def _batches(self, rng: np.random.Generator) -> Sequence[Rows]:
        order = rng.permutation(self.rows)
        if self.drop_last and self.batch_size:
            order = order[: self.rows - self.rows % self.batch_size]
        blurred = self._seconds[order] * rng.uniform(1 - self.blur, 1 + self.blur, len(order))
        order = order[np.argsort(blurred, kind="stable")]
        if self.max_seconds is None:
            batches = _cut(order, self.batch_size or 1, False)
        else:
            batches = np.split(order, _ends(self._seconds[order], self.max_seconds))
        return [batches[i] for i in rng.permutation(len(batches))]


class BalancedSampler(BatchSampler):
    """Classes, corpora or speakers as often as one another, whatever the data hold of them; rare ones are repeated.

    ``by=("corpus", "label")`` draws every corpus as often, and of each corpus every class as often. Draws are as even
    as they can be: what a group gets differs from its share by less than one, and of two utterances of a group neither
    comes more than once more often than the other.

    Args:
        data: the dataset.
        batch_size: utterances of a batch.
        by: ``label``, ``corpus``, ``speaker``, or several of them, the outer one first.
        draws: utterances of an epoch; default: as many as the data have.
        seed: 0 or more.
        drop_last: whether the last batch is left out if it is smaller.
        rank, world_size: see `BatchSampler`.

    Raises:
        UnknownNameError: no such level.
        EmosetError: labels that count within each corpus, without ``corpus`` before ``label``.

    Example:
        >>> from emoset.torch import UtteranceDataset
        >>> train = UtteranceDataset("iemocap", "train", data_dir=data)
        >>> rows = [row for batch in BalancedSampler(train, 8, draws=40) for row in batch]
        >>> np.bincount(train.labels[rows]).tolist()
        [10, 10, 10, 10]
    """

    def __init__(
        self,
        data: Utterances,
        batch_size: int,
        *,
        by: Level | Sequence[Level] = "label",
        draws: int | None = None,
        seed: int = 0,
        drop_last: bool = False,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        super().__init__(len(data), batch_size, seed, rank, world_size, drop_last)
        levels = (by,) if isinstance(by, str) else tuple(by)
        self.by, self.draws = levels, len(data) if draws is None else draws
        if self.draws < 1:
            raise EmosetError(f"draws {draws}", where="BalancedSampler", expected="1 or more")
        for level in levels:
            if level not in get_args(Level):
                raise unknown_name("level of balance", level, get_args(Level))
        several = data.own_classes and len(data.corpora) > 1
        if "label" in levels and several and "corpus" not in levels[: levels.index("label")]:
            raise EmosetError(
                "labels that count within each corpus", where="BalancedSampler", expected="those of one list",
                cure="give by=('corpus', 'label'), or a dataset without own_classes",
            )  # fmt: skip
        columns = {"label": data.labels, "corpus": data.corpus, "speaker": data.speakers}
        self._group = np.zeros(len(data), dtype=np.int64)
        share = np.ones(1)
        for level in levels:  # the share of each group goes to its parts alike
            parents, self._group = _parts(self._group, columns[level])
            share = (share / np.bincount(parents))[parents]
        self._share_of = share

    def _batches(self, rng: np.random.Generator) -> Sequence[Rows]:
        # Systematic sampling, far more even than independent draws: rounding the shares from one random place on is
        # fair to all groups, and the parts of a group are neighbours, so that their sum is rounded as well.
        marks = np.floor(np.cumsum(self._share_of) * self.draws + rng.random()).astype(np.int64)
        marks[-1] = self.draws
        counts = np.diff(marks, prepend=0)
        order = rng.permutation(self.rows)
        order = order[np.argsort(self._group[order], kind="stable")]
        sizes = np.bincount(self._group)
        begins = np.cumsum(sizes) - sizes
        drawn = [order[b + np.arange(c) % n] for b, c, n in zip(begins, counts, sizes, strict=True)]
        return _cut(rng.permutation(np.concatenate(drawn)), self.batch_size or 1, self.drop_last)


class RoundRobinSampler(BatchSampler):
    """One batch of every corpus in turn, as EmoNet trains: corpora in the dataset's order, over and over.

    Each corpus is a stream of its own that never ends: its utterances in random order, then in another one, on through
    the epochs. So all utterances of a corpus come as often, and those of small corpora more often than those of large
    ones; where a corpus is smaller than a batch, one batch repeats some.

    Args:
        data: the dataset, of several corpora.
        batch_size: utterances of a batch.
        steps: batches of each corpus in an epoch; default: as many as the largest corpus needs.
        seed: 0 or more.
        rank, world_size: see `BatchSampler`; all processes have batches of the same corpus at the same time.

    Raises:
        EmosetError: a corpus has no utterances in the dataset.

    Source: EmoNet, training and data facts, multi-task training.

    Example:
        >>> from emoset.torch import UtteranceDataset
        >>> train = UtteranceDataset(["emodb", "urdu"], "train", data_dir=data, own_classes=True)
        >>> [train.corpora[train.corpus[rows[0]]] for rows in RoundRobinSampler(train, 4, steps=2)]
        ['emodb', 'urdu', 'emodb', 'urdu']
    """

    def __init__(
        self,
        data: Utterances,
        batch_size: int,
        *,
        steps: int | None = None,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        super().__init__(len(data), batch_size, seed, rank, world_size)
        self._rows_of = [np.flatnonzero(np.asarray(data.corpus) == number) for number in range(len(data.corpora))]
        if absent := [name for name, rows in zip(data.corpora, self._rows_of, strict=True) if not len(rows)]:
            raise EmosetError(
                f"no utterances of {', '.join(absent)}", where="RoundRobinSampler", expected="some of each"
            )
        largest = max(len(rows) for rows in self._rows_of)
        self.steps = math.ceil(largest / (batch_size * world_size)) if steps is None else steps
        if self.steps < 1:
            raise EmosetError(f"steps {steps}", where="RoundRobinSampler", expected="1 or more")

    def _batches(self, rng: np.random.Generator) -> Sequence[Rows]:
        shape = self.steps, self.world_size, self.batch_size or 1
        streams = [self._stream(corpus, math.prod(shape)).reshape(shape) for corpus in range(len(self._rows_of))]
        return list(np.stack(streams, axis=1).reshape(-1, shape[-1]))

    def _stream(self, corpus: int, count: int) -> Rows:
        """What a corpus gives in the current epoch, when each epoch takes ``count``."""
        rows = self._rows_of[corpus]
        first, offset = divmod(self.epoch * count, len(rows))
        passes = range(first, first + math.ceil((offset + count) / len(rows)))
        mixed = [np.random.default_rng([self.seed, corpus, number]).permutation(rows) for number in passes]
        return np.concatenate(mixed)[offset : offset + count]


def speaker_folds(data: Utterances, k: int) -> list[Rows]:
    """The utterances in ``k`` parts for cross-validation: no speaker in two, all alike in size and classes.

    Speakers go, those with most utterances first, to the part that stays most even. Nothing is drawn, so the folds of
    the same data are the same everywhere.

    Args:
        data: the dataset; one of ``split="all"`` has every utterance of a corpus.
        k: number of parts, 2 or more.

    Returns:
        The indexes of each part, sorted.

    Raises:
        EmosetError: fewer speakers than parts, or utterances whose speaker is unknown.

    Example:
        >>> from emoset.torch import UtteranceDataset
        >>> everything = UtteranceDataset("emodb", "all", data_dir=data)
        >>> for held_out in speaker_folds(everything, 5):
        ...     train = everything.select(np.setdiff1d(np.arange(len(everything)), held_out))
        ...     test = everything.select(held_out)
        >>> set(train.speakers.tolist()) & set(test.speakers.tolist())
        set()
    """
    speakers = np.asarray(data.speakers)
    if k < 2:
        raise EmosetError(f"{k} folds", where="speaker_folds", expected="2 or more")
    if unknown := int((speakers < 0).sum()):
        raise EmosetError(
            f"{unknown} utterances without a speaker", where="speaker_folds", expected="known speakers",
            cure="leave them out with data.select(data.speakers >= 0)",
        )  # fmt: skip
    known, place = np.unique(speakers, return_inverse=True)
    if len(known) < k:
        raise EmosetError(f"{len(known)} speakers", where="speaker_folds", expected=f"at least {k}, one for each fold")
    _, kind = _parts(data.corpus, data.labels)
    counts = np.zeros((len(known), int(kind.max()) + 1))
    np.add.at(counts, (place, kind), 1)
    # As shares of the totals; the number of utterances weighs as much as those of all classes together.
    of_class, of_all = counts / counts.sum(0), counts.sum(1, keepdims=True) / len(speakers)
    shares = np.concatenate([of_class / np.sqrt(counts.shape[1]), of_all], axis=1)
    filled = np.zeros((k, shares.shape[1]))
    fold_of = np.empty(len(known), dtype=np.int64)
    for speaker in np.argsort(-counts.sum(1), kind="stable"):
        growth = ((filled + shares[speaker]) ** 2 - filled**2).sum(1)
        fold_of[speaker] = fold = int(np.argmin(growth.round(12)))
        filled[fold] += shares[speaker]
    return [np.flatnonzero(fold_of[place] == fold) for fold in range(k)]


def _parts(groups: npt.ArrayLike, codes: npt.ArrayLike) -> tuple[Rows, Rows]:
    """Groups divided by a code: of every part the group it is of, and of every row the part."""
    code = np.asarray(codes, dtype=np.int64) + 1  # unknown is -1
    width = int(code.max()) + 1
    parts, part_of = np.unique(np.asarray(groups, dtype=np.int64) * width + code, return_inverse=True)
    return parts // width, part_of


def _cut(order: Rows, size: int, drop_last: bool) -> list[Rows]:
    end = len(order) - len(order) % size if drop_last else len(order)
    return [order[start : start + size] for start in range(0, end, size)]


def _ends(seconds: npt.NDArray[np.float32], most: float) -> list[int]:
    """Where to cut utterances in that order, so that no batch is longer than ``most`` with its padding."""
    ends, count, longest = [], 0, 0.0
    for row, own in enumerate(seconds.tolist()):
        longest, count = max(longest, own), count + 1
        if count * longest > most:
            ends.append(row)
            longest, count = own, 1
    return ends
