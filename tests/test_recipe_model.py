"""The recipe model: strict, deeply frozen, and its own documentation."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

import emoset
from emoset.errors import RecipeError, UnknownNameError
from emoset.parts import Counts, FrozenMap, ParentFolder, PathPattern, Source, Split
from emoset.recipe import Recipe, Variant


def _with(**fields: Any) -> Recipe:
    recipe = emoset.get_recipe("emodb")
    return Recipe(**{name: getattr(recipe, name) for name in recipe.model_fields_set} | fields)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"licens": "CC0"}, "licens: Extra inputs are not permitted"),
        ({"kind": "real"}, "kind: Input should be 'acted', 'induced' or 'natural'"),
        ({"version": "1"}, "version: String should match pattern"),
        ({"licence": " "}, "licence: String should have at least 1 character"),
        ({"citation": ""}, "citation: String should have at least 1 character"),
        ({"labels": {}}, "labels"),
        ({"labels": {"W": "wrath"}, "expect": Counts()}, "class wrath has no meaning"),
        ({"leave_out": {"W": "why not"}}, "code W stands in labels and in leave_out"),
        ({"expect": Counts(labels={"rage": 1})}, "counts are given for rage, which is no class of labels"),
        ({"female": ("08", "08")}, "female: 08 given twice"),
        ({"female": ("03", "08", "09", "13", "14", "16")}, "speaker 03 has two genders"),
        ({"split": Split(train=("08",), test=("10",))}, "is not in both the gender lists and the split"),
        ({"exclude": {"03a01Fa": ""}}, "exclude"),
    ],
)
def test_a_contradiction_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match="recipe emodb: ") as caught:
        _with(**fields)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PathPattern(regex="("), "regex '(' is invalid"),
        (lambda: PathPattern(regex="a", key="{b}"), "template '{b}' names ['b'], not a group"),
        (lambda: PathPattern(regex="a", codes={"x": "y"}), "the regex has no group named code"),
        (lambda: ParentFolder(name="["), "is invalid"),
        (lambda: Source(url="http://x", sha256="abc"), "sha256"),
        (lambda: Split(train=("a",)), "train and test must not be empty"),
        (lambda: Split(train=("a",), test=("b",), table="t.csv"), "give only one of lists, a table and hashed"),
        (lambda: Counts(utterances=3, labels={"anger": 2}), "labels add up to 2, utterances says 3"),
    ],
)
def test_a_wrong_part_is_refused(make: Any, message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        make()
    assert message in str(caught.value)


def test_a_recipe_is_frozen_to_its_leaves() -> None:
    recipe = emoset.get_recipe("emodb")
    with pytest.raises(ValueError, match="frozen"):
        recipe.title = "x"  # type: ignore[misc]
    with pytest.raises(TypeError):
        recipe.labels["W"] = "joy"  # type: ignore[index]
    with pytest.raises(AttributeError):
        recipe.labels.update({})  # type: ignore[attr-defined]
    assert isinstance(recipe.expect.labels, FrozenMap)
    assert isinstance(recipe.split.train, tuple)


def test_a_frozen_map_is_a_value() -> None:
    a, b = FrozenMap({"x": 1}), FrozenMap({"x": 1})
    assert a == b == {"x": 1}
    assert hash(a) == hash(b)
    assert copy.deepcopy(a) == pickle.loads(pickle.dumps(a)) == a  # noqa: S301 - our own bytes, in memory


def test_a_recipe_prints_itself_as_a_card() -> None:
    recipe = emoset.get_recipe("iemocap")
    card = repr(recipe)
    for fact in (recipe.title, recipe.licence, recipe.citation, "happiness <- exc hap", "5531 utterances", "iemocap-full",
                 "session", "left out   fru"):  # fmt: skip
        assert fact in card


def test_a_variant_shares_the_reading_and_not_the_counts() -> None:
    main, full = emoset.get_recipe("iemocap"), emoset.get_recipe("iemocap-full")
    assert (full.id, full.configuration, full.found_by) == ("iemocap", "iemocap-full", main.found_by)
    assert len(full.classes) == 11
    assert full.leave_out == {}
    assert full.expect == Counts()
    assert full.published.utterances == 10039
    assert full.version == main.version


@pytest.mark.parametrize("name", ["../emodb-x", "emodb", "emodb-", "emodb-X", "urdu-x", "emodb-a/b"])
def test_a_variant_is_named_after_its_corpus_and_nowhere_else(name: str) -> None:
    with pytest.raises(RecipeError, match=r"id: String should match pattern|must be named emodb-<something>"):
        _with(variants=(Variant(id=name, title="x"),))


def test_a_variant_cannot_have_unknown_classes() -> None:
    variant = Variant(id="emodb-x", title="x", labels={"W": "wrath"})
    from emoset.recipe import as_variant

    with pytest.raises(RecipeError, match="class wrath has no meaning"):
        as_variant(emoset.get_recipe("emodb"), variant)


def test_lists_can_be_filtered() -> None:
    assert [r.id for r in emoset.list_corpora()] == sorted(r.id for r in emoset.list_corpora())
    everything = emoset.list_corpora()
    assert emoset.list_corpora(language="de") == [r for r in everything if "de" in r.languages]
    assert emoset.list_corpora(access="request") == [r for r in everything if r.access == "request"]
    assert emoset.list_corpora(kind="natural", language="ur") == [emoset.get_recipe("urdu")]
    assert [r.configuration for r in emoset.list_corpora(collection="iemocap-full")] == ["iemocap-full"]


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown corpus 'EmoDB2'.*nearest: emodb"):
        emoset.get_recipe("EmoDB2")


MINE = """
from emoset.recipe import PathPattern, Recipe, Split
RECIPE = Recipe(id="mine", title="Mine", languages=("en",), kind="acted", access="open", licence="CC0",
    citation="none", version="1.0.0", found_by=PathPattern(regex=r"(?P<speaker>\\d)(?P<label>[AN])\\.wav"),
    labels={"A": "anger", "N": "neutral"}, split=Split(train=("1",), validation=("2",), test=("3",)))
"""


def test_a_recipe_of_ones_own_is_found_by_path_and_by_folder(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.py").write_text(MINE)
    assert emoset.get_recipe(str(tmp_path / "mine.py")).title == "Mine"
    monkeypatch.setenv("EMOSET_RECIPES", str(tmp_path))
    assert emoset.get_recipe("mine").title == "Mine"
    assert "mine" in {r.id for r in emoset.list_corpora()}
    [root] = emoset.twin("mine", tmp_path / "raw", scale=0.03, progress=False)
    assert {p.suffix for p in root.iterdir()} == {".wav", ".json"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import nothing_like_this", "it cannot be imported: ModuleNotFoundError"),
        ("def", "it cannot be imported: SyntaxError"),
        ("x = 1", "it holds no RECIPE"),
        ("1 / 0", "it cannot be imported: ZeroDivisionError"),
        ("open('absent')", "it cannot be imported: FileNotFoundError"),
        (MINE.replace("acted", "real"), "recipe mine: kind: Input should be"),
        (MINE.replace('"mine"', '"emodb"'), "a second recipe for corpus 'emodb'"),
    ],
)
def test_a_broken_recipe_module_is_named(
    text: str, message: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.py").write_text(text)
    monkeypatch.setenv("EMOSET_RECIPES", str(tmp_path))
    with pytest.raises(RecipeError, match=r"mine\.py: ") as caught:
        emoset.list_corpora()
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"emodb\nother.txt\n", r"mine\.txt: it names the file other\.txt; expected corpora and collections by name"),
        (b"\xff\xfe", r"mine\.txt: it is not UTF-8 text"),
        (b"emodbb\n", r"unknown corpus 'emodbb'"),
    ],
)
def test_a_wrong_collection_file_is_explained(content: bytes, message: str, tmp_path: Any) -> None:
    (tmp_path / "mine.txt").write_bytes(content)
    with pytest.raises(emoset.EmosetError, match=message):
        emoset.list_corpora(collection=str(tmp_path / "mine.txt"))


def test_a_collection_file_is_read(tmp_path: Any) -> None:
    (tmp_path / "mine.txt").write_text("emodb  # the German one\n\niemocap-full\n")
    found = emoset.list_corpora(collection=str(tmp_path / "mine.txt"))
    assert [r.configuration for r in found] == ["emodb", "iemocap-full"]
