"""Whether two models differ by more than chance, on the same utterances."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import comb

import numpy as np

from emoset.benchmarking.metrics import Indexes
from emoset.errors import BenchmarkError


@dataclass(frozen=True)
class McNemar:
    """The outcome of `mcnemar`.

    Args:
        first_only: utterances that the first model alone recognised.
        second_only: utterances that the second model alone recognised.
        p: probability of a difference at least as large if neither model were better.
    """

    first_only: int
    second_only: int
    p: float


def mcnemar(y_true: Indexes, first: Indexes, second: Indexes) -> McNemar:
    """McNemar's test in its exact form: a two-sided sign test on the utterances that one model alone recognised.

    It compares shares of right answers, in which frequent classes weigh more than in UAR, and takes utterances for
    independent, which several by one speaker are not: it finds differences a little too easily.

    Args:
        y_true: reference class indexes, shape [utterances].
        first: class indexes that the first model predicted, shape [utterances].
        second: those of the second model, shape [utterances].

    Raises:
        BenchmarkError: no utterances, or lengths that differ.

    Source: McNemar 1947, Psychometrika 12(2); the exact form is the binomial one.

    Example:
        >>> mcnemar([0, 0, 1, 1, 1], [0, 0, 1, 1, 1], [1, 0, 0, 0, 1])
        McNemar(first_only=3, second_only=0, p=0.25)
    """
    true, one, two = (np.asarray(values) for values in (y_true, first, second))
    if not len(true) == len(one) == len(two):
        raise BenchmarkError(
            f"{len(one)} and {len(two)} predictions for {len(true)} references",
            expected="one of each model per utterance",
        )
    if not len(true):
        raise BenchmarkError("no utterances", expected="at least one", cure="choose a split that has labels")
    first_only = int(np.count_nonzero((one == true) & (two != true)))
    second_only = int(np.count_nonzero((one != true) & (two == true)))
    told = first_only + second_only
    # Whole numbers, since 2 ** 5000 is beyond floats.
    tail = sum(comb(told, count) for count in range(min(first_only, second_only) + 1))
    return McNemar(first_only, second_only, float(min(Fraction(1), Fraction(2 * tail, 2**told))))
