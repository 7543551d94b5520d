"""The benchmark's three figures, defined once, and the intervals around them.

All of them are computed from integer class indexes and the number of classes. The names are ``uar`` and
``accuracy`` only: papers use "WA", "UA" and "weighted accuracy" for either of the two.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from emoset.errors import BenchmarkError, unknown_name

Indexes: TypeAlias = Sequence[int] | npt.NDArray[np.integer[Any]]
"""Class indexes, one per utterance: integers from 0 to the number of classes less one."""

_Floats: TypeAlias = npt.NDArray[np.float64]
_Counts: TypeAlias = npt.NDArray[np.int64]


def confusion_matrix(y_true: Indexes, y_pred: Indexes, n_classes: int) -> _Counts:
    """Count the utterances of each class (row) by the class that was predicted for them (column).

    Args:
        y_true: reference class indexes, shape [utterances].
        y_pred: predicted class indexes, shape [utterances].
        n_classes: number of classes of the task, absent ones included.

    Returns:
        Counts, int64, shape [n_classes, n_classes].

    Raises:
        BenchmarkError: no utterances, two lengths, or indexes that are no classes.

    Example:
        >>> confusion_matrix([0, 0, 0, 1], [0, 0, 1, 1], 2).tolist()
        [[2, 1], [0, 1]]
    """
    if n_classes < 1:
        raise BenchmarkError(f"{n_classes} classes", expected="at least 1")
    true, pred = _indexes("y_true", y_true, n_classes), _indexes("y_pred", y_pred, n_classes)
    if len(true) != len(pred):
        raise BenchmarkError(
            f"{len(pred)} predictions for {len(true)} references", expected="one prediction per utterance"
        )
    if not len(true):
        raise BenchmarkError("no utterances", expected="at least one", cure="choose a split that has labels")
    counts = np.bincount(true * n_classes + pred, minlength=n_classes * n_classes)
    return counts.reshape(n_classes, n_classes).astype(np.int64)


def uar(y_true: Indexes, y_pred: Indexes, n_classes: int) -> float:
    """Unweighted average recall: the mean over classes of the share of a class that was recognised.

    Every class weighs the same, however frequent it is. The mean is over the classes that occur in the
    reference; scikit-learn calls it ``balanced_accuracy_score``.

    Args:
        y_true: reference class indexes, shape [utterances].
        y_pred: predicted class indexes, shape [utterances].
        n_classes: number of classes of the task.

    Returns:
        A share from 0 to 1.

    Raises:
        BenchmarkError: no utterances, two lengths, or indexes that are no classes.

    Example:
        Of three neutral (0) utterances two are recognised, of one angry (1) utterance none: the recalls are
        2/3 and 0, their mean is 1/3. Two utterances of four are right: the accuracy is 1/2.

        >>> round(uar([0, 0, 0, 1], [0, 0, 1, 0], 2), 4)
        0.3333
        >>> accuracy([0, 0, 0, 1], [0, 0, 1, 0], 2)
        0.5
    """
    return float(_uar(confusion_matrix(y_true, y_pred, n_classes)))


def accuracy(y_true: Indexes, y_pred: Indexes, n_classes: int) -> float:
    """Accuracy: the share of all utterances whose class was recognised; frequent classes weigh more.

    Args:
        y_true: reference class indexes, shape [utterances].
        y_pred: predicted class indexes, shape [utterances].
        n_classes: number of classes of the task.

    Returns:
        A share from 0 to 1.

    Raises:
        BenchmarkError: no utterances, two lengths, or indexes that are no classes.

    Example:
        Three of four utterances are neutral (0). To answer "neutral" always is right three times of four,
        and recognises one class of two: a high accuracy, a UAR at chance level.

        >>> accuracy([0, 0, 0, 1], [0, 0, 0, 0], 2)
        0.75
        >>> uar([0, 0, 0, 1], [0, 0, 0, 0], 2)
        0.5
    """
    return float(_accuracy(confusion_matrix(y_true, y_pred, n_classes)))


def macro_f1(y_true: Indexes, y_pred: Indexes, n_classes: int) -> float:
    """Macro F1: the mean over classes of the harmonic mean of precision and recall.

    The mean is over the classes that occur in the reference or in the predictions, so a class that was
    predicted but never occurs counts as 0; a class that is in neither is left out, as in scikit-learn.

    Args:
        y_true: reference class indexes, shape [utterances].
        y_pred: predicted class indexes, shape [utterances].
        n_classes: number of classes of the task.

    Returns:
        A share from 0 to 1.

    Raises:
        BenchmarkError: no utterances, two lengths, or indexes that are no classes.

    Example:
        Class 0: two hits, one miss, one false alarm: 2 * 2 / (2 * 2 + 1 + 1) = 2/3. Class 1: no hit, 0.

        >>> round(macro_f1([0, 0, 0, 1], [0, 0, 1, 0], 2), 4)
        0.3333
    """
    return float(_macro_f1(confusion_matrix(y_true, y_pred, n_classes)))


@dataclass(frozen=True)
class Interval:
    """A figure with the bounds between which its resamples lie, all from 0 to 1.

    Example:
        >>> print(Interval(0.5, 0.412, 0.6))
        50.0 [41.2, 60.0]
    """

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{100 * self.value:.1f} [{100 * self.low:.1f}, {100 * self.high:.1f}]"


@dataclass(frozen=True)
class Bootstrap:
    """What ``bootstrap_interval`` found: an interval per metric, and what was resampled.

    ``unit`` is "speaker", "utterance" (no speaker is known) or "both"; ``speakers`` counts the known speakers
    and ``unknown`` the utterances without one.
    """

    intervals: Mapping[str, Interval]
    unit: Literal["speaker", "utterance", "both"]
    speakers: int
    unknown: int


def bootstrap_interval(
    y_true: Indexes,
    y_pred: Indexes,
    speakers: Sequence[str | None] | None,
    n_classes: int,
    metrics: Sequence[str] = ("uar", "accuracy", "macro_f1"),
    *,
    n_resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> Bootstrap:
    """Percentile intervals from a two-stage bootstrap: speakers, then utterances within each drawn speaker.

    Utterances of one speaker are alike, so speakers are drawn with replacement. As many test sets have two
    speakers, of which only three different draws exist, the utterances of each drawn speaker are drawn again.
    In simulations 95% intervals hold the true figure 94 to 99% of the time from 10 speakers on; with two to
    four speakers who differ only 71 to 94% of the time. An utterance without a speaker is its own unit.

    Args:
        y_true: reference class indexes, shape [utterances].
        y_pred: predicted class indexes, shape [utterances].
        speakers: speaker of each utterance, shape [utterances]; None where unknown, or None for all.
        n_classes: number of classes of the task.
        metrics: which of "uar", "accuracy" and "macro_f1"; all from the same resamples.
        n_resamples: number of resamples.
        level: share of the resamples that lies within an interval, between 0 and 1.
        seed: of the resampling; the same seed gives the same intervals.

    Returns:
        An interval per metric, and what was resampled.

    Raises:
        BenchmarkError: indexes, lengths or settings that do not fit.
        UnknownNameError: a metric that does not exist.

    Example:
        >>> found = bootstrap_interval([0, 0, 1, 1] * 5, [0, 1, 1, 1] * 5, ["a", "b"] * 10, 2)
        >>> found.unit, found.speakers, found.intervals["uar"].value
        ('speaker', 2, 0.75)
    """
    confusion = confusion_matrix(y_true, y_pred, n_classes)
    total = int(confusion.sum())
    names = [None] * total if speakers is None else list(speakers)
    if len(names) != total:
        raise BenchmarkError(
            f"{len(names)} speakers for {total} utterances",
            expected="one speaker per utterance",
            cure="give None where the speaker is unknown",
        )
    if n_resamples < 1 or not 0 < level < 1:
        got = f"{n_resamples} resamples at level {level}"
        raise BenchmarkError(got, expected="at least 1 and a level between 0 and 1")
    for metric in metrics:
        if metric not in METRICS:
            raise unknown_name("metric", metric, METRICS)

    cells = np.asarray(y_true, dtype=np.int64) * n_classes + np.asarray(y_pred, dtype=np.int64)
    known = sorted({name for name in names if name is not None})
    unknown = sum(name is None for name in names)
    place = {name: i for i, name in enumerate(known)}
    groups = np.array([len(known) if name is None else place[name] for name in names])
    resamples = _resample(cells, groups, len(known), unknown, n_classes, n_resamples, seed)
    bounds = [(1 - level) / 2, (1 + level) / 2]
    intervals = {}
    for metric in metrics:
        low, high = np.quantile(METRICS[metric](resamples), bounds)
        intervals[metric] = Interval(float(METRICS[metric](confusion)), float(low), float(high))
    unit: Literal["speaker", "utterance", "both"] = "both" if known else "utterance"
    return Bootstrap(MappingProxyType(intervals), unit if unknown else "speaker", len(known), unknown)


def _resample(
    cells: _Counts, groups: _Counts, known: int, unknown: int, n_classes: int, n_resamples: int, seed: int
) -> _Counts:
    """Confusion matrices of resampled test sets, shape [n_resamples, n_classes, n_classes].

    To draw a speaker's utterances with replacement is to draw from a multinomial over the cells of the
    speaker's own confusion matrix, and m draws of a speaker are one draw m times as large. So no utterance
    is ever indexed. Utterances without a speaker form one group, of which each draw takes one utterance.
    """
    rng = np.random.default_rng(seed)
    units = known + unknown
    sizes = np.bincount(groups, minlength=known + 1)
    weights = np.append(np.ones(known), unknown) / units
    draws = rng.multinomial(units, weights, size=n_resamples)
    taken = draws * np.append(sizes[:known], 1)
    matrices = np.zeros((n_resamples, n_classes * n_classes), dtype=np.int64)
    order = np.argsort(groups, kind="stable")
    for group, members in enumerate(np.split(cells[order], np.cumsum(sizes)[:-1])):
        if len(members):
            found, counts = np.unique(members, return_counts=True)
            matrices[:, found] += rng.multinomial(taken[:, group], counts / len(members))
    return matrices.reshape(n_resamples, n_classes, n_classes)


def _indexes(name: str, values: Indexes, n_classes: int) -> _Counts:
    array = np.asarray(values)
    if array.ndim != 1 or (array.size and not np.issubdtype(array.dtype, np.integer)):
        raise BenchmarkError(
            f"{name} of type {array.dtype} and shape {array.shape}", expected="a list of class indexes"
        )
    wrong = array[(array < 0) | (array >= n_classes)] if array.size else array
    if len(wrong):
        expected = f"indexes from 0 to {n_classes - 1}"
        raise BenchmarkError(f"class index {int(wrong[0])} in {name}", expected=expected)
    return array.astype(np.int64)


# The figures from confusion matrices of shape [..., classes, classes], so that one matrix and a thousand
# resamples take the same path.
def _uar(confusion: _Counts) -> _Floats:
    hits, true = np.diagonal(confusion, axis1=-2, axis2=-1), confusion.sum(-1)
    recalls: _Floats = hits / np.maximum(true, 1)
    return np.asarray(recalls.sum(-1) / np.count_nonzero(true, axis=-1))


def _accuracy(confusion: _Counts) -> _Floats:
    return np.asarray(np.trace(confusion, axis1=-2, axis2=-1) / confusion.sum((-2, -1)))


def _macro_f1(confusion: _Counts) -> _Floats:
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)
    seen = confusion.sum(-1) + confusion.sum(-2)
    scores: _Floats = 2 * hits / np.maximum(seen, 1)
    return np.asarray(scores.sum(-1) / np.count_nonzero(seen, axis=-1))


METRICS: Final[Mapping[str, Callable[[_Counts], _Floats]]] = MappingProxyType(
    {"uar": _uar, "accuracy": _accuracy, "macro_f1": _macro_f1}
)
"""Name to function of confusion matrices, shape [..., classes, classes] to [...]."""
