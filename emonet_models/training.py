"""Training on one corpus: every choice is made on validation UAR, the test split is never looked at."""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.nn import functional as F

from emonet_models import batches
from emonet_models.batches import Utterances, Wave
from emonet_models.network import ConvTask, ResNet, probabilities
from emonet_models.schedules import Clock, decay_of_keras, one_cycle
from emonet_models.settings import Settings
from emonet_models.weights import METRICS, Config, save, tensors, write_whole
from emoset.benchmarking.metrics import uar
from emoset.errors import ModelError

JUDGED_AT_ONCE = 64
"""Windows in a batch of evaluation."""


@dataclass(frozen=True)
class Epoch:
    """One line of ``metrics.jsonl``.

    Args:
        epoch: from 1 on.
        loss: mean training loss.
        validation_loss: mean negative logarithm of the right class's probability.
        validation_uar: what the best epoch is chosen by.
        learning_rate: of the last step.
        seconds: wall clock since training began.
        cpu_seconds: of this process since training began.
    """

    epoch: int
    loss: float
    validation_loss: float
    validation_uar: float
    learning_rate: float
    seconds: float
    cpu_seconds: float


@dataclass(frozen=True)
class TrainingResult:
    """A trained network.

    Args:
        network: with the weights of the best epoch, in evaluation mode, on the CPU.
        config: settings and classes.
        best: the epoch that was chosen.
        epochs: all of them.
    """

    network: ResNet
    config: Config
    best: Epoch
    epochs: tuple[Epoch, ...]


class Objective(nn.Module):
    """The network with its loss: what the optimiser sees.

    Args:
        network: to train.
        class_weights: (classes,), factors on the loss of each class.
        smoothing: share of the target that is spread over all classes.
    """

    class_weights: Tensor

    def __init__(self, network: ResNet, class_weights: Tensor, smoothing: float = 0.0) -> None:
        super().__init__()
        self.network, self.smoothing = network, smoothing
        self.register_buffer("class_weights", class_weights)

    def forward(self, logmel: Tensor, targets: Tensor) -> Tensor:
        """The mean over the batch of the weighted cross-entropy.

        Args:
            logmel: (batch, mels, frames).
            targets: (batch, classes), probabilities.

        Returns:
            A scalar.
        """
        scores = self.network.score(logmel)
        if scores.shape[1] == 1:
            logs = torch.cat([F.logsigmoid(-scores), F.logsigmoid(scores)], 1)
        else:
            logs = scores.log_softmax(1)
        targets = targets * (1 - self.smoothing) + self.smoothing / targets.shape[1]
        return -(targets * self.class_weights * logs).sum(1).mean()


def train(
    settings: Settings,
    train: Utterances,
    validation: Utterances,
    classes: Sequence[str],
    out: str | Path | None = None,
    *,
    corpus: str = "",
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
    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        run = _Run(settings, train, labels, validation, truth, tuple(classes), Path(out) if out else None, corpus)
        run.report = report
        return run.train()


def predict_probabilities(network: ResNet, settings: Settings, waves: Sequence[Wave]) -> npt.NDArray[np.float64]:
    """Class probabilities of utterances, averaged over their windows.

    Args:
        network: put into evaluation mode for the time being.
        settings: its settings.
        waves: waveforms of any length; may be read lazily.

    Returns:
        (len(waves), classes).

    Example:
        >>> settings = Settings(filters=1)
        >>> predict_probabilities(ResNet(settings, 3), settings, [np.zeros(100, np.float32)]).shape
        (1, 3)
    """
    device = next(network.parameters()).device
    was_training = network.training
    network.eval()
    sums: list[npt.NDArray[np.float64]] = []
    shares: list[int] = []
    waiting: list[tuple[int, Wave]] = []

    def judge() -> None:
        batch = batches.stack([part for _, part in waiting], settings.window_samples).to(device)
        found = probabilities(network(batch)).double().cpu().numpy()
        for (row, _), values in zip(waiting, found, strict=True):
            sums[row] = sums[row] + values
        waiting.clear()

    with torch.inference_mode():
        # Whole utterances go one by one: padding them to the longest of a batch would change the answers.
        size = JUDGED_AT_ONCE if settings.window_samples else 1
        for row, wave in enumerate(waves):
            parts = batches.windows(wave, settings)
            sums.append(np.zeros(()))
            shares.append(len(parts))
            for part in parts:
                waiting.append((row, part))
                if len(waiting) == size:
                    judge()
        if waiting:
            judge()
    network.train(was_training)
    return np.stack(sums) / np.array(shares)[:, None]
