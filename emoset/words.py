"""Words as people write them, brought to the form that this project uses."""

from __future__ import annotations

from typing import Final

from emoset.schema import GENDERS, SPLITS

_SPLIT_NAMES: Final = {"dev": "validation", "devel": "validation", "val": "validation", **{s: s for s in SPLITS}}
_GENDERS: Final = {"f": "female", "w": "female", "m": "male", "c": "child", **{g: g for g in GENDERS}}


def plain(label: str) -> str:
    """A label in the form of class names.

    Example:
        >>> plain(" Pleasant-Surprise ")
        'pleasant_surprise'
    """
    return label.strip().lower().replace("-", "_").replace(" ", "_")


def split_name(text: str) -> str:
    """The split that a word for it means; any other word as it is.

    Example:
        >>> split_name("Devel")
        'validation'
    """
    return _SPLIT_NAMES.get(text.strip().lower(), text)


def gender_name(text: str) -> str | None:
    """The gender that a word or letter means; None if it means none.

    Example:
        >>> gender_name("F")
        'female'
    """
    return _GENDERS.get(text.strip().lower())
