"""Rows: what leaves a data folder, one utterance after the other, and the facts that go with every export."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from emoset.errors import DataFolderError, NotBuiltError, RawDataError, unknown_name
from emoset.registry import get_recipe, known_names
from emoset.schema import COLUMNS, SPLITS
from emoset.shards import (
    MANIFEST,
    built_configurations,
    default_data_dir,
    read_manifest,
    read_shard,
    shard_paths,
)
from emoset.staging import write_text
from emoset.summary import remarks

FACTS_FILE: Final = ".emoset-export.json"
"""File of an export that tells what it is of. Hidden, so that no reader takes it for data."""

LICENCE_FILE: Final = "LICENCE.txt"
ORIGINAL: Final = "original_path"
"""Column of an export: the canonical path in the distribution, which a row keeps beside its audio."""

COLUMN_NAMES: Final = (*(name for name in COLUMNS if name != "audio"), ORIGINAL)
"""Columns of an export besides the split and the audio."""

_KEYS_OF_FACTS: Final = {"format": str, "corpus": str, "configuration": str, "synthetic": bool, "splits": dict}


@dataclass(frozen=True, slots=True)
class Row:
    """One utterance on its way out.

    Args:
        split: ``train``, ``validation`` or ``test``.
        key: what identifies it in its corpus, with slashes like a path; its id is ``<corpus>/<key>``.
        wav: the stored WAV bytes.
        values: every other column, by `COLUMN_NAMES`; None where it is absent.
    """

    split: str
    key: str
    wav: bytes
    values: dict[str, Any]


@dataclass(frozen=True)
class Built:
    """A built configuration, or some splits of it.

    Args:
        folder: where its shards lie.
        manifest: as built.
        splits: those that are wanted, in order.
    """

    folder: Path
    manifest: dict[str, Any]
    splits: tuple[str, ...]

    @property
    def configuration(self) -> str:
        """Its name."""
        return str(self.manifest["configuration"])

    @property
    def counts(self) -> dict[str, int]:
        """Split to number of utterances, of those that are wanted."""
        return {split: int(self.manifest["splits"][split]["utterances"]) for split in self.splits}

    @property
    def count(self) -> int:
        """Number of utterances."""
        return sum(self.counts.values())

    def rows(self, split: str) -> Iterator[Row]:
        """The utterances of one split, in order.

        Raises:
            DataFolderError: a shard is missing or damaged.
        """
        paths = shard_paths(self.folder, split)
        missing = {name for name in self.manifest["shards"] if name.startswith(f"{split}-")} - {p.name for p in paths}
        if missing:
            raise _damaged(self.folder / min(missing), "the shard is missing")
        for path in paths:
            try:
                for batch in read_shard(path).select(list(COLUMNS)).to_batches():
                    for values in batch.to_pylist():
                        yield self._row(split, values, path)
            except (pa.ArrowException, KeyError) as error:
                raise _damaged(path, f"the shard cannot be read ({str(error).splitlines()[0]})") from None

    def _row(self, split: str, values: dict[str, Any], path: Path) -> Row:
        audio = values.pop("audio")
        corpus, slash, key = str(values["id"]).partition("/")
        if corpus != values["corpus"] or not slash or bytes(audio["bytes"][:4]) != b"RIFF":
            raise _damaged(path, f"{values['id']} is no utterance of {values['corpus']} with WAV audio")
        values[ORIGINAL] = audio["path"]
        plain = {name: _shortest(value) for name, value in values.items()}
        return Row(split, relative_name(key, str(path)), audio["bytes"], plain)


def open_built(name: str, data_dir: str | Path | None, splits: Sequence[str] | None) -> Built:
    """Find a built configuration.

    Args:
        name: corpus or variant.
        data_dir: data folder; None for the default.
        splits: those that are wanted; None for all.

    Raises:
        UnknownNameError: there is no such corpus or split.
        NotBuiltError: the corpus is not built there.
        DataFolderError: its manifest is damaged.
    """
    root = Path(data_dir) if data_dir is not None else default_data_dir()
    folder, built = root / name, built_configurations(root)
    if name not in built:
        if name not in known_names():
            raise unknown_name("corpus", name, {*known_names(), *built}, "see 'emoset list'")
        raise NotBuiltError(
            f"{name} is not built there", where=str(root), expected=f"the folder {name}/ with its {MANIFEST} (built: "
            f"{', '.join(built) or 'nothing'})", cure=f"run 'emoset build {name} --raw FOLDER --out {root}'",
        )  # fmt: skip
    manifest = read_manifest(folder)
    there = [split for split in SPLITS if split in manifest["splits"]]
    for split in splits or ():
        if split not in there:
            raise unknown_name("split", split, there)
    return Built(folder, manifest, tuple(s for s in SPLITS if s in (splits or there)))


def relative_name(name: str, where: str) -> str:
    """A name that may become a file below a folder, as it is.

    Raises:
        RawDataError: it could lead out of the folder, or is no file name on every system.

    Example:
        >>> relative_name("Angry/SF1_F6_A52", "a collection")
        'Angry/SF1_F6_A52'
    """
    parts = name.split("/")
    if (
        name != name.strip()
        or any(p in ("", ".", "..") for p in parts)
        or re.search(r"[\\\x00-\x1f\x7f\ud800-\udfff]|^[A-Za-z]:", name)
    ):
        raise RawDataError(f"the name {name!r} does not stay below a folder", where=where, expected="a relative path")
    return name


def facts_of(built: Built, format: str) -> dict[str, Any]:
    """What an export tells of itself."""
    kept = (
        "corpus", "configuration", "title", "recipe_version", "licence", "citation", "synthetic", "partial",
        "speaker_independent", "split_hash",
    )  # fmt: skip
    return {"format": format, **{name: built.manifest[name] for name in kept}, "splits": built.counts}


def write_facts(folder: Path, facts: dict[str, Any]) -> None:
    """Write what an export tells of itself."""
    write_text(folder / FACTS_FILE, json.dumps(facts, indent=1, ensure_ascii=False) + "\n")


def read_facts(folder: Path) -> dict[str, Any] | None:
    """What an export tells of itself; None of a folder that is none.

    Raises:
        RawDataError: what it tells is damaged.
    """
    path = folder / FACTS_FILE
    try:
        facts = json.loads(path.read_bytes())
        sound = all(isinstance(facts[key], kind) for key, kind in _KEYS_OF_FACTS.items())
        sound = sound and all(type(count) is int for count in facts["splits"].values())
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, OSError, RecursionError):
        sound = False
    if not sound:
        raise RawDataError("what the export tells of itself is damaged", where=str(path), cure="export it again")
    return dict(facts)


def licence_text(built: Built) -> str:
    """What must be known by whoever gets an export."""
    told = built.manifest
    allowed = "lets them be republished"
    if not told.get("redistribute"):
        allowed = "is not known to let them be republished: do not pass them on"
    return f"""{told["title"]}: {built.configuration}, recipe {told["recipe_version"]}, {", ".join(built.splits)}

Licence: {told["licence"]}
Citation: {told["citation"]}

Exported by emoset. In whatever form, the recordings, labels and transcripts stay under the corpus's licence, which
{allowed}.
Remarks: {remarks(told) or "none"}.
"""


def homepage_of(built: Built) -> str:
    """Where the corpus comes from, as far as its recipe is known."""
    name = built.configuration
    recipe = get_recipe(name) if name in known_names() else None
    return (recipe.homepage if recipe else None) or "unknown"


def _shortest(value: Any) -> Any:
    """A float32 as the shortest number that is read back as the same float32."""
    return float(str(np.float32(value))) if isinstance(value, float) else value


def _damaged(path: Path, got: str) -> DataFolderError:
    return DataFolderError(got, where=str(path), cure="run 'emoset verify', then build the corpus again")
