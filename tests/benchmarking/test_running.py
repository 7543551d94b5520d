import json
import subprocess
import sys

import numpy as np
import pytest

import emoset
from emoset.benchmarking import benchmark
from emoset.benchmarking.tasks import HIDDEN, load_task
from emoset.errors import BenchmarkError, UnknownNameError


class Constant:
    def __init__(self, answer="anger"):
        self.answer = answer

    def fit(self, train, validation):
        pass

    def predict(self, test):
        return [self.answer] * len(test)


class Answer(Constant):
    """Returns whatever it was given."""

    def predict(self, test):
        return self.answer


def message(kind, call, *args, **options):
    with pytest.raises(kind) as caught:
        call(*args, progress=False, **options)
    return str(caught.value)


@pytest.fixture
def run(serve, fakes):
    """Benchmark on the fake EMO-DB, altered where asked."""

    def run(model, **corpus):
        serve(emodb=fakes.corpus(**corpus))
        return benchmark(model, "emodb", resamples=50, progress=False)

    return run


def test_a_perfect_model(run, fakes):
    result = run(fakes.Nearest)["emodb"]
    assert (result.uar.value, result.accuracy.value, result.macro_f1.value) == (1, 1, 1)
    assert result.confusion == ((8, 0, 0), (0, 8, 0), (0, 0, 8))
    assert result.prediction == result.reference
    assert result.ids[0] == "emodb/e-anger-0"
    assert (result.test_utterances, result.test_speakers, result.unit) == (24, 2, "speaker")
    assert result.counts["train"] == {"anger": 12, "joy": 12, "neutral": 12}


def test_a_constant_model_is_at_chance(run):
    result = run(Constant())["emodb"]
    assert result.uar.value == pytest.approx(result.chance) == pytest.approx(1 / 3)
    assert result.confusion == ((8, 0, 0), (8, 0, 0), (8, 0, 0))


@pytest.mark.parametrize(
    "answer",
    [np.full(24, 1), np.array(["joy"] * 24), ["joy"] * 24, (1,) * 24, np.full(24, 1, dtype=np.uint8)],
)
def test_names_and_indexes_in_any_sequence_mean_the_same(run, answer):
    assert set(run(Answer(answer))["emodb"].prediction) == {"joy"}


def test_the_test_set_shows_no_labels(run):
    class Peeks(Constant):
        def fit(self, train, validation):
            assert {"label", "emotion", "extra"} <= set(train.column_names)
            assert train[0]["audio"]["path"] == "emodb/a-anger-0.wav"

        def predict(self, test):
            assert not set(test.column_names) & set(HIDDEN)
            assert test.column_names.count("id") == 1
            assert list(test["id"]) == [str(i) for i in range(24)]
            for row in (test[3], next(iter(test)), test[2:4], test.select([5])[0], test.shuffle(seed=0)[0]):
                assert "anger" not in str(row)
                assert "Mittwoch" in str(row)
            assert test[3]["audio"] == {"array": [0.0, 0.5], "sampling_rate": 16000, "path": None}
            assert test.map(lambda row: {"seen": str(row["audio"]["path"])})[0]["seen"] == "None"
            assert test.select_columns(["speaker"])[0] == {"speaker": "emodb:e"}
            return super().predict(test)

    run(Peeks())


def test_a_loader_that_decodes_by_a_transform_keeps_doing_so(serve, fakes):
    def decode(batch):
        return {**batch, "audio": [{**a, "array": np.float32(a["array"])} for a in batch["audio"]]}

    corpus = fakes.corpus(change=lambda s, rows: [{**r, "label": None} if r["n"] == 2 else r for r in rows])
    serve(emodb=corpus.with_transform(decode))
    task = load_task("emodb", None, "label")
    assert isinstance(task.test[9]["audio"]["array"], np.ndarray)
    assert task.test[9]["audio"]["path"] is None
    assert task.test[15]["id"] == "15"
    assert len(task.test) == 16


def test_rows_without_a_label_are_left_out_and_counted(run, fakes):
    def forget(split, rows):
        return [{**row, "label": None} if row["id"].endswith("-0") else row for row in rows]

    class Counts(fakes.Nearest):
        def fit(self, train, validation):
            assert None not in train["label"]
            assert (len(train), len(validation)) == (27, 9)
            super().fit(train, validation)

        def predict(self, test):
            assert list(test["id"]) == [str(i) for i in range(18)]
            return super().predict(test)

    result = run(Counts, change=forget)["emodb"]
    assert result.left_out == {"train": 9, "validation": 3, "test": 6}
    assert (result.test_utterances, result.uar.value) == (18, 1)
    assert result.ids[0] == "emodb/e-anger-1"
    assert "6 unlabelled left out" in result.notes


def test_other_labels_arrive_under_the_name_label(serve, fakes):
    serve(emodb=fakes.corpus(labels="arousal"))

    class Sees(fakes.Nearest):
        def fit(self, train, validation):
            assert train.features["label"].names == ["high", "low"]
            assert train.column_names.count("label") == 1
            assert "arousal" not in train.column_names
            super().fit(train, validation)

    results = benchmark(Sees, "emodb", labels="arousal", resamples=20, progress=False)
    assert results.labels == "arousal"
    assert results["emodb"].classes == ("high", "low")
    assert results["emodb"].uar.value == 1


def test_unknown_speakers_are_units_of_their_own_and_noted(run):
    some = run(Constant(), change=lambda s, rows: [{**rows[0], "speaker": None}, *rows[1:]])["emodb"]
    assert (some.unit, some.without_speaker) == ("both", 1)
    assert "1 utterances without a speaker" in some.notes
    none = run(Constant(), change=lambda s, rows: [{**row, "speaker": None} for row in rows])["emodb"]
    assert (none.unit, none.test_speakers) == ("utterance", 0)
    assert "speakers unknown: interval over utterances" in none.notes


def test_speakers_in_two_splits_are_noted_whatever_the_manifest_says(serve, fakes, tmp_path):
    serve(emodb=fakes.corpus(test_speakers="ea"))
    write_manifest(tmp_path, speaker_independent=True)
    result = benchmark(Constant(), "emodb", data_dir=tmp_path, resamples=20, progress=False)["emodb"]
    assert result.speaker_independent is False
    assert "not speaker-independent" in result.notes


def write_manifest(folder, **fields):
    (folder / "emodb").mkdir(exist_ok=True)
    (folder / "emodb" / "manifest.json").write_text(json.dumps(fields))


def test_the_manifest_marks_the_results(serve, fakes, tmp_path):
    serve(emodb=fakes.corpus())
    write_manifest(
        tmp_path,
        recipe_version="1.2.0",
        split_hash="abc",
        partial=True,
        synthetic=True,
        speaker_independent=True,
        anything="else",
    )
    result = benchmark(Constant(), "emodb", data_dir=tmp_path, resamples=20, progress=False)["emodb"]
    assert (result.recipe_version, result.split_hash) == ("1.2.0", "abc")
    assert result.notes == ("synthetic", "partial build", "2 speakers: interval is a rough one")


def test_the_manifest_is_found_in_the_default_folder(serve, fakes, tmp_path, monkeypatch):
    write_manifest(tmp_path, recipe_version="3.0.0")
    monkeypatch.setenv("EMOSET_HOME", str(tmp_path))
    serve(emodb=fakes.corpus())
    result = benchmark(Constant(), "emodb", resamples=20, progress=False)["emodb"]
    assert result.recipe_version == "3.0.0"


def test_a_damaged_manifest_is_named(serve, fakes, tmp_path):
    serve(emodb=fakes.corpus())
    write_manifest(tmp_path)
    path = tmp_path / "emodb" / "manifest.json"
    path.write_text("{")
    assert message(BenchmarkError, benchmark, Constant(), "emodb", data_dir=tmp_path) == (
        f"{path}: not JSON (Expecting property name enclosed in double quotes: line 1 column 2 (char 1)); "
        "expected a build's manifest. To do: build it again."
    )


def test_results_are_repeatable(serve, fakes):
    serve(emodb=fakes.corpus(), urdu=fakes.corpus("urdu"))
    options = {"resamples": 50, "progress": False}

    def figures(**more):
        results = benchmark(Constant(), ["emodb", "urdu"], **options, **more)
        fixed = {"fit_seconds": 0.0, "predict_seconds": 0.0}
        return results.model_copy(update={"corpora": tuple(r.model_copy(update=fixed) for r in results.corpora)})

    assert figures() == figures()
    assert figures(seed=1) != figures()
    assert (figures(seed=1).seed, figures().resamples, figures().level) == (1, 50, 0.95)


def test_several_corpora_get_a_mean_and_a_fresh_model_each(serve, fakes):
    made = []

    class Fresh(fakes.Nearest):
        def __init__(self):
            made.append(self)

    serve(emodb=fakes.corpus(), urdu=fakes.corpus("urdu"))
    results = benchmark(Fresh, ["emodb", "urdu"], resamples=20, progress=False)
    assert len(made) == 2
    assert [r.corpus for r in results.corpora] == ["emodb", "urdu"]
    assert results.mean_uar == 1
    assert results.model == "Fresh"
    assert set(results.software) == {"python", "emoset", "numpy", "datasets"}


def test_a_collection_stands_for_its_corpora(serve, fakes, monkeypatch):
    def resolve(name):
        if name == "own":
            raise UnknownNameError("unknown corpus 'own'")
        return ["emodb", "urdu"] if name == "both" else [name]

    monkeypatch.setattr("emoset.registry.resolve", resolve)
    serve(emodb=fakes.corpus(), urdu=fakes.corpus("urdu"), own=fakes.corpus("own"))
    results = benchmark(Constant(), ["urdu", "own", "both"], resamples=20, progress=False)
    assert [r.corpus for r in results.corpora] == ["urdu", "own", "emodb"]


def test_all_data_are_checked_before_the_first_fit(serve, fakes):
    class Never(Constant):
        def fit(self, train, validation):
            raise AssertionError("fitted")

    bad = fakes.corpus("urdu")
    del bad["validation"]
    serve(emodb=fakes.corpus(), urdu=bad)
    assert message(BenchmarkError, benchmark, Never(), ["emodb", "urdu"]) == (
        "urdu: no validation split; expected train, validation, test. "
        "To do: leave the corpus out, or build a copy that has all three."
    )


def test_what_was_reached_is_kept_when_a_later_corpus_fails(serve, fakes, tmp_path):
    class Breaks(Constant):
        def fit(self, train, validation):
            if train[0]["corpus"] == "urdu":
                raise MemoryError("too large")

    serve(emodb=fakes.corpus(), urdu=fakes.corpus("urdu"))
    text = message(BenchmarkError, benchmark, Breaks(), ["emodb", "urdu"], out=tmp_path, resamples=20)
    assert text == "urdu: fit of Breaks raised MemoryError: too large. To do: see the traceback above."
    kept = json.loads((tmp_path / "results.json").read_text())
    assert [r["corpus"] for r in kept["corpora"]] == ["emodb"]
    assert kept["remaining"] == ["urdu"]


def test_an_error_in_predict_keeps_its_cause(serve, fakes):
    class Breaks(Constant):
        def predict(self, test):
            return {}["missing"]

    serve(emodb=fakes.corpus())
    with pytest.raises(BenchmarkError) as caught:
        benchmark(Breaks(), "emodb", progress=False)
    assert isinstance(caught.value.__cause__, KeyError)
    assert str(caught.value).startswith("emodb: predict of Breaks raised KeyError: 'missing'.")


CLASSES = "expected one of anger, joy, neutral, or their indexes 0 to 2."


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (["joy"] * 3, "emodb: 3 predictions; expected one for each of 24 test utterances."),
        (["joy"] * 23 + ["Joy"], f"emodb: prediction 'Joy' (row 23; 1 such rows); {CLASSES}"),
        ([3] * 24, f"emodb: prediction 3 (row 0; 24 such rows); {CLASSES}"),
        ([0] * 23 + [-1], f"emodb: prediction -1 (row 23; 1 such rows); {CLASSES}"),
        ([0.0] * 24, f"emodb: prediction 0.0 (row 0; 24 such rows); {CLASSES}"),
        ([True] * 24, f"emodb: prediction True (row 0; 24 such rows); {CLASSES}"),
        ([None] + ["joy"] * 23, f"emodb: prediction None (row 0; 1 such rows); {CLASSES}"),
        ([{}] * 24, f"emodb: prediction {{}} (row 0; 24 such rows); {CLASSES}"),
        (
            np.zeros((24, 3)),
            "emodb: predict returned shape (24, 3); expected one class for each of 24 utterances. "
            "To do: take the argmax over classes.",
        ),
        (
            None,
            "emodb: predict returned nothing; expected one class for each of 24 utterances. To do: return predictions.",
        ),
    ],
)
def test_wrong_predictions_are_named(serve, fakes, answer, text):
    serve(emodb=fakes.corpus())
    assert message(BenchmarkError, benchmark, Answer(answer), "emodb") == text


def test_a_ragged_list_is_named(serve, fakes):
    serve(emodb=fakes.corpus())
    text = message(BenchmarkError, benchmark, Answer([[1], [1, 2]]), "emodb")
    assert text.startswith("emodb: predict returned a list (setting an array element with a sequence.")


@pytest.mark.parametrize(
    ("options", "kind", "text"),
    [
        (
            {"labels": "emotions"},
            UnknownNameError,
            "unknown label column 'emotions'; expected one of arousal, ",
        ),
        ({"resamples": 0}, BenchmarkError, "0 resamples; expected at least 1."),
        (
            {"corpora": []},
            BenchmarkError,
            "no corpora; expected the name of a corpus or collection, or a list",
        ),
        (
            {"out": __file__},
            BenchmarkError,
            f"{__file__}: cannot be made (File exists); expected a folder for",
        ),
    ],
)
def test_bad_settings_are_named(serve, fakes, options, kind, text):
    serve(emodb=fakes.corpus())
    options = {"corpora": "emodb"} | options
    assert message(kind, benchmark, Constant(), **options).startswith(text)


def test_splits_without_labels_are_named(serve, fakes):
    def unlabelled(split, rows):
        return [{**row, "arousal": None} for row in rows] if split == "test" else rows

    serve(emodb=fakes.corpus(labels="arousal", change=unlabelled))
    assert message(BenchmarkError, benchmark, Constant(), "emodb", labels="arousal") == (
        "emodb: no row of the test split has a value in 'arousal'; expected at least one. "
        "To do: choose another label column, or leave the corpus out."
    )


def test_classes_that_differ_between_splits_are_named(serve, fakes):
    corpus = fakes.corpus()
    corpus["train"] = fakes.corpus(classes=("joy", "anger", "neutral"))["train"]
    serve(emodb=corpus)
    assert message(BenchmarkError, benchmark, Constant(), "emodb") == (
        "emodb: classes joy, anger, neutral in train; expected those of test: anger, joy, neutral. "
        "To do: build it again."
    )


def test_a_label_column_without_classes_is_named(serve, fakes):
    serve(emodb=fakes.corpus())
    assert message(BenchmarkError, benchmark, Constant(), "emodb", labels="emotion") == (
        "emodb: column 'emotion' has no classes; expected a ClassLabel. To do: build it again."
    )


def test_progress_goes_to_stderr(serve, fakes, capsys):
    serve(emodb=fakes.corpus())
    benchmark(Constant(), "emodb", resamples=20)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "emodb (1 of 1): 36 to train, 24 to test" in shown.err
    benchmark(Constant(), "emodb", resamples=20, progress=False)
    assert capsys.readouterr().err == ""


def test_importing_the_benchmark_is_light():
    heavy = "{'torch', 'datasets', 'matplotlib', 'sklearn', 'emoset.loading'}"
    code = f"import sys, emoset.benchmarking; print(sorted({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"


def test_a_twin_built_and_loaded_for_real(tmp_path, fakes):
    emoset.twin("emodb", tmp_path / "raw", scale=0.05, progress=False)
    emoset.build("emodb", tmp_path / "raw" / "emodb", tmp_path / "data", progress=False)

    class Sees(Constant):
        def fit(self, train, validation):
            assert train[0]["audio"]["array"].dtype == np.float32

        def predict(self, test):
            row = test[len(test) - 1]
            assert row["audio"]["array"].ndim == 1
            assert row["audio"]["path"] is None
            assert row["id"] == str(len(test) - 1)
            assert not set(row) & set(HIDDEN)
            return super().predict(test)

    files = sorted((tmp_path / "data").rglob("*"))
    result = benchmark(Sees(), "emodb", data_dir=tmp_path / "data", resamples=20, progress=False)["emodb"]
    assert result.notes[0] == "synthetic"
    assert result.speaker_independent is True
    assert result.recipe_version == emoset.get_recipe("emodb").version
    assert sorted((tmp_path / "data").rglob("*")) == files
