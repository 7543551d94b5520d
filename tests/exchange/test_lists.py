"""What is written into lists is what the reader of raw roots reads out of them, whatever it is."""

from __future__ import annotations

import tempfile
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emoset.account import Account
from emoset.errors import RawDataError
from emoset.exchange.lists import text_of, write_list
from emoset.exchange.rows import relative_name
from emoset.exchange.webdataset_tars import key_of
from emoset.listing import find_listing
from emoset.tree import RawTree

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=4))
def test_any_text_survives_a_list(texts: list[tuple[str, str]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = [{"file": f"{i}.wav", "label": "x", "text": a, "take": b} for i, (a, b) in enumerate(texts)]
        for i, split in enumerate(("train", "devel", "test")):
            write_list(folder / f"{split}.csv", rows[i::3], ["file", "label", "text", "take"])
        for row in rows:
            (folder / row["file"]).write_bytes(b"")
        tree, account = RawTree(folder), Account()
        found = find_listing({}, [], tree, tree.files, account)
    assert found is not None
    assert not account.rejected
    read = {audio.file: row.fields for audio, row in found.pairs}
    assert len(read) == len(rows)
    for row in rows:  # blanks around a field are no part of it
        assert read[row["file"]].get("text", "") == row["text"].strip()
        assert read[row["file"]].get("take", "") == row["take"].strip()


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_numbers_survive_as_text(number: float) -> None:
    assert float(text_of(number)) == number


@given(TEXTS, TEXTS)
def test_keys_of_samples_differ_where_ids_do_and_hold_no_dot(one: str, other: str) -> None:
    assert (key_of(one) == key_of(other)) == (one == other)
    assert "." not in key_of(one)


@given(st.text("ab./\\ \n:~\0", max_size=12))
def test_no_name_leads_out_of_its_folder(name: str) -> None:
    try:
        path = PurePosixPath("/lab") / relative_name(name, "here")
    except RawDataError:
        return
    assert path.is_relative_to("/lab")
    assert ".." not in path.parts
    assert str(path) == f"/lab/{name}"


@pytest.mark.parametrize("name", ["a.wav", "a b/c#0.5-1.wav", "ä/é.wav", "a..b/...c"])
def test_usual_names_stay_as_they_are(name: str) -> None:
    assert relative_name(name, "here") == name
