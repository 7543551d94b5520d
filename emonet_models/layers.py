"""The layers of EmoNet's network, with Keras' padding, statistics and initial weights."""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

EPSILON: Final = 1e-3
"""Added to the variance in every batch-norm (Keras' default, not PyTorch's)."""
POOL: Final = 8
"""Side of the squares that the ``avgpool`` classifier averages."""


def same_padding(size: int, kernel: int = 3, stride: int = 1) -> tuple[int, int]:
    """Cells to add before and after an axis for TensorFlow's "same" padding.

    Args:
        size: cells on the axis.
        kernel: cells that the kernel covers.
        stride: step of the kernel.

    Returns:
        The padding before and after. PyTorch's ``padding=1`` equals it for stride 2 on odd sizes only.

    Source: EmoNet, network, padding semantics.

    Example:
        >>> same_padding(6, stride=2), same_padding(7, stride=2), same_padding(6)
        ((0, 1), (1, 1), (1, 1))
    """
    total = max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


class ConvTask(nn.Module):
    """3x3 convolution with "same" padding and without bias, then batch-norm: the unit of the network.

    Args:
        inputs: channels that come in.
        outputs: channels that go out.
        stride: 1 or 2, on both axes.
        dropout: rate on the input of the convolution while training.
        momentum: Keras momentum of the batch-norm's moving statistics.

    Source: EmoNet, network, "ConvTask" in scratch mode.

    Example:
        >>> ConvTask(2, 4, stride=2)(torch.zeros(1, 2, 6, 7)).shape
        torch.Size([1, 4, 3, 4])
    """

    def __init__(
        self, inputs: int, outputs: int, *, stride: int = 1, dropout: float = 0.0, momentum: float = 0.99
    ) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.conv = nn.Conv2d(inputs, outputs, 3, stride=stride, bias=False)
        self.norm = nn.BatchNorm2d(outputs, eps=EPSILON, momentum=1 - momentum)
        self.stride = stride
        # he_normal: a normal cut at two standard deviations and widened to keep sqrt(2 / fan_in).
        deviation = math.sqrt(2 / (9 * inputs)) / 0.87962566103423978
        nn.init.trunc_normal_(self.conv.weight, std=deviation, a=-2 * deviation, b=2 * deviation)

    def forward(self, x: Tensor) -> Tensor:
        """Apply dropout, convolution and batch-norm.

        Args:
            x: (batch, inputs, height, width).

        Returns:
            (batch, outputs, ceil(height / stride), ceil(width / stride)).
        """
        x = self.dropout(x)
        top, bottom = same_padding(x.shape[2], stride=self.stride)
        left, right = same_padding(x.shape[3], stride=self.stride)
        if (top, left) != (bottom, right):  # uneven: pad by hand, convolve "valid"
            x, top, left = F.pad(x, (left, right, top, bottom)), 0, 0
        normalised: Tensor = self.norm(F.conv2d(x, self.conv.weight, stride=self.stride, padding=(top, left)))
        return normalised


class Block(nn.Module):
    """Two convolutions beside a shortcut; with stride 2 the shortcut is pooled and zeros fill its new channels.

    Args:
        inputs: channels that come in.
        outputs: channels that go out: ``inputs`` with stride 1, twice as many with stride 2.
        stride: 1 or 2.
        dropout: rates on the input of the first and of the second convolution.
        momentum: Keras momentum of the batch-norms.

    Source: EmoNet, network, stages.

    Example:
        >>> Block(4, 8, stride=2)(torch.zeros(1, 4, 6, 7)).shape
        torch.Size([1, 8, 3, 4])
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        stride: int = 1,
        dropout: tuple[float, float] = (0.0, 0.0),
        momentum: float = 0.99,
    ) -> None:
        super().__init__()
        self.first = ConvTask(inputs, outputs, stride=stride, dropout=dropout[0], momentum=momentum)
        self.second = ConvTask(outputs, outputs, dropout=dropout[1], momentum=momentum)
        self.stride, self.new_channels = stride, outputs - inputs

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block.

        Args:
            x: (batch, inputs, height, width).

        Returns:
            (batch, outputs, ceil(height / stride), ceil(width / stride)).
        """
        y = self.second(F.relu(self.first(x)))
        if self.stride > 1:
            x = F.avg_pool2d(x, 2, 2, ceil_mode=True, count_include_pad=False)
            x = F.pad(x, (0, 0, 0, 0, 0, self.new_channels))
        return F.relu(x + y)


class AvgPool(nn.Module):
    """Average over squares of 8x8 cells, remainders dropped, flattened in the order (mel, time, channel).

    Example:
        >>> AvgPool()(torch.zeros(1, 5, 8, 20)).shape
        torch.Size([1, 10])
    """

    def forward(self, x: Tensor) -> Tensor:
        """Pool and flatten.

        Args:
            x: (batch, channels, height, width).

        Returns:
            (batch, (height // 8) * (width // 8) * channels).
        """
        return F.avg_pool2d(x, POOL).permute(0, 2, 3, 1).flatten(1)


class Attention(nn.Module):
    """Weighted sum over all positions: ``a = softmax(0.3 u . tanh(W' x + b))``, without a mask.

    Args:
        channels: channels of a position.

    Source: EmoNet, network, classifier FCNAttention. W is stored as Keras stores it, (in, out).

    Example:
        >>> Attention(4)(torch.ones(1, 4, 3, 2)).tolist()
        [[1.0, 1.0, 1.0, 1.0]]
    """

    SCALE = 0.3

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.W = nn.Parameter(torch.empty(channels, channels).normal_(std=0.05))
        self.b = nn.Parameter(torch.empty(channels).normal_(std=0.05))
        self.u = nn.Parameter(torch.empty(channels).normal_(std=0.05))

    def forward(self, x: Tensor) -> Tensor:
        """Attend.

        Args:
            x: (batch, channels, height, width).

        Returns:
            (batch, channels).
        """
        positions = x.flatten(2).transpose(1, 2)
        energy = self.SCALE * (torch.tanh(positions @ self.W + self.b) @ self.u)
        return (energy.softmax(dim=1).unsqueeze(1) @ positions).squeeze(1)


class HeadNorm(nn.BatchNorm1d):
    """Batch-norm whose moving variance takes the biased variance of the batch, as Keras does outside images.

    Source: EmoNet, network, batch-norm.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Normalise.

        Args:
            input: (batch, channels). A batch of one is allowed.

        Returns:
            (batch, channels).
        """
        if not self.training or self.running_mean is None or self.running_var is None:
            return super().forward(input)
        mean, variance = input.mean(0), input.var(0, unbiased=False)
        with torch.no_grad():
            self.running_mean.lerp_(mean.float(), self.momentum or 0.0)
            self.running_var.lerp_(variance.float(), self.momentum or 0.0)
        return (input - mean) * torch.rsqrt(variance + self.eps) * self.weight + self.bias


class Head(nn.Sequential):
    """Dense to half the width, batch-norm, ReLU, dropout, output; two classes share ONE sigmoid unit.

    Args:
        width: features that come in.
        classes: number of classes, at least 2.
        dropout: rate before the output.
        momentum: Keras momentum of the batch-norm.

    Source: EmoNet, network, head.

    Example:
        >>> Head(8, 2)(torch.zeros(3, 8)).shape
        torch.Size([3, 1])
    """

    def __init__(self, width: int, classes: int, *, dropout: float = 0.2, momentum: float = 0.99) -> None:
        dense = nn.Linear(width, width // 2)
        output = nn.Linear(width // 2, 1 if classes == 2 else classes)
        for layer in (dense, output):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
        norm = HeadNorm(width // 2, eps=EPSILON, momentum=1 - momentum)
        super().__init__()
        self.dense, self.norm, self.relu = dense, norm, nn.ReLU()
        self.dropout, self.output = nn.Dropout(dropout), output
