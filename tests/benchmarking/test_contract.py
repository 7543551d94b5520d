import re
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from emoset.benchmarking import Model, benchmark, resolve_model
from emoset.benchmarking.contract import make_model, model_name, read_predictions
from emoset.errors import BenchmarkError, UnknownNameError

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "svm_logmel.py"
SOURCE = """
import helper_beside

class Guess:
    def __init__(self, answer="joy", strength: float = 1.0):
        self.answer, self.strength = answer, strength
    def fit(self, train, validation): ...
    def predict(self, test): return [self.answer] * len(test)

def make(): return Guess()
made = Guess()
number = 3
"""


@pytest.fixture
def source(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "helper_beside.py").write_text("")
    path = tmp_path / "my_model.py"
    path.write_text(SOURCE)
    return path


def message(kind, call, *args):
    with pytest.raises(kind) as caught:
        call(*args)
    return str(caught.value)


def predictions(path, rows, head="id,prediction"):
    path.write_text("\n".join([head, *(f"{a},{b}" for a, b in rows)]) + "\n")
    return path


def ids(corpus="emodb"):
    return [f"{corpus}/{s}-{c}-{take}" for s in "ef" for c in ("anger", "joy", "neutral") for take in range(4)]


def test_a_class_in_a_file_with_arguments(source):
    made = make_model(resolve_model(f"{source}:Guess", {"answer": "anger", "strength": "0.5"}), "emodb")
    assert isinstance(made, Model)
    assert (made.answer, made.strength) == ("anger", 0.5)


def test_a_function_an_object_and_a_module(source):
    assert make_model(resolve_model(f"{source}:make"), "emodb").answer == "joy"
    assert resolve_model(f"{source}:made").answer == "joy"
    assert make_model(resolve_model("my_model:Guess"), "emodb").answer == "joy"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("-3", -3),
        ("0.5", 0.5),
        ("1e-3", 0.001),
        ("true", True),
        ("False", False),
        ("nan", "nan"),
        ("1_0", "1_0"),
        ("", ""),
        ("3 bars", "3 bars"),
    ],
)
def test_arguments_become_what_they_look_like(source, text, value):
    made = make_model(resolve_model(f"{source}:Guess", {"answer": text}), "emodb")
    assert made.answer == value
    assert type(made.answer) is type(value)


def test_models_are_named_for_the_table(source):
    guess = resolve_model(f"{source}:Guess")
    assert model_name(guess) == "Guess"
    assert model_name(guess()) == "Guess"
    assert model_name(partial(guess, answer="joy")) == "Guess(answer='joy')"
    assert model_name(Path("a/b.csv")) == "b.csv"


@pytest.mark.parametrize(
    ("spec", "kind", "text"),
    [
        (
            "model",
            BenchmarkError,
            "model 'model'; expected package.module:attribute, path/to/file.py:attribute or a .csv of "
            "predictions. To do: name the class after a colon, as in my_model.py:MyModel.",
        ),
        ("model.py:", BenchmarkError, "model 'model.py:'; expected package.module:attribute"),
        (
            "absent_module:Model",
            BenchmarkError,
            "absent_module: cannot be imported (ModuleNotFoundError: No module named 'absent_module'); "
            "expected an installed module, one in this folder, or a .py file.",
        ),
        (
            "absent/file.py:Model",
            BenchmarkError,
            "absent/file.py: no such file; expected a Python file with a model in it.",
        ),
        (
            "my_model:Gues",
            UnknownNameError,
            "unknown attribute of my_model 'Gues'; expected one of Guess, helper_beside, made, make, number "
            "(nearest: Guess).",
        ),
        (
            "my_model:number",
            BenchmarkError,
            "my_model:number: int without fit and without predict; expected an object with "
            "fit(train, validation) and predict(test), or a class of such. "
            "To do: add what is missing; for a trained model let fit do nothing.",
        ),
    ],
)
def test_what_is_not_there_is_named(source, spec, kind, text):
    assert message(kind, resolve_model, spec).startswith(text)


def test_an_error_in_the_file_is_told(tmp_path):
    (tmp_path / "broken.py").write_text("1 / 0")
    text = message(BenchmarkError, resolve_model, f"{tmp_path}/broken.py:Model")
    assert "broken.py: cannot be imported (ZeroDivisionError: division by zero)" in text


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        (
            "my_model:Guess",
            "my_model:Guess: arguments wrong (got an unexpected keyword argument 'wrong'); "
            "expected Guess(answer='joy', strength: float = 1.0).",
        ),
        (
            "my_model:made",
            "my_model:made: arguments wrong; expected none for an object that is already made.",
        ),
        ("mine.csv", "mine.csv: arguments wrong; expected none for a file of predictions."),
    ],
)
def test_arguments_that_do_not_fit_are_named(source, spec, text):
    assert message(BenchmarkError, resolve_model, spec, {"wrong": "1"}) == text


def test_an_object_without_predict_is_named(serve, fakes):
    class Half:
        def fit(self, train, validation): ...

    serve(emodb=fakes.corpus())
    for model in (Half, Half()):
        assert message(BenchmarkError, benchmark, model, "emodb").startswith(
            "Half without predict; expected an object with fit(train, validation) and predict(test)"
        )
    assert message(BenchmarkError, benchmark, 3, "emodb").startswith("int without fit and without predict")


def test_a_class_that_needs_arguments_is_named(serve, fakes):
    class Needs(fakes.Nearest):
        def __init__(self, size): ...

    serve(emodb=fakes.corpus())
    text = message(BenchmarkError, benchmark, Needs, "emodb")
    assert re.fullmatch(
        r"emodb: Needs could not be made \(TypeError: .*missing 1 required positional argument: 'size'\); "
        r"expected a class or function that needs no arguments. "
        r"To do: give the arguments that it needs, or the object itself\.",
        text,
    )


def test_a_file_of_predictions_is_a_model(serve, fakes, tmp_path):
    serve(emodb=fakes.corpus())
    rows = [(name, name.split("-")[1]) for name in reversed(ids())]
    path = predictions(tmp_path / "mine.csv", rows, head="\ufeffid,prediction")
    for model in (path, str(path)):
        results = benchmark(model, "emodb", resamples=20, progress=False)
        assert (results.model, results["emodb"].uar.value) == ("mine.csv", 1)
        assert results["emodb"].fit_seconds is None


def test_saved_predictions_are_such_a_file(serve, fakes, tmp_path):
    serve(emodb=fakes.corpus())
    first = benchmark(fakes.Nearest, "emodb", resamples=20, progress=False, out=tmp_path)
    again = benchmark(tmp_path / "predictions-emodb.csv", "emodb", resamples=20, progress=False)
    assert again["emodb"].prediction == first["emodb"].prediction


def test_one_file_may_serve_several_corpora_and_unlabelled_utterances(serve, fakes, tmp_path):
    forget = fakes.corpus(change=lambda s, rows: [{**rows[0], "label": None}, *rows[1:]])
    serve(emodb=forget, urdu=fakes.corpus("urdu"))
    path = predictions(tmp_path / "mine.csv", [(name, "joy") for name in ids() + ids("urdu")])
    results = benchmark(path, ["emodb", "urdu"], resamples=20, progress=False)
    assert [r.test_utterances for r in results.corpora] == [23, 24]


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        (
            [(name, "joy") for name in ids()[5:]],
            "no prediction for 5 of 24 test utterances of emodb "
            "(emodb/e-anger-0, emodb/e-anger-1, emodb/e-anger-2 and 2 more); expected one for each.",
        ),
        (
            [(name, "joy") for name in [*ids(), "emodb/x", "emodb/y"]],
            "2 predictions for utterances that are not in the test set (emodb/x, emodb/y); expected test "
            "utterances only. To do: check that the file was made with the same split.",
        ),
        (
            [(name, "joy") for name in [*ids(), *ids()[:4]]],
            "4 ids more than once (emodb/e-anger-0, emodb/e-anger-1, emodb/e-anger-2 and 1 more); "
            "expected each id once.",
        ),
        (
            [(name, name[-1]) for name in ids()],
            "4 class names that emodb does not have ('0', '1', '2' and 1 more); expected one of anger, joy, neutral.",
        ),
    ],
)
def test_predictions_that_do_not_fit_are_named(serve, fakes, tmp_path, rows, text):
    serve(emodb=fakes.corpus())
    path = predictions(tmp_path / "mine.csv", rows)
    assert message(BenchmarkError, benchmark, path, "emodb") == f"{path}: {text}"


FORM = "expected CSV in UTF-8 with the columns id,prediction."


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (None, f"cannot be read (No such file or directory); {FORM}"),
        (b"", f"no column id and no column prediction; {FORM}"),
        (b"id,label\n", f"no column prediction; {FORM}"),
        (
            b"id,prediction\n1,\xff\n",
            f"not a table ('utf-8' codec can't decode byte 0xff in position 16: invalid start byte); {FORM}",
        ),
    ],
)
def test_files_that_are_no_predictions_are_named(tmp_path, data, text):
    path = tmp_path / "mine.csv"
    if data is not None:
        path.write_bytes(data)
    assert message(BenchmarkError, read_predictions, path) == f"{path}: {text}"


def test_the_example_learns(serve, fakes):
    made = make_model(resolve_model(f"{EXAMPLE}:SvmOnLogMel"), "emodb")
    random = np.random.default_rng(0)
    tones = [np.sin(np.arange(8000) * step) + 0.1 * random.standard_normal(8000) for step in (0.1, 0.5, 1.5)]
    train = fakes.corpus()["train"].with_transform(
        lambda batch: {
            **batch,
            "audio": [{"array": tones[int(a["array"][0])].astype(np.float32)} for a in batch["audio"]],
        }
    )
    made.fit(train, train)
    assert list(made.predict(train)) == [row["label"] for row in train]
