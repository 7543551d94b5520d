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
from pathlib import Path

import numpy as np

from emoset.casting import Planned, plan
from emoset.errors import RawDataError, RecipeError
from emoset.labels import MEANINGS, Meaning
from emoset.parts import Manifest, ParentFolder, PathPattern, Reader, Row, SpeakerTable, Table, template_names
from emoset.patterns import example
from emoset.progress import Progress
from emoset.reading import TWIN_MARKER
from emoset.recipe import Recipe, as_variant
from emoset.registry import get_recipe, resolve
from emoset.schema import SAMPLING_RATE
from emoset.speakers import recorded_speakers
from emoset.synthesis import CONTAINERS, speak, write_wav
from emoset.utterance import class_of


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
    asked = [get_recipe(name) for name in resolve(corpora if isinstance(corpora, str) else list(corpora))]
    # Variants share the twin of their corpus, unless they have files of their own.
    recipes = {r.raw_name: r if r.raw_id or not r.variant else get_recipe(r.id) for r in asked}
    return [write_twin(recipe, Path(out) / name, scale, seed, progress) for name, recipe in recipes.items()]


def write_twin(recipe: Recipe, root: Path, scale: float, seed: int, progress: bool) -> Path:
    """Write the twin of one recipe to one folder. See `twin`."""
    if root.exists() and not (root / TWIN_MARKER).is_file():
        raise RawDataError(
            "the folder exists and is not a twin", where=str(root), expected="an absent folder, or an older twin",
            cure="choose another --out; a twin never replaces what may be a true corpus",
        )  # fmt: skip
    rng = np.random.default_rng([seed, *recipe.raw_name.encode()])
    planned = plan(recipe, scale, rng)
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


def _record(recipe: Recipe, item: Planned, root: Path, seed: int) -> None:
    rate = recipe.sampling_rate or SAMPLING_RATE
    label = _class_of(recipe, item.code)
    meaning = recipe.meanings.get(label) or MEANINGS.get(label) or Meaning(None, None, None)
    samples = speak(
        item.speaker or "somebody", item.gender, label, item.take, arousal=meaning.arousal, valence=meaning.valence,
        seed=seed, sampling_rate=rate,
    )  # fmt: skip
    path = root / item.audio.file
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix.lower() in CONTAINERS:
        write_wav(path, samples, rate)
    else:  # what a file is, is read from its content: a WAV file under a video's name
        wav = path.with_name(path.name + ".wav")
        write_wav(wav, samples, rate)
        wav.rename(path)


def _class_of(recipe: Recipe, code: str) -> str:
    """The class of a code in the main task, else in a variant, else the code itself."""
    tasks = (recipe, *(as_variant(recipe, v) for v in recipe.variants))
    return next((label for task in tasks if (label := class_of(task, code, listed=True))), code)


def _annotations(recipe: Recipe, planned: Sequence[Planned], rng: np.random.Generator) -> dict[str, str]:
    """Path to text of every file besides the audio, the marker included."""
    files = {TWIN_MARKER: _marker(recipe, planned)}
    rows = [Row(item.audio.key, _told(item)) for item in planned]
    match recipe.ways[0]:
        case Reader() as way:
            files |= way.write(rows, {item.audio.key: item.audio.file for item in planned})
        case Table() as way:
            files[example(way.file, {}, rng)] = _csv(_table_rows(way, planned), way.delimiter)
        case Manifest():
            blank = dict.fromkeys(("label", "speaker", "gender"), "")
            lines = [{"path": item.audio.file, **blank, **_told(item)} for item in planned]
            files["manifest.csv"] = _csv(lines, ",")
        case PathPattern() | ParentFolder():
            pass
    if table := recipe.speaker_table:
        files[example(table.file, {}, rng)] = _csv(_speaker_rows(recipe, table), table.delimiter)
    return files


def _told(item: Planned) -> dict[str, str]:
    """What the file's name leaves to the annotations."""
    fields = {"label": item.code, "speaker": item.speaker, "gender": item.gender, "split": item.split}
    return {f: v for f, v in fields.items() if v and (f == "label" or f not in item.audio.fields)}


def _table_rows(way: Table, planned: Sequence[Planned]) -> Iterator[dict[str, str]]:
    places = re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>.+)", re.escape(way.key)))
    for item in planned:
        match = places.fullmatch(item.audio.key)
        if match is None:
            raise RecipeError(f"key {item.audio.key!r} does not fit {way.key!r}", expected="the audio pattern's key")
        told = _told(item)
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


def _marker(recipe: Recipe, planned: Sequence[Planned]) -> str:
    """What must come out of the twin, for each configuration."""
    configurations = {}
    for task in (recipe, *(as_variant(recipe, v) for v in recipe.variants if v.found_by is None)):
        kept = [(item, label) for item in planned if (label := class_of(task, item.code, listed=True))]
        kept = [(item, label) for item, label in kept if item.code not in task.leave_out]
        configurations[task.configuration] = {
            "utterances": len(kept),
            "speakers": len({item.speaker for item, _ in kept if item.speaker}),
            "labels": dict(sorted(Counter(label for _, label in kept).items())),
        }
    about = f"Synthetic stand-in for {recipe.title}, made by emoset from its recipe. It holds no real speech."
    return json.dumps({"about": about, "corpus": recipe.id, "configurations": configurations}, indent=1) + "\n"
