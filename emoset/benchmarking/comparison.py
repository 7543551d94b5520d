"""Several models on the same test utterances: their figures side by side, and what chance does not explain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from statistics import fmean
from typing import Final

from emoset.benchmarking.contract import few
from emoset.benchmarking.metrics import Interval
from emoset.benchmarking.results import CorpusResult, Results
from emoset.benchmarking.significance import mcnemar
from emoset.errors import BenchmarkError

SIGNIFICANT: Final = 0.05
"""Below this p the table's summary counts a difference."""


@dataclass(frozen=True)
class ModelScore:
    """How a model did on a corpus; prints itself as a cell of the table.

    Args:
        uar: of each seed.
        interval: of the first seed's UAR.
        p: McNemar's test of the first seed against the first model's; None for that model itself, and where it
            lacks the corpus.

    Example:
        >>> print(ModelScore((0.5, 0.75), Interval(0.5, 0.25, 0.625), 0.125))
        0.625 [0.500 to 0.750] (0.250 to 0.625), p 0.125
    """

    uar: tuple[float, ...]
    interval: Interval
    p: float | None

    @property
    def mean(self) -> float:
        """The mean UAR over the seeds."""
        return fmean(self.uar)

    def __str__(self) -> str:
        seeds = f" [{min(self.uar):.3f} to {max(self.uar):.3f}]" if len(self.uar) > 1 else ""
        p = "" if self.p is None else f", p {self.p:.3f}"
        return f"{self.mean:.3f}{seeds} ({self.interval.low:.3f} to {self.interval.high:.3f}){p}"


@dataclass(frozen=True)
class ModelComparison:
    """What `compare_models` found; prints itself as a table.

    Args:
        scores: model to corpus to score; the first model is the one that the others are tested against.
        synthetic: corpora that are twins, not speech.
    """

    scores: Mapping[str, Mapping[str, ModelScore]]
    synthetic: tuple[str, ...]

    def to_markdown(self) -> str:
        """The comparison as a Markdown table, with what it amounts to below.

        Returns:
            The text: a line per corpus, then one per model that was tested against the first.
        """
        first, *others = self.scores
        corpora = dict.fromkeys(corpus for scores in self.scores.values() for corpus in scores)
        rows = [("corpus", *self.scores), ("---",) * (len(self.scores) + 1)]
        rows += [(name, *(str(scores.get(name, "absent")) for scores in self.scores.values())) for name in corpora]
        lines = [f"| {' | '.join(row)} |" for row in rows]
        lines += [
            "",
            "UAR on the test split: mean [and range] over the seeds; (95 % interval of the first seed, by resampling "
            f"speakers and utterances); p: McNemar's exact test against {first}, first seed.",
            "",
            *(self._tally(model) for model in others),
        ]
        if self.synthetic:
            names = ", ".join(self.synthetic)
            lines += ["", f"SYNTHETIC, no real speech: {names}. These figures say nothing of people."]
        return "\n".join(lines) + "\n"

    def _tally(self, model: str) -> str:
        """On how many corpora a model is better than the first one, and on which of them clearly so."""
        first, own = next(iter(self.scores.values())), self.scores[model]
        # Rounded, so that equal means of different seeds are no gain.
        gains = {corpus: round(score.mean - first[corpus].mean, 9) for corpus, score in own.items() if corpus in first}
        clear = [gains[corpus] for corpus, score in own.items() if score.p is not None and score.p < SIGNIFICANT]
        return (
            f"- {model}: better on {sum(gain > 0 for gain in gains.values())} of {len(gains)}; p < {SIGNIFICANT} and"
            f" better on {sum(gain > 0 for gain in clear)}, and worse on {sum(gain < 0 for gain in clear)}."
        )

    def _repr_markdown_(self) -> str:
        return self.to_markdown()

    def __str__(self) -> str:
        return self.to_markdown()


def compare_models(results: Mapping[str, Results | Sequence[Results]]) -> ModelComparison:
    """Compare models on the corpora that each of them was benchmarked on, utterance by utterance.

    The test is McNemar's, corpus by corpus, and nothing is corrected for their number: where no model is better
    than another, about one corpus in twenty still falls below 0.05.

    Args:
        results: name of a model to what the benchmark found for it. Several results are of several seeds, or of
            other corpora; every corpus must have equally many. The first model is what the others are tested
            against, and the first result of a corpus is the one that is tested.

    Returns:
        The scores of all models on all corpora.

    Raises:
        BenchmarkError: fewer than two models, a model without results or without a corpus that the first one has,
            a corpus with fewer seeds than another, or test utterances, references or classes that differ.

    Source: McNemar's test as in `mcnemar`; the UAR and its interval are those of the results.

    Example:
        >>> from emoset.benchmarking import benchmark
        >>> class Always:
        ...     def __init__(self, index):
        ...         self.index = index
        ...     def fit(self, train, validation): ...
        ...     def predict(self, test):
        ...         return [self.index] * len(test)
        >>> def judge(index):
        ...     return benchmark(Always(index), "emodb", data_dir=data, progress=False)
        >>> found = compare_models({"always anger": judge(0), "always boredom": judge(1)})
        >>> print(found.to_markdown().splitlines()[0])
        | corpus | always anger | always boredom |
        >>> round(found.scores["always boredom"]["emodb"].mean, 3)
        0.143
    """
    if len(results) < 2:
        raise BenchmarkError(f"too few models ({len(results)})", expected="at least two to compare")
    found = {model: _seeds(model, given) for model, given in results.items()}
    first = next(iter(found))
    scores: dict[str, dict[str, ModelScore]] = {}
    known: dict[str, tuple[str, CorpusResult]] = {}
    for model, corpora in found.items():
        if not corpora.keys() & found[first].keys():
            got = f"no corpus in common with {first}"
            raise BenchmarkError(got, where=model, expected=f"at least one of {', '.join(found[first])}")
        scores[model] = {}
        for corpus, seeds in corpora.items():
            owner, reference = known.setdefault(corpus, (model, seeds[0]))
            for seed in seeds:
                _same_test(seed, reference, f"{model}, {corpus}", owner)
            p = _p(found[first][corpus][0], seeds[0]) if model != first and corpus in found[first] else None
            scores[model][corpus] = ModelScore(tuple(seed.uar.value for seed in seeds), seeds[0].uar, p)
    synthetic = tuple(corpus for corpus, (_, reference) in known.items() if reference.synthetic)
    return ModelComparison(scores, synthetic)


def _seeds(model: str, given: Results | Sequence[Results]) -> dict[str, list[CorpusResult]]:
    """A model's results by corpus, each with the same number of seeds."""
    found: dict[str, list[CorpusResult]] = {}
    for results in [given] if isinstance(given, Results) else given:
        for result in results.corpora:
            found.setdefault(result.corpus, []).append(result)
    if not found:
        raise BenchmarkError("no results", where=model, expected="those of one benchmark or of several")
    if len({len(seeds) for seeds in found.values()}) > 1:
        got = "seeds per corpus: " + ", ".join(f"{corpus} {len(seeds)}" for corpus, seeds in found.items())
        raise BenchmarkError(got, where=model, expected="the same number for each")
    return found


def _same_test(own: CorpusResult, reference: CorpusResult, where: str, owner: str) -> None:
    """Refuse results of another test set."""
    pairs = {
        "classes": (own.classes, reference.classes),
        "test utterances": (own.ids, reference.ids),
        "references": (own.reference, reference.reference),
    }
    for what, (here, there) in pairs.items():
        if here != there:
            both = zip_longest(here, there, fillvalue="nothing")
            differing = [f"{a} in place of {b}" for a, b in both if a != b]
            got = f"{what} other than those of {owner}: {len(differing)} ({few(differing)})"
            cure = "run the benchmark of all models on the same build and label column"
            raise BenchmarkError(got, where=where, expected="the same test utterances for all models", cure=cure)


def _p(first: CorpusResult, second: CorpusResult) -> float:
    """McNemar's test looks only at which utterances a model was right about."""
    right = [
        [int(a == b) for a, b in zip(result.reference, result.prediction, strict=True)] for result in (first, second)
    ]
    return mcnemar([1] * len(first.ids), *right).p
