"""The errors of emoset: each says what was found, where, what was expected and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class EmosetError(Exception):
    """Base of every error that emoset raises on purpose.

    Args:
        got: what was found, as a short clause.
        where: corpus, file, row or column it was found in.
        expected: what should have been there.
        cure: what the user can do about it.

    Example:
        >>> print(EmosetError("an empty file", where="emodb: wav/03a01Fa.wav",
        ...                   expected="audio", cure="copy it again"))
        emodb: wav/03a01Fa.wav: an empty file; expected audio. To do: copy it again.
    """

    def __init__(
        self, got: str, *, where: str | None = None, expected: str | None = None, cure: str | None = None
    ) -> None:
        self.got, self.where, self.expected, self.cure = got, where, expected, cure
        super().__init__(got, where, expected, cure)

    def __str__(self) -> str:
        text = f"{self.where}: {self.got}" if self.where else self.got
        if self.expected:
            text += f"; expected {self.expected}"
        return f"{text}. To do: {self.cure}." if self.cure else f"{text}."

    def __reduce__(self) -> tuple[object, ...]:
        # Errors cross process borders in a build; keyword arguments need this to survive.
        return (_rebuild, (type(self), self.got, self.where, self.expected, self.cure))


def _rebuild(
    kind: type[EmosetError], got: str, where: str | None, expected: str | None, cure: str | None
) -> EmosetError:
    return kind(got, where=where, expected=expected, cure=cure)


class RecipeError(EmosetError, ValueError):
    """A recipe contradicts itself or lacks what an obligation demands."""


class RawDataError(EmosetError, ValueError):
    """The raw folder of a corpus is not what its recipe describes."""


class AudioError(EmosetError, ValueError):
    """A file does not hold the audio that its name promises."""


class FetchError(EmosetError, RuntimeError):
    """A download failed, or what arrived is not what was asked for; nothing was kept."""


class ArchiveError(EmosetError, ValueError):
    """An archive is damaged, or holds what must not be unpacked; nothing was unpacked."""


class BuildError(EmosetError, RuntimeError):
    """A build was refused; no shards were written. ``report`` accounts for every file."""

    report: object = None


class DataFolderError(EmosetError, RuntimeError):
    """A data folder is not a build, or is not any more what was built."""


class NotBuiltError(EmosetError, FileNotFoundError):
    """The corpus asked for has not been built into the data folder."""


class UnknownNameError(EmosetError, LookupError):
    """A corpus, collection, split, label column or model that does not exist."""


class BenchmarkError(EmosetError, ValueError):
    """A model or its predictions do not fit the benchmark's protocol."""


class ModelError(EmosetError, ValueError):
    """A model folder, its settings or its weights do not fit together."""


def unknown_name(kind: str, name: str, known: Iterable[str], cure: str | None = None) -> UnknownNameError:
    """The error for a name that does not exist, with the nearest ones that do.

    Example:
        >>> print(unknown_name("corpus", "emo-db", ["emodb", "urdu"]))
        unknown corpus 'emo-db'; expected one of emodb, urdu (nearest: emodb).
    """
    names = sorted(known)
    folded = {n.lower(): n for n in names}
    near = [folded[n] for n in get_close_matches(name.lower(), folded, n=3, cutoff=0.5)]
    shown = ", ".join(names) if len(names) <= 12 else f"{len(names)} names"
    nearest = f" (nearest: {', '.join(near)})" if near else ""
    return UnknownNameError(f"unknown {kind} {name!r}", expected=f"one of {shown}{nearest}", cure=cure)
