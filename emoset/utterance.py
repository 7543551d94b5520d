"""The utterance: one labelled recording or segment, made of an audio file and what is said of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from emoset.account import Audio, Problem, number_of
from emoset.labels import MEANINGS, Meaning
from emoset.speakers import Speaker, gender_of
from emoset.words import plain

if TYPE_CHECKING:
    from emoset.parts import Row
    from emoset.recipe import Recipe

_NUMBERS: Final = ("age", "activation", "pleasure", "dominance")
_NOT_EXTRA: Final = {
    "label", "speaker", "gender", "language", "split", "text", "stem", "code", "path_", "top_", "tail_", *_NUMBERS,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Utterance:
    """One labelled recording or segment, before its audio is read.

    Args:
        id: stable across copies: ``<corpus>/<key>``, with ``#<start>-<end>`` for segments.
        corpus: recipe id.
        path: as found, relative to the raw root.
        file: canonical path in the distribution.
        split: ``train``, ``validation`` or ``test``.
        label: class name.
        label_raw: the corpus's own code.
        start, end: seconds, for segments; None for the whole file.
    """

    id: str
    corpus: str
    path: str
    file: str
    split: str
    label: str
    label_raw: str
    emotion: str | None
    arousal: str | None
    valence: str | None
    language: str
    kind: str
    speaker: str | None = None
    gender: str | None = None
    age: float | None = None
    text: str | None = None
    activation: float | None = None
    pleasure: float | None = None
    dominance: float | None = None
    start: float | None = None
    end: float | None = None
    extra: str | None = None


def fields_of(recipe: Recipe, audio: Audio, row: Row) -> dict[str, str]:
    """What the file's name and its annotation tell, the speaker under the one id that the recipe knows."""
    fields = {**audio.fields, **{name: text for name, text in row.fields.items() if text}}
    if speaker := recipe.speaker_aliases.get(fields.get("speaker", "")):
        fields["speaker"] = speaker
    return fields


def class_of(recipe: Recipe, code: str, listed: bool) -> str | None:
    """The class that a code means; None if it means none.

    Args:
        recipe: knows the codes.
        code: as it stands in the corpus.
        listed: whether it comes from a list by the user, who may write class names, and in any case.
    """
    if code in recipe.labels:
        return recipe.labels[code]
    if not listed:
        return None
    by_name = {plain(name): label for name, label in recipe.labels.items()} | {label: label for label in recipe.classes}
    return by_name.get(plain(code)) or (plain(code) if not recipe.labels else None)


def reason_to_exclude(recipe: Recipe, key: str, code: str, listed: bool) -> str | None:
    """The recipe's reason to leave an utterance out, if it has one."""
    left_out = recipe.leave_out.get(code) or (recipe.leave_out.get(plain(code)) if listed else None)
    return recipe.exclude.get(key) or left_out


def make_utterance(
    recipe: Recipe,
    audio: Audio,
    row: Row,
    key: str,
    fields: Mapping[str, str],
    speakers: Mapping[str, Speaker],
    split: str | None,
) -> Utterance:
    """Make one utterance of an audio file and what is said of it.

    Raises:
        Problem: something about it is not as the recipe says.
    """
    where = row.where or audio.name
    code, label = _label(recipe, audio, fields, where)
    speaker, gender = fields.get("speaker") or None, gender_of(fields.get("gender"), where)
    known = speakers.get(speaker) if speaker else None
    if known and gender and known.gender and gender != known.gender:
        raise Problem(audio.name, f"speaker {speaker} is {known.gender}, here called {gender}", "correct the name")
    meaning = recipe.meanings.get(label) or MEANINGS.get(label) or Meaning(None, None, None)
    numbers = {name: number_of(name, fields.get(name), where) for name in _NUMBERS}
    if known and known.age is not None:
        numbers["age"] = known.age
    if split is None:
        by = recipe.split.by
        told = f"{by} {fields.get(by, '')!r} is in no split" if by != "split" or fields.get(by) else "no split is told"
        raise Problem(where, told, "correct the name, or add it to the split")
    extra = {f: v for f, v in fields.items() if f not in _NOT_EXTRA}
    language = fields.get("language") or recipe.language_of.get(speaker or "") or recipe.languages[0]
    return Utterance(
        id=f"{recipe.id}/{key}", corpus=recipe.id, path=audio.name, file=audio.file, split=split,
        label=label, label_raw=code, emotion=meaning.emotion, arousal=meaning.arousal, valence=meaning.valence,
        language=language, kind=recipe.kind, speaker=f"{recipe.id}:{speaker}" if speaker else None,
        gender=(known.gender if known else None) or gender, text=fields.get("text") or None,
        start=row.start, end=row.end,
        extra=json.dumps(extra, sort_keys=True, ensure_ascii=False) if extra else None, **numbers,
    )  # fmt: skip


def _label(recipe: Recipe, audio: Audio, fields: Mapping[str, str], where: str) -> tuple[str, str]:
    """The corpus's own code and its class, checked against the recipe and against the file's own name."""
    code = fields.get("label")
    if not code:
        raise Problem(where, f"no label is told for {audio.key}", "restore the annotation")
    label = class_of(recipe, code, audio.listed)
    if label is None:
        raise Problem(
            where, f"unknown emotion code {code!r}; the recipe knows {', '.join(sorted(recipe.labels))}",
            "correct the file's name or annotation, or add the code to the recipe's labels",
        )  # fmt: skip
    if audio.codes and audio.codes.get(fields["code"]) != code:
        raise Problem(
            audio.name, f"its name and folder contradict each other: {fields['code']!r} and {code!r}",
            "put it where it belongs",
        )  # fmt: skip
    return code, label
