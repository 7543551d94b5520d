"""WebDataset: tars whose members ``<key>.wav`` and ``<key>.json`` are one utterance."""

from __future__ import annotations

import json
import re
import tarfile
import warnings
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from emoset.errors import RawDataError
from emoset.exchange.lists import split_told_by
from emoset.exchange.raw_root import AUDIO_SUFFIXES, Incoming
from emoset.exchange.rows import Built, relative_name
from emoset.progress import Progress

SHARD_BYTES: Final = 10**9
"""Size at which a tar is closed."""

_TEXTS: Final = ("txt", "text", "transcript", "cls", "label")
"""Members that are taken as text: the field ``text``, or ``label``."""

_LONGEST: Final = 2**20
"""Bytes that a member with text or JSON may have."""


def write(built: Built, folder: Path, bar: Progress) -> None:
    """Write ``<split>-000000.tar`` and so on; equal rows give equal bytes.

    Args:
        built: what to write.
        folder: to write to.
        bar: counts utterances.
    """
    import webdataset

    for split in built.splits:
        pattern = str(folder / split).replace("%", "%%") + "-%06d.tar"
        with webdataset.ShardWriter(
            pattern, maxsize=SHARD_BYTES, verbose=0, encoder=False, mtime=0, user="", group="", format="GNU_FORMAT"
        ) as shards:
            for row in built.rows(split):
                told = {"split": split, **row.values}
                text = json.dumps(told, ensure_ascii=False).encode()
                shards.write({"__key__": key_of(row.values["id"]), "json": text, "wav": row.wav})
                bar.advance()


def key_of(name: str) -> str:
    """A sample's key: an utterance's id without dots, since WebDataset takes what follows a dot for the suffix.

    Example:
        >>> key_of("vam/Show1.02#0.5-1.25")
        'vam/Show1%2E02#0%2E5-1%2E25'
    """
    return name.replace("%", "%25").replace(".", "%2E")


@dataclass
class _Sample:
    """The members of one key that are taken."""

    key: str
    where: str
    audio: dict[str, bytes] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)


def read(source: Path, columns: Mapping[str, str]) -> Iterator[Incoming]:
    """The utterances of tars, whose names may tell their splits.

    Members are never decoded but JSON and plain text; what else there is, pickles among it, is left out with a warning.

    Args:
        source: a tar, or a folder of tars, compressed or not.
        columns: not needed.

    Raises:
        RawDataError: a tar is damaged, or holds what must not be unpacked.
    """
    found = [source] if source.is_file() else source.iterdir()
    paths = sorted(p for p in found if p.is_file() and (p == source or {".tar", ".tgz"} & set(p.suffixes)))
    if not paths:
        raise RawDataError("it holds no tar", where=str(source), expected="tars such as train-000000.tar")
    left_out: Counter[str] = Counter()
    for path in paths:
        for sample in _samples(path, left_out):
            yield _item(sample, split_told_by(path.name.partition(".")[0]))
    if left_out:
        told = ", ".join(f"{count} .{kind}" for kind, count in sorted(left_out.items()))
        warnings.warn(f"members that are neither audio nor text were left out, unread: {told}", stacklevel=2)


def _samples(path: Path, left_out: Counter[str]) -> Iterator[_Sample]:
    """Samples of one tar, read from its beginning to its end and nowhere unpacked."""
    sample: _Sample | None = None
    try:
        with tarfile.open(path, "r|*") as tar:
            for member in tar:
                if member.isdir() or re.match(r"__[^/]*__($|/)", member.name):  # notes, by its rules
                    continue
                where = f"{path.name}, {member.name}"
                name = relative_name(member.name.removeprefix("./"), where)
                if not member.isreg():
                    raise RawDataError("it is a link or a device", where=where, expected="regular files")
                folder, slash, last = name.rpartition("/")
                stem, _, kind = last.partition(".")
                if sample is None or sample.key != folder + slash + stem:
                    if sample:
                        yield sample
                    sample = _Sample(folder + slash + stem, where)
                _take(sample, kind.lower(), tar, member, where, left_out)
    except (tarfile.TarError, EOFError, zlib.error, OSError, ValueError) as error:
        if isinstance(error, RawDataError):
            raise
        raise RawDataError(f"the tar is damaged ({error})", where=str(path), cure="get it again") from None
    if sample:
        yield sample


def _take(
    sample: _Sample, kind: str, tar: tarfile.TarFile, member: tarfile.TarInfo, where: str, left_out: Counter[str]
) -> None:
    is_audio = f".{kind}" in AUDIO_SUFFIXES
    if not is_audio and kind != "json" and kind not in _TEXTS:
        left_out[kind or "(no suffix)"] += 1
        return
    if not is_audio and member.size > _LONGEST:
        raise RawDataError(f"it has {member.size} bytes", where=where, expected=f"{_LONGEST} at most")
    file = tar.extractfile(member)
    data = file.read() if file else b""
    if len(data) != member.size:
        raise RawDataError("it is cut short", where=where, cure="get the tar again")
    if is_audio:
        if sample.audio:
            raise RawDataError(f"{sample.key} has two recordings", where=where, expected="one")
        sample.audio[f".{kind}"] = data
        return
    try:
        text = data.decode()
        told = json.loads(text) if kind == "json" else {"label" if kind in ("cls", "label") else "text": text.strip()}
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        raise RawDataError("it cannot be read", where=where, expected="a JSON object" if kind == "json" else "text")
    sample.values |= told


def _item(sample: _Sample, split: str | None) -> Incoming:
    if not sample.audio:
        raise RawDataError(f"{sample.key} has no audio", where=sample.where, expected=f"{sample.key}.wav or the like")
    [(suffix, data)] = sample.audio.items()
    return Incoming(sample.key + suffix, data, sample.values, sample.where, split)
