"""The documentation's tables are those that the recipes make."""

from __future__ import annotations

from pathlib import Path

import pytest

from emoset.tables import corpora_page, labels_page

DOCS = Path(__file__).parent.parent / "docs"


@pytest.mark.parametrize(("name", "make"), [("corpora.md", corpora_page), ("labels.md", labels_page)])
def test_a_page_is_up_to_date(name: str, make: object) -> None:
    assert (DOCS / name).read_text("utf-8") == make(), "run 'make docs'"  # type: ignore[operator]
