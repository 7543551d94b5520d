"""The account: what becomes of every file of a raw root, and what is found in it."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # a worker process that starts does without the recipe model
    from emoset.parts import Row


@dataclass(frozen=True, slots=True)
class Rejection:
    """A file, row or count that is not as the recipe says, with the reason and the cure."""

    where: str
    reason: str
    cure: str

    def __str__(self) -> str:
        return f"{self.where}: {self.reason}. To do: {self.cure}."


class Problem(Exception):
    """Why an utterance is rejected."""

    def __init__(self, where: str, reason: str, cure: str) -> None:
        super().__init__(where, reason, cure)
        self.rejection = Rejection(where, reason, cure)


@dataclass
class Account:
    """What reading has found so far."""

    annotations: set[str] = field(default_factory=set)
    ignored: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    excluded: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    rejected: list[Rejection] = field(default_factory=list)
    told: set[str] = field(default_factory=set)

    def reject(self, where: str, reason: str, cure: str) -> None:
        """Note that something is not as the recipe says."""
        self.rejected.append(Rejection(where, reason, cure))


@dataclass(frozen=True, slots=True)
class Audio:
    """An audio file that is the corpus's.

    Args:
        name: relative to the raw root.
        file: canonical path in the distribution.
        key: what identifies it.
        fields: what its name tells.
        codes: value of the field ``code`` to the label that it must go with.
        listed: whether a list by the user names it.
    """

    name: str
    file: str
    key: str
    fields: Mapping[str, str]
    codes: Mapping[str, str] = field(default_factory=dict)
    listed: bool = False


@dataclass(frozen=True)
class Finding:
    """Audio files with what is said of each, and the layout that they were found in.

    Args:
        layout: ``distribution``, ``manifest``, ``emonet``, ``folders`` or ``pattern``.
        pairs: one an utterance.
        top: folder that all of them lie in, with a slash; empty if it is the raw root.
    """

    layout: str
    pairs: list[tuple[Audio, Row]]
    top: str


def number_of(name: str, text: str | None, where: str) -> float | None:
    """The number that a text spells; None for none.

    Raises:
        Problem: it spells none, or none that is finite.
    """
    try:
        number = float(text) if text else None
    except ValueError:
        number = math.nan
    if number is not None and not math.isfinite(number):
        raise Problem(where, f"{name} is {text!r}, not a number", "restore the annotation")
    return number
