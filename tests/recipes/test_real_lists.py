"""Every recipe that a real file list exists for gets every label, speaker and gender of it right."""

from __future__ import annotations

import csv
import importlib.util
import sys
from pathlib import Path

import pytest

from emoset.reading import read_raw

_spec = importlib.util.spec_from_file_location("real_lists", Path(__file__).with_name("real_lists.py"))
assert _spec
assert _spec.loader
real_lists = importlib.util.module_from_spec(_spec)
sys.modules["real_lists"] = real_lists
_spec.loader.exec_module(real_lists)

ROWS = {
    "emodb": 535,
    "cremad": 7442,
    "demos": 9697,
    "enterface": 1293,
    "meld": 13706,
    "ravdess": 1440,
    "subesco": 7000,
    "urdu": 400,
}
LEFT_OUT = {"cremad": 1, "enterface": 6}


@pytest.mark.parametrize("name", ROWS)
def test_a_real_file_list_comes_out_right(name: str, shared_folder: Path, tmp_path: Path) -> None:
    with (shared_folder / "listings" / f"{name}.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == ROWS[name]
    found = real_lists.compare(name, rows, tmp_path, read_raw)
    assert (found.wrong[:3], found.missing[:3], found.extra[:3]) == ([], [], [])
    assert len(found.left_out) == LEFT_OUT.get(name, 0)
