"""The constitution: every obligation, over every recipe of the book."""

from __future__ import annotations

import io
import re
import tokenize
from importlib import import_module
from pathlib import Path

import pytest

import emoset
from emoset.labels import EMOTIONS
from emoset.patterns import group_values, named_groups
from emoset.speakers import corpus_table, recorded_speakers, recorded_splits
from emoset.recipe import Manifest, Recipe
from emoset.registry import known_names
from emoset.schema import AROUSALS, SPLITS, VALENCES

RECIPES = emoset.list_corpora()
TASKS = [emoset.get_recipe(name) for name in known_names()]
CODE_LINES = 120

every_recipe = pytest.mark.parametrize("recipe", RECIPES, ids=lambda r: r.id)
every_task = pytest.mark.parametrize("task", TASKS, ids=lambda r: r.configuration)


def code_lines(path: Path) -> int:
    """Lines that carry code: no blanks, no comments, no docstrings."""
    lines: set[int] = set()
    skipped = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING)
    fresh = True
    for token in tokenize.generate_tokens(io.StringIO(path.read_text("utf-8")).readline):
        if token.type == tokenize.STRING and fresh:
            continue
        if token.type not in skipped and token.type != tokenize.ENDMARKER:
            lines.update(range(token.start[0], token.end[0] + 1))
        fresh = token.type in skipped if token.type != tokenize.COMMENT else fresh
    return len(lines)


def _module(recipe: Recipe) -> Path:
    return Path(str(import_module(f"emoset.recipes.{recipe.id}").__file__))


@every_recipe
def test_it_is_one_short_module_of_its_name(recipe: Recipe) -> None:
    assert _module(recipe).stem == recipe.id
    assert code_lines(_module(recipe)) <= CODE_LINES
    imports = re.findall(r"^(?:from|import) (\S+)", _module(recipe).read_text(), re.M)
    assert {i for i in imports if i.startswith("emo")} == {"emoset.recipe"}


@every_recipe
def test_it_has_a_version_with_a_line_in_its_changelog(recipe: Recipe) -> None:
    from importlib import resources

    changelog = (resources.files("emoset.corpora") / recipe.id / "CHANGELOG.md").read_text("utf-8")
    assert f"- {recipe.version}: " in changelog


@every_recipe
def test_it_prints_as_a_card_with_licence_and_citation(recipe: Recipe) -> None:
    for fact in (recipe.title, recipe.licence, recipe.citation, *recipe.classes):
        assert fact in str(recipe)


@every_task
def test_its_labels_are_total_and_mean_something(task: Recipe) -> None:
    codes = set(task.labels) | set(task.leave_out)
    for way in task.ways:
        if isinstance(way, Manifest):
            continue
        regex = way.audio_pattern().regex
        told = group_values(regex, "label", limit=25) if "label" in named_groups(regex) else None
        assert told is None or set(told) <= codes
    for label in task.classes:
        meaning = task.meaning(label)
        assert meaning.arousal in (None, *AROUSALS)
        assert meaning.valence in (None, *VALENCES)
        assert meaning.emotion in (None, *EMOTIONS)


@every_task
def test_its_splits_are_recorded_disjoint_and_cover_the_speakers(task: Recipe) -> None:
    homes = recorded_splits(task)
    assert set(homes.values()) == set(SPLITS)
    if task.split.table:
        rows = corpus_table(task.id, task.split.table)
        assert len(rows) == len(homes)
    if task.split.by == "speaker" and recorded_speakers(task):
        assert set(homes) == set(recorded_speakers(task))


@every_task
def test_verified_numbers_have_no_doubtful_source(task: Recipe) -> None:
    assert task.expect.source is None
    assert task.published.utterances is None or task.published.source
    assert set(task.expect.labels) in (set(), set(task.classes))


@every_task
@pytest.mark.filterwarnings("ignore:.*SYNTHETIC:UserWarning")
def test_twin_build_load_gives_back_every_label(task: Recipe, raw_twins: Path, data_dir: Path) -> None:
    told = {u.id: u for u in task.utterances(raw_twins / task.id)}
    splits = emoset.load_dataset(task.configuration, data_dir=data_dir)
    rows = [(name, row) for name, split in splits.items() for row in split.remove_columns("audio")]
    assert {row["id"] for _, row in rows} == set(told)
    for name, row in rows:
        u = told[row["id"]]
        label = splits[name].features["label"].int2str(row["label"])
        assert (name, label, row["label_raw"], row["speaker"], row["gender"], row["language"], row["kind"]) == (
            u.split, u.label, u.label_raw, u.speaker, u.gender, u.language, task.kind,
        )  # fmt: skip
