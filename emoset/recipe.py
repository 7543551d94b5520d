"""The recipe: everything that is known about a corpus and how to read its raw distribution, as data."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from emoset.labels import MEANINGS, Meaning
from emoset.parts import (
    USERS_TABLE,
    Access,
    Counts,
    Frozen,
    FrozenMap,
    Kind,
    Manifest,
    ParentFolder,
    Part,
    PathPattern,
    RawPcm,
    Reader,
    Row,
    Source,
    SpeakerTable,
    Split,
    Table,
    Text,
    Way,
)
from emoset.reading import read_raw
from emoset.utterance import Utterance

__all__ = [
    "Counts", "Manifest", "Meaning", "ParentFolder", "PathPattern", "RawPcm", "Reader", "Recipe", "Row", "Source",
    "SpeakerTable", "Split", "Table", "Utterance", "Variant",
]  # fmt: skip


class Variant(Part):
    """A further task on the same recordings: its own labels, selection, split and counts.

    Fields that are not given are the main recipe's.

    Args:
        id: name of the configuration, ``<corpus>-<something>``.
        title: what distinguishes it.
    """

    id: str = Field(pattern=r"^[a-z][a-z0-9_]*(-[a-z0-9_]+)+$")
    title: Text
    found_by: Way | tuple[Way, ...] | None = None
    labels: Frozen[str, str] | None = None
    leave_out: Frozen[str, str] | None = None
    ignore: Frozen[str, str] | None = None
    exclude: Frozen[str, str] | None = None
    split: Split | None = None
    expect: Counts | None = None
    published: Counts | None = None


class Recipe(Part):
    r"""One corpus: facts first, then how its utterances are found, then what must come out.

    Args:
        id: name of the corpus, lower case.
        title: full name.
        languages: BCP 47 tags. With more than one, a field ``language`` must tell them apart.
        kind: ``acted``, ``induced`` or ``natural``.
        access: ``open``, ``request`` (ask the owners), ``licence`` (sign or pay) or ``closed``.
        licence: its name and who says so.
        redistribute: whether the licence allows to publish the audio again.
        citation: the paper to cite.
        homepage: where the corpus is described or asked for.
        version: of this recipe; a change of rows, labels or splits raises it.
        sources: where it can be fetched.
        sampling_rate: of the distributed recordings, in Hz, where it is one; twins have it too.
        raw_pcm: what files without any header hold, where a corpus has such.
        found_by: one of the five ways to find utterances; where copies differ in layout, several, of which the
            first that fits a copy is used.
        channels: how several channels become one: their mean, or the number of the one to take, from 0.
        ignore: regular expression of a file or folder name to the reason why it holds no utterance.
        labels: the corpus's own code (``label_raw``) to the class name; empty only for open classes.
        leave_out: codes that are not part of the task, with the reason.
        meanings: class name to `Meaning`, where it differs from the shared table.
        female, male, child: speaker ids.
        ages: speaker id to years.
        speaker_aliases: speaker id as some files have it, to the one id.
        language_of: speaker id to BCP 47 tag, where a corpus has several languages.
        speakers: table ``corpora/<id>/<speakers>`` with the columns speaker, gender, age, in place of lists.
        speaker_table: table of the distribution itself that tells gender and age.
        split: which speakers are for training, validation and test.
        exclude: key to the reason why the recording is left out.
        aliases: key as some copies have it, to the true one.
        expect: verified counts; a build that differs fails.
        published: reported counts; a build that differs is told.
        notes: known problems and choices, for people.
        folds: name of a cross-validation protocol to the field whose values are held out in turn.
        variants: further tasks.

    Raises:
        RecipeError: the facts contradict each other.
    """

    id: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    title: Text
    languages: tuple[str, ...] = Field(min_length=1)
    kind: Kind
    access: Access
    licence: Text
    redistribute: bool = False
    citation: Text
    homepage: Text | None = None
    version: str = Field(pattern=r"^\d+\.\d+\.\d+$")
    sources: tuple[Source, ...] = ()
    sampling_rate: int | None = Field(default=None, gt=0)
    raw_pcm: RawPcm | None = None
    found_by: Way | tuple[Way, ...]
    ignore: Frozen[str, Text] = FrozenMap({})
    channels: Literal["mean"] | int = "mean"
    labels: Frozen[str, str]
    leave_out: Frozen[str, Text] = FrozenMap({})
    meanings: Frozen[str, Meaning] = FrozenMap({})
    female: tuple[str, ...] = ()
    male: tuple[str, ...] = ()
    child: tuple[str, ...] = ()
    ages: Frozen[str, float] = FrozenMap({})
    speaker_aliases: Frozen[str, str] = FrozenMap({})
    language_of: Frozen[str, str] = FrozenMap({})
    speakers: str | None = None
    speaker_table: SpeakerTable | None = None
    split: Split
    exclude: Frozen[str, Text] = FrozenMap({})
    aliases: Frozen[str, str] = FrozenMap({})
    expect: Counts = Counts()
    published: Counts = Counts()
    notes: tuple[str, ...] = ()
    folds: Frozen[str, str] = FrozenMap({})
    variants: tuple[Variant, ...] = ()
    variant: str | None = None
    raw_id: str | None = None

    @field_validator("languages", "female", "male", "child")
    @classmethod
    def _no_repeats(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        repeated = sorted({v for v in values if values.count(v) > 1})
        if repeated:
            raise ValueError(f"{', '.join(repeated)} given twice")
        return values

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not self.labels and not any(isinstance(w, Manifest) and w.open_classes for w in self.ways):
            raise ValueError("labels must not be empty")
        if not self.ways:
            raise ValueError("found_by must not be empty")
        strangers = [v.id for v in self.variants if not v.id.startswith(f"{self.id}-")]
        if strangers:
            raise ValueError(f"variant {', '.join(strangers)} must be named {self.id}-<something>")
        both = sorted(set(self.labels) & set(self.leave_out))
        if both:
            raise ValueError(f"code {', '.join(both)} stands in labels and in leave_out")
        names = set(self.labels.values())
        unknown = sorted(names - set(MEANINGS) - set(self.meanings))
        if unknown:
            raise ValueError(
                f"class {', '.join(unknown)} has no meaning; give meanings={{name: Meaning(emotion, arousal, "
                "valence)}, or use a class name of emoset.labels"
            )
        codes = self.codes - set(self.labels) - set(self.leave_out)
        if codes:
            raise ValueError(f"code {', '.join(sorted(codes))} is used by the pattern but stands not in labels")
        for counts in (self.expect, self.published):
            foreign = sorted(set(counts.labels) - names)
            if foreign:
                raise ValueError(f"counts are given for {', '.join(foreign)}, which is no class of labels")
        genders = [s for g in (self.female, self.male, self.child) for s in g]
        if len(set(genders)) < len(genders):
            raise ValueError(f"speaker {max(genders, key=genders.count)} has two genders")
        if self.split.by == "speaker" and genders and not self.split.table:
            differing = set(genders) ^ set(self.split.assignment())
            if differing:
                raise ValueError(
                    f"speaker {', '.join(sorted(differing))} is not in both the gender lists and the split"
                )
        return self

    @property
    def codes(self) -> set[str]:
        """Codes that the pattern's cross-check of folder and name refers to."""
        patterns = [way for way in self.ways if isinstance(way, PathPattern | ParentFolder)]
        return {code for pattern in patterns for code in pattern.codes.values()}

    @property
    def ways(self) -> tuple[Way, ...]:
        """The ways of finding utterances, in the order in which they are tried."""
        return self.found_by if isinstance(self.found_by, tuple) else (self.found_by,)

    @property
    def table_of_speakers(self) -> SpeakerTable:
        """The distribution's own table of speakers, or else the one that an owner of the corpus may add."""
        return self.speaker_table or USERS_TABLE

    @property
    def configuration(self) -> str:
        """Name of the built configuration: the variant's, or the corpus's own."""
        return self.variant or self.id

    @property
    def raw_name(self) -> str:
        """Name of its raw root below a folder of several: the corpus's, or the variant's if it has files of its own."""
        return self.raw_id or self.id

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names, alphabetical."""
        return tuple(sorted(set(self.labels.values())))

    def meaning(self, label: str) -> Meaning:
        """Emotion, arousal and valence of a class."""
        return self.meanings.get(label) or MEANINGS[label]

    def utterances(self, raw_root: str | Path) -> Iterator[Utterance]:
        """The utterances of a raw root, sorted by split and id; reads no audio.

        Args:
            raw_root: folder that holds the corpus as distributed.

        Raises:
            RawDataError: anything there is not as this recipe says.
        """
        reading = read_raw(self, Path(raw_root))
        reading.raise_if_rejected()
        yield from reading.utterances

    def __str__(self) -> str:
        return card(self)

    __repr__ = __str__


def as_variant(recipe: Recipe, variant: Variant) -> Recipe:
    """The recipe with a variant's fields in place of its own."""
    given = {
        name: value for name in Variant.model_fields
        if name not in ("id", "title") and (value := getattr(variant, name)) is not None
    }  # fmt: skip
    fields = {name: getattr(recipe, name) for name in Recipe.model_fields if name in recipe.model_fields_set}
    counts = {"expect": Counts(), "published": Counts()}  # the main task's counts say nothing about another
    own = {"title": f"{recipe.title} ({variant.title})", "variants": (), "variant": variant.id}
    if variant.found_by is not None:
        own["raw_id"] = variant.id
    return Recipe(**{**fields, **counts, **given, **own})


def card(recipe: Recipe) -> str:
    """The recipe for people: what prints when a recipe is printed."""
    r = recipe

    def counts(c: Counts) -> str:
        parts = [f"{c.utterances} utterances" if c.utterances is not None else ""]
        parts.append(f"{c.speakers} speakers" if c.speakers is not None else "")
        parts.append(" ".join(f"{k} {v}" for k, v in sorted(c.labels.items())))
        return ", ".join(p for p in parts if p) + (f" ({c.source})" if c.source else "")

    def split(name: str) -> str:
        values = getattr(r.split, name)
        return f"{name} {' '.join(values)}" if values else ""

    by_class: dict[str, list[str]] = {}
    for code, label in r.labels.items():
        by_class.setdefault(label, []).append(code)
    lines = [
        ("corpus", f"{r.configuration} {r.version}: {r.title}"),
        ("speech", f"{', '.join(r.languages)}; {r.kind}{f'; {r.sampling_rate} Hz' if r.sampling_rate else ''}"),
        ("access", f"{r.access}; licence: {r.licence}; {'' if r.redistribute else 'not '}to be republished"),
        ("cite", r.citation),
        ("home", r.homepage or ""),
        ("source", "; ".join(s.url for s in r.sources)),
        *[("found by", describe(way)) for way in r.ways],
        *[("class", f"{label} <- {' '.join(codes)}{_meaning(r, label)}") for label, codes in sorted(by_class.items())],
        *[("left out", f"{code}: {reason}") for code, reason in r.leave_out.items()],
        ("split", "; ".join(filter(None, [
            f"by {r.split.by}", f"from {r.split.table}" if r.split.table else "",
            *(split(n) for n in ("train", "validation", "test")), r.split.source,
            "speaker-independent" if r.split.speaker_independent else "NOT speaker-independent"]))),
        *[("excluded", f"{key}: {reason}") for key, reason in r.exclude.items()],
        *[("ignored", f"{regex}: {reason}") for regex, reason in r.ignore.items()],
        ("expected", counts(r.expect)),
        ("published", counts(r.published)),
        *[("note", note) for note in r.notes],
        *[("folds", f"{name}: hold out each {field}") for name, field in r.folds.items()],
        *[("variant", f"{v.id}: {v.title}") for v in r.variants],
    ]  # fmt: skip
    return "\n".join(f"{name:<10} {text}" for name, text in lines if text)


def _meaning(recipe: Recipe, label: str) -> str:
    m = recipe.meaning(label)
    told = (("emotion", m.emotion), ("arousal", m.arousal), ("valence", m.valence))
    return " (" + ", ".join(f"{name} {value or 'not mapped'}" for name, value in told) + ")"


def describe(found_by: Way) -> str:
    """A way of finding utterances, in one line."""
    match found_by:
        case Manifest():
            return "manifest.csv; else train.csv, devel.csv, test.csv; else a folder per class; else your --pattern"
        case PathPattern() as way:
            return f"the path {way.regex}"
        case ParentFolder() as way:
            return f"folders {'/'.join(way.levels)} and the file name {way.name}"
        case Table() as way:
            return f"the table {way.file} and the path {way.audio.regex}"
        case way:
            return f"the annotations {way.annotations} and the path {way.audio.regex}"
