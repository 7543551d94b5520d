"""McNemar's test against SciPy's binomial test, which scikit-learn brings along."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from emoset.benchmarking import mcnemar
from emoset.errors import BenchmarkError


@given(st.integers(0, 2000), st.integers(0, 2000), st.integers(0, 50))
def test_it_is_the_exact_binomial_test(first_only: int, second_only: int, both: int) -> None:
    true = np.zeros(first_only + second_only + both + 1, dtype=int)
    first = np.r_[np.zeros(first_only), np.ones(second_only), np.zeros(both + 1)].astype(int)
    second = np.r_[np.ones(first_only), np.zeros(second_only), np.zeros(both + 1)].astype(int)
    found = mcnemar(true, first, second)
    told = first_only + second_only
    expected = binomtest(first_only, told).pvalue if told else 1.0
    assert (found.first_only, found.second_only) == (first_only, second_only)
    assert found.p == pytest.approx(expected, rel=1e-9, abs=1e-300)


@given(st.lists(st.tuples(*[st.integers(0, 3)] * 3), min_size=1, max_size=60))
def test_the_order_of_the_models_does_not_matter(rows: list[tuple[int, int, int]]) -> None:
    true, first, second = zip(*rows, strict=True)
    there, back = mcnemar(true, first, second), mcnemar(true, second, first)
    assert (there.first_only, there.p) == (back.second_only, back.p)


def test_lengths_that_differ_and_nothing_are_refused() -> None:
    with pytest.raises(BenchmarkError, match="1 and 2 predictions for 2 references; expected one of each model"):
        mcnemar([0, 1], [0], [0, 1])
    with pytest.raises(BenchmarkError, match="no utterances"):
        mcnemar([], [], [])
