"""Training on one corpus: every choice is made on validation UAR, the test split is never looked at."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from emonet_models.batches import Utterances
from emonet_models.loop import Epoch, Run, TrainingResult
from emonet_models.settings import Settings
from emonet_models.weights import Config
from emoset.errors import ModelError

__all__ = ["Epoch", "TrainingResult", "train"]


def train(
    settings: Settings,
    train: Utterances,
    validation: Utterances,
    classes: Sequence[str],
    out: str | Path | None = None,
    *,
    corpus: str = "",
    data: Mapping[str, object] | None = None,
    report: Callable[[Epoch], None] | None = None,
) -> TrainingResult:
    """Train a network and keep the epoch with the highest validation UAR (of equals, the latest).

    Args:
        settings: network and training.
        train: (waveform, class index) pairs; waveforms are float32, mono, 16 kHz.
        validation: the same, of other speakers.
        classes: names, in the order of the indexes.
        out: model folder, written after every better epoch; None: nothing is written.
        corpus: name that ``config.json`` records.
        data: what ``config.json`` records of the build, such as `UtteranceDataset.build`.
        report: called after every epoch.

    Returns:
        The network of the best epoch and the course of training. The same seed on the same machine gives
        the same numbers (with ``minutes``, only if the limit is not reached).

    Raises:
        ModelError: an empty set, a class without a training example, a waveform that is none, or a loss
            that is no longer a number; the last good weights stay in ``out``.

    Source: EmoNet, training and data facts, for the preset ``as-published``.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> tones = [(np.sin(np.arange(32_000) * f).astype(np.float32), int(f > 0.2)) for f in (0.1, 0.3)]
        >>> settings = Settings(filters=1, blocks=1, epochs=1)
        >>> train(settings, tones, tones, ["low", "high"]).best.epoch
        1
    """
    labels = _checked(train, classes, "training set")
    truth = _checked(validation, classes, "validation set")
    counts = np.bincount(labels, minlength=len(classes))
    if absent := [name for name, count in zip(classes, counts, strict=True) if count == 0]:
        got, cure = f"no example of {', '.join(absent)}", "leave the class out, or train on another split"
        raise ModelError(got, where="training set", expected="one of every class", cure=cure)
    config = Config(settings, tuple(classes), corpus, data or {})
    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        folder = Path(out) if out is not None else None
        return Run(config, train, labels, validation, truth, folder, report).train()


def _checked(utterances: Utterances, classes: Sequence[str], where: str) -> npt.NDArray[np.int64]:
    """The labels, after a look at every waveform."""
    if len(utterances) == 0:
        raise ModelError("no utterances", where=where, expected="at least one", cure="build the corpus again")
    labels = np.empty(len(utterances), dtype=np.int64)
    for row, (wave, label) in enumerate(utterances):
        if wave.dtype != np.float32 or wave.ndim != 1 or not np.isfinite(wave).all():
            shown = f"a waveform of {wave.dtype}, shape {wave.shape}"
            shown += ", with values that are no numbers" if wave.dtype == np.float32 and wave.ndim == 1 else ""
            raise ModelError(shown, where=f"{where}, item {row}", expected="finite float32 of shape (samples,)")
        if not 0 <= label < len(classes):
            expected = f"0 to {len(classes) - 1} for {len(classes)} classes"
            raise ModelError(f"label {label}", where=f"{where}, item {row}", expected=expected)
        labels[row] = label
    return labels
