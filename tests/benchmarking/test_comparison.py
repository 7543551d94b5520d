"""Several models side by side: figures counted by hand, and what cannot be compared."""

import re
from pathlib import Path

import pytest

from emoset.benchmarking import Results, benchmark, compare_models
from emoset.errors import BenchmarkError

# Test rows of the fake corpora: per speaker four of anger (0), four of joy (1), four of neutral (2).
TRUTH = [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2]


class Answers:
    """Predicts what it was made with."""

    def __init__(self, answers):
        self.answers = answers

    def fit(self, train, validation): ...

    def predict(self, test):
        return self.answers


@pytest.fixture
def judge(serve, fakes):
    """The results of such answers for one speaker of each corpus."""

    def judge(*answers, corpora=("emodb",), **options):
        serve(**{name: fakes.corpus(name, test_speakers="e", **options) for name in corpora})
        models = map(Answers, answers)
        return benchmark(lambda: next(models), corpora, resamples=50, progress=False)

    return judge


def wrong(*rows):
    """Answers that are wrong in these rows, and right elsewhere."""
    return [(true + (row in rows)) % 3 for row, true in enumerate(TRUTH)]


def test_the_figures(judge):
    first, second = judge(wrong(0, 1, 4, 5, 6, 7)), judge(wrong(11))
    found = compare_models({"first": first, "second": second})
    assert list(found.scores) == ["first", "second"]
    one, two = found.scores["first"]["emodb"], found.scores["second"]["emodb"]
    # Recalls of the first: 2/4, 0/4, 4/4; of the second: 4/4, 4/4, 3/4.
    assert one.uar == pytest.approx((0.5,))
    assert two.uar == pytest.approx((11 / 12,))
    assert (one.interval, two.interval) == (first["emodb"].uar, second["emodb"].uar)
    # Six rows are right with the second alone, one with the first alone: 2 * (1 + 7) / 2 ** 7.
    assert (one.p, two.p) == (None, 2 * (1 + 7) / 2**7)
    assert found.synthetic == ()


def test_seeds_are_averaged_and_the_first_is_tested(judge):
    seeds = [judge(wrong(*range(6))), judge(wrong()), judge(wrong(11))]
    found = compare_models({"first": judge(wrong()), "second": seeds}).scores["second"]["emodb"]
    assert found.uar == pytest.approx((0.5, 1, 11 / 12))
    assert found.mean == pytest.approx((0.5 + 1 + 11 / 12) / 3)
    assert found.interval == seeds[0]["emodb"].uar
    assert found.p == 2 / 2**6
    low, high = found.interval.low, found.interval.high
    assert str(found) == f"0.806 [0.500 to 1.000] ({low:.3f} to {high:.3f}), p 0.031"


def test_the_table(judge):
    three = ("emodb", "urdu", "tess")
    bad, good = wrong(*range(6)), wrong()
    found = compare_models(
        {
            "single": judge(good, bad, bad, corpora=three),
            "multi": judge(bad, good, bad, corpora=three),
            "added": judge(wrong(0), good, corpora=("urdu", "cremad")),
        }
    )
    lines = found.to_markdown().splitlines()
    assert lines[0] == "| corpus | single | multi | added |"
    rows = {cells[1]: cells[2:5] for cells in (re.split(r"\s*\|\s*", line) for line in lines[2:6])}
    assert list(rows) == ["emodb", "urdu", "tess", "cremad"]
    assert rows["emodb"][0] == "1.000 (1.000 to 1.000)"
    assert rows["emodb"][2] == rows["tess"][2] == rows["cremad"][0] == rows["cremad"][1] == "absent"
    assert rows["urdu"][1] == "1.000 (1.000 to 1.000), p 0.031"
    assert rows["tess"][1].endswith(", p 1.000")
    assert rows["cremad"][2] == "1.000 (1.000 to 1.000)"
    assert "p: McNemar's exact test against single, first seed." in lines[7]
    assert lines[9:] == [
        "- multi: better on 1 of 3; p < 0.05 and better on 1, and worse on 1.",
        "- added: better on 1 of 1; p < 0.05 and better on 0, and worse on 0.",
    ]
    assert str(found) == found.to_markdown() == found._repr_markdown_()


def test_twins_are_named(judge):
    def told(results):
        return results.model_copy(
            update={"corpora": [r.model_copy(update={"synthetic": True}) for r in results.corpora]}
        )

    found = compare_models({name: told(judge(wrong())) for name in ("first", "second")})
    assert found.synthetic == ("emodb",)
    assert found.to_markdown().endswith("\n\nSYNTHETIC, no real speech: emodb. These figures say nothing of people.\n")


def test_results_of_parts_go_together(judge):
    parts = [judge(wrong(0)), judge(wrong(1), corpora=("urdu",))]
    whole = judge(wrong(0), wrong(1), corpora=("emodb", "urdu"))
    found = compare_models({"whole": whole, "parts": parts}).scores
    assert list(found["parts"]) == ["emodb", "urdu"]
    assert [score.uar for score in found["parts"].values()] == [score.uar for score in found["whole"].values()]
    assert [score.p for score in found["parts"].values()] == [1, 1]


def test_files_give_the_same(judge, tmp_path):
    results = {"first": judge(wrong(0, 1)), "second": judge(wrong(7))}
    read = {name: Results.from_json(own.to_json(tmp_path / f"{name}.json")) for name, own in results.items()}
    assert compare_models(read) == compare_models(results)


def test_what_cannot_be_compared_is_refused(judge):
    def refusal(**results):
        with pytest.raises(BenchmarkError) as caught:
            compare_models(results)
        return str(caught.value)

    own, cure = judge(wrong()), "To do: run the benchmark of all models on the same build and label column."
    assert refusal() == "too few models (0); expected at least two to compare."
    assert refusal(first=own) == "too few models (1); expected at least two to compare."
    assert refusal(first=own, second=[]) == "second: no results; expected those of one benchmark or of several."
    assert refusal(first=own, second=judge(wrong(), corpora=("urdu",))) == (
        "second: no corpus in common with first; expected at least one of emodb."
    )
    two = judge(wrong(), wrong(), corpora=("emodb", "urdu"))
    assert refusal(first=two, second=[two, own]) == (
        "second: seeds per corpus: emodb 2, urdu 1; expected the same number for each."
    )
    other = judge(wrong(), classes=("anger", "joy", "neutral", "sadness"))
    assert refusal(first=own, second=other) == (
        "second, emodb: classes other than those of first: 1 (sadness in place of nothing); "
        f"expected the same test utterances for all models. {cure}"
    )
    fewer = judge(wrong()[1:], change=lambda split, rows: rows[1:] if split == "test" else rows)
    assert "second, emodb: test utterances other than those of first: 12 (emodb/e-anger-1 in place of" in refusal(
        first=own, second=fewer
    )

    def swapped(split, rows):
        return [{**row, "label": "joy"} if split == "test" and row["id"] == "emodb/e-anger-0" else row for row in rows]

    relabelled = judge(wrong(), change=swapped)
    assert "second, emodb: references other than those of first: 1 (joy in place of anger)" in refusal(
        first=own, second=relabelled
    )
    assert "first, emodb: references other than those of first: 1" in refusal(first=[own, relabelled], second=own)


def test_the_page_runs(judge, tmp_path, monkeypatch, capsys):
    page = Path(__file__).parents[2] / "docs" / "benchmark.md"
    section = page.read_text("utf-8").partition("## Comparing models\n")[2]
    code, shown = re.findall(r"^```\w*\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    answers = {
        "svm": (wrong(*range(8)), wrong(0)),
        "mine-0": (wrong(11), wrong(0, 4)),
        "mine-1": (wrong(1, 4), wrong()),
    }
    for name, both in answers.items():
        folder = tmp_path / "results" / name
        folder.mkdir(parents=True)
        judge(*both, corpora=("emodb", "urdu")).to_json(folder / "results.json")
    monkeypatch.chdir(tmp_path)
    exec(compile(code, str(page), "exec"), {})  # noqa: S102
    assert capsys.readouterr().out.strip() == shown.strip()
