"""The constitution: every obligation of a recipe, the same for those of the book and for one's own."""

from __future__ import annotations

import io
import re
import tempfile
import tokenize
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, Final

from emoset.building import build
from emoset.errors import EmosetError
from emoset.labels import EMOTIONS
from emoset.parts import Manifest
from emoset.patterns import group_values, named_groups
from emoset.reading import Reading, read_raw
from emoset.recipe import Recipe, as_variant
from emoset.registry import get_recipe
from emoset.schema import AROUSALS, SPLITS, VALENCES
from emoset.shards import read_manifest, read_shard
from emoset.speakers import recorded_speakers, recorded_splits
from emoset.twins import write_twin

MOST_CODE_LINES: Final = 120
_TWIN_SIZE: Final = 60


@dataclass
class Subject:
    """A recipe under examination, with a twin of it that is written when first needed.

    Args:
        task: the recipe, or one of its variants.
        module: file that it stands in.
        in_book: whether it is one of emoset's own.
        folder: for the twin and its build.
    """

    task: Recipe
    module: Path
    in_book: bool
    folder: Path
    _made: dict[str, Any] = field(default_factory=dict)

    @property
    def raw(self) -> Path:
        """The raw root of the twin."""
        if "raw" not in self._made:
            size = self.task.expect.utterances or self.task.published.utterances or 1000
            root = self.folder / "raw" / self.task.raw_name
            self._made["raw"] = write_twin(self.task, root, min(0.1, _TWIN_SIZE / size), 0, False)
        return Path(self._made["raw"])

    @property
    def reading(self) -> Reading:
        """What the recipe reads in the twin."""
        if "reading" not in self._made:
            self._made["reading"] = read_raw(self.task, self.raw)
        reading: Reading = self._made["reading"]
        return reading


@dataclass(frozen=True)
class CheckReport:
    """Which obligations a recipe meets.

    Args:
        recipe: name of the corpus or variant.
        results: obligation to what is wrong; None if it is met.
    """

    recipe: str
    results: dict[str, str | None]

    @property
    def ok(self) -> bool:
        """Whether all are met."""
        return not any(self.results.values())

    def __str__(self) -> str:
        lines = [f"{'ok  ' if problem is None else 'FAIL'} {name}" + (f": {problem}" if problem else "")
                 for name, problem in self.results.items()]  # fmt: skip
        return "\n".join([self.recipe, *(f"  {line}" for line in lines)])


def check(name: str) -> list[CheckReport]:
    """Examine a recipe and its variants.

    Args:
        name: of a corpus, or the path of a recipe module.

    Returns:
        A report for the main task and one for each variant.

    Raises:
        UnknownNameError: there is no such corpus.
        RecipeError: the module holds no recipe, or one that contradicts itself.

    Example:
        >>> all(report.ok for report in check("urdu"))
        True
    """
    recipe = get_recipe(name)
    reports = []
    with tempfile.TemporaryDirectory() as folder:
        for task in (recipe, *(as_variant(recipe, v) for v in recipe.variants)):
            with subject_of(task, Path(folder) / task.configuration, name) as subject:
                results = {title: _outcome(obligation, subject) for title, obligation in OBLIGATIONS.items()}
            reports.append(CheckReport(task.configuration, results))
    return reports


@contextmanager
def subject_of(task: Recipe, folder: Path, name: str | None = None) -> Iterator[Subject]:
    """A subject for `OBLIGATIONS`; ``name`` is the path of its module, if it is not of the book."""
    own = name is not None and name.endswith(".py")
    if own:
        yield Subject(task, Path(str(name)), False, folder)
    else:
        with resources.as_file(resources.files("emoset.recipes") / f"{task.id}.py") as module:
            yield Subject(task, module, True, folder)


def _outcome(obligation: Callable[[Subject], str | None], subject: Subject) -> str | None:
    try:
        return obligation(subject)
    except EmosetError as error:
        return str(error)


def code_lines(path: Path) -> int:
    """Lines of a module that carry code: no blanks, no comments, no docstrings."""
    lines: set[int] = set()
    blank = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING)
    fresh = True
    for token in tokenize.generate_tokens(io.StringIO(path.read_text("utf-8")).readline):
        if token.type == tokenize.STRING and fresh:
            continue
        if token.type not in blank and token.type != tokenize.ENDMARKER:
            lines.update(range(token.start[0], token.end[0] + 1))
        fresh = token.type in blank if token.type != tokenize.COMMENT else fresh
    return len(lines)


def _is_short(subject: Subject) -> str | None:
    lines = code_lines(subject.module)
    return f"{lines} code lines, more than {MOST_CODE_LINES}" if lines > MOST_CODE_LINES else None


def _imports_the_recipe_model_only(subject: Subject) -> str | None:
    imports = re.findall(r"^(?:from|import) (\S+)", subject.module.read_text("utf-8"), re.M)
    other = sorted({i for i in imports if i.startswith(("emoset", "emonet"))} - {"emoset.recipe"})
    return f"it imports {', '.join(other)}; expected emoset.recipe alone" if other else None


def _has_a_changelog(subject: Subject) -> str | None:
    if not subject.in_book:
        return None
    path = resources.files("emoset.corpora") / subject.task.id / "CHANGELOG.md"
    told = path.is_file() and f"- {subject.task.version}: " in path.read_text("utf-8")
    return None if told else f"no line for {subject.task.version} in corpora/{subject.task.id}/CHANGELOG.md"


def _prints_its_facts(subject: Subject) -> str | None:
    task = subject.task
    lacking = [f for f in (task.title, task.licence, task.citation, *task.classes) if f not in str(task)]
    return f"its card lacks {', '.join(lacking)}" if lacking else None


def _labels_are_total(subject: Subject) -> str | None:
    task, codes = subject.task, {*subject.task.labels, *subject.task.leave_out}
    for way in task.ways:
        if isinstance(way, Manifest):
            continue
        regex = way.audio_pattern().regex
        told = group_values(regex, "label", limit=25) if "label" in named_groups(regex) else None
        if lacking := sorted(set(told or ()) - codes):
            return f"file names can hold the codes {', '.join(lacking)}, which labels and leave_out lack"
    return None


def _classes_have_meanings(subject: Subject) -> str | None:
    for label in subject.task.classes:
        meaning = subject.task.meaning(label)
        known = ((meaning.arousal, AROUSALS), (meaning.valence, VALENCES))
        own = subject.task.meanings.get(label)
        if any(value is not None and value not in allowed for value, allowed in known):
            return f"class {label} has {meaning}; expected arousal in {AROUSALS} and valence in {VALENCES}"
        if subject.in_book and own is None and meaning.emotion not in (None, *EMOTIONS):
            return f"class {label} has an emotion outside of the shared vocabulary"
    return None


def _splits_are_recorded(subject: Subject) -> str | None:
    task, homes = subject.task, recorded_splits(subject.task)
    if task.split.hashed:
        return None if not homes else "it has both a hash rule and a record"
    if not {"train", "test"} <= set(homes.values()) <= set(SPLITS):
        return f"splits {sorted(set(homes.values()))}; expected train, validation and test"
    if task.split.by == "speaker" and recorded_speakers(task):
        differing = sorted(set(homes) ^ set(recorded_speakers(task)))
        return f"speakers {', '.join(differing[:5])} are not in both split and gender lists" if differing else None
    return None


def _verified_and_reported_numbers_are_apart(subject: Subject) -> str | None:
    task = subject.task
    if task.expect.source is not None:
        return "expect names a source; what is only reported belongs into published"
    reported = task.published.utterances is not None or task.published.speakers is not None or task.published.labels
    if reported and not task.published.source:
        return "published names no source"
    if task.expect.labels and set(task.expect.labels) != set(task.classes):
        return "expect does not count every class"
    return None


def _twin_reads_without_rejection(subject: Subject) -> str | None:
    reading = subject.reading
    if reading.rejected:
        return f"{len(reading.rejected)} rejections, the first: {reading.rejected[0]}"
    if subject.task.classes and {u.label for u in reading.utterances} != set(subject.task.classes):
        return f"classes {sorted({u.label for u in reading.utterances})}, not {list(subject.task.classes)}"
    return None


def _twin_builds_the_same_twice(subject: Subject) -> str | None:
    task, read = subject.task, {u.id: u for u in subject.reading.utterances}
    name = str(subject.module) if not subject.in_book else task.configuration
    if not subject.in_book and task.variant:
        return None  # a variant of a recipe that is not registered has no name to be built by
    folders = [subject.folder / "first", subject.folder / "second"]
    for folder in folders:
        build(name, {task.raw_name: subject.raw}, folder, progress=False)
    first, second = ({p.name: p.read_bytes() for p in sorted((f / task.configuration).iterdir())} for f in folders)
    if first != second:
        return f"two builds differ in {', '.join(n for n in first if first[n] != second.get(n))}"
    manifest = read_manifest(folders[0] / task.configuration)
    rows = [
        (shard.rsplit("-", 1)[0], row)
        for shard in manifest["shards"]
        for row in read_shard(folders[0] / task.configuration / shard).drop_columns(["audio"]).to_pylist()
    ]
    if {row["id"] for _, row in rows} != set(read):
        return "the shards hold other utterances than were read"
    for split, row in rows:
        u = read[row["id"]]
        told = (split, row["label"], row["label_raw"], row["speaker"], row["gender"], row["language"])
        if told != (u.split, u.label, u.label_raw, u.speaker, u.gender, u.language):
            return f"{u.id} came out as {told}"
    return None


def _splits_keep_speakers_apart(subject: Subject) -> str | None:
    if not subject.task.split.speaker_independent:
        return None
    homes: dict[str, set[str]] = {}
    for u in subject.reading.utterances:
        if u.speaker is None:
            return f"{u.id} has no speaker, though speaker independence is claimed"
        homes.setdefault(u.speaker, set()).add(u.split)
    crossing = sorted(s for s, splits in homes.items() if len(splits) > 1)
    return f"speakers {', '.join(crossing[:5])} are in two splits" if crossing else None


OBLIGATIONS: Final[dict[str, Callable[[Subject], str | None]]] = {
    "it is short": _is_short,
    "it imports the recipe model only": _imports_the_recipe_model_only,
    "its version has a line in its changelog": _has_a_changelog,
    "its card tells licence, citation and classes": _prints_its_facts,
    "its labels are total": _labels_are_total,
    "its classes have meanings": _classes_have_meanings,
    "its splits are recorded, or by the hash rule": _splits_are_recorded,
    "verified and reported numbers are apart": _verified_and_reported_numbers_are_apart,
    "its twin reads without a rejection": _twin_reads_without_rejection,
    "no speaker is in two splits where independence is claimed": _splits_keep_speakers_apart,
    "its twin builds, twice to the same bytes, and gives every label back": _twin_builds_the_same_twice,
}
"""Obligation to what examines it: None, or what is wrong."""
