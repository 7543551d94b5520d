import time
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score
from sklearn.metrics import confusion_matrix as sk_confusion

from emoset.benchmarking.metrics import (
    METRICS,
    accuracy,
    bootstrap_interval,
    confusion_matrix,
    macro_f1,
    uar,
)
from emoset.errors import BenchmarkError, UnknownNameError


@st.composite
def labelled(draw):
    classes = draw(st.integers(1, 8))
    index = st.integers(0, classes - 1)
    pairs = draw(st.lists(st.tuples(index, index), min_size=1, max_size=60))
    return [a for a, _ in pairs], [b for _, b in pairs], classes


@settings(deadline=None, derandomize=True, max_examples=150)
@given(labelled())
def test_figures_equal_those_of_scikit_learn(case):
    true, predicted, classes = case
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert uar(true, predicted, classes) == pytest.approx(balanced_accuracy_score(true, predicted))
        assert accuracy(true, predicted, classes) == pytest.approx(accuracy_score(true, predicted))
        assert macro_f1(true, predicted, classes) == pytest.approx(f1_score(true, predicted, average="macro"))
        expected = sk_confusion(true, predicted, labels=range(classes))
    assert (confusion_matrix(true, predicted, classes) == expected).all()


def test_uar_leaves_out_classes_absent_from_the_reference():
    assert uar([0, 0, 1, 1], [0, 0, 1, 2], 5) == 0.75


def test_macro_f1_counts_a_class_that_is_only_predicted_and_leaves_out_one_that_is_in_neither():
    assert macro_f1([0, 0, 1, 1], [0, 0, 1, 2], 5) == pytest.approx((1 + 2 / 3 + 0) / 3)


def test_figures_do_not_overflow_or_depend_on_the_integer_type():
    true, predicted = np.zeros(300, dtype=np.uint8), np.full(300, 19, dtype=np.uint8)
    assert confusion_matrix(true, predicted, 20)[0, 19] == 300


@pytest.mark.parametrize(
    ("true", "predicted", "classes", "text"),
    [
        ([], [], 2, "no utterances; expected at least one. To do: choose a split that has labels."),
        ([0, 1], [0], 2, "1 predictions for 2 references; expected one prediction per utterance."),
        ([0, 2], [0, 1], 2, "class index 2 in y_true; expected indexes from 0 to 1."),
        ([0, 1], [0, -1], 2, "class index -1 in y_pred; expected indexes from 0 to 1."),
        ([0.0], [0], 2, "y_true of type float64 and shape (1,); expected a list of class indexes."),
        ([0], [[0]], 2, "y_pred of type int64 and shape (1, 1); expected a list of class indexes."),
        ([True], [0], 2, "y_true of type bool and shape (1,); expected a list of class indexes."),
        ([0], [0], 0, "0 classes; expected at least 1."),
    ],
)
@pytest.mark.parametrize("figure", [uar, accuracy, macro_f1, confusion_matrix])
def test_bad_labels_are_named(figure, true, predicted, classes, text):
    with pytest.raises(BenchmarkError) as caught:
        figure(true, predicted, classes)
    assert str(caught.value) == text


def simulate(seed, speakers, utterances, classes, hit, spread):
    """A classifier that recognises each class with the same probability, which differs between speakers."""
    random = np.random.default_rng(seed)
    odds = np.log(hit / (1 - hit)) + spread * random.standard_normal(speakers)
    names = np.repeat(np.arange(speakers), utterances)
    true = np.tile(np.arange(classes), speakers * utterances // classes)
    hits = random.random(len(true)) < (1 / (1 + np.exp(-odds)))[names]
    wrong = (true + random.integers(1, classes, len(true))) % classes
    return true, np.where(hits, true, wrong), [f"s{name}" for name in names]


@pytest.mark.parametrize(("speakers", "spread"), [(10, 0.6), (10, 1.0), (24, 0.6)])
def test_intervals_hold_the_true_uar_about_95_times_of_100(speakers, spread):
    hit, trials = 0.6, 120
    many = np.random.default_rng(1).standard_normal(200_000)
    truth = float(np.mean(1 / (1 + np.exp(-(np.log(hit / (1 - hit)) + spread * many)))))
    held = 0
    for trial in range(trials):
        true, predicted, names = simulate(trial, speakers, 40, 4, hit, spread)
        found = bootstrap_interval(true, predicted, names, 4, ("uar",), n_resamples=400, seed=trial)
        held += found.intervals["uar"].low <= truth <= found.intervals["uar"].high
    assert 0.90 <= held / trials <= 0.995


def test_the_multinomial_shortcut_equals_drawing_utterances_one_by_one():
    true, predicted, names = simulate(3, 5, 30, 3, 0.6, 0.8)
    quick = bootstrap_interval(true, predicted, names, 3, n_resamples=4000).intervals["uar"]
    random = np.random.default_rng(0)
    places = [np.flatnonzero(np.array(names) == name) for name in sorted(set(names))]
    values = []
    for _ in range(4000):
        drawn = np.concatenate([random.choice(places[s], len(places[s])) for s in random.integers(0, 5, 5)])
        values.append(uar(true[drawn], predicted[drawn], 3))
    assert [quick.low, quick.high] == pytest.approx(np.quantile(values, [0.025, 0.975]), abs=0.012)


def test_intervals_are_repeatable_and_do_not_depend_on_the_order_of_rows():
    true, predicted, names = simulate(0, 6, 20, 4, 0.6, 0.5)
    first = bootstrap_interval(true, predicted, names, 4)
    assert bootstrap_interval(true, predicted, names, 4) == first
    order = np.random.default_rng(0).permutation(len(true))
    assert bootstrap_interval(true[order], predicted[order], [names[i] for i in order], 4) == first
    assert bootstrap_interval(true, predicted, names, 4, seed=1) != first


def test_all_metrics_come_from_the_same_resamples():
    true, predicted, names = simulate(0, 6, 20, 4, 0.6, 0.5)
    together = bootstrap_interval(true, predicted, names, 4)
    for name in METRICS:
        alone = bootstrap_interval(true, predicted, names, 4, (name,))
        assert alone.intervals[name] == together.intervals[name]


def test_what_was_resampled_is_told():
    true, predicted, names = simulate(0, 4, 8, 4, 0.6, 0.5)
    assert bootstrap_interval(true, predicted, names, 4).unit == "speaker"
    for nobody in (None, [None] * len(true)):
        found = bootstrap_interval(true, predicted, nobody, 4)
        assert (found.unit, found.speakers, found.unknown) == ("utterance", 0, 32)
    found = bootstrap_interval(true, predicted, [None, *names[1:]], 4)
    assert (found.unit, found.speakers, found.unknown) == ("both", 4, 1)


def test_utterances_without_a_speaker_give_the_plain_bootstrap():
    random = np.random.default_rng(0)
    true = np.zeros(400, dtype=int)
    predicted = (random.random(400) < 0.25).astype(int)
    found = bootstrap_interval(true, predicted, None, 2, ("accuracy",), n_resamples=4000).intervals["accuracy"]
    width = 2 * 1.96 * np.sqrt(found.value * (1 - found.value) / 400)
    assert found.high - found.low == pytest.approx(width, rel=0.08)


def test_a_perfect_and_a_constant_predictor():
    true = [0, 1, 2] * 10
    perfect = bootstrap_interval(true, true, ["a", "b"] * 15, 3)
    assert all(str(i) == "100.0 [100.0, 100.0]" for i in perfect.intervals.values())
    constant = bootstrap_interval(true, [1] * 30, ["a"] * 30, 3).intervals["uar"]
    assert constant.value == pytest.approx(1 / 3)
    assert constant.low == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            {"speakers": ["a"]},
            "1 speakers for 2 utterances; expected one speaker per utterance. "
            "To do: give None where the speaker is unknown.",
        ),
        (
            {"n_resamples": 0},
            "0 resamples at level 0.95; expected at least 1 and a level between 0 and 1.",
        ),
        ({"level": 1.0}, "1000 resamples at level 1.0; expected at least 1 and a level between 0 and 1."),
    ],
)
def test_bad_settings_are_named(change, text):
    with pytest.raises(BenchmarkError) as caught:
        bootstrap_interval([0, 1], [0, 1], **({"speakers": ["a", "b"], "n_classes": 2} | change))
    assert str(caught.value) == text


def test_an_unknown_metric_is_named_with_the_nearest():
    with pytest.raises(UnknownNameError) as caught:
        bootstrap_interval([0, 1], [0, 1], None, 2, ("war",))
    assert str(caught.value) == ("unknown metric 'war'; expected one of accuracy, macro_f1, uar (nearest: uar).")


def test_a_thousand_resamples_of_ten_thousand_utterances_are_quick():
    random = np.random.default_rng(0)
    true, predicted = random.integers(0, 7, 10_000), random.integers(0, 7, 10_000)
    start = time.perf_counter()
    bootstrap_interval(true, predicted, [f"s{i}" for i in random.integers(0, 20, 10_000)], 7)
    # Measured 0.05 s; the bound is wide because machines that run tests are busy.
    assert time.perf_counter() - start < 2
