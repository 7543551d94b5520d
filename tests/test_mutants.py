"""Damaged raw corpora, over every recipe: no damage passes unseen. A sample here, all of them in `make campaign`."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

import emoset
from emoset.registry import known_names

# pytest's importlib mode does not put this folder on the path.
_spec = importlib.util.spec_from_file_location("mutants", Path(__file__).with_name("mutants.py"))
assert _spec
assert _spec.loader
mutants = importlib.util.module_from_spec(_spec)
sys.modules["mutants"] = mutants
_spec.loader.exec_module(mutants)

NAMES = known_names()
KINDS = list(mutants.KINDS)
PER_RECIPE = 5


@pytest.fixture(scope="module", params=NAMES)
def subject(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> object:
    return mutants.Subject(emoset.get_recipe(request.param), tmp_path_factory.mktemp("mutants"))


@pytest.mark.parametrize("place", range(PER_RECIPE))
def test_no_damage_passes_unseen(place: int, subject: object) -> None:
    # Every recipe gets other kinds; together they cover each kind several times.
    name = subject.recipe.configuration  # type: ignore[attr-defined]
    kind = KINDS[(NAMES.index(name) * PER_RECIPE + place * 7) % len(KINDS)]
    outcome = subject.judge(kind, place)  # type: ignore[attr-defined]
    assert outcome is None or outcome.allowed, f"{kind}: {outcome.verdict}: {outcome.told}"


def test_the_sample_covers_every_kind() -> None:
    drawn = {KINDS[(i * PER_RECIPE + place * 7) % len(KINDS)] for i in range(len(NAMES)) for place in range(PER_RECIPE)}
    assert drawn == set(KINDS)


def test_there_are_enough_kinds() -> None:
    assert len(KINDS) >= 20
