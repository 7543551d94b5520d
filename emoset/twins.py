"""Twins: synthetic stand-ins for corpora, made from their recipes alone.

A twin has the real folder layout, file names, classes and speakers, annotation files where the recipe reads
them, and synthetic speech. Its root holds a marker that tells what must come out of it, so that a build
checks a twin as strictly as the true corpus, and that nobody takes it for one.
"""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from emoset.errors import RawDataError, RecipeError
from emoset.finding import Audio, audio_of
from emoset.labels import MEANINGS, Meaning
from emoset.parts import Manifest, ParentFolder, PathPattern, Reader, Row, SpeakerTable, Table, template_names
from emoset.patterns import example, named_groups
from emoset.progress import Progress
from emoset.reading import TWIN_MARKER, recorded_speakers, recorded_splits
from emoset.recipe import Recipe, as_variant
from emoset.registry import get_recipe, resolve
from emoset.schema import SAMPLING_RATE, SPLITS
from emoset.synthesis import speak, write_wav

_USUAL_CLASS_SIZE: Final = 100
"""Utterances per class at scale 1 where no count is known."""

_TRIES: Final = 500


@dataclass(frozen=True, slots=True)
class _Planned:
    """One utterance to be: its audio file, its code and its speaker."""

    audio: Audio
    code: str
    speaker: str | None
    gender: str | None
    take: int


def twin(
    corpora: str | Sequence[str], out: str | Path, *, scale: float = 0.1, seed: int = 0, progress: bool = True
) -> list[Path]:
    """Write synthetic raw corpora.

    Args:
        corpora: name or names of corpora.
        out: folder that gets one folder per corpus, named by its id.
        scale: share of the true corpus's utterances, at least one per class and split.
        seed: another seed gives other recordings, other voices and other voices' words.
        progress: show a progress bar.

    Returns:
        The raw roots written, one per corpus.

    Raises:
        UnknownNameError: there is no such corpus.
        RawDataError: a folder to be written exists and is not a twin.
        RecipeError: the recipe does not tell enough to make file names.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     [root] = twin("emodb", folder, scale=0.05, progress=False)
        ...     len(list(root.glob("wav/*.wav")))
        27
    """
    if not 0 < scale <= 100:
        raise RecipeError(f"scale {scale:g}", expected="a number above 0, at most 100")
    names = dict.fromkeys(get_recipe(n).id for n in resolve(corpora if isinstance(corpora, str) else list(corpora)))
    return [_write_twin(get_recipe(name), Path(out) / name, scale, seed, progress) for name in names]


def _write_twin(recipe: Recipe, root: Path, scale: float, seed: int, progress: bool) -> Path:
    if root.exists() and not (root / TWIN_MARKER).is_file():
        raise RawDataError(
            "the folder exists and is not a twin", where=str(root), expected="an absent folder, or an older twin",
            cure="choose another --out; a twin never replaces what may be a true corpus",
        )  # fmt: skip
    rng = np.random.default_rng([seed, *recipe.id.encode()])
    planned = _plan(recipe, scale, rng)
    temporary = root.with_name(f".{root.name}-{uuid.uuid4().hex}")
    try:
        with Progress(f"twin {recipe.id}", len(planned), progress) as bar:
            for item in planned:
                _record(recipe, item, temporary, seed)
                bar.advance()
        for path, text in _annotations(recipe, planned, rng).items():
            (temporary / path).parent.mkdir(parents=True, exist_ok=True)
            (temporary / path).write_text(text, encoding="utf-8", newline="\n")
        if root.exists():
            shutil.rmtree(root)
        temporary.rename(root)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return root


def _record(recipe: Recipe, item: _Planned, root: Path, seed: int) -> None:
    rate = recipe.sampling_rate or SAMPLING_RATE
    label = _class_of(recipe, item.code)
    meaning = recipe.meanings.get(label) or MEANINGS.get(label) or Meaning(None, None, None)
    samples = speak(
        item.speaker or "somebody", item.gender, label, item.take, arousal=meaning.arousal, valence=meaning.valence,
        seed=seed, sampling_rate=rate,
    )  # fmt: skip
    path = root / item.audio.file
    path.parent.mkdir(parents=True, exist_ok=True)
    write_wav(path, samples, rate)


def _class_of(recipe: Recipe, code: str) -> str:
    """The class of a code in the main task, else in a variant, else the code itself."""
    for labels in (recipe.labels, *(v.labels or {} for v in recipe.variants)):
        if code in labels:
            return labels[code]
    return code


def _sizes(recipe: Recipe, scale: float) -> dict[str, int]:
    """Code to number of utterances: the class's true count where known, shared among its codes, scaled."""
    known = {**recipe.published.labels, **recipe.expect.labels}
    usual = sum(known.values()) / len(known) if known else _USUAL_CLASS_SIZE
    codes_of = Counter(recipe.labels.values())
    codes = {*recipe.labels, *recipe.leave_out, *(c for v in recipe.variants for c in v.labels or ())}
    sizes = {}
    for code in sorted(codes):
        label = recipe.labels.get(code)
        count = known.get(label, usual) / codes_of[label] if label else usual / 10
        sizes[code] = max(round(count * scale), len(SPLITS))
    return sizes


def _plan(recipe: Recipe, scale: float, rng: np.random.Generator) -> list[_Planned]:
    """Who says what into which file: every code first by a speaker of each split, then by all in turn."""
    genders = recorded_speakers(recipe)
    groups = _speakers_by_split(recipe, rng)
    everybody = [str(s) for s in rng.permutation([s for group in groups for s in group])]
    planned: list[_Planned] = []
    taken: set[str] = set()
    start = 0
    for code, size in _sizes(recipe, scale).items():
        first = [group[start % len(group)] for group in groups]
        rest = [everybody[(start + i) % len(everybody)] for i in range(size - len(first))] if everybody else []
        start += len(rest)  # the next class goes on where this one ended
        for take in range(size):
            speaker = (first + rest)[take] if everybody else None
            gender = genders[speaker].gender if speaker in genders else None
            planned.append(_draw(recipe, code, speaker, gender, take, taken, rng))
    return sorted(planned, key=lambda item: item.audio.file)


def _speakers_by_split(recipe: Recipe, rng: np.random.Generator) -> list[list[str]]:
    """The speakers of each split that has any."""
    homes = recorded_splits(recipe)
    if recipe.split.by != "speaker":
        code = next(iter(recipe.labels))
        drawn = {s: _draw(recipe, code, s, None, 0, set(), rng).audio.fields for s in recorded_speakers(recipe)}
        homes = {s: homes.get(fields.get(recipe.split.by, ""), SPLITS[0]) for s, fields in drawn.items()}
    groups = ([s for s, home in sorted(homes.items()) if home == name] for name in SPLITS)
    return [[str(s) for s in rng.permutation(group)] for group in groups if group]


def _draw(
    recipe: Recipe, code: str, speaker: str | None, gender: str | None, take: int, taken: set[str],
    rng: np.random.Generator,
) -> _Planned:  # fmt: skip
    """A file name that the recipe reads as this code and speaker, and that is not taken."""
    way = recipe.ways[0]
    if isinstance(way, Manifest):
        name = f"{code}/{speaker or 'x'}_{take:04d}.wav"
        return _Planned(Audio(name, name, name.removesuffix(".wav"), {}), code, speaker, gender, take)
    pattern = way.audio_pattern()
    groups = set(named_groups(pattern.regex))
    letters = {label: letter for letter, label in pattern.codes.items()}
    wanted = {"label": code, "code": letters.get(code), "speaker": speaker}
    fixed = {group: text for group, text in wanted.items() if text is not None and group in groups}
    compiled = re.compile(rf"(?P<top_>)(?P<tail_>{pattern.regex})")
    for _ in range(_TRIES):
        audio = audio_of(example(pattern.regex, fixed, rng), pattern, compiled, recipe.aliases)
        if audio is None or audio.key in recipe.exclude or {audio.key, audio.file.lower()} & taken:
            continue
        told = audio.fields.get("speaker")
        if speaker is not None and told is not None and told != speaker:
            continue
        if gender and (letter := audio.fields.get("gender")) and letter[0].lower() != gender[0]:
            continue
        taken |= {audio.key, audio.file.lower()}
        return _Planned(audio, code, speaker or told, gender, take)
    raise RecipeError(
        f"no new file name for code {code!r} of speaker {speaker!r} in {_TRIES} tries", where=f"recipe {recipe.id}",
        cure="choose a smaller scale",
    )  # fmt: skip


def _annotations(recipe: Recipe, planned: Sequence[_Planned], rng: np.random.Generator) -> dict[str, str]:
    """Path to text of every file besides the audio, the marker included."""
    files = {TWIN_MARKER: _marker(recipe, planned)}
    rows = [Row(item.audio.key, {"label": item.code}) for item in planned]
    match recipe.ways[0]:
        case Reader() as way:
            files |= way.write(rows, {item.audio.key: item.audio.file for item in planned})
        case Table() as way:
            files[example(way.file, {}, rng)] = _csv(_table_rows(way, planned), way.delimiter)
        case Manifest():
            lines = [
                {"path": i.audio.file, "label": i.code, "speaker": i.speaker or "", "gender": i.gender or ""}
                for i in planned
            ]
            files["manifest.csv"] = _csv(lines, ",")
        case PathPattern() | ParentFolder():
            pass
    if table := recipe.speaker_table:
        files[example(table.file, {}, rng)] = _csv(_speaker_rows(recipe, table), table.delimiter)
    return files


def _table_rows(way: Table, planned: Sequence[_Planned]) -> Iterator[dict[str, str]]:
    places = re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>.+)", re.escape(way.key)))
    for item in planned:
        match = places.fullmatch(item.audio.key)
        if match is None:
            raise RecipeError(f"key {item.audio.key!r} does not fit {way.key!r}", expected="the audio pattern's key")
        told = {"label": item.code, "speaker": item.speaker or "", "gender": item.gender or ""}
        yield {
            **{column: told.get(field, "") for field, column in way.columns.items()},
            **{column: match[column] for column in template_names(way.key)},
        }


def _speaker_rows(recipe: Recipe, table: SpeakerTable) -> Iterator[dict[str, str]]:
    for name, speaker in recorded_speakers(recipe).items():
        row = {table.speaker: name, table.gender: (speaker.gender or "").capitalize()}
        yield row | ({table.age: f"{speaker.age:g}" if speaker.age is not None else ""} if table.age else {})


def _csv(rows: Sequence[dict[str, str]] | Iterator[dict[str, str]], delimiter: str) -> str:
    rows = list(rows)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), delimiter=delimiter, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _marker(recipe: Recipe, planned: Sequence[_Planned]) -> str:
    """What must come out of the twin, for each configuration."""
    configurations = {}
    for task in (recipe, *(as_variant(recipe, v) for v in recipe.variants)):
        kept = [item for item in planned if item.code in task.labels]
        configurations[task.configuration] = {
            "utterances": len(kept),
            "speakers": len({item.speaker for item in kept if item.speaker}),
            "labels": dict(sorted(Counter(task.labels[item.code] for item in kept).items())),
        }
    about = f"Synthetic stand-in for {recipe.title}, made by emoset from its recipe. It holds no real speech."
    return json.dumps({"about": about, "corpus": recipe.id, "configurations": configurations}, indent=1) + "\n"
