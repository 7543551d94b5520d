"""Raw roots out of collections in other forms: audio as it is, and the lists that ``emoset build`` reads."""

from __future__ import annotations

import json
import shutil
import unicodedata
import warnings
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from emoset.errors import RawDataError
from emoset.exchange.lists import LIST_NAMES, is_title, text_of, write_list, write_twin_marker
from emoset.exchange.rows import COLUMN_NAMES, LICENCE_FILE, read_facts, relative_name
from emoset.reading import TWIN_MARKER
from emoset.schema import SPLITS
from emoset.tree import JUNK, ignoring_rule
from emoset.words import split_name

AUDIO_SUFFIXES: Final = frozenset({
    ".wav", ".flac", ".mp3", ".ogg", ".opus", ".sph", ".au", ".aif", ".aiff", ".caf", ".w64", ".aac", ".amr", ".wma",
    ".m4a", ".mp4", ".webm", ".mov", ".avi", ".wmv", ".mkv",
})  # fmt: skip
"""Of the files that are taken: a manifest can name any file of this machine."""

FIELDS: Final = (
    "label", "speaker", "gender", "age", "language", "text", "activation", "pleasure", "dominance", "split",
)  # fmt: skip
"""What is looked for under its own name in every collection."""

LABELS: Final = ("label_raw", "label", "emotion", "class")
"""What a label is looked for under, in this order: an export tells the corpus's own code too."""

_TAKEN: Final = frozenset({*FIELDS, "path", "file", "start", "end", "partition"})
"""Titles that mean something to whoever reads a list."""

_NOT_EXTRA: Final = _TAKEN | {*COLUMN_NAMES, "filename", "class"}
"""Columns that a build makes anew. The fields of ``extra`` may have these names, but for those that are taken."""


@dataclass(frozen=True, slots=True)
class Incoming:
    """One utterance on its way in.

    Args:
        name: of the audio file, relative, with its suffix.
        audio: the file, or its bytes.
        values: what the collection says of it: own columns and any others.
        where: file and line, or the like, for messages.
        split: what its place in the collection says of the split, if anything.
        start: first second of a segment; None for the whole file.
        end: last second of a segment; None for the end of the file.
    """

    name: str
    audio: Path | bytes
    values: Mapping[str, Any]
    where: str
    split: str | None = None
    start: float | None = None
    end: float | None = None


@dataclass
class RawRoot:
    """A raw root that grows by one utterance after the other.

    Args:
        folder: to write to; exists, and is empty.
        columns: field to the name that it has in the collection, where that is another; an empty one for a field
            that is not to be looked for.
    """

    folder: Path
    columns: Mapping[str, str]
    _rows: list[dict[str, str]] = field(default_factory=list)
    _audio: dict[str, Path | None] = field(default_factory=dict)
    _seen: set[str] = field(default_factory=set)
    _left_out: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        for name in self.columns:
            if name in _TAKEN - set(FIELDS) or not is_title(name):
                raise RawDataError(
                    f"{name!r} cannot be a field", expected=f"one of {', '.join(FIELDS)}, or a name of your own",
                )  # fmt: skip

    def add(self, item: Incoming) -> None:
        """Take an utterance: its audio now, what is said of it when all are there.

        Raises:
            RawDataError: its name or split is not as it should be, or another one has the same name.
        """
        name = self._copied(item)
        fields = self._fields(item)
        times = {k: text_of(v) for k, v in (("start", item.start), ("end", item.end)) if v is not None}
        self._rows.append({"file": name, "label": "", **fields, **times})

    def finish(self, origin: Path) -> None:
        """Write the lists, with what an export tells of itself.

        Args:
            origin: the collection.

        Raises:
            RawDataError: labels or splits are missing, or some of an export's utterances are.
        """
        if not self._rows:
            raise RawDataError("it holds no utterance", where=str(origin))
        for name, source in self.columns.items():
            if source and source not in self._seen:
                raise RawDataError(
                    f"no utterance has {source!r}, which should be its {name}", where=str(origin),
                    expected=f"one of {', '.join(sorted(self._seen)) or 'none'}",
                )  # fmt: skip
        unlabelled = [row["file"] for row in self._rows if not row["label"]]
        if len(unlabelled) == len(self._rows):
            raise RawDataError(
                "no utterance has a label", where=str(origin),
                expected=f"a field label among {', '.join(sorted(self._seen)) or 'none'}",
                cure="name the field that tells it, as in label=NAME",
            )  # fmt: skip
        if unlabelled:
            _warn(f"{len(unlabelled)} utterances have no label, and a build will refuse them: {_some(unlabelled)}")
        for name, count in self._left_out.items():
            _warn(f"the field {name!r} of {count} utterances is left out, since no list can hold it")
        self._check_whole(origin)
        self._write_lists()

    def _check_whole(self, origin: Path) -> None:
        home = origin if origin.is_dir() else origin.parent
        facts = read_facts(home)
        if (home / TWIN_MARKER).is_file():
            shutil.copyfile(home / TWIN_MARKER, self.folder / TWIN_MARKER)
        if facts is None:
            return
        count = sum(facts["splits"].values())
        if origin.is_dir() and count != len(self._rows):
            raise RawDataError(
                f"it holds {len(self._rows)} utterances, not {count} as when it was exported", where=str(origin),
                cure="export it again",
            )  # fmt: skip
        if (home / LICENCE_FILE).is_file():
            shutil.copyfile(home / LICENCE_FILE, self.folder / LICENCE_FILE)
        if facts["synthetic"]:  # stays known to be no real speech
            write_twin_marker(self.folder, facts["corpus"], facts["configuration"], len(self._rows))

    def _write_lists(self) -> None:
        told = [row.pop("split", "") for row in self._rows]
        if any(told) and not all(told):
            first = self._rows[told.index("")]["file"]
            raise RawDataError(f"{told.count('')} utterances have no split, though others have one", where=first)
        titles = ["file", "label", *sorted({name for row in self._rows for name in row} - {"file", "label"})]
        if any(told):
            for split, name in LIST_NAMES.items():
                rows = [row for row, home in zip(self._rows, told, strict=True) if home == split]
                write_list(self.folder / name, rows, titles)
        else:
            write_list(self.folder / "manifest.csv", self._rows, titles)

    def _copied(self, item: Incoming) -> str:
        """Put the audio of an utterance in its place, unless it is there already, and return its name."""
        name = unicodedata.normalize("NFC", relative_name(_name_of(item), item.where))
        if Path(name).suffix.lower() not in AUDIO_SUFFIXES:
            raise RawDataError(f"{name!r} is not called like audio", where=item.where, expected="such as .wav")
        if rule := ignoring_rule(name, JUNK):
            raise RawDataError(f"an audio file {name!r} would be ignored as a {rule}", where=item.where)
        origin = item.audio if isinstance(item.audio, Path) else None
        if name in self._audio:
            if origin is None or origin != self._audio[name] or (item.start, item.end) == (None, None):
                raise RawDataError(f"a second utterance would be called {name}", where=item.where, cure="keep one")
            return name
        self._audio[name] = origin
        target = self.folder / name
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            clash = target.exists()  # on a file system that takes upper and lower case as the same
        except (FileExistsError, NotADirectoryError):
            clash = True
        if clash:
            raise RawDataError(f"the name {name!r} clashes with another", where=item.where, cure="rename it")
        if isinstance(item.audio, bytes):
            target.write_bytes(item.audio)
        else:
            shutil.copyfile(item.audio, target)
        return name

    def _fields(self, item: Incoming) -> dict[str, str]:
        values = {name: value for name, value in item.values.items() if text_of(value) != ""}
        self._seen |= values.keys()
        labels = (self.columns["label"],) if "label" in self.columns else LABELS
        plain = {name: text_of(value) for name, value in values.items() if not isinstance(value, dict | list)}
        sources = {name: self.columns.get(name, name) for name in (*FIELDS, *self.columns)}
        fields = {name: plain[source] for name, source in sources.items() if source in plain}
        fields["label"] = next((plain[name] for name in labels if name in plain), "")
        if "speaker" not in self.columns and "speaker" in fields:
            fields["speaker"] = fields["speaker"].removeprefix(f"{values.get('corpus')}:")
        by_place = item.split if sources["split"] else None
        split = split_name(fields.pop("split", "") or by_place or "")
        if split and split not in SPLITS:
            raise RawDataError(
                f"unknown split {split!r}", where=item.where, expected="train, validation or test",
                cure="name the field that tells it, as in split=NAME, or none at all, as in split=",
            )  # fmt: skip
        others = {k: v for k, v in values.items() if k not in _NOT_EXTRA and k not in self.columns.values()}
        for name, value in {**others, **_extra(values.get("extra"), item.where)}.items():
            if isinstance(value, dict | list) or name in _TAKEN or not is_title(name):
                self._left_out[name] += 1
            elif name not in fields:
                fields[name] = text_of(value)
        try:
            json.dumps(fields, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise RawDataError("what is said of it is not Unicode text", where=item.where) from None
        return fields | ({"split": split} if split else {})


def _name_of(item: Incoming) -> str:
    """An export's utterances are called after their ids, so that a build gives them the same ones."""
    name, corpus = str(item.values.get("id", "")), item.values.get("corpus")
    if corpus and name.startswith(f"{corpus}/") and item.start is None:
        return name.removeprefix(f"{corpus}/") + Path(item.name).suffix
    return item.name


def _extra(value: Any, where: str) -> dict[str, Any]:
    """The fields of the column ``extra``, which is a JSON object, or the text of one."""
    try:
        found = json.loads(value) if isinstance(value, str) and value else value or {}
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise RawDataError(f"extra is {str(value)[:40]!r}", where=where, expected="a JSON object")
    return {k: v for k, v in found.items() if text_of(v) != ""}


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + ", ..." * (len(names) > 3)


def _warn(text: str) -> None:
    warnings.warn(text, stacklevel=4)
