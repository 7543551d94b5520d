"""Strings made from a regular expression: file names of twins, and the codes that a named group allows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from numpy.random import Generator

from emoset.errors import RecipeError
from emoset.regextree import Node, ParsedPattern, compile_pattern, group_matcher, parsed_pattern

__all__ = ["compile_pattern", "example", "group_values", "named_groups"]

_EXTRA_REPEATS: Final = 3  # how far beyond its minimum a repeat without maximum goes
_TRIES: Final = 50


def example(regex: str, fixed: Mapping[str, str], rng: Generator) -> str:
    r"""A random string that a regular expression matches in full.

    Repeats without a maximum go at most three beyond their minimum. Open-ended classes (``.``, ``\w``,
    ``[^/]``) give lower-case letters and digits. No class gives a control character or a backslash, nor a
    slash if it has anything else to give.

    Args:
        regex: regular expression; look-around and conditional patterns are refused.
        fixed: named group to the exact text that it must have; an optional group given here is present.
        rng: source of all random choices.

    Returns:
        The string; ``re.fullmatch`` was tried on it, and every fixed group has its text.

    Raises:
        RecipeError: if the pattern is invalid or refused, a group does not exist, its text does not fit its
            sub-pattern, or no string was found.

    Example:
        >>> import numpy as np
        >>> example(r"wav/(?P<speaker>\d\d)_(?P<label>[WF])\.wav", {"speaker": "03", "label": "F"},
        ...         np.random.default_rng(1))
        'wav/03_F.wav'
    """
    parsed = parsed_pattern(regex)
    if parsed.refused:
        raise RecipeError(
            f"no string can be made from {regex!r}: it has a {parsed.refused}",
            expected="literals, classes, alternatives, groups, repeats and back-references",
        )
    numbers = {parsed.group(name).number: text for name, text in fixed.items()}
    for _ in range(_TRIES):
        try:
            text = _Writer(regex, numbers, rng).write(parsed.root)
        except _DeadEndError:
            continue
        match = parsed.pattern.fullmatch(text)
        if match and all(match[name] == value for name, value in fixed.items()):
            return text
    given = " with " + ", ".join(f"{name}={text!r}" for name, text in fixed.items()) if fixed else ""
    raise RecipeError(
        f"no match of {regex!r}{given} found in {_TRIES} tries",
        cure="simplify the pattern, or fix fewer groups",
    )


def named_groups(regex: str) -> tuple[str, ...]:
    r"""The names of a pattern's groups, in the order in which they open.

    Args:
        regex: regular expression.

    Returns:
        The names.

    Raises:
        RecipeError: if the pattern is invalid.

    Example:
        >>> named_groups(r"(?P<speaker>\d+)/(?P<label>[a-z]+)\.wav")
        ('speaker', 'label')
    """
    return tuple(compile_pattern(regex).groupindex)


def group_values(regex: str, group: str, limit: int = 1000) -> tuple[str, ...] | None:
    r"""All the strings that a named group can take, if they can be counted.

    ``\d`` counts as the ten ASCII digits. Under ``(?i)`` both cases count.

    Args:
        regex: regular expression.
        group: name of the group.
        limit: largest number of strings to return.

    Returns:
        The strings, sorted; None if there are more than ``limit``, or if the group holds an unlimited repeat,
        an open-ended class, look-around, or a reference to a group outside of it.

    Raises:
        RecipeError: if the pattern is invalid or has no such group.

    Example:
        >>> group_values(r"\d+_(?P<label>ANG|DIS|N[12])\.wav", "label")
        ('ANG', 'DIS', 'N1', 'N2')
    """
    parsed = parsed_pattern(regex)
    node = parsed.group(group)
    values = _values(node, parsed, limit) if node.references <= node.groups else None
    if values is None:
        return None
    fits = group_matcher(regex, node.number, ()).fullmatch  # anchors and references may rule some out
    return tuple(sorted(value for value in values if fits(value)))


def _values(node: Node, parsed: ParsedPattern, limit: int) -> set[str] | None:
    if node.kind == "refused" or (node.kind == "chars" and node.complete is None):
        return None
    if node.kind == "reference":
        return _values(parsed.by_number[node.number], parsed, limit)
    each = [_values(part, parsed, limit) for part in node.parts]
    sets = [values for values in each if values is not None]
    if len(sets) < len(each):
        return None
    if node.kind == "repeat" and node.high is None:
        return {""} if sets == [{""}] else None
    if node.kind in ("chars", "choice"):
        found = set(node.complete or ()).union(*sets)
    elif node.kind == "repeat":
        found, power = set(), {""}
        for count in range((node.high or 0) + 1):
            power = {a + b for a in power for b in sets[0]} if count else power
            found = found | power if count >= node.low else found
            if len(power) > limit or len(found) > limit:
                return None
    else:
        found = {""}
        for values in sets:
            found = {a + b for a in found for b in values}
            if len(found) > limit:
                return None
    return found if len(found) <= limit else None


class _DeadEndError(Exception):
    """These random choices cannot become a match."""


class _Writer:
    """Writes one random string; holds the text of the groups written so far."""

    def __init__(self, regex: str, fixed: Mapping[int, str], rng: Generator) -> None:
        self.regex, self.fixed, self.rng = regex, fixed, rng
        self.captured: dict[int, str] = {}

    def write(self, node: Node) -> str:
        parts: Iterable[Node] = node.parts
        if node.kind == "chars" and node.drawn:
            return node.drawn[int(self.rng.integers(len(node.drawn)))] if len(node.drawn) > 1 else node.drawn
        if node.kind == "reference" and node.number in self.captured:
            return self.captured[node.number]
        if node.kind in ("chars", "reference", "refused"):
            raise _DeadEndError
        if node.kind == "group" and node.number in self.fixed:
            return self._given(node, self.fixed[node.number])
        wanted = self.fixed.keys() & node.groups
        if node.kind == "choice":
            able = [option for option in node.parts if wanted <= option.groups]
            if not able:
                raise _DeadEndError
            parts = (able[int(self.rng.integers(len(able)))],)
        elif node.kind == "repeat":
            low = max(node.low, 1) if wanted else node.low
            high = low + _EXTRA_REPEATS if node.high is None else max(low, node.high)
            parts = node.parts * int(self.rng.integers(low, high + 1))
        text = "".join([self.write(part) for part in parts])
        if node.kind == "group":
            self.captured[node.number] = text
        return text

    def _given(self, group: Node, text: str) -> str:
        outer = sorted(n for n in group.references - group.groups if n in self.captured)
        before = tuple((n, self.captured[n]) for n in outer)
        matcher = group_matcher(self.regex, group.number, before)
        match = matcher.fullmatch("".join(t for _, t in before) + text)
        if match is None:
            name = next(k for k, n in matcher.groupindex.items() if n == group.number)
            values = group_values(self.regex, name, limit=20)
            raise RecipeError(
                f"the text {text!r} does not fit the group {name!r} of {self.regex!r}",
                expected=f"one of {', '.join(values)}" if values else "what its sub-pattern matches",
                cure="change the pattern or the text",
            )
        self.captured.update((n, match[n]) for n in group.groups if match[n] is not None)
        return text
