"""Regular expressions as trees: what they are made of, for the code that writes or counts their matches."""

from __future__ import annotations

import re
import string
import unicodedata
from dataclasses import dataclass
from functools import cached_property, lru_cache

# CPython's own parser and compiler of regular expressions: undocumented, but the same in 3.11 to 3.13, and
# the only ones that agree with ``re`` in every corner. Nothing else in emoset imports them.
from re import _compiler, _parser  # type: ignore[attr-defined]
from re import _constants as _op  # type: ignore[attr-defined]
from typing import Any, Final

from emoset.errors import RecipeError

_PLAIN: Final = string.ascii_lowercase + string.digits
_OTHERS: Final = (" -+.,~", string.ascii_uppercase, "".join(map(chr, range(0x21, 0x250))))
_SCOPED: Final = (re.IGNORECASE | re.MULTILINE | re.DOTALL).value


def compile_pattern(regex: str, where: str | None = None) -> re.Pattern[str]:
    r"""Compile a regular expression, and say where it is wrong if it is.

    Args:
        regex: regular expression.
        where: what it belongs to, for the message, as in ``"recipe emodb, utterances"``.

    Returns:
        The compiled pattern.

    Raises:
        RecipeError: if it is invalid; the message has the position.

    Example:
        >>> compile_pattern(r"(?P<label>[WF])\.wav", "recipe emodb").groups
        1
    """
    try:
        return re.compile(regex)
    except re.error as error:
        at = "" if error.pos is None else f" at position {error.pos} (before {regex[error.pos :][:20]!r})"
        message = f"{error.msg}{at}"
    except (OverflowError, RecursionError) as error:
        message = str(error)
    raise RecipeError(
        f"invalid regular expression {regex!r}: {message}",
        where=where,
        cure="see Python's re module for the syntax",
    )


@dataclass(frozen=True, eq=False)
class Node:
    """A part of a pattern; ``kind`` is one of chars, sequence, choice, repeat, group, reference, refused."""

    kind: str
    parts: tuple[Node, ...] = ()
    drawn: str = ""  # chars: what a random string takes one character of
    complete: frozenset[str] | None = None  # chars: all that it can match, None if that is open-ended
    low: int = 0
    high: int | None = 0
    number: int = 0  # of the group, or of the group referred to
    source: Any = None  # group: as ``re`` parsed it, its flags made explicit

    @cached_property
    def groups(self) -> frozenset[int]:
        """Numbers of the capturing groups in it."""
        return frozenset({self.number} if self.kind == "group" else ()).union(*(p.groups for p in self.parts))

    @cached_property
    def references(self) -> frozenset[int]:
        """Numbers of the groups that its back-references point to."""
        own = {self.number} if self.kind == "reference" else ()
        return frozenset(own).union(*(p.references for p in self.parts))


class ParsedPattern:
    """A pattern as nodes, with its groups by number and the first construct that cannot be written."""

    def __init__(self, regex: str) -> None:
        self.pattern = compile_pattern(regex)
        tree = _parser.parse(regex)
        self.state = tree.state
        self.by_number: dict[int, Node] = {}
        self.refused: str | None = None
        self.root = self._sequence(tree, tree.state.flags)

    def matcher(self, items: list[Any]) -> re.Pattern[str]:
        """Compile some items of the parser's own tree."""
        compiled: re.Pattern[str] = _compiler.compile(_parser.SubPattern(self.state, items), 0)
        return compiled

    def group(self, name: str) -> Node:
        """Look a named group up; raises RecipeError if there is none."""
        names = self.pattern.groupindex
        if name in names:
            return self.by_number[names[name]]
        expected = f"one of {', '.join(names)}" if names else "a pattern with named groups"
        raise RecipeError(f"no group {name!r} in {self.pattern.pattern!r}", expected=expected)

    def _sequence(self, items: Any, flags: int) -> Node:
        return Node("sequence", tuple(self._node(op, argument, flags) for op, argument in items))

    def _node(self, op: Any, argument: Any, flags: int) -> Node:
        match op:
            case _op.LITERAL | _op.NOT_LITERAL | _op.ANY | _op.IN:
                return self._chars(op, argument, flags)
            case _op.BRANCH:
                return Node("choice", tuple(self._sequence(option, flags) for option in argument[1]))
            case _op.SUBPATTERN:
                number, add, remove, items = argument
                flags = (flags | add) & ~remove
                body = self._sequence(items, flags)
                if number is None:
                    return body
                source = (op, (number, flags & _SCOPED, _SCOPED & ~flags, items))
                self.by_number[number] = Node("group", (body,), number=number, source=source)
                return self.by_number[number]
            case _op.MAX_REPEAT | _op.MIN_REPEAT | _op.POSSESSIVE_REPEAT:
                low, high, items = argument
                most = None if high is _op.MAXREPEAT else int(high)
                return Node("repeat", (self._sequence(items, flags),), low=int(low), high=most)
            case _op.ATOMIC_GROUP:
                return self._sequence(argument, flags)
            case _op.AT:
                return Node("sequence")
            case _op.GROUPREF:
                return Node("reference", number=argument)
            case _op.ASSERT | _op.ASSERT_NOT:
                sign = "=" if op is _op.ASSERT else "!"
                construct = f"look-behind (?<{sign}...)" if argument[0] < 0 else f"look-ahead (?{sign}...)"
            case _op.GROUPREF_EXISTS:
                construct = "conditional (?(group)yes|no)"
            case _:
                construct = "look-ahead (?!)" if op is _op.FAILURE else f"construct {op}"
        self.refused = self.refused or construct
        return Node("refused")

    def _chars(self, op: Any, argument: Any, flags: int) -> Node:
        fold = bool(flags & re.IGNORECASE.value)
        if op is _op.LITERAL:
            text = chr(argument)
            return Node("chars", drawn=text, complete=frozenset((text, text.swapcase()) if fold else text))
        members: list[Any] = argument if op is _op.IN else [(_op.NEGATE, None)]
        listed: dict[str, None] = {}  # an ordered set
        closed = members[0][0] is not _op.NEGATE
        for kind, value in members if closed else ():
            if kind is _op.LITERAL:
                listed[chr(value)] = None
            elif kind is _op.RANGE:
                listed.update(dict.fromkeys(map(chr, range(value[0], value[1] + 1))))
            elif value is _op.CATEGORY_DIGIT:  # the digits of other scripts do not count
                listed.update(dict.fromkeys(string.digits))
            else:
                closed = False
        complete = frozenset({*listed, *(c.swapcase() for c in listed if fold)}) if closed else None
        if not closed:
            alone = _parser.SubPattern(self.state, [(op, argument)])
            scoped = (_op.SUBPATTERN, (None, flags & _SCOPED, _SCOPED & ~flags, alone))
            fits = self.matcher([scoped]).fullmatch
            for pool in (_PLAIN, *_OTHERS):
                found = [c for c in pool if fits(c)]
                listed.update(dict.fromkeys(found))
                if found:
                    break
        safe = "".join(c for c in listed if c not in "/\\" and unicodedata.category(c)[0] != "C")
        return Node("chars", drawn=safe or "/" * ("/" in listed), complete=complete)


@lru_cache(maxsize=256)
def parsed_pattern(regex: str) -> ParsedPattern:
    r"""Parse a regular expression; what it was parsed to is kept.

    Args:
        regex: regular expression.

    Returns:
        Its tree.

    Raises:
        RecipeError: if it is invalid.

    Example:
        >>> [part.kind for part in parsed_pattern(r"(?P<take>[ab])?-\d+").root.parts]
        ['repeat', 'chars', 'repeat']
    """
    return ParsedPattern(regex)


@lru_cache(maxsize=4096)
def group_matcher(regex: str, number: int, before: tuple[tuple[int, str], ...]) -> re.Pattern[str]:
    r"""Compile a group alone, to match after the text of the groups that its back-references point to.

    Args:
        regex: regular expression.
        number: of the group.
        before: numbers and texts of the groups outside that it refers to.

    Returns:
        A pattern that matches those texts, then the group.

    Example:
        >>> bool(group_matcher(r"(?P<a>\d)-(?P<b>x(?P=a))", 2, ((1, "7"),)).fullmatch("7x7"))
        True
    """
    parsed = parsed_pattern(regex)
    prefix = []
    for n, text in before:
        letters = _parser.SubPattern(parsed.state, [(_op.LITERAL, ord(c)) for c in text])
        prefix.append((_op.SUBPATTERN, (n, 0, _SCOPED, letters)))
    return parsed.matcher([*prefix, parsed.by_number[number].source])
