"""The layers of EmoNet's network, with Keras' padding, statistics and initial weights, shared or per corpus."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Final
from urllib.parse import unquote

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


Rows = Sequence[tuple[str, slice]]
"""Which rows of a batch belong to which corpus: disjoint, in the order of the batch, all of it."""


def per_corpus(rows: Rows, apply: Callable[..., Tensor], *inputs: Tensor) -> Tensor:
    """Apply something to each corpus's rows and put the results together again.

    Args:
        rows: corpora with their slices.
        apply: given the corpus and its rows of the inputs, what becomes of these rows.
        *inputs: (batch, ...) each.

    Returns:
        The results in the order of the batch; no copy is made if there is one corpus only.

    Example:
        >>> x = torch.ones(3, 1)
        >>> per_corpus([("a", slice(0, 1)), ("b", slice(1, 3))], lambda corpus, own: own * ord(corpus), x).tolist()
        [[97.0], [98.0], [98.0]]
    """
    if len(rows) == 1:
        return apply(rows[0][0], *inputs)
    # Not slices: the gradient of each would be as large as the whole batch.
    sizes = [own.stop - own.start for _, own in rows]
    parts = zip(*(torch.split(x, sizes) for x in inputs), strict=True)
    return torch.cat([apply(corpus, *own) for (corpus, _), own in zip(rows, parts, strict=True)])


def key_of(corpus: str) -> str:
    """How a corpus is written in the names of weights: "%" and a code stand for a dot and for "%".

    They also stand for the first letter of "training" and of names with "_" in front, which PyTorch uses itself.

    Args:
        corpus: its name.

    Returns:
        The name without dots.

    Example:
        >>> key_of("v1.2"), key_of("training")
        ('v1%2E2', '%74raining')
    """
    key = corpus.replace("%", "%25").replace(".", "%2E")
    return f"%{ord(key[0]):02X}{key[1:]}" if key == "training" or key.startswith("_") else key


class ByCorpus(nn.Module):
    """Modules by corpus. Unlike ``ModuleDict`` it takes every name: "v1.2", "keys", "type".

    Example:
        >>> modules = ByCorpus()
        >>> modules.add("v1.2", nn.Linear(1, 1, bias=False))
        >>> list(modules.state_dict()), list(modules), "v1.2" in modules
        (['v1%2E2.weight'], ['v1.2'], True)
    """

    def add(self, corpus: str, module: nn.Module) -> None:
        """Add the module of a corpus.

        Args:
            corpus: its name; a module that it had is replaced.
            module: the module.
        """
        # Not add_module: it refuses what is also the name of a method. Nothing is looked up as an attribute here.
        self._modules[key_of(corpus)] = module

    def __getitem__(self, corpus: str) -> nn.Module:
        module = self._modules[key_of(corpus)]
        assert module is not None  # noqa: S101 - for the type only
        return module

    def __contains__(self, corpus: str) -> bool:
        return key_of(corpus) in self._modules

    def __iter__(self) -> Iterator[str]:
        return map(unquote, self._modules)

    def __len__(self) -> int:
        return len(self._modules)


class CoreOrOwn(nn.Module):
    """A layer that corpora share (``core``), or of which each has its own (``own``).

    Args:
        make: makes one.
        core: whether there is one to share.

    Example:
        >>> norm = CoreOrOwn(lambda: nn.BatchNorm2d(2), core=True)
        >>> norm.add("emodb")
        >>> norm.of("emodb") is norm.own["emodb"], norm.of("urdu") is norm.core
        (True, True)
    """

    def __init__(self, make: Callable[[], nn.Module], *, core: bool) -> None:
        super().__init__()
        self.make = make
        self.core = make() if core else None
        self.own = ByCorpus()

    def add(self, corpus: str) -> None:
        """Give a corpus its own layer.

        Args:
            corpus: its name.
        """
        self.own.add(corpus, self.make())

    def of(self, corpus: str) -> nn.Module:
        """The layer that a corpus uses.

        Args:
            corpus: its name.

        Returns:
            Its own, else the shared one.
        """
        if corpus in self.own or self.core is None:
            return self.own[corpus]
        return self.core

    def forward(self, x: Tensor, rows: Rows) -> Tensor:
        """Apply to each corpus's rows the layer that it uses.

        A shared batch-norm too sees one corpus at a time, so that its statistics are those of separate passes.

        Args:
            x: (batch, ...).
            rows: corpora with their slices of the batch.

        Returns:
            What the layers give, in the order of the batch.
        """
        return per_corpus(rows, lambda corpus, own: self.of(corpus)(own), x)


class MapNorm(CoreOrOwn):
    """Batch-norm on maps, shared or per corpus.

    Args:
        channels: channels of the maps.
        momentum: Keras momentum of the moving statistics.
        core: whether there is one to share.

    Example:
        >>> MapNorm(2)(torch.zeros(1, 2, 3, 4), [("emodb", slice(1))]).shape
        torch.Size([1, 2, 3, 4])
    """

    def __init__(self, channels: int, *, momentum: float = 0.99, core: bool = True) -> None:
        # No lambda: networks are copied and sent to processes.
        super().__init__(partial(nn.BatchNorm2d, channels, eps=EPSILON, momentum=1 - momentum), core=core)


def _he_normal(*shape: int) -> Tensor:
    """Keras' he_normal: a normal cut at two standard deviations and widened to keep sqrt(2 / fan_in)."""
    deviation = math.sqrt(2 / math.prod(shape[1:])) / 0.87962566103423978
    return nn.init.trunc_normal_(torch.empty(shape), std=deviation, a=-2 * deviation, b=2 * deviation)


class ConvTask(nn.Module):
    """3x3 convolution with "same" padding and without bias, then batch-norm: the unit of the network.

    A corpus may have an adapter: a 1x1 convolution on the same input, added before the batch-norm.

    Args:
        inputs: channels that come in.
        outputs: channels that go out.
        stride: 1 or 2, on both axes.
        dropout: rate while training: on the input of the 3x3 convolution or, with ``adapted``, of the adapters only.
        momentum: Keras momentum of the batch-norm's moving statistics.
        adapted: whether corpora have adapters.
        core: whether there is a batch-norm to share.

    Source: EmoNet, network, "ConvTask".

    Example:
        >>> unit = ConvTask(2, 4, stride=2, adapted=True, core=False)
        >>> unit.add("emodb")
        >>> unit(torch.zeros(1, 2, 6, 7), [("emodb", slice(0, 1))]).shape
        torch.Size([1, 4, 3, 4])
        >>> [name for name, _ in unit.named_parameters()]
        ['conv.weight', 'adapters.emodb.weight', 'norm.own.emodb.weight', 'norm.own.emodb.bias']
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        stride: int = 1,
        dropout: float = 0.0,
        momentum: float = 0.99,
        adapted: bool = False,
        core: bool = True,
    ) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.conv = nn.Conv2d(inputs, outputs, 3, stride=stride, bias=False)
        self.conv.weight = nn.Parameter(_he_normal(outputs, inputs, 3, 3))
        self.adapters = ByCorpus()
        self.norm = MapNorm(outputs, momentum=momentum, core=core)
        self.stride, self.adapted = stride, adapted

    def add(self, corpus: str, *, norm: bool = True) -> None:
        """Give a corpus its adapter, if corpora have them, and its batch-norm.

        Args:
            corpus: its name.
            norm: whether it gets a batch-norm of its own.
        """
        if self.adapted:
            adapter = nn.Conv2d(self.conv.in_channels, self.conv.out_channels, 1, stride=self.stride, bias=False)
            adapter.weight = nn.Parameter(_he_normal(*adapter.weight.shape))
            self.adapters.add(corpus, adapter)
        if norm:
            self.norm.add(corpus)

    def forward(self, x: Tensor, rows: Rows) -> Tensor:
        """Apply the convolution to the whole batch, adapters and batch-norms to their corpora's rows.

        Args:
            x: (batch, inputs, height, width).
            rows: corpora with their slices of the batch.

        Returns:
            (batch, outputs, ceil(height / stride), ceil(width / stride)).
        """
        padded = x if self.adapted else self.dropout(x)
        top, bottom = same_padding(x.shape[2], stride=self.stride)
        left, right = same_padding(x.shape[3], stride=self.stride)
        if (top, left) != (bottom, right):  # uneven: pad by hand, convolve "valid"
            padded, top, left = F.pad(padded, (left, right, top, bottom)), 0, 0
        y = F.conv2d(padded, self.conv.weight, stride=self.stride, padding=(top, left))
        if not self.adapted:
            normalised: Tensor = self.norm(y, rows)
            return normalised

        def adapt(corpus: str, mine: Tensor, beside: Tensor) -> Tensor:
            adapted: Tensor = self.norm.of(corpus)(beside + self.adapters[corpus](self.dropout(mine)))
            return adapted

        return per_corpus(rows, adapt, x, y)


class Block(nn.Module):
    """Two convolutions beside a shortcut; with stride 2 the shortcut is pooled and zeros fill its new channels.

    Args:
        inputs: channels that come in.
        outputs: channels that go out: ``inputs`` with stride 1, twice as many with stride 2.
        stride: 1 or 2.
        dropout: rates of the first and of the second convolution.
        momentum: Keras momentum of the batch-norms.
        adapted: whether corpora have adapters.
        core: whether there are batch-norms to share.

    Source: EmoNet, network, stages.

    Example:
        >>> Block(4, 8, stride=2)(torch.zeros(1, 4, 6, 7), [("emodb", slice(0, 1))]).shape
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
        adapted: bool = False,
        core: bool = True,
    ) -> None:
        super().__init__()
        self.first = ConvTask(
            inputs, outputs, stride=stride, dropout=dropout[0], momentum=momentum, adapted=adapted, core=core
        )
        self.second = ConvTask(outputs, outputs, dropout=dropout[1], momentum=momentum, adapted=adapted, core=core)
        self.stride, self.new_channels = stride, outputs - inputs

    def forward(self, x: Tensor, rows: Rows) -> Tensor:
        """Apply the block.

        Args:
            x: (batch, inputs, height, width).
            rows: corpora with their slices of the batch.

        Returns:
            (batch, outputs, ceil(height / stride), ceil(width / stride)).
        """
        # In place: no batch-norm needs its output again, and fresh memory costs more than the arithmetic.
        y = self.second(F.relu(self.first(x, rows), inplace=True), rows)
        if self.stride > 1:
            x = F.avg_pool2d(x, 2, 2, ceil_mode=True, count_include_pad=False)
            x = F.pad(x, (0, 0, 0, 0, 0, self.new_channels))
        y += x
        return F.relu(y, inplace=True)


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
            self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum or 0.0)
            self.running_var.lerp_(variance.to(self.running_var.dtype), self.momentum or 0.0)
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
