"""The residual network of EmoNet on log-mel maps, for one task."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from emonet_models.frontend import LogMel, frame_count
from emonet_models.layers import EPSILON, POOL, Attention, AvgPool, Block, ConvTask, Head
from emonet_models.settings import Settings


class ResNet(nn.Module):
    """From waveform to class scores.

    Args:
        settings: the architecture; training settings are not looked at.
        classes: number of classes, at least 2.

    Source: EmoNet, network, scratch mode.

    Example:
        >>> network = ResNet(Settings(classifier="FCNAttention", filters=32, input_bn=False), 4)
        >>> network.count_values()
        2818084
    """

    def __init__(self, settings: Settings, classes: int) -> None:
        super().__init__()
        width, momentum = settings.filters * settings.factor, settings.batch_norm_momentum
        self.logmel = LogMel(settings.mels)
        self.input_norm = nn.BatchNorm2d(1, eps=EPSILON, momentum=1 - momentum) if settings.input_bn else None
        self.pre_conv = ConvTask(1, width, momentum=momentum)
        self.blocks = nn.ModuleList()
        for stage in (1, 2, 3):
            outputs = width * 2**stage
            for number in range(settings.blocks):
                inputs, stride = (outputs // 2, 2) if number == 0 else (outputs, 1)
                block = Block(inputs, outputs, stride=stride, dropout=settings.dropout, momentum=momentum)
                self.blocks.append(block)
        channels = width * 8
        self.final_norm = nn.BatchNorm2d(channels, eps=EPSILON, momentum=1 - momentum)
        features = channels
        if settings.classifier == "avgpool":
            frames = frame_count(settings.window_samples or 0)
            features *= (math.ceil(settings.mels / 8) // POOL) * (math.ceil(frames / 8) // POOL)
        self.pooling = AvgPool() if settings.classifier == "avgpool" else Attention(channels)
        self.head = Head(features, classes, dropout=settings.head_dropout, momentum=momentum)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, audio: Tensor) -> Tensor:
        """Scores before softmax or sigmoid.

        Args:
            audio: (batch, samples), float32 in [-1, 1), 16 kHz.

        Returns:
            (batch, classes); (batch, 1) with two classes.
        """
        return self.score(self.logmel(audio))

    def score(self, logmel: Tensor) -> Tensor:
        """Scores from log-mel maps: what ``forward`` does after its first layer.

        Args:
            logmel: (batch, mels, frames), as ``network.logmel`` gives.

        Returns:
            (batch, classes); (batch, 1) with two classes.
        """
        scores: Tensor = self.head(self.pooling(self.maps(logmel)))
        return scores

    def maps(self, logmel: Tensor) -> Tensor:
        """The last feature maps, after batch-norm and ReLU.

        Args:
            logmel: (batch, mels, frames).

        Returns:
            (batch, 8 * filters * factor, ceil(mels / 8), ceil(frames / 8)).
        """
        x = logmel.unsqueeze(1).contiguous(memory_format=torch.channels_last)
        x = self.pre_conv(x if self.input_norm is None else self.input_norm(x))
        for block in self.blocks:
            x = block(x)
        return F.relu(self.final_norm(x))

    def count_values(self) -> int:
        """Number of weights, moving statistics of the batch-norms included."""
        return sum(v.numel() for v in self.state_dict().values() if v.is_floating_point())


def probabilities(scores: Tensor) -> Tensor:
    """Class probabilities from the network's scores.

    Args:
        scores: (batch, classes), or (batch, 1) for two classes.

    Returns:
        (batch, classes); a single sigmoid p becomes (1 - p, p).

    Example:
        >>> probabilities(torch.zeros(1, 1)).tolist()
        [[0.5, 0.5]]
    """
    if scores.shape[-1] > 1:
        return scores.softmax(-1)
    positive = scores.sigmoid()
    return torch.cat([1 - positive, positive], -1)
