"""How many values a network holds, and where the paper's factor of 3.5 comes from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass, fields
from fractions import Fraction
from types import MappingProxyType
from typing import Final

import torch

from emonet_models.network import EmoNet
from emonet_models.settings import Settings
from emonet_models.weights import tensors

CORPORA: Final[Mapping[str, int]] = MappingProxyType({
    "ABC": 6, "AD": 2, "BES": 4, "CASIA": 6, "CVE": 7, "DES": 5, "DEMoS": 7, "EA-ACT": 7, "EA-BMW": 3, "EA-WSJ": 2,
    "EMO-DB": 7, "EmoFilm": 5, "EmotiW": 7, "eNTERFACE": 6, "EU-EmoSS": 21, "FAU Aibo": 5, "GEMEP": 12, "GVESS": 13,
    "IEMOCAP": 4, "MES": 6, "MELD": 7, "PPMMK": 4, "SIMIS": 5, "SmartKom": 7, "SUSAS": 4, "TurkishEmo": 4,
})  # fmt: skip
"""Corpora and their numbers of classes as assumed for the table: the paper does not list them."""


@dataclass(frozen=True)
class Count:
    """Values of a network, by part; moving statistics of the batch-norms are counted.

    Args:
        kernels: 3x3 convolutions.
        adapters: 1x1 convolutions.
        norms: batch-norms on maps.
        attention: where positions are pooled by it.
        heads: of all corpora.

    Example:
        >>> Count(kernels=9, adapters=1, norms=4, attention=0, heads=6).total
        20
    """

    kernels: int
    adapters: int
    norms: int
    attention: int
    heads: int

    @property
    def total(self) -> int:
        """All values."""
        return sum(astuple(self))


@dataclass(frozen=True)
class ParameterTable:
    """The counts of three networks of the same width and depth. As text it is the table with its arithmetic.

    Args:
        settings: of the networks; mode aside.
        corpora: number of classes of each corpus of the third.
        alone: the one corpus of the first two.
        single: mode scratch, one corpus.
        adapted: mode adapters, one corpus.
        many: mode adapters, all corpora.
    """

    settings: Settings
    corpora: Mapping[str, int]
    alone: str
    single: Count
    adapted: Count
    many: Count

    @property
    def factor(self) -> Fraction:
        """Kernels with adapters of all corpora, over those of the network with adapters for one.

        Source: EmoNet, parameter counts: (1 + 26 / 9) / (1 + 1 / 9) = 35 / 10 for 26 corpora, whatever width and depth.
        """
        many, one = self.many, self.adapted
        return Fraction(many.kernels + many.adapters, one.kernels + one.adapters)

    def __str__(self) -> str:
        counts, number = (self.single, self.adapted, self.many), len(self.corpora)

        def line(name: str, values: Iterable[str]) -> str:
            return f"{name:<20}" + "".join(f"{value:>14}" for value in values)

        lines = [line("", ("single", "adapters, 1", f"adapters, {number}"))]
        names = ("3x3 kernels", "1x1 adapters", "batch-norms", "attention", "heads", "total")
        columns = [(*astuple(count), count.total) for count in counts]
        lines += [line(name, (f"{value:,}" for value in row)) for name, *row in zip(names, *columns, strict=True)]
        for name, base in (("total / single", self.single), ("total / adapters, 1", self.adapted)):
            lines.append(line(name, (f"{count.total / base.total:.3f}" for count in counts)))
        settings, one, many = self.settings, self.adapted, self.many
        width = f"{settings.factor} x {settings.filters} filters, {settings.blocks} blocks a stage"
        share = ", shared attention" if settings.share_attention else ""
        floor = float(1 + Fraction(number, 9))
        return "\n".join([
            f"{width}, {settings.classifier}{share}; moving statistics are counted; single: {self.alone} from scratch.",
            "",
            *lines,
            "",
            "Every adapter (1x1) holds a ninth of its kernel (3x3). Hence, whatever width and depth, kernels and",
            f"adapters of {number} corpora are (1 + {number}/9) / (1 + 1/9) = {9 + number}/10 = {(9 + number) / 10:.3f}"
            " times those of one with adapters:",
            f"{many.kernels + many.adapters:,} / {one.kernels + one.adapters:,} = {float(self.factor):.3f}. "
            "With 26 corpora that is the paper's factor of 3.5",
            "(identified by arithmetic; it is no statement of the paper's). Over a network without adapters these",
            f"parts alone are 1 + {number}/9 = {floor:.3f} times as many.",
        ])  # fmt: skip


def parameter_table(settings: Settings | None = None, corpora: Mapping[str, int] | None = None) -> ParameterTable:
    """Count the values of networks with one and with many corpora, on real modules (without memory for them).

    Args:
        settings: of the networks, mode aside; None: the paper's width and depth with attention.
        corpora: number of classes of each; None: EmoNet's 26. IEMOCAP is counted alone, or else the first.

    Returns:
        The counts; ``print`` gives the table and the arithmetic of the paper's factor 3.5.

    Source: EmoNet, parameter counts.

    Example:
        >>> table = parameter_table()
        >>> table.single.total, table.adapted.total, table.many.total, table.factor
        (2818084, 3119172, 13361412, Fraction(7, 2))
    """
    settings = settings or Settings(classifier="FCNAttention", input_bn=False)
    corpora = corpora or CORPORA
    alone = "IEMOCAP" if "IEMOCAP" in corpora else next(iter(corpora))
    scratch, adapters = (settings.model_copy(update={"mode": mode}) for mode in ("scratch", "adapters"))
    one = {alone: corpora[alone]}
    single, adapted, many = count(scratch, one), count(adapters, one), count(adapters, corpora)
    return ParameterTable(settings, corpora, alone, single, adapted, many)


def count(settings: Settings, corpora: Mapping[str, int]) -> Count:
    """Count the values of a network.

    Args:
        settings: of the network.
        corpora: number of classes of each corpus.

    Returns:
        The counts.

    Example:
        >>> count(Settings(filters=32, input_bn=False), {"iemocap": 4}).kernels
        2709792
    """
    with torch.device("meta"):
        network = EmoNet(settings, corpora)
    parts = dict.fromkeys((part.name for part in fields(Count)), 0)
    for name, value in tensors(network).items():
        top, kernel = name.split(".")[0], "x".join(map(str, value.shape[2:]))
        part = top if top in ("attention", "heads") else {"3x3": "kernels", "1x1": "adapters"}.get(kernel, "norms")
        parts[part] += value.numel()
    return Count(**parts)
