"""Every count of the reference's table, from real modules (without memory for them)."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from typing import Any

import pytest

from emonet_models import Settings
from emonet_models.counting import CORPORA, PARTS, count, parameter_table

IEMOCAP = {"IEMOCAP": 4}
ATTENTION = {"classifier": "FCNAttention"}
# Settings; single (scratch), one task with adapters, 26 tasks with own attention, 26 tasks with shared attention.
TABLE: list[tuple[dict[str, Any], int, int, int | None, int | None]] = [
    (ATTENTION, 2_818_084, 3_119_172, 13_361_412, 11_710_212),
    ({**ATTENTION, "mels": 128, "window": None}, 2_818_084, 3_119_172, 13_361_412, 11_710_212),
    ({**ATTENTION, "filters": 8}, 178_060, 196_884, 885_564, None),
    ({**ATTENTION, "filters": 16}, 707_092, 782_372, 3_407_572, None),
    ({**ATTENTION, "filters": 16, "factor": 2}, 2_818_084, 3_119_172, 13_361_412, None),
    ({**ATTENTION, "filters": 64}, 11_251_780, 12_456_068, 52_908_388, None),
    ({**ATTENTION, "filters": 32, "factor": 2}, 11_251_780, 12_456_068, 52_908_388, None),
    ({**ATTENTION, "blocks": 1}, 1_266_212, 1_395_268, 7_247_108, 5_595_908),
    ({**ATTENTION, "blocks": 3}, 4_369_956, 4_843_076, None, 17_824_516),
    ({**ATTENTION, "blocks": 4}, 5_921_828, 6_566_980, 25_590_020, 23_938_820),
    ({"mels": 64, "window": 2.0}, 2_752_036, 3_053_124, 11_644_164, None),
    ({"mels": 64, "window": 5.0}, 2_851_492, 3_152_580, 14_237_700, None),
    ({"mels": 64, "window": 6.0}, 3_016_484, 3_317_572, 18_535_172, None),
    ({"mels": 128, "window": 2.0}, 2_851_492, 3_152_580, 14_237_700, None),
    ({"mels": 128, "window": 5.0}, 3_247_012, 3_548_100, 24_536_580, None),
    ({"mels": 128, "window": 6.0}, 3_904_676, 4_205_764, 41_651_204, None),
]


@pytest.mark.parametrize(("choices", "single", "adapted", "many", "shared"), TABLE)
def test_every_row_of_the_table(
    choices: dict[str, Any], single: int, adapted: int, many: int | None, shared: int | None
) -> None:
    base = {"input_bn": False, "classifier": "avgpool", **choices}
    assert count(Settings(**base), IEMOCAP).total() == single
    adapters = Settings(**{**base, "mode": "adapters"})
    assert count(adapters, IEMOCAP).total() == adapted
    if many is not None:
        assert count(adapters, CORPORA).total() == many
    if shared is not None:
        assert count(adapters.model_copy(update={"share_attention": True}), CORPORA).total() == shared


def test_the_corpora_of_the_table() -> None:
    assert len(CORPORA) == 26
    assert sum(1 if classes == 2 else classes for classes in CORPORA.values()) == 164


def factor(many: Counter[str], one: Counter[str]) -> Fraction:
    """Kernels with the adapters of many corpora, over those of a network with adapters for one."""
    return Fraction(*(counts["3x3 kernels"] + counts["1x1 adapters"] for counts in (many, one)))


def test_the_table_by_part() -> None:
    single, adapted, many = (
        count(Settings(mode=mode, input_bn=False, **ATTENTION), corpora)
        for mode, corpora in (("scratch", IEMOCAP), ("adapters", IEMOCAP), ("adapters", CORPORA))
    )
    assert [single[part] for part in PARTS] == [2_709_792, 0, 8_320, 66_048, 33_924]
    parts = [2_709_792, 26 * 301_088, 26 * 8_320, 26 * 66_048, 26 * 33_408 + 129 * 164]
    assert [many[part] for part in PARTS] == parts
    assert adapted["1x1 adapters"] * 9 == adapted["3x3 kernels"]
    assert factor(many, adapted) == Fraction(35, 10)
    text = parameter_table()
    for shown in ("2,818,084", "13,361,412", "4.741", "4.284", "35/10 = 3.500", "10,538,080 / 3,010,880", "3.889"):
        assert shown in text
    assert all(len(line) <= 120 for line in text.splitlines())


def test_the_factor_does_not_depend_on_width_depth_or_pooling() -> None:
    for choices in ({"filters": 8}, {"blocks": 3}, {"classifier": "FCNAttention", "share_attention": True}):
        settings = Settings(mode="adapters", **choices)
        assert factor(count(settings, CORPORA), count(settings, IEMOCAP)) == Fraction(7, 2)
    text = parameter_table(Settings(filters=2), {"emodb": 7, "urdu": 4})
    assert "single: emodb from scratch" in text
    assert "adapters of 2 corpora are (1 + 2/9) / (1 + 1/9) = 11/10 = 1.100 times" in text
    settings = Settings(mode="adapters", filters=2)
    assert factor(count(settings, {"emodb": 7, "urdu": 4}), count(settings, {"emodb": 7})) == Fraction(11, 10)
