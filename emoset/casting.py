"""Casting: who says what into which file of a twin, from the recipe alone."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from emoset.account import Audio
from emoset.errors import RecipeError
from emoset.finding import audio_of
from emoset.parts import Manifest, ParentFolder, PathPattern, Table
from emoset.patterns import example, group_values, named_groups
from emoset.recipe import Recipe
from emoset.schema import SPLITS
from emoset.speakers import recorded_speakers, recorded_splits
from emoset.splits import hashed_split
from emoset.words import gender_name, split_name

_USUAL_CLASS_SIZE: Final = 100
"""Utterances per class at scale 1 where no count is known."""

_INVENTED_SPEAKERS: Final = 8
_TRIES: Final = 500


@dataclass(frozen=True, slots=True)
class Planned:
    """One utterance to be: its audio file, its code, who says it, and what number among that speaker's it is."""

    audio: Audio
    code: str
    speaker: str | None
    gender: str | None
    split: str | None
    take: int


@dataclass(frozen=True, slots=True)
class _Role:
    """A speaker, and the groups of a file name that tell so."""

    speaker: str | None = None
    gender: str | None = None
    split: str | None = None
    fixed: Mapping[str, str] = field(default_factory=dict)


def plan(recipe: Recipe, scale: float, rng: np.random.Generator) -> list[Planned]:
    """Plan a twin: every code first by a speaker of each split, then by all speakers in turn.

    Args:
        recipe: of the corpus.
        scale: share of the true number of utterances.
        rng: source of all choices.

    Raises:
        RecipeError: the recipe does not tell enough to make file names.
    """
    groups = _roles(recipe, rng)
    everybody = [role for group in groups for role in group]
    everybody = [everybody[i] for i in rng.permutation(len(everybody))]
    planned: list[Planned] = []
    taken: set[str] = set()
    start = 0
    for code, size in _sizes(recipe, scale).items():
        roles = [group[start % len(group)] for group in groups]
        roles += [everybody[(start + i) % len(everybody)] for i in range(size - len(groups))]
        start += max(size - len(groups), 1)  # the next class goes on where this one ended
        planned += [_draw(recipe, code, role, take, taken, rng) for take, role in enumerate(roles)]
    return sorted(planned, key=lambda item: item.audio.file)


def _sizes(recipe: Recipe, scale: float) -> dict[str, int]:
    """Code to number of utterances: the class's true count where known, shared among its codes, scaled."""
    known = {**recipe.published.labels, **recipe.expect.labels}
    usual = sum(known.values()) / len(known) if known else _USUAL_CLASS_SIZE
    codes_of = Counter(recipe.labels.values())
    codes = {*recipe.labels, *recipe.leave_out, *(c for v in recipe.variants if not v.found_by for c in v.labels or ())}
    sizes = {}
    for code in sorted(codes or {"class_a", "class_b", "class_c"}):
        label = recipe.labels.get(code)
        count = known.get(label, usual) / codes_of[label] if label else usual / 10
        sizes[code] = max(round(count * scale), len(SPLITS))
    return sizes


def _roles(recipe: Recipe, rng: np.random.Generator) -> list[list[_Role]]:
    """The speakers of each split; one group where the split does not follow the speakers."""
    way, by = recipe.ways[0], recipe.split.by
    pattern = None if isinstance(way, Manifest) else way.audio_pattern()
    genders = {s: known.gender for s, known in recorded_speakers(recipe).items()}
    homes = recorded_splits(recipe)
    if by == "split":
        words = _split_words(pattern)
        speakers = sorted(genders) or _invented(recipe, pattern, rng)
        return [[_role(pattern, s, genders.get(s or ""), name, word) for s in speakers] for name, word in words.items()]
    if by != "speaker":
        if not homes:  # a hash of something else decides
            speakers = sorted(genders) or _invented(recipe, pattern, rng)
            return [[_role(pattern, s, genders.get(s or "")) for s in speakers]]
        code = next(iter(recipe.labels))
        drawn = {s: _draw(recipe, code, _role(pattern, s, None), 0, set(), rng).audio.fields for s in genders}
        homes = {s: homes.get(fields.get(by, ""), SPLITS[0]) for s, fields in drawn.items()}
    if not homes:
        homes = hashed_split(recipe.id, sorted(genders) or [s for s in _invented(recipe, pattern, rng) if s])
    groups = ([s for s, home in sorted(homes.items()) if home == name] for name in SPLITS)
    return [[_role(pattern, s, genders.get(s)) for s in group] for group in groups if group]


def _split_words(pattern: PathPattern | None) -> dict[str, str]:
    """Split to the word that file names have for it; itself where they have none."""
    told = group_values(pattern.regex, "split") if pattern and "split" in named_groups(pattern.regex) else None
    words = {split_name(word): word for word in reversed(told or ())}
    return {name: words.get(name, name) for name in SPLITS if name in words or not told}


def _invented(recipe: Recipe, pattern: PathPattern | None, rng: np.random.Generator) -> Sequence[str | None]:
    """Speaker ids where none is recorded: as file names spell them, else numbers; none where nothing tells them."""
    way = recipe.ways[0]
    if pattern is None or "speaker" not in pattern.fields:
        told = not isinstance(way, PathPattern | ParentFolder) and not (
            isinstance(way, Table) and "speaker" not in way.columns
        )
        return [str(i + 1) for i in range(_INVENTED_SPEAKERS)] if told else [None]
    found: dict[str, None] = {}
    for _ in range(_TRIES):
        audio = _example(recipe, pattern, {}, rng)
        if audio is not None:
            found[audio.fields["speaker"]] = None
        if len(found) == _INVENTED_SPEAKERS:
            break
    return sorted(found)


def _role(
    pattern: PathPattern | None,
    speaker: str | None,
    gender: str | None,
    split: str | None = None,
    word: str | None = None,
) -> _Role:
    """A speaker with the groups of the file name that follow from it."""
    if speaker is None:
        return _Role(split=split, fixed={"split": word} if word and pattern else {})
    if pattern is None:
        return _Role(speaker, gender or ("female", "male")[int(speaker, 36) % 2], split)
    groups = set(named_groups(pattern.regex))
    fixed = {"split": word} if word and "split" in groups else {}
    if "speaker" in groups:
        fixed["speaker"] = speaker
    elif template := pattern.derive.get("speaker"):
        places = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>.+)", re.escape(template))
        if match := re.fullmatch(places, speaker):
            fixed |= match.groupdict()
    return _Role(speaker, gender, split, fixed)


def _draw(recipe: Recipe, code: str, role: _Role, take: int, taken: set[str], rng: np.random.Generator) -> Planned:
    """A file name that the recipe reads as this code and speaker, and that is not taken."""
    way = recipe.ways[0]
    if isinstance(way, Manifest):
        name = f"{code}/{role.speaker}_{take:04d}.wav"
        return Planned(Audio(name, name, name.removesuffix(".wav"), {}), code, role.speaker, role.gender, None, take)
    pattern = way.audio_pattern()
    letters = {label: letter for letter, label in pattern.codes.items()}
    wanted = {"label": code, "code": letters.get(code), **role.fixed}
    groups = set(named_groups(pattern.regex))
    fixed = {group: text for group, text in wanted.items() if text is not None and group in groups}
    for _ in range(_TRIES):
        audio = _example(recipe, pattern, fixed, rng)
        if audio is None or audio.key in recipe.exclude or {audio.key, audio.file.lower()} & taken:
            continue
        told = audio.fields.get("speaker")
        if told is not None and role.speaker not in (None, recipe.speaker_aliases.get(told, told)):
            continue
        gender = gender_name(audio.fields.get("gender", ""))
        if role.gender and gender and gender != role.gender:
            continue
        taken |= {audio.key, audio.file.lower()}
        return Planned(audio, code, role.speaker, role.gender or gender, role.split, take)
    raise RecipeError(
        f"no new file name for code {code!r} of speaker {role.speaker!r} in {_TRIES} tries",
        where=f"recipe {recipe.id}", cure="choose a smaller scale",
    )  # fmt: skip


def _example(recipe: Recipe, pattern: PathPattern, fixed: Mapping[str, str], rng: np.random.Generator) -> Audio | None:
    compiled = re.compile(rf"(?P<top_>)(?P<tail_>{pattern.regex})")
    return audio_of(example(pattern.regex, fixed, rng), pattern, compiled, recipe.aliases)
