"""The constitution over the whole book: every obligation, every recipe and variant. A new recipe is under it by itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import emoset
from emoset.checking import OBLIGATIONS, Subject, check, subject_of
from emoset.indexing import read_index
from emoset.recipe import Recipe
from emoset.registry import known_names

TASKS = [emoset.get_recipe(name) for name in known_names()]


@pytest.fixture(scope="module", params=TASKS, ids=lambda task: task.configuration)
def subject(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Subject]:
    task: Recipe = request.param
    with subject_of(task, tmp_path_factory.mktemp(task.configuration.replace("+", "_"))) as made:
        yield made


@pytest.mark.parametrize("title", OBLIGATIONS)
def test_every_recipe_meets(title: str, subject: Subject) -> None:
    assert OBLIGATIONS[title](subject) is None


MINE = '''
"""My corpus."""
from emoset.recipe import Counts, PathPattern, Recipe, Split

RECIPE = Recipe(
    id="mine", title="My corpus", languages=("en",), kind="acted", access="open", licence="CC0", citation="none",
    version="1.0.0",
    found_by=PathPattern(regex=r"(?P<speaker>\\d\\d)_(?P<label>[AN])_(?P<take>\\d+)\\.wav"),
    labels={"A": "anger", "N": "neutral"},
    split=Split(train=("01", "02", "03"), validation=("04",), test=("05",)),
)
'''


def test_a_good_recipe_of_ones_own_passes(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(MINE)
    [report] = check(str(path))
    assert report.ok, str(report)
    assert str(report).count("ok  ") == len(OBLIGATIONS)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("[AN]", "[ANX]", "file names can hold the codes X, which labels and leave_out lack"),
        (
            'version="1.0.0",',
            'version="1.0.0", expect=Counts(labels={"anger": 3}),',
            "expect does not count every class",
        ),
        ('version="1.0.0",', 'version="1.0.0", published=Counts(utterances=3),', "published names no source"),
        ("import Counts", "import Row, Counts", None),
        ("RECIPE =", "import emoset.shards\nRECIPE =", "it imports emoset.shards; expected emoset.recipe alone"),
        ("RECIPE =", "X = (\n" + "1,\n" * 120 + ")\nRECIPE =", "code lines, more than 120"),
        (r"(?P<speaker>\\d\\d)_", r"(?P<who>\\d\\d)_", "rejections, the first"),
    ],
)
def test_a_recipe_of_ones_own_is_told_what_it_fails(old: str, new: str, problem: str | None, tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(MINE.replace(old.replace("\\\\", "\\"), new.replace("\\\\", "\\")))
    [report] = check(str(path))
    assert report.ok == (problem is None), str(report)
    if problem:
        assert problem in str(report)


def test_the_example_of_the_documentation_passes() -> None:
    example = Path(__file__).parent.parent / "docs" / "examples" / "recipes" / "cafe.py"
    [report] = check(str(example))
    assert report.ok, str(report)


@pytest.mark.parametrize("name", ["cremad", "emodb", "ravdess", "urdu"])
def test_no_identical_recording_is_in_two_splits(name: str, tmp_path: Path) -> None:
    index = read_index(name)
    assert index
    for path in index:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    homes: dict[str, set[str]] = {}
    for u in emoset.get_recipe(name).utterances(tmp_path):
        homes.setdefault(index[u.file][1], set()).add(u.split)
    assert {digest: splits for digest, splits in homes.items() if len(splits) > 1} == {}
