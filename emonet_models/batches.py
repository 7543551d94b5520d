"""From utterances to batches: checks, order, crops, augmentation and the windows of evaluation."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from emonet_models.frontend import FRAME
from emonet_models.settings import Settings
from emoset.errors import ModelError
from emoset.torch import UtteranceDataset

Wave: TypeAlias = npt.NDArray[np.float32]
"""A waveform: float32 in [-1, 1), mono, 16 kHz, shape (samples,)."""

Utterances: TypeAlias = Sequence[tuple[Wave, int]]
"""Waveforms with their class indexes. Items may be read lazily."""

Rows: TypeAlias = npt.NDArray[np.intp]


@dataclass(frozen=True)
class CorpusData:
    """What is trained on of a corpus.

    Args:
        train: (waveform, class index) pairs; waveforms are float32, mono, 16 kHz.
        validation: the same, of other speakers.
        classes: names, in the order of the indexes; with the loss ``ordinal`` that order is the scale's.
        build: what ``config.json`` records of the build, such as ``UtteranceDataset.build``.

    Example:
        >>> wave = np.zeros(16_000, np.float32)
        >>> CorpusData([(wave, 0), (wave, 1)], [(wave, 0)], ("anger", "joy")).classes
        ('anger', 'joy')
    """

    train: Utterances
    validation: Utterances
    classes: Sequence[str]
    build: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Order:
    """The order in which the utterances of a corpus come: pass after pass, each shuffled anew.

    Passes consist of full batches; what does not fill one waits for the next shuffle. A corpus smaller than a batch
    gives all of it each time. Any step can be asked for, so a run that is taken up again needs no history.

    Args:
        count: utterances of the corpus.
        batch: utterances in a step.
        seed: any numbers that tell this order from others.

    Example:
        >>> order = Order(10, 4, (0,))
        >>> [(order(step)[0], len(order(step)[1])) for step in range(5)]
        [(0, 4), (0, 4), (1, 4), (1, 4), (2, 4)]
    """

    count: int
    batch: int
    seed: Sequence[int]

    @property
    def steps(self) -> int:
        """Batches in a pass."""
        return max(self.count // self.batch, 1)

    def __call__(self, step: int) -> tuple[int, Rows]:
        """The number of the pass, from 0 on, and the indexes of the utterances of a step."""
        number, place = divmod(step, self.steps)
        rows: Rows = np.random.default_rng([*self.seed, number]).permutation(self.count)
        return number, rows[place * self.batch : (place + 1) * self.batch]


class Corpus:
    """A corpus in training: every waveform and label has been looked at.

    Args:
        name: of the corpus.
        data: its sets.
        order: in which training takes its utterances.
        first: number of its first utterance. No two of all corpora have the same one, so no two are augmented alike.

    Raises:
        ModelError: an empty set, a class without a training example, a waveform that is none, or a label too many.

    Example:
        >>> wave = np.zeros(16_000, np.float32)
        >>> data = CorpusData([(wave, 0), (wave, 1)], [(wave, 0)], ("anger", "joy"))
        >>> Corpus("emodb", data, Order(2, 16, (0,))).labels
        array([0, 1])
    """

    def __init__(self, name: str, data: CorpusData, order: Order, first: int = 0) -> None:
        self.train, self.validation, self.classes = data.train, data.validation, len(data.classes)
        self.order, self.first = order, first
        self.labels, training = _labels(data.train, self.classes, f"{name}, training set")
        self.truth, validation = _labels(data.validation, self.classes, f"{name}, validation set")
        self.mark = {"training": training, "validation": validation}
        """What tells these data from others."""
        counts = np.bincount(self.labels, minlength=self.classes)
        if absent := [name for name, count in zip(data.classes, counts, strict=True) if count == 0]:
            got, cure = f"no example of {', '.join(absent)}", "leave the class out, or train on another split"
            raise ModelError(got, where=f"{name}, training set", expected="one of every class", cure=cure)


def _labels(utterances: Utterances, classes: int, where: str) -> tuple[npt.NDArray[np.int64], str]:
    """The labels, and a hash of them and of the waveforms."""
    if len(utterances) == 0:
        raise ModelError("no utterances", where=where, expected="at least one", cure="build the corpus again")
    labels = np.empty(len(utterances), dtype=np.int64)
    digest = hashlib.sha256()
    for row, (wave, label) in enumerate(utterances):
        item = f"{where}, item {row}"
        if wave.dtype != np.float32 or wave.ndim != 1 or not np.isfinite(wave).all():
            shown = f"a waveform of {wave.dtype}, shape {wave.shape}"
            shown += ", with values that are no numbers" if wave.dtype == np.float32 and wave.ndim == 1 else ""
            raise ModelError(shown, where=item, expected="finite float32 of shape (samples,)")
        if not len(wave):
            raise ModelError("a waveform without samples", where=item, expected="one or more", cure="leave it out")
        if not 0 <= label < classes:
            raise ModelError(f"label {label}", where=item, expected=f"0 to {classes - 1} for {classes} classes")
        labels[row] = label
        # A checksum, as fast as memory: this tells other data, it does not guard against forged ones.
        digest.update(f"{int(label)} {len(wave)} {zlib.crc32(np.ascontiguousarray(wave).data)}\n".encode())
    return labels, f"{len(labels)} utterances, {digest.hexdigest()[:16]}"


def stack(waves: Sequence[Wave], samples: int | None = None) -> Tensor:
    """Waveforms as one tensor, zero-padded after the signal.

    Args:
        waves: one or more.
        samples: length of the result; None: that of the longest, at least one frame.

    Returns:
        (len(waves), samples).

    Example:
        >>> stack([np.ones(3, np.float32)], 5).tolist()
        [[1.0, 1.0, 1.0, 0.0, 0.0]]
    """
    length = samples if samples is not None else max(FRAME, *(len(wave) for wave in waves))
    batch = np.zeros((len(waves), length), dtype=np.float32)
    for row, wave in zip(batch, waves, strict=True):
        row[: len(wave)] = wave[:length]
    return torch.from_numpy(batch)


def random_crop(wave: Wave, settings: Settings, rng: np.random.Generator) -> Wave:
    """A training crop: uniformly random, played slightly faster or slower where the settings say so.

    Args:
        wave: the whole utterance.
        settings: ``window`` and ``speed`` are used.
        rng: source of chance.

    Returns:
        At most ``window_samples`` samples; fewer where the utterance is shorter. Not yet padded.

    Example:
        >>> len(random_crop(np.zeros(90_000, np.float32), Settings(), np.random.default_rng(0)))
        32000
    """
    factor = float(np.exp(rng.uniform(-settings.speed, settings.speed))) if settings.speed else 1.0
    length = settings.window_samples
    if length is not None:
        taken = round(length * factor)
        start = int(rng.integers(0, max(len(wave) - taken, 0) + 1))
        wave = wave[start : start + taken]
    if factor == 1.0:
        return wave
    places = np.arange(max(int(len(wave) / factor), 1)) * factor
    played: Wave = np.interp(places, np.arange(len(wave)), wave).astype(np.float32)[:length]
    return played


def windows(wave: Wave, settings: Settings) -> list[Wave]:
    """The parts of an utterance that are judged; their probabilities are averaged.

    Args:
        wave: the whole utterance.
        settings: ``evaluation`` and ``window`` are used.

    Returns:
        "windows": every half window a window, the last one flush with the end. "second-half", as the
        original: one window from the middle on if the second half is longer than it, else from 0.

    Source: EmoNet, training and data facts, "centre" crop.

    Example:
        >>> [len(part) for part in windows(np.zeros(70_000, np.float32), Settings())]
        [32000, 32000, 32000, 32000]
    """
    length = settings.window_samples
    if length is None or len(wave) <= length:
        return [wave]
    if settings.evaluation == "second-half":
        start = len(wave) // 2 if len(wave) // 2 > length else 0
        return [wave[start : start + length]]
    last = len(wave) - length
    starts = [*range(0, last, max(length // 2, 1)), last]
    return [wave[start : start + length] for start in starts]


def augment(logmel: Tensor, targets: Tensor, settings: Settings, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Blank bands and spans of a batch with the mean of each map, mix pairs of its maps, then add noise.

    Args:
        logmel: (batch, mels, frames); changed in place.
        targets: (batch, classes), probabilities.
        settings: the augmentation settings are used.
        rng: source of chance.

    Returns:
        The new maps and targets.

    Example:
        >>> maps, targets = torch.rand(2, 64, 61), torch.eye(2)
        >>> mixed, _ = augment(maps, targets, Settings(mixup=0.2), np.random.default_rng(0))
        >>> mixed.shape
        torch.Size([2, 64, 61])
    """
    mels, frames = logmel.shape[1:]
    if settings.masks:
        for map_, mean in zip(logmel, logmel.mean((1, 2)), strict=True):
            for _ in range(settings.masks):
                map_[_span(mels, settings.mask_mels, rng)] = mean
                map_[:, _span(frames, settings.mask_frames, rng)] = mean
    if settings.mixup:
        share = torch.from_numpy(rng.beta(settings.mixup, settings.mixup, len(logmel)).astype(np.float32))
        share = share.to(logmel.device)
        partner = torch.from_numpy(rng.permutation(len(logmel))).to(logmel.device)
        logmel = torch.lerp(logmel[partner], logmel, share[:, None, None])
        targets = torch.lerp(targets[partner], targets, share[:, None])
    if settings.input_noise:
        noise = torch.from_numpy(rng.standard_normal(tuple(logmel.shape), dtype=np.float32))
        logmel = logmel + settings.input_noise * noise.to(logmel.device)
    return logmel, targets


def _span(size: int, widest: int, rng: np.random.Generator) -> slice:
    width = int(rng.integers(0, min(widest, size) + 1))
    start = int(rng.integers(0, size - width + 1))
    return slice(start, start + width)


class FromDataset(Sequence[tuple[Wave, int]]):
    """The items of an ``emoset.torch.UtteranceDataset`` as (waveform, class index), still read lazily.

    Args:
        dataset: with ``crop="whole"``; training makes its own crops.
        classes: the dataset's classes in another order, such as that of a scale; None: in its own.

    Raises:
        ModelError: ``classes`` are not the dataset's.
    """

    def __init__(self, dataset: Any, classes: Sequence[str] | None = None) -> None:
        self._dataset = dataset
        own = tuple(dataset.classes)
        self.classes = own if classes is None else tuple(classes)
        """Class names in the order of the indexes."""
        if sorted(self.classes) != sorted(own):
            got = f"classes {', '.join(self.classes)}"
            raise ModelError(got, where=str(dataset.name), expected=f"{', '.join(own)}, in any order")
        self._indexes = [self.classes.index(name) for name in own]

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, index: Any) -> Any:
        """One (waveform, class index) pair; a list of them for a slice."""
        if isinstance(index, slice):
            return [self[row] for row in range(*index.indices(len(self)))]
        item = self._dataset[index]
        return item["audio"].numpy(), self._indexes[int(item["label"])]


def corpus_data(
    corpora: Sequence[str], data_dir: str | Path | None = None, labels: str = "label"
) -> dict[str, CorpusData]:
    """What `train` needs of built corpora; waveforms are read when they are needed.

    Args:
        corpora: names of corpora or variants.
        data_dir: data folder; default: ``$EMOSET_HOME``, else the user's cache.
        labels: column of the classes.

    Raises:
        NotBuiltError: a corpus is not built there.
        UnknownNameError: no such label column, or no validation split.

    Example:
        >>> list(corpus_data(["emodb"], data_dir=data)["emodb"].classes)[:2]
        ['anger', 'boredom']
    """
    found = {}
    for name in corpora:
        train, validation = (
            UtteranceDataset(name, part, data_dir=data_dir, labels=labels, crop="whole")
            for part in ("train", "validation")
        )
        found[name] = CorpusData(FromDataset(train), FromDataset(validation), train.classes, train.build)
    return found
