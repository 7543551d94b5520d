import builtins
import json

import pytest
from pydantic import ValidationError

from emoset.benchmarking import Results, benchmark
from emoset.benchmarking.pictures import class_counts_picture, confusion_picture
from emoset.errors import BenchmarkError, UnknownNameError


class Half:
    """Right for every other utterance."""

    def fit(self, train, validation): ...

    def predict(self, test):
        return [row % 3 for row in range(len(test))]


@pytest.fixture
def results(serve, fakes):
    serve(
        emodb=fakes.corpus(test_speakers="efghi"),
        urdu=fakes.corpus("urdu", classes=("anger", "fear", "joy", "neutral"), test_speakers="e"),
    )
    return benchmark(Half, ["emodb", "urdu"], resamples=20, progress=False)


def damaged(path, change):
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))
    with pytest.raises(BenchmarkError) as caught:
        Results.from_json(path)
    return str(caught.value).removeprefix(f"{path}: ")


def test_json_reads_back_equal(results, tmp_path):
    path = results.to_json(tmp_path / "results.json")
    assert Results.from_json(path) == results
    assert list(tmp_path.iterdir()) == [path]


CURE = "expected the results.json of a benchmark. To do: run the benchmark again."


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda d: d.pop("seed"), f"seed: Field required; {CURE}"),
        (lambda d: d.update(more=1), f"more: Extra inputs are not permitted; {CURE}"),
        (lambda d: d.update(mean_uar=0.9), f"Value error, mean_uar is not the mean over corpora; {CURE}"),
        (lambda d: d.update(format="x"), f"format: Input should be 'emoset-results-1'; {CURE}"),
        (
            lambda d: d["corpora"][1]["ids"].pop(),
            "corpora.1: Value error, predictions do not match the classes",
        ),
        (
            lambda d: d["corpora"][0]["prediction"].__setitem__(0, "neutral"),
            "corpora.0: Value error, the confusion matrix does not match the predictions",
        ),
    ],
)
def test_damaged_results_are_named(results, tmp_path, change, text):
    assert damaged(results.to_json(tmp_path / "r.json"), change).startswith(text)


def test_files_that_are_no_results_are_named(tmp_path):
    path = tmp_path / "r.json"
    with pytest.raises(BenchmarkError) as caught:
        Results.from_json(path)
    assert str(caught.value) == (
        f"{path}: cannot be read (No such file or directory); expected the results.json of a benchmark."
    )
    path.write_text('{"model": ')
    with pytest.raises(BenchmarkError, match="Invalid JSON: EOF while parsing a value"):
        Results.from_json(path)


def test_results_are_frozen(results):
    with pytest.raises(ValidationError):
        results.seed = 2


def test_a_corpus_that_is_not_there_is_named(results):
    with pytest.raises(UnknownNameError) as caught:
        results["emo-db"]
    assert str(caught.value) == (
        "unknown corpus of these results 'emo-db'; expected one of emodb, urdu (nearest: emodb)."
    )


def test_the_table(results):
    text = results.to_markdown()
    head, _, table = text.partition("\n\n")
    assert head.startswith("**Half** on `label`; in percent, with 95% intervals from 20 resamples of speakers")
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.strip().splitlines()]
    names = ["corpus", "test", "speakers", "classes", "chance", "UAR", "accuracy", "macro F1", "note"]
    assert lines[0] == names
    emodb, urdu, mean = lines[2:]
    assert emodb[:5] == ["emodb", "60", "5", "3", "33.3"]
    assert emodb[5] == str(results["emodb"].uar)
    assert emodb[8] == "speaker independence unknown"
    assert urdu[3:5] == ["4", "25.0"]
    assert urdu[8] == ("speaker independence unknown; 1 speaker: interval is a rough one; not in test: fear")
    assert mean[0] == "mean of 2"
    assert mean[5] == f"{100 * results.mean_uar:.1f}"
    assert len({len(line) for line in table.strip().splitlines()}) == 1
    assert str(results) == text == results._repr_markdown_()


def test_unfinished_results_say_so(results):
    assert "Incomplete: iemocap not reached." in str(results.model_copy(update={"remaining": ("iemocap",)}))


def test_save_writes_everything_and_nothing_else(results, tmp_path):
    folder = tmp_path / "new" / "folder"
    written = results.save(folder)
    names = ["confusion.png", "predictions-emodb.csv", "predictions-urdu.csv", "results.json", "table.md"]
    assert sorted(path.name for path in written) == names
    assert sorted(path.name for path in folder.iterdir()) == names
    assert (folder / "table.md").read_text() == results.to_markdown()
    lines = (folder / "predictions-urdu.csv").read_text().splitlines()
    assert lines[:2] == ["id,reference,prediction", "urdu/e-anger-0,anger,anger"]
    assert results.save(folder) == written


def test_a_failed_write_leaves_the_old_file_and_no_other(results, tmp_path, monkeypatch):
    path = results.to_json(tmp_path / "results.json")
    before = path.read_bytes()

    def fail(self, target):
        raise OSError("disk full")

    monkeypatch.setattr("pathlib.Path.replace", fail)
    with pytest.raises(OSError, match="disk full"):
        results.model_copy(update={"seed": 5}).to_json(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def is_png(path):
    return path.read_bytes().startswith(b"\x89PNG")


def test_pictures_are_the_same_each_time(results, tmp_path):
    first, again = (confusion_picture(results, tmp_path / name) for name in ("a.png", "b.png"))
    assert is_png(first[0])
    assert first[0].read_bytes() == again[0].read_bytes()


def test_many_corpora_take_several_pages(results, tmp_path, monkeypatch):
    monkeypatch.setattr("emoset.benchmarking.pictures._PER_PAGE", 3)
    many = results.model_copy(update={"corpora": results.corpora[:1] * 4})
    written = confusion_picture(many, tmp_path / "confusion.png")
    assert [path.name for path in written] == ["confusion.png", "confusion-2.png"]
    data = {f"c{i}": {"train": {"anger": i, "joy": 2}, "test": {"joy": 1}} for i in range(4)}
    written = class_counts_picture(data, tmp_path / "counts.png")
    assert [path.name for path in written] == ["counts.png", "counts-2.png"]
    assert all(is_png(path) for path in written)


def test_no_corpora_to_draw_are_named(tmp_path):
    with pytest.raises(BenchmarkError) as caught:
        class_counts_picture({}, tmp_path / "x.png")
    assert str(caught.value) == "no corpora to draw; expected at least one."


def test_without_matplotlib_the_cure_is_told_and_the_rest_is_saved(results, tmp_path, monkeypatch):
    real = builtins.__import__

    def without(name, *args, **options):
        if name.startswith("matplotlib"):
            raise ModuleNotFoundError(f"No module named {name!r}")
        return real(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(BenchmarkError) as caught:
        confusion_picture(results, tmp_path / "x.png")
    assert str(caught.value) == (
        "matplotlib is not installed; expected it, to draw. To do: pip install 'emoset-speech[report]'."
    )
    monkeypatch.setattr("emoset.benchmarking.results.find_spec", lambda name: None)
    with pytest.warns(UserWarning, match=r"no confusion.png: matplotlib is missing; pip install"):
        written = results.save(tmp_path)
    assert "confusion.png" not in [path.name for path in written]
