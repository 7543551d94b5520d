"""Choosing a speaker-independent split once, by a documented rule, to be written down in a recipe.

The rule: give every speaker to one split so that the shares of utterances per class and per gender come as
near as possible to 60 % train, 20 % validation and 20 % test, every class being in every split where its
number of speakers allows. With at most ten speakers all assignments are compared; with more, a greedy
assignment (speakers with most utterances first) is improved by moving one speaker or exchanging two until
neither helps. Ties go to the assignment that comes first in order of speaker ids. Nothing is random.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from itertools import combinations, product
from typing import Final

import numpy as np
from numpy.typing import NDArray

from emoset.errors import RecipeError
from emoset.schema import SPLITS

SHARES: Final = (0.6, 0.2, 0.2)
_EXHAUSTIVE = 10
_MISSING_CLASS = 10.0


def hashed_split(corpus: str, values: Iterable[str]) -> dict[str, str]:
    """The split of values that only the holder of a corpus knows: the same for everyone who holds it.

    Values are ranked by the sha256 of ``<corpus>:<value>``; the first 60 % train, the next 20 % validate, the rest
    test, at least one each.

    Args:
        corpus: recipe id.
        values: ids of speakers, or of whatever decides.

    Returns:
        Value to split. Of two values, one trains and one tests; a single one trains.

    Example:
        >>> sorted(hashed_split("abc", ["1", "2", "3", "4", "5"]).values())
        ['test', 'train', 'train', 'train', 'validation']
    """
    ranked = sorted(set(values), key=lambda v: sha256(f"{corpus}:{v}".encode()).hexdigest())
    test = max(1, round(SHARES[2] * len(ranked))) if len(ranked) > 1 else 0
    validation = max(1, round(SHARES[1] * len(ranked))) if len(ranked) > len(SPLITS) - 1 else 0
    train = len(ranked) - test - validation
    places = ["train"] * train + ["validation"] * validation + ["test"] * test
    return dict(zip(ranked, places, strict=True))


def propose_split(rows: Iterable[tuple[str, str | None, str]]) -> dict[str, tuple[str, ...]]:
    """Choose a speaker-independent split by the rule above.

    Args:
        rows: speaker, gender (or None) and class of every utterance.

    Returns:
        Split name to sorted speaker ids.

    Raises:
        RecipeError: there are fewer than three speakers.

    Example:
        >>> rows = [(s, None, c) for s in "abcde" for c in ("anger", "neutral")]
        >>> propose_split(rows)
        {'train': ('a', 'b', 'c'), 'validation': ('d',), 'test': ('e',)}
    """
    rows = list(rows)
    speakers = sorted({s for s, _, _ in rows})
    if len(speakers) < len(SPLITS):
        raise RecipeError(
            f"{len(speakers)} speakers", expected="at least three for three splits without a common speaker",
            cure="record a split by text or declare speaker_independent=False",
        )  # fmt: skip
    features = sorted({("class", c) for _, _, c in rows} | {("gender", g) for _, g, _ in rows if g})
    counts = np.zeros((len(speakers), len(features)))
    for speaker, gender, label in rows:
        counts[speakers.index(speaker), features.index(("class", label))] += 1
        if gender:
            counts[speakers.index(speaker), features.index(("gender", gender))] += 1
    places = _all(counts) if len(speakers) <= _EXHAUSTIVE else _improved(counts)
    return {
        split: tuple(s for s, place in zip(speakers, places, strict=True) if place == i)
        for i, split in enumerate(SPLITS)
    }


def _cost(counts: NDArray[np.float64], places: NDArray[np.int64]) -> NDArray[np.float64]:
    """Cost of assignments: ``places`` is (assignments, speakers), the result (assignments,)."""
    total = counts.sum(axis=0)
    cost = np.zeros(len(places))
    for i, share in enumerate(SHARES):
        got = (places == i).astype(np.float64) @ counts
        cost += (((got / total) - share) ** 2).mean(axis=1)
        cost += _MISSING_CLASS * (got == 0).sum(axis=1)
    return cost


def _all(counts: NDArray[np.float64]) -> NDArray[np.int64]:
    places = np.array(list(product(range(len(SPLITS)), repeat=len(counts))))
    best: NDArray[np.int64] = places[int(np.argmin(np.round(_cost(counts, places), 12)))]
    return best


def _improved(counts: NDArray[np.float64]) -> NDArray[np.int64]:
    n = len(counts)
    places = np.zeros(n, dtype=np.int64)
    order = np.argsort(-counts.sum(axis=1), kind="stable")
    for position, speaker in enumerate(order):
        chosen = order[: position + 1]
        tried = np.repeat(places[None], len(SPLITS), axis=0)
        tried[:, speaker] = range(len(SPLITS))
        got = [[counts[chosen][t[chosen] == i].sum() for i in range(len(SPLITS))] for t in tried]
        shares = np.array(got) / counts.sum()
        places = tried[int(np.argmin(np.round(np.abs(shares - np.array(SHARES)).sum(axis=1), 12)))]
    cost = float(_cost(counts, places[None])[0])
    while True:
        moves = [(s, i) for s in range(n) for i in range(len(SPLITS)) if places[s] != i]
        swaps = [(a, b) for a, b in combinations(range(n), 2) if places[a] != places[b]]
        tried = np.repeat(places[None], len(moves) + len(swaps), axis=0)
        for row, (speaker, place) in enumerate(moves):
            tried[row, speaker] = place
        for row, (a, b) in enumerate(swaps, start=len(moves)):
            tried[row, [a, b]] = places[[b, a]]
        costs = np.round(_cost(counts, tried), 12)
        best = int(np.argmin(costs))
        if costs[best] >= round(cost, 12):
            return places
        places, cost = tried[best], float(costs[best])
