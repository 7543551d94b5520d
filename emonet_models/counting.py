"""How many values a network holds, and where the paper's factor of 3.5 comes from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
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

PARTS: Final = ("3x3 kernels", "1x1 adapters", "batch-norms", "attention", "heads")
"""What a network consists of. Batch-norms are those of maps; their moving statistics are counted."""


def count(settings: Settings, corpora: Mapping[str, int]) -> Counter[str]:
    """Count the values of a network, on real modules (without memory for them).

    Args:
        settings: of the network.
        corpora: number of classes of each corpus.

    Returns:
        How many values each of ``PARTS`` has.

    Example:
        >>> counts = count(Settings(filters=32, input_bn=False), {"iemocap": 4})
        >>> counts["3x3 kernels"], counts.total()
        (2709792, 2752036)
    """
    with torch.device("meta"):
        network = EmoNet(settings, corpora)
    counts = Counter(dict.fromkeys(PARTS, 0))
    for name, value in tensors(network).items():
        top, kernel = name.split(".")[0], "x".join(map(str, value.shape[2:]))
        part = top if top in PARTS else {"3x3": "3x3 kernels", "1x1": "1x1 adapters"}.get(kernel, "batch-norms")
        counts[part] += value.numel()
    return counts


def parameter_table(settings: Settings | None = None, corpora: Mapping[str, int] = CORPORA) -> str:
    """The counts of three networks of the same width and depth, and the arithmetic of the paper's factor of 3.5.

    Args:
        settings: of the networks, mode aside; None: the paper's width and depth with attention.
        corpora: number of classes of each; EmoNet's 26 by default. IEMOCAP is counted alone, or else the first.

    Source: EmoNet, parameter counts: (1 + 26 / 9) / (1 + 1 / 9) = 35 / 10 for 26 corpora, whatever width and depth.

    Example:
        >>> print(parameter_table())
        1 x 32 filters, 2 blocks a stage, FCNAttention; moving statistics are counted; single: IEMOCAP from scratch.
        <BLANKLINE>
                                    single   adapters, 1  adapters, 26
        ...
        total                    2,818,084     3,119,172    13,361,412
        ...
    """
    settings = settings or Settings(classifier="FCNAttention", input_bn=False)
    scratch, adapters = (settings.model_copy(update={"mode": mode}) for mode in ("scratch", "adapters"))
    name, number = "IEMOCAP" if "IEMOCAP" in corpora else next(iter(corpora)), len(corpora)
    alone = {name: corpora[name]}
    counts = [count(scratch, alone), count(adapters, alone), count(adapters, corpora)]
    totals = [own.total() for own in counts]
    _, one, many = (own["3x3 kernels"] + own["1x1 adapters"] for own in counts)
    rows: list[tuple[str, ...]] = [("", "single", "adapters, 1", f"adapters, {number}")]
    rows += [(part, *(f"{own[part]:,}" for own in counts)) for part in PARTS]
    rows.append(("total", *(f"{total:,}" for total in totals)))
    rows.append(("total / single", *(f"{total / totals[0]:.3f}" for total in totals)))
    rows.append(("total / adapters, 1", *(f"{total / totals[1]:.3f}" for total in totals)))
    pooling = f"{settings.classifier}, shared attention" if settings.share_attention else settings.classifier
    return "\n".join([
        f"{settings.factor} x {settings.filters} filters, {settings.blocks} blocks a stage, {pooling}; "
        f"moving statistics are counted; single: {name} from scratch.",
        "",
        *(f"{label:<20}" + "".join(f"{value:>14}" for value in values) for label, *values in rows),
        "",
        "Every adapter (1x1) holds a ninth of its kernel (3x3). Hence, whatever width and depth, kernels and",
        f"adapters of {number} corpora are (1 + {number}/9) / (1 + 1/9) = {9 + number}/10 = {(9 + number) / 10:.3f}"
        " times those of one with adapters:",
        f"{many:,} / {one:,} = {many / one:.3f}. With 26 corpora that is the paper's factor of 3.5",
        "(identified by arithmetic; it is no statement of the paper's). Over a network without adapters these",
        f"parts alone are 1 + {number}/9 = {1 + number / 9:.3f} times as many.",
    ])  # fmt: skip
