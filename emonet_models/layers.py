"""The layers of EmoNet's network, with Keras' padding, statistics and initial weights, shared or per corpus."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Final, TypeAlias, cast
from urllib.parse import unquote

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from emonet_models.settings import Settings

EPSILON: Final = 1e-3
"""Added to the variance in every batch-norm (Keras' default, not PyTorch's)."""
POOL: Final = 8
"""Side of the squares that the ``avgpool`` classifier averages."""


def same_padding(size: int, stride: int = 1) -> tuple[int, int]:
    """Cells to add before and after an axis for TensorFlow's "same" padding of a kernel of 3.

    Args:
        size: cells on the axis.
        stride: step of the kernel.

    Returns:
        The padding before and after. PyTorch's ``padding=1`` equals it for stride 2 on odd sizes only.

    Source: EmoNet, network, padding semantics.

    Example:
        >>> same_padding(6, stride=2), same_padding(7, stride=2), same_padding(6)
        ((0, 1), (1, 1), (1, 1))
    """
    total = max((math.ceil(size / stride) - 1) * stride + 3 - size, 0)
    return total // 2, total - total // 2


Rows: TypeAlias = Mapping[str, int]
"""How many rows of a batch belong to which corpus, in the order of the batch."""


def per_corpus(rows: Rows, apply: Callable[..., Tensor], *inputs: Tensor) -> Tensor:
    """Apply something to each corpus's rows and put the results together again.

    Args:
        rows: corpora with their numbers of rows.
        apply: given the corpus and its rows of the inputs, what becomes of these rows.
        *inputs: (batch, ...) each.

    Returns:
        The results in the order of the batch; no copy is made if there is one corpus only.

    Example:
        >>> x = torch.ones(3, 1)
        >>> per_corpus({"a": 1, "b": 2}, lambda corpus, own: own * ord(corpus), x).tolist()
        [[97.0], [98.0], [98.0]]
    """
    if len(rows) == 1:
        return apply(next(iter(rows)), *inputs)
    # Not slices: the gradient of each would be as large as the whole batch.
    parts = zip(*(torch.split(x, list(rows.values())) for x in inputs), strict=True)
    return torch.cat([apply(corpus, *own) for corpus, own in zip(rows, parts, strict=True)])


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
        return cast(nn.Module, self._modules[key_of(corpus)])

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

    core: nn.Module | None

    def __init__(self, make: Callable[[], nn.Module], *, core: bool) -> None:
        super().__init__()
        self.make = make
        self.register_module("core", make() if core else None)
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
        return self.own[corpus] if corpus in self.own or self.core is None else self.core

    def forward(self, x: Tensor, rows: Rows) -> Tensor:
        """Apply to each corpus's rows the layer that it uses.

        A shared batch-norm too sees one corpus at a time, so that its statistics are those of separate passes.

        Args:
            x: (batch, ...).
            rows: corpora with their numbers of rows.

        Returns:
            What the layers give, in the order of the batch.
        """
        return per_corpus(rows, lambda corpus, own: self.of(corpus)(own), x)


class MapNorm(CoreOrOwn):
    """Batch-norm on maps: of each corpus in mode ``adapters``, else shared.

    Args:
        channels: channels of the maps.
        settings: ``mode`` and ``batch_norm_momentum`` are used.

    Example:
        >>> MapNorm(2, Settings())(torch.zeros(1, 2, 3, 4), {"emodb": 1}).shape
        torch.Size([1, 2, 3, 4])
    """

    def __init__(self, channels: int, settings: Settings) -> None:
        # No lambda: networks are copied and sent to processes.
        make = partial(nn.BatchNorm2d, channels, eps=EPSILON, momentum=1 - settings.batch_norm_momentum)
        super().__init__(make, core=settings.mode != "adapters")


def _he_normal(*shape: int) -> Tensor:
    """Keras' he_normal: a normal cut at two standard deviations and widened to keep sqrt(2 / fan_in)."""
    deviation = math.sqrt(2 / math.prod(shape[1:])) / 0.87962566103423978
    return nn.init.trunc_normal_(torch.empty(shape), std=deviation, a=-2 * deviation, b=2 * deviation)


class ConvTask(nn.Module):
    """3x3 convolution with "same" padding and without bias, then batch-norm: the unit of the network.

    In mode ``adapters`` each corpus has an adapter: a 1x1 convolution on the same input, added before the batch-norm.

    Args:
        inputs: channels that come in.
        outputs: channels that go out.
        settings: ``mode`` and ``batch_norm_momentum`` are used.
        stride: 1 or 2, on both axes.
        dropout: rate while training: on the input of the 3x3 convolution or, with adapters, of these only.

    Source: EmoNet, network, "ConvTask".

    Example:
        >>> unit = ConvTask(2, 4, Settings(mode="adapters"), stride=2)
        >>> unit.adapt("emodb")
        >>> unit.norm.add("emodb")
        >>> unit(torch.zeros(1, 2, 6, 7), {"emodb": 1}).shape
        torch.Size([1, 4, 3, 4])
        >>> [name for name, _ in unit.named_parameters()]
        ['conv.weight', 'adapters.emodb.weight', 'norm.own.emodb.weight', 'norm.own.emodb.bias']
    """

    def __init__(self, inputs: int, outputs: int, settings: Settings, *, stride: int = 1, dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.conv = nn.Conv2d(inputs, outputs, 3, stride=stride, bias=False)
        self.conv.weight = nn.Parameter(_he_normal(outputs, inputs, 3, 3))
        self.adapters = ByCorpus()
        self.norm = MapNorm(outputs, settings)
        self.stride, self.adapted = stride, settings.mode == "adapters"

    def adapt(self, corpus: str) -> None:
        """Give a corpus its adapter.

        Args:
            corpus: its name.
        """
        adapter = nn.Conv2d(self.conv.in_channels, self.conv.out_channels, 1, stride=self.stride, bias=False)
        adapter.weight = nn.Parameter(_he_normal(*adapter.weight.shape))
        self.adapters.add(corpus, adapter)

    def forward(self, x: Tensor, rows: Rows) -> Tensor:
        """Apply the convolution to the whole batch, adapters and batch-norms to their corpora's rows.

        Args:
            x: (batch, inputs, height, width).
            rows: corpora with their numbers of rows.

        Returns:
            (batch, outputs, ceil(height / stride), ceil(width / stride)).
        """
        padded = x if self.adapted else self.dropout(x)
        top, bottom = same_padding(x.shape[2], self.stride)
        left, right = same_padding(x.shape[3], self.stride)
        if (top, left) != (bottom, right):  # uneven: pad by hand, convolve "valid"
            padded, top, left = F.pad(padded, (left, right, top, bottom)), 0, 0
        y = F.conv2d(padded, self.conv.weight, stride=self.stride, padding=(top, left))

        def finish(corpus: str, own_x: Tensor, own_y: Tensor) -> Tensor:
            if self.adapted:
                own_y = own_y + self.adapters[corpus](self.dropout(own_x))
            normalised: Tensor = self.norm.of(corpus)(own_y)
            return normalised

        return per_corpus(rows, finish, x, y)


class Block(nn.Module):
    """Two convolutions beside a shortcut; with stride 2 the shortcut is pooled and zeros fill its new channels.

    Args:
        inputs: channels that come in; as many go out with stride 1, twice as many with stride 2.
        settings: ``mode``, ``dropout`` and ``batch_norm_momentum`` are used.
        stride: 1 or 2.

    Source: EmoNet, network, stages.

    Example:
        >>> Block(4, Settings(), stride=2)(torch.zeros(1, 4, 6, 7), {"emodb": 1}).shape
        torch.Size([1, 8, 3, 4])
    """

    def __init__(self, inputs: int, settings: Settings, *, stride: int = 1) -> None:
        super().__init__()
        first, second = settings.dropout
        self.first = ConvTask(inputs, stride * inputs, settings, stride=stride, dropout=first)
        self.second = ConvTask(stride * inputs, stride * inputs, settings, dropout=second)
        self.stride = stride

    def forward(self, x: Tensor, rows: Rows) -> Tensor:
        """Apply the block.

        Args:
            x: (batch, inputs, height, width).
            rows: corpora with their numbers of rows.

        Returns:
            (batch, stride * inputs, ceil(height / stride), ceil(width / stride)).
        """
        # In place: no batch-norm needs its output again, and fresh memory costs more than the arithmetic.
        y = self.second(F.relu(self.first(x, rows), inplace=True), rows)
        if self.stride > 1:
            x = F.avg_pool2d(x, 2, 2, ceil_mode=True, count_include_pad=False)
            x = F.pad(x, (0, 0, 0, 0, 0, x.shape[1]))
        y += x
        return F.relu(y, inplace=True)


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
        settings: ``head_dropout`` and ``batch_norm_momentum`` are used.

    Source: EmoNet, network, head.

    Example:
        >>> Head(8, 2, Settings())(torch.zeros(3, 8)).shape
        torch.Size([3, 1])
    """

    def __init__(self, width: int, classes: int, settings: Settings) -> None:
        dense = nn.Linear(width, width // 2)
        output = nn.Linear(width // 2, 1 if classes == 2 else classes)
        for layer in (dense, output):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
        norm = HeadNorm(width // 2, eps=EPSILON, momentum=1 - settings.batch_norm_momentum)
        dropout = nn.Dropout(settings.head_dropout)
        super().__init__(OrderedDict(dense=dense, norm=norm, relu=nn.ReLU(), dropout=dropout, output=output))
