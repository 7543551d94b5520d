"""The parts of a recipe: frozen, strict pydantic models, each a fact about a corpus."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Literal, Self, TypeVar
from urllib.parse import unquote, urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    model_validator,
)
from pydantic import ValidationError as PydanticError

from emoset.errors import RecipeError

K = TypeVar("K")
V = TypeVar("V")

_TEMPLATE_FIELD = re.compile(r"\{(\w+)\}")


class FrozenMap(Mapping[K, V]):
    """A mapping that cannot change, so that a recipe is immutable to its leaves.

    Example:
        >>> FrozenMap({"W": "anger"})["W"]
        'anger'
    """

    __slots__ = ("_items",)

    def __init__(self, items: Mapping[K, V]) -> None:
        self._items = dict(items)

    def __getitem__(self, key: K) -> V:
        return self._items[key]

    def __iter__(self) -> Iterator[K]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __hash__(self) -> int:
        return hash(frozenset(self._items.items()))

    def __repr__(self) -> str:
        return repr(self._items)

    def __reduce__(self) -> tuple[type[FrozenMap[K, V]], tuple[dict[K, V]]]:
        return type(self), (self._items,)


def _as_dict(mapping: Mapping[Any, Any]) -> dict[Any, Any]:
    return dict(mapping)


Frozen = Annotated[Mapping[K, V], AfterValidator(FrozenMap), PlainSerializer(_as_dict)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Md5 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]


class Part(BaseModel):
    """Base of all parts: frozen, and an unknown or ill-typed field is a `RecipeError`."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    def __init__(self, **fields: Any) -> None:
        try:
            super().__init__(**fields)
        except PydanticError as error:
            problems = "; ".join(
                ".".join(map(str, e["loc"])) + ": " * bool(e["loc"]) + e["msg"].removeprefix("Value error, ")
                for e in error.errors()
            )
            name = fields.get("id") or type(self).__name__
            raise RecipeError(problems, where=f"recipe {name}") from None


def fill(template: str, fields: Mapping[str, str]) -> str:
    """Put field values into a template of ``{name}`` places; an absent field is empty.

    Example:
        >>> fill("wav/{stem}.wav", {"stem": "03a01Fa"})
        'wav/03a01Fa.wav'
    """
    return _TEMPLATE_FIELD.sub(lambda m: fields.get(m.group(1), ""), template)


def template_names(template: str) -> set[str]:
    """Names of the ``{name}`` places of a template."""
    return set(_TEMPLATE_FIELD.findall(template))


class Source(Part):
    """One file of a distribution: where it is fetched, what it is checked by, how it is unpacked.

    A ``{path}`` in the address stands for every file of the corpus's index, fetched one by one.

    Args:
        url: address.
        mirrors: further addresses of the same bytes, in order of preference.
        name: of the file; default: the last part of the address.
        bytes: size where published.
        sha256: hash where published or measured.
        md5: the owner's hash, where the owner gives that.
        into: folder below the raw root that it is unpacked or put into; default: the raw root itself.
        encoding: legacy code page of the member names of an archive, such as ``cp850``.
    """

    url: Text
    mirrors: tuple[Text, ...] = ()
    name: Text | None = None
    bytes: int | None = Field(default=None, gt=0)
    sha256: Sha256 | None = None
    md5: Md5 | None = None
    into: Text | None = None
    encoding: Text | None = None

    @property
    def file_name(self) -> str:
        """The name it is stored under while it is fetched.

        Example:
            >>> Source(url="https://zenodo.org/records/1/files/A%20B.zip?download=1").file_name
            'A B.zip'
        """
        return self.name or unquote(urlsplit(self.url).path).rstrip("/").rpartition("/")[2]

    @property
    def hashed(self) -> bool:
        """Whether a hash is known, so that other bytes are refused."""
        return self.sha256 is not None or self.md5 is not None


class RawPcm(Part):
    """What files without any header hold: nothing in them tells it.

    Args:
        sampling_rate: in Hz.
        channels: interleaved ones.
        encoding: ``pcm_s16le``, ``pcm_s16be``, ``pcm_u8``, ``pcm_s8``, ``ulaw`` or ``alaw``.

    Example:
        >>> RawPcm(sampling_rate=8000, encoding="pcm_s16be").channels
        1
    """

    sampling_rate: int = Field(gt=0)
    channels: int = Field(default=1, gt=0)
    encoding: Literal["pcm_s16le", "pcm_s16be", "pcm_u8", "pcm_s8", "ulaw", "alaw"]


class PathPattern(Part):
    r"""(a) Utterances are found by their path: a regular expression with named groups.

    The expression must match the end of a file's path, from a folder boundary on; how deep a copy nests it
    does not matter. The groups ``label``, ``speaker``, ``gender``, ``age``, ``language``, ``split``,
    ``text``, ``activation``, ``pleasure`` and ``dominance`` fill columns; any other goes into ``extra``.

    Args:
        regex: the expression, liberal in the folders that copies have or lack.
        path: template of the canonical path in the distribution; default: the matched text.
        key: template of what identifies the utterance; default: the file's stem.
        derive: further fields as templates over the groups.
        codes: if the name repeats the label, value of the group ``code`` to the label it must go with.

    Example:
        >>> PathPattern(regex=r"(?:wav/)?(?P<speaker>\d\d)(?P<label>[A-Z])\.wav", path="wav/{stem}.wav").key
        '{stem}'
    """

    regex: str
    path: str | None = None
    key: str = "{stem}"
    derive: Frozen[str, str] = FrozenMap({})
    codes: Frozen[str, str] = FrozenMap({})

    @model_validator(mode="after")
    def _compiles(self) -> Self:
        try:
            groups = set(re.compile(self.regex).groupindex) | {"stem", "path_"}
        except re.error as error:
            raise ValueError(f"regex {self.regex!r} is invalid: {error}") from None
        for template in (self.path or "", self.key, *self.derive.values()):
            unknown = template_names(template) - groups
            if unknown:
                raise ValueError(f"template {template!r} names {sorted(unknown)}, not a group of {self.regex!r}")
        if self.codes and "code" not in groups:
            raise ValueError("codes are given but the regex has no group named code")
        return self

    def audio_pattern(self) -> PathPattern:
        """The pattern that audio files match: this one."""
        return self

    @property
    def fields(self) -> set[str]:
        """Names of the fields that a match yields."""
        return set(re.compile(self.regex).groupindex) | set(self.derive)


class ParentFolder(Part):
    r"""(c) The names of the parent folders are fields, the file name may hold more.

    Args:
        levels: fields that the nearest parent folders spell, outermost first.
        name: regular expression of the file name.
        codes: value of the group ``code`` of the name to the label of the folder it must lie in.

    Example:
        >>> ParentFolder(name=r"(?P<speaker>\w+)_(\d+)\.wav").audio_pattern().regex
        '(?P<label>[^/]+)/(?P<speaker>\\w+)_(\\d+)\\.wav'
    """

    levels: tuple[str, ...] = ("label",)
    name: str
    key: str = "{stem}"
    derive: Frozen[str, str] = FrozenMap({})
    codes: Frozen[str, str] = FrozenMap({})

    @model_validator(mode="after")
    def _compiles(self) -> Self:
        self.audio_pattern()
        return self

    def audio_pattern(self) -> PathPattern:
        """The pattern that audio files match, folders included."""
        folders = "".join(f"(?P<{level}>[^/]+)/" for level in self.levels)
        return PathPattern(regex=folders + self.name, key=self.key, derive=dict(self.derive), codes=dict(self.codes))


@dataclass(frozen=True, slots=True)
class Row:
    """What annotations say about one utterance.

    Args:
        key: what the audio pattern's key is matched with; for `Manifest`, the path of the audio.
        fields: column or extra name to text.
        where: file and line, for messages.
        start: first second of a segment, or None for the whole file.
        end: last second of a segment.
    """

    key: str
    fields: Mapping[str, str] = field(default_factory=dict)
    where: str = ""
    start: float | None = None
    end: float | None = None


class Table(Part):
    """(b) A table joined to the audio files by name.

    Args:
        audio: pattern of the audio files.
        file: regular expression of the table's path, matched like a path pattern.
        key: template over the table's columns that equals the audio pattern's key.
        columns: field name to the table's column.
        delimiter: one character.
        encoding: of the text; a byte-order mark is tolerated.
    """

    audio: PathPattern
    file: str
    key: str
    columns: Frozen[str, str]
    delimiter: str = ","
    encoding: str = "utf-8-sig"

    def audio_pattern(self) -> PathPattern:
        """The pattern that audio files match."""
        return self.audio


class Manifest(Part):
    """(d) A list that the user supplies, for corpora whose layout is not public.

    Read in this order: ``manifest.csv`` (columns ``path`` and ``label``; optional ``speaker``, ``gender``,
    ``split``, ``start``, ``end``, ``language``, ``text``); the EmoNet layout (``train.csv``, ``devel.csv`` or
    ``val.csv``, ``test.csv``, each with ``file,label``); one folder per class, or ``<split>/<class>/``; a pattern
    that the user gives with ``--pattern``.

    Args:
        open_classes: the class list is not known: take it as it comes, and record it.
    """

    open_classes: bool = False


ReadFunction = Callable[[str, str], Iterable[Row]]
WriteFunction = Callable[[Iterable[Row], Mapping[str, str]], Mapping[str, str]]


class Reader(Part):
    """(e) One small function reads the corpus's own annotation files; its twin writer stands beside it.

    Args:
        audio: pattern of the audio files.
        annotations: regular expression of the annotation files' paths.
        read: gets the path and the text of one annotation file, yields `Row`; rows of several files with
            the same key are merged.
        write: gets the rows of a twin and, by key, the paths of its audio; returns path to text of the
            annotation files that ``read`` would read the same rows from.
        encoding: of the annotation files.
    """

    audio: PathPattern
    annotations: str
    read: ReadFunction
    write: WriteFunction
    encoding: str = "utf-8-sig"

    def audio_pattern(self) -> PathPattern:
        """The pattern that audio files match."""
        return self.audio


Way = PathPattern | ParentFolder | Table | Manifest | Reader
"""The five ways of finding utterances."""


class SpeakerTable(Part):
    """A table of the distribution that tells the speakers' gender and age.

    Args:
        file: regular expression of its path.
        speaker: column of the speaker id.
        gender: column of the gender.
        age: column of the age in years, if any.
        delimiter: one character.
        encoding: of the text.
    """

    file: str
    speaker: str
    gender: str
    age: str | None = None
    delimiter: str = ","
    encoding: str = "utf-8-sig"


USERS_TABLE: Final = SpeakerTable(file=r"speakers\.csv", speaker="speaker", gender="gender")
"""What any raw root may hold: a table by its owner, for corpora that do not tell their speakers' gender."""


class Split(Part):
    """Which utterances are for training, validation and test: recorded facts, never a shuffle.

    Args:
        train: values of the field ``by``, for instance speaker ids.
        validation: likewise.
        test: likewise.
        by: the field that decides; by default the speaker. ``split``: the corpus tells it itself.
        table: instead of the lists, a table of ``corpora/<id>/`` with the columns ``<by>`` and ``split``.
        hashed: the values are known only to whoever holds the corpus: rank them by a hash of corpus and value,
            cut at 60/20/20, at least one each. Two labs with the same corpus get the same split.
        source: ``official``, or the rule by which the lists were once chosen.
        speaker_independent: whether no speaker may be in two splits. Where claimed, a crossing is an error.

    Example:
        >>> Split(train=("03", "08"), validation=("09",), test=("09",))
        Traceback (most recent call last):
        emoset.errors.RecipeError: recipe Split: '09' stands in validation and in test.
    """

    train: tuple[str, ...] = ()
    validation: tuple[str, ...] = ()
    test: tuple[str, ...] = ()
    by: str = "speaker"
    table: str | None = None
    hashed: bool = False
    source: Text
    speaker_independent: bool = True

    def __init__(self, **fields: Any) -> None:
        usual = "emoset: by a hash of the ids" if fields.get("hashed") else "emoset: balanced by class and gender"
        super().__init__(**{"source": usual, **fields})

    @model_validator(mode="after")
    def _disjoint(self) -> Self:
        lists = bool(self.train or self.validation or self.test)
        if lists + bool(self.table) + self.hashed > 1:
            raise ValueError("give only one of lists, a table and hashed")
        if not (self.table or self.hashed or self.by == "split") and not (self.train and self.test):
            raise ValueError("train and test must not be empty")
        seen: dict[str, str] = {}
        for split in ("train", "validation", "test"):
            for value in getattr(self, split):
                if value in seen:
                    raise ValueError(f"{value!r} stands in {seen[value]} and in {split}")
                seen[value] = split
        return self

    def assignment(self) -> dict[str, str]:
        """Value of the field ``by`` to split, for the lists."""
        return {v: split for split in ("train", "validation", "test") for v in getattr(self, split)}


class Counts(Part):
    """How many must come out, or are said to: utterances, speakers, and utterances per class.

    Args:
        utterances: of all splits.
        speakers: distinct ones.
        labels: class name to utterances.
        source: where the numbers come from.
    """

    utterances: int | None = Field(default=None, ge=0)
    speakers: int | None = Field(default=None, ge=0)
    labels: Frozen[str, int] = FrozenMap({})
    source: str | None = None

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        total = sum(self.labels.values())
        if self.labels and self.utterances is not None and total != self.utterances:
            raise ValueError(f"labels add up to {total}, utterances says {self.utterances}")
        return self


Kind = Literal["acted", "induced", "natural"]
Access = Literal["open", "request", "licence", "closed"]
