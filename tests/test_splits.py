"""The rule by which recorded splits were once chosen."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emoset.errors import RecipeError
from emoset.schema import SPLITS
from emoset.splits import propose_split

rows_of = st.lists(
    st.tuples(st.integers(1, 14).map(str), st.sampled_from(["anger", "neutral", "sadness"])), min_size=30, max_size=120
)


@settings(max_examples=25, deadline=None)
@given(rows_of)
def test_it_is_a_partition_of_the_speakers_and_repeatable(rows: list[tuple[str, str]]) -> None:
    triples = [(s, "female" if int(s) % 2 else "male", c) for s, c in rows]
    if len({s for s, _ in rows}) < 3:
        return
    split = propose_split(triples)
    assert split == propose_split(list(reversed(triples)))
    assert list(split) == list(SPLITS)
    assert sorted(s for speakers in split.values() for s in speakers) == sorted({s for s, _ in rows})


@pytest.mark.parametrize("speakers", [10, 40])
def test_it_is_balanced_in_size_class_and_gender(speakers: int) -> None:
    rows = [
        (f"{s:02d}", "female" if s % 2 else "male", c)
        for s in range(speakers)
        for c in ("anger", "fear")
        for _ in range(5)
    ]
    split = propose_split(rows)
    for share, chosen in zip((0.6, 0.2, 0.2), split.values(), strict=True):
        assert len(chosen) == share * speakers
        assert Counter(int(s) % 2 for s in chosen) == {0: len(chosen) / 2, 1: len(chosen) / 2}


def test_every_class_is_in_every_split_where_speakers_allow_it() -> None:
    rows = [(s, None, "anger") for s in "abcdefgh"] + [(s, None, "rare") for s in "abc"]
    split = propose_split(rows)
    assert all(set(chosen) & set("abc") for chosen in split.values())


def test_two_speakers_are_too_few() -> None:
    with pytest.raises(RecipeError, match="2 speakers; expected at least three"):
        propose_split([("a", None, "x"), ("b", None, "x")])
