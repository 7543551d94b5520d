"""The residual network of EmoNet on log-mel maps: one shared body, and what each corpus has of its own."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final, overload

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from emonet_models.frontend import LogMel, frame_count
from emonet_models.layers import POOL, Attention, Block, ByCorpus, ConvTask, CoreOrOwn, Head, MapNorm, Rows, key_of
from emonet_models.settings import Settings
from emoset.errors import ModelError, unknown_name

AT_ONCE: Final = 64
"""Rows of several corpora that go through the network together on a CPU: the maps of more fall out of its cache."""


class EmoNet(nn.Module):
    """From waveform to the class scores of one of its corpora.

    Every corpus has its own head. In mode ``adapters`` it has its own adapters and batch-norms too (that of
    ``input_bn`` included), and its own attention unless ``share_attention``; in the other modes these are shared, and
    there are no adapters.

    Args:
        settings: the architecture; training settings are not looked at, but for ``mode``.
        corpora: number of classes, at least 2, of each corpus; the order is kept.
        reuse_batchnorm: mode ``adapters``: corpora that use the shared batch-norms instead of their own.

    Raises:
        ModelError: a corpus without a name or with fewer than two classes.
        UnknownNameError: ``reuse_batchnorm`` names a corpus that is not among ``corpora``.

    Source: EmoNet, network.

    Example:
        >>> settings = Settings(mode="adapters", classifier="FCNAttention", filters=4, input_bn=False)
        >>> network = EmoNet(settings, {"emodb": 7, "urdu": 4}).eval()
        >>> network(torch.zeros(1, 32_000), "urdu").shape
        torch.Size([1, 4])
    """

    def __init__(
        self, settings: Settings, corpora: Mapping[str, int], *, reuse_batchnorm: Collection[str] = ()
    ) -> None:
        super().__init__()
        for name in reuse_batchnorm:
            if name not in corpora:
                raise unknown_name("corpus", name, corpora)
        self.settings = settings
        self.corpora: dict[str, int] = {}
        self.classes: dict[str, tuple[str, ...]] = {}
        """Class names of each corpus, in the order of the scores, where they are known."""
        channels = settings.filters * settings.factor
        self.logmel = LogMel(settings.mels)
        self.input_norm = MapNorm(1, settings) if settings.input_bn else None
        self.pre_conv = ConvTask(1, channels, settings)
        self.blocks = nn.ModuleList()
        for number in range(3 * settings.blocks):
            stride = 1 if number % settings.blocks else 2
            self.blocks.append(Block(channels, settings, stride=stride))
            channels *= stride
        self.final_norm = MapNorm(channels, settings)
        self.features = channels
        """Number of values that a head gets: what ``embed`` returns of each row."""
        self.attention: CoreOrOwn | None = None
        if settings.classifier == "avgpool":
            frames = frame_count(settings.window_samples or 0)
            self.features *= (math.ceil(settings.mels / 8) // POOL) * (math.ceil(frames / 8) // POOL)
        else:
            shared = settings.mode != "adapters" or settings.share_attention
            self.attention = CoreOrOwn(partial(Attention, channels), core=shared)
        self.heads = ByCorpus()
        if reuse_batchnorm:
            for norm in self._norms():
                norm.core = norm.make()
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        for name, classes in corpora.items():
            self.add_corpus(name, classes, reuse_batchnorm=name in reuse_batchnorm)

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> EmoNet:
        """The network that a model folder holds.

        Args:
            folder: as ``emonet train``, ``emonet convert`` or ``emonet_models.save`` wrote it.

        Returns:
            The network in evaluation mode, with ``classes``.

        Raises:
            ModelError: a file is absent or damaged, or weights and settings do not fit together.

        Example:
            >>> import tempfile
            >>> from emonet_models.weights import Config, save, tensors
            >>> settings, classes = Settings(filters=2), {"emodb": ("anger", "joy")}
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     save(folder, tensors(EmoNet(settings, {"emodb": 2})), Config(settings, classes))
            ...     EmoNet.from_pretrained(folder).classes
            {'emodb': ('anger', 'joy')}
        """
        from emonet_models.weights import load

        return load(folder)[0]

    def add_corpus(self, name: str, classes: int, *, reuse_batchnorm: bool = False) -> None:
        """Add a corpus; what the others give stays the same, bit by bit.

        Args:
            name: of the corpus.
            classes: its number of classes, at least 2.
            reuse_batchnorm: mode ``adapters``: use the shared batch-norms instead of new ones.

        Raises:
            ModelError: the corpus is there already, has no name or too few classes, or there are no
                batch-norms to share.

        Source: EmoNet, network, batch-norm reuse.

        Example:
            >>> network = EmoNet(Settings(mode="adapters", filters=2), {"emodb": 7})
            >>> network.add_corpus("urdu", 4)
            >>> network.corpora
            {'emodb': 7, 'urdu': 4}
        """
        where = f"corpus {name!r}"
        if not name:
            raise ModelError("a corpus without a name", where="network", expected="a name")
        if name in self.corpora:
            raise ModelError("the network has it already", where=where, cure="give another name")
        if classes < 2:
            raise ModelError(f"{classes} classes", where=where, expected="two or more")
        if reuse_batchnorm and self.final_norm.core is None:
            got = "the network has no shared batch-norms: each of its corpora has its own"
            cure = "leave reuse_batchnorm out, or start from a network without adapters"
            raise ModelError(got, where=where, cure=cure)
        if self.settings.mode == "adapters":
            for unit in self.units():
                unit.adapt(name)
            for norm in () if reuse_batchnorm else self._norms():
                norm.add(name)
        if self.attention is not None and self.attention.core is None:
            self.attention.add(name)
        self.heads.add(name, Head(self.features, classes, self.settings))
        self.corpora[name] = classes
        kernel = self.pre_conv.conv.weight
        self.to(device=kernel.device, dtype=kernel.dtype)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.train(self.training)

    def units(self) -> list[ConvTask]:
        """All convolutions with their adapters and batch-norms, from input to output.

        Returns:
            ``1 + 6 * settings.blocks`` units.

        Example:
            >>> len(EmoNet(Settings(filters=1), {"emodb": 7}).units())
            13
        """
        return [module for module in self.modules() if isinstance(module, ConvTask)]

    def forward(self, audio: Tensor, corpus: str | None = None) -> Tensor:
        """Scores before softmax or sigmoid.

        Args:
            audio: (batch, samples), float32 in [-1, 1), 16 kHz.
            corpus: whose classes; None if the network has one corpus only.

        Returns:
            (batch, classes); (batch, 1) with two classes.

        Raises:
            UnknownNameError: no such corpus.
            ModelError: no corpus is named, and there are several; or ``avgpool`` gets another length than its window.

        Example:
            >>> EmoNet(Settings(filters=1), {"emodb": 7}).eval()(torch.zeros(2, 32_000)).shape
            torch.Size([2, 7])
        """
        return self.score(self.logmel(audio), corpus)

    @overload
    def score(self, logmel: Tensor, rows: str | None = None) -> Tensor: ...

    @overload
    def score(self, logmel: Tensor, rows: Rows) -> dict[str, Tensor]: ...

    def score(self, logmel: Tensor, rows: Rows | str | None = None) -> dict[str, Tensor] | Tensor:
        """Scores from log-mel maps: what ``forward`` does after its first layer.

        In a mixed batch the shared convolutions run once over all of it (on a CPU, over ``AT_ONCE`` rows at a time);
        adapters, batch-norms, attention and head of a corpus on its rows. The scores are those of separate passes,
        also while training.

        Args:
            logmel: (batch, mels, frames), as ``network.logmel`` gives.
            rows: the corpus of all rows (None: the only one there is), or how many rows each has, in their order.

        Returns:
            (batch, classes), or (batch, 1) with two classes; of a mixed batch, such a tensor for each corpus.

        Raises:
            UnknownNameError: no such corpus.
            ModelError: no corpus is named, and there are several; the rows are not those of the batch; or
                ``avgpool`` gets another length than its window.

        Example:
            >>> network = EmoNet(Settings(mode="adapters", filters=1), {"emodb": 7, "urdu": 4})
            >>> scores = network.score(torch.zeros(5, 64, 61), {"emodb": 3, "urdu": 2})
            >>> scores["emodb"].shape, scores["urdu"].shape
            (torch.Size([3, 7]), torch.Size([2, 4]))
        """
        scores: dict[str, Tensor] = {}
        for group, part in _groups(self._division(rows, len(logmel)), logmel):
            features = torch.split(self.embed(part, group), list(group.values()))
            scores |= {corpus: self.heads[corpus](own) for corpus, own in zip(group, features, strict=True)}
        return scores if isinstance(rows, Mapping) else next(iter(scores.values()))

    def maps(self, logmel: Tensor, rows: Rows | str | None = None) -> Tensor:
        """The last feature maps, after batch-norm and ReLU.

        Args:
            logmel: (batch, mels, frames).
            rows: whose adapters and batch-norms, as in ``score``.

        Returns:
            (batch, 8 * filters * factor, ceil(mels / 8), ceil(frames / 8)).

        Raises:
            UnknownNameError: no such corpus.
            ModelError: no corpus is named, and there are several; or the rows are not those of the batch.

        Example:
            >>> EmoNet(Settings(filters=1), {"emodb": 7}).maps(torch.zeros(2, 64, 61)).shape
            torch.Size([2, 8, 8, 8])
        """
        division = self._division(rows, len(logmel))
        x = logmel.unsqueeze(1).contiguous(memory_format=torch.channels_last)
        x = self.pre_conv(x if self.input_norm is None else self.input_norm(x, division), division)
        for block in self.blocks:
            x = block(x, division)
        return F.relu(self.final_norm(x, division), inplace=True)

    def embed(self, logmel: Tensor, rows: Rows | str | None = None) -> Tensor:
        """The pooled features that the head of a corpus gets.

        Args:
            logmel: (batch, mels, frames).
            rows: whose features, as in ``score``.

        Returns:
            (batch, ``network.features``).

        Raises:
            UnknownNameError: no such corpus.
            ModelError: no corpus is named, and there are several; the rows are not those of the batch; or
                ``avgpool`` gets another length than its window.

        Example:
            >>> EmoNet(Settings(filters=1), {"emodb": 7}).embed(torch.zeros(2, 64, 61)).shape
            torch.Size([2, 8])
        """
        division = self._division(rows, len(logmel))
        maps = self.maps(logmel, division)
        if self.attention is not None:
            attended: Tensor = self.attention(maps, division)
            return attended
        channels, height, width = maps.shape[1:]
        if (height // POOL) * (width // POOL) * channels != self.features:
            got = f"maps of {height} x {width} positions, that is {height // POOL} x {width // POOL} squares"
            mels, window = self.settings.mels, self.settings.window
            expected = f"{self.features // channels}, those of {mels} mel bands and {window} s"
            raise ModelError(got, where="network", expected=expected, cure="cut or pad the audio to the window")
        # Means over squares of 8x8 cells, remainders dropped, flattened in the order (mel, time, channel).
        return F.avg_pool2d(maps, POOL).permute(0, 2, 3, 1).flatten(1)

    def _division(self, rows: Rows | str | None, size: int) -> Rows:
        """The corpora of a batch with their numbers of rows."""
        if not isinstance(rows, Mapping):
            return {self.corpus_of(rows): size}
        self._known(rows)
        if sum(rows.values()) != size or (rows and size and min(rows.values()) < 1):
            told = ", ".join(f"{count} of {corpus}" for corpus, count in rows.items())
            got = f"a batch of {size} rows, and {told or 'no corpus'}"
            raise ModelError(got, where="network", expected="numbers of rows, each 1 or more, that add up to the batch")
        return rows

    def corpus_of(self, name: str | None) -> str:
        """The corpus whose classes are meant.

        Args:
            name: of the corpus; None: the only one that the network has.

        Raises:
            UnknownNameError: no such corpus.
            ModelError: no corpus is named, and there are several.

        Example:
            >>> EmoNet(Settings(filters=1), {"emodb": 7}).corpus_of(None)
            'emodb'
        """
        if name is None and len(self.corpora) != 1:
            got, expected = "no corpus is named", f"one of {', '.join(self.corpora)}"
            raise ModelError(got, where="network", expected=expected, cure="say whose classes are wanted")
        name = next(iter(self.corpora)) if name is None else name
        self._known([name])
        return name

    def _known(self, corpora: Iterable[str]) -> None:
        for corpus in corpora:
            if corpus not in self.corpora:
                raise unknown_name("corpus", corpus, self.corpora)

    def trainable(self, corpora: Sequence[str], *, learn_shared: bool = False) -> list[nn.Parameter]:
        """The weights that ``settings.mode`` lets learn from some corpora.

        scratch, finetune: all but what belongs to other corpora. last-layer: the heads. adapters: what the corpora
        have of their own; shared batch-norms if no other corpus uses them.

        Args:
            corpora: those that are trained on.
            learn_shared: mode ``adapters``: also what is shared: 3x3 kernels, shared attention and batch-norms.

        Returns:
            The weights, in the order of the network.

        Raises:
            UnknownNameError: no such corpus.

        Source: EmoNet, network; ``learn_shared`` is its "learnall".

        Example:
            >>> network = EmoNet(Settings(mode="last-layer", filters=1), {"emodb": 7})
            >>> sum(p.numel() for p in network.trainable(["emodb"])), sum(p.numel() for p in network.parameters())
            (79, 2866)
        """
        self._known(corpora)
        mode, owners = self.settings.mode, self._owners()
        shared = mode in ("scratch", "finetune") or (mode == "adapters" and learn_shared)
        norms = mode == "adapters" and self.reused <= set(corpora)

        def learns(name: str) -> bool:
            if name in owners:
                return owners[name] in corpora
            return shared or (norms and "norm.core." in name)

        return [parameter for name, parameter in self.named_parameters() if learns(name)]

    def freeze_rest(self, corpora: Sequence[str], *, learn_shared: bool = False) -> list[nn.Parameter]:
        """Let only what ``trainable`` gives learn from now on.

        The rest takes no gradient, and its batch-norms stay as they are in evaluation: ``train()`` neither moves
        their statistics nor uses a batch's, as with Keras' ``trainable = False``.

        Args:
            corpora: those that are trained on.
            learn_shared: mode ``adapters``: also what is shared.

        Returns:
            What ``trainable`` gives.

        Raises:
            UnknownNameError: no such corpus.

        Example:
            >>> network = EmoNet(Settings(mode="last-layer", filters=1), {"emodb": 7})
            >>> learning = network.freeze_rest(["emodb"])
            >>> network.train().final_norm.core.training, network.heads["emodb"].norm.training
            (False, True)
        """
        learning = self.trainable(corpora, learn_shared=learn_shared)
        chosen = {id(p) for p in learning}
        for parameter in self.parameters():
            parameter.requires_grad_(id(parameter) in chosen)
        self.train(self.training)
        return learning

    def train(self, mode: bool = True) -> EmoNet:
        """Set the mode of all layers; frozen batch-norms stay in evaluation mode.

        Args:
            mode: whether to train.

        Returns:
            Itself.
        """
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) and not module.weight.requires_grad:
                module.eval()
        return self

    @property
    def reused(self) -> frozenset[str]:
        """Corpora that use the shared batch-norms."""
        return frozenset(corpus for corpus in self.corpora if corpus not in self.final_norm.own)

    def _norms(self) -> list[MapNorm]:
        return [module for module in self.modules() if isinstance(module, MapNorm)]

    def _owners(self) -> dict[str, str]:
        """The corpus of every weight that belongs to one corpus alone."""
        return {
            f"{place}.{key_of(corpus)}.{name}": corpus
            for place, module in self.named_modules()
            if isinstance(module, ByCorpus)
            for corpus in module
            for name in module[corpus].state_dict()
        }

    def names_of(self, corpus: str) -> frozenset[str]:
        """Which weights belong to one corpus alone.

        Args:
            corpus: its name.

        Returns:
            Names as in ``state_dict``.

        Raises:
            UnknownNameError: no such corpus.

        Example:
            >>> network = EmoNet(Settings(filters=1), {"emodb": 7, "urdu": 4})
            >>> sorted(network.names_of("urdu"))[:2]
            ['heads.urdu.dense.bias', 'heads.urdu.dense.weight']
        """
        self._known([corpus])
        return frozenset(name for name, owner in self._owners().items() if owner == corpus)


def _groups(division: Rows, logmel: Tensor) -> Iterable[tuple[Rows, Tensor]]:
    """The corpora that go through the network together, with their rows of the batch."""
    limit = AT_ONCE if logmel.device.type == "cpu" else len(logmel)
    groups: list[dict[str, int]] = [{}]
    for corpus, count in division.items():
        if groups[-1] and sum(groups[-1].values()) + count > limit:
            groups.append({})
        groups[-1][corpus] = count
    return zip(groups, torch.split(logmel, [sum(group.values()) for group in groups]), strict=True)


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
