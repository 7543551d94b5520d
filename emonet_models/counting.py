"""How many values a network holds, and where the paper's factor of 3.5 comes from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from fractions import Fraction
from types import MappingProxyType
from typing import Final

import torch
from torch import nn

from emonet_models.network import EmoNet
from emonet_models.settings import Settings

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
        return sum(getattr(self, part.name) for part in fields(self))


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
        counts = (self.single, self.adapted, self.many)
        number = len(self.corpora)
        names = {"kernels": "3x3 kernels", "adapters": "1x1 adapters", "norms": "batch-norms", "heads": "heads"}
        rows: list[tuple[str, ...]] = [("", "single", "adapters, 1", f"adapters, {number}")]
        for part in fields(Count):
            rows.append((names.get(part.name, part.name), *(f"{getattr(count, part.name):,}" for count in counts)))
        rows.append(("total", *(f"{count.total:,}" for count in counts)))
        for name, base in (("total / single", self.single), ("total / adapters, 1", self.adapted)):
            rows.append((name, *(f"{count.total / base.total:.3f}" for count in counts)))
        lines = [f"{name:<20}{a:>14}{b:>14}{c:>14}" for name, a, b, c in rows]
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


def parameter_table(
    settings: Settings | None = None, corpora: Mapping[str, int] | None = None, alone: str | None = None
) -> ParameterTable:
    """Count the values of networks with one and with many corpora, on real modules (without memory for them).

    Args:
        settings: of the networks, mode aside; None: the paper's width and depth with attention.
        corpora: number of classes of each; None: EmoNet's 26.
        alone: the one of them that is counted alone; None: IEMOCAP if it is among them, else the first.

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
    alone = alone or ("IEMOCAP" if "IEMOCAP" in corpora else next(iter(corpora)))
    one = {alone: corpora[alone]}
    return ParameterTable(
        settings=settings,
        corpora=corpora,
        alone=alone,
        single=count(settings.model_copy(update={"mode": "scratch"}), one),
        adapted=count(settings.model_copy(update={"mode": "adapters"}), one),
        many=count(settings.model_copy(update={"mode": "adapters"}), corpora),
    )


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
    units = network.units()
    parts = {
        "kernels": _values(unit.conv for unit in units),
        "adapters": _values(unit.adapters for unit in units),
        "attention": _values([network.attention] if network.attention is not None else []),
        "heads": _values([network.heads]),
    }
    return Count(norms=network.count_values() - sum(parts.values()), **parts)


def _values(modules: Iterable[nn.Module]) -> int:
    return sum(v.numel() for module in modules for v in module.state_dict().values() if v.is_floating_point())
