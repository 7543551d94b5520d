"""Speakers: gender and age, as recorded and as a distribution's own table tells them."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING

from emoset.account import Account, Problem, number_of
from emoset.schema import GENDERS, SPLITS
from emoset.tree import RawTree, match_tail, tail_pattern
from emoset.words import gender_name

if TYPE_CHECKING:
    from emoset.recipe import Recipe


def corpus_table(corpus: str, name: str) -> list[dict[str, str]]:
    """The rows of a table in ``corpora/<corpus>/``.

    Example:
        >>> sorted(corpus_table("cremad", "splits.csv")[0])
        ['speaker', 'split']
    """
    text = (resources.files("emoset.corpora") / corpus / name).read_text("utf-8")
    return list(csv.DictReader(io.StringIO(text)))


@dataclass(frozen=True, slots=True)
class Speaker:
    """What is known of a speaker: gender and age in years."""

    gender: str | None
    age: float | None

    def __str__(self) -> str:
        return f"{self.gender}, {self.age:g} years" if self.age is not None else str(self.gender)


def recorded_speakers(recipe: Recipe) -> dict[str, Speaker]:
    """Speaker id to what the recipe or its table in ``corpora/`` tells.

    Example:
        >>> from emoset.registry import get_recipe
        >>> str(recorded_speakers(get_recipe("emodb"))["03"])
        'male, 31 years'
    """
    speakers = {s: Speaker(g, recipe.ages.get(s)) for g in GENDERS for s in getattr(recipe, g)}
    for row in corpus_table(recipe.id, recipe.speakers) if recipe.speakers else ():
        speakers[row["speaker"]] = Speaker(row["gender"] or None, float(row["age"]) if row.get("age") else None)
    return speakers


def recorded_splits(recipe: Recipe) -> dict[str, str]:
    """Value of the field that decides, such as a speaker id, to split; empty where a hash decides.

    Example:
        >>> from emoset.registry import get_recipe
        >>> recorded_splits(get_recipe("emodb"))["10"]
        'test'
    """
    split = recipe.split
    if split.table:
        return {row[split.by]: row["split"] for row in corpus_table(recipe.id, split.table)}
    return {name: name for name in SPLITS} if split.by == "split" else split.assignment()


def read_speakers(recipe: Recipe, tree: RawTree, names: Sequence[str], account: Account) -> dict[str, Speaker]:
    """Recorded speakers, and those of the table in the raw root, which must not say otherwise."""
    speakers = recorded_speakers(recipe)
    table = recipe.table_of_speakers
    compiled = tail_pattern(table.file)
    columns = {"speaker": table.speaker, "gender": table.gender} | ({"age": table.age} if table.age else {})
    for name in (n for n in names if match_tail(compiled, n)):
        account.annotations.add(name)
        for line, values in tree.rows(name, table.encoding, table.delimiter, columns, {"age": "age"}):
            where = f"{name}, line {line}"
            try:
                told = Speaker(gender_of(values["gender"], where), number_of("age", values.get("age"), where))
            except Problem as problem:
                account.rejected.append(problem.rejection)
                continue
            known = speakers.setdefault(values["speaker"], told)
            if known.gender != told.gender or (told.age is not None and known.age != told.age):
                account.reject(
                    where,
                    f"speaker {values['speaker']} is {told}; known is {known}",
                    "restore the file from the distribution",
                )
    return speakers


def gender_of(text: str | None, where: str) -> str | None:
    """The gender that a word or letter means; None for none.

    Raises:
        Problem: it means none.
    """
    if not text:
        return None
    if gender_name(text) is None:
        raise Problem(where, f"unknown gender {text!r}", "write female, male or child")
    return gender_name(text)
