"""What training makes small: the losses of many corpora in one batch, each with the weights of its own classes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from emonet_models.network import EmoNet
from emonet_models.settings import Settings


def balance(labels: npt.NDArray[np.int64], classes: int) -> Tensor:
    """Class weights by the inverse of class frequencies; their mean over the utterances is 1.

    Args:
        labels: class indexes, each class at least once.
        classes: how many there are.

    Returns:
        (classes,).

    Example:
        >>> balance(np.array([0, 0, 0, 1]), 2).tolist()
        [0.6666666865348816, 2.0]
    """
    counts = torch.from_numpy(np.bincount(labels, minlength=classes)).float()
    return len(labels) / (classes * counts)


def losses(scores: Tensor, targets: Tensor, class_weights: Tensor, settings: Settings) -> Tensor:
    """The loss of each row.

    Args:
        scores: (batch, classes), or (batch, 1) for two classes, before softmax or sigmoid.
        targets: (batch, classes), probabilities.
        class_weights: (classes,), factors on what each class adds.
        settings: ``loss``, ``gamma`` and ``label_smoothing`` are used.

    Returns:
        (batch,). ``cross-entropy``; ``focal``: the same, times (1 - p) ** gamma for each class's probability p;
        ``ordinal``: the squared distance of the cumulative distributions, for classes that lie in a row.

    Source: Lin et al. 2017, Focal Loss for Dense Object Detection; Hou et al. 2016, Squared Earth Mover's
    Distance-based Loss.

    Example:
        >>> even, weights = torch.zeros(1, 3), torch.ones(3)
        >>> [round(float(losses(even, F.one_hot(torch.tensor([c]), 3), weights, Settings(loss="ordinal"))), 3)
        ...  for c in (0, 1, 2)]
        [0.556, 0.222, 0.556]
    """
    if scores.shape[1] == 1:
        logs = torch.cat([F.logsigmoid(-scores), F.logsigmoid(scores)], 1)
    else:
        logs = scores.log_softmax(1)
    targets = targets * (1 - settings.label_smoothing) + settings.label_smoothing / targets.shape[1]
    if settings.loss == "ordinal":
        apart = (logs.exp().cumsum(1) - targets.cumsum(1)).square().sum(1)
        return apart * (targets * class_weights).sum(1)
    if settings.loss == "focal":
        # Never 0: there the gradient of a power below 1 is infinite.
        logs = logs * (-torch.expm1(logs)).clamp(min=1e-7) ** settings.gamma
    return -(targets * class_weights * logs).sum(1)


class Objective(nn.Module):
    """The network with its losses: what is trained, on one device or on many.

    Args:
        network: to train.
        class_weights: (classes,) for each corpus that is trained on.
        settings: of the loss and the precision.

    Example:
        >>> settings = Settings(filters=1)
        >>> objective = Objective(EmoNet(settings, {"emodb": 3}), {"emodb": torch.ones(3)}, settings)
        >>> objective(torch.zeros(3, 64, 61), {"emodb": 3}, {"emodb": torch.eye(3)}).shape
        torch.Size([1])
    """

    def __init__(self, network: EmoNet, class_weights: Mapping[str, Tensor], settings: Settings) -> None:
        super().__init__()
        self.network, self.settings = network, settings
        self.class_weights = dict(class_weights)

    def forward(self, logmel: Tensor, rows: Mapping[str, int], targets: Mapping[str, Tensor]) -> Tensor:
        """The mean loss of each corpus's rows.

        Args:
            logmel: (batch, mels, frames), float32.
            rows: how many each corpus has, in the order of the batch.
            targets: (rows, classes) of each corpus, probabilities.

        Returns:
            (corpora,), float32, in the order of ``rows``.
        """
        with torch.autocast(logmel.device.type, torch.bfloat16, enabled=self.settings.precision == "bf16"):
            scores = self.network.score(logmel, rows)
        return torch.stack([
            losses(scores[name].float(), targets[name], self.class_weights[name], self.settings).mean()
            for name in rows
        ])  # fmt: skip
