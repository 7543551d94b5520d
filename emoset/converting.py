"""Conversion: files to rows of stored audio. One task is one function call that any executor can run anywhere."""

from __future__ import annotations

import hashlib
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import pyarrow as pa

from emoset.account import Rejection
from emoset.audio import Sanity, Sound, decode, read_bytes, sample_hash, sanity, wav_header
from emoset.errors import AudioError
from emoset.parts import RawPcm
from emoset.schema import COLUMNS, WAV_HEADER_BYTES, arrow_schema
from emoset.slots import write_slot
from emoset.tree import RawTree
from emoset.utterance import Utterance

BATCH_ROWS: Final = 100
"""Rows in a record batch at most: small enough for random access."""

BATCH_BYTES: Final = 16 * 2**20
"""Audio in a record batch, unless a single recording has more: far below Arrow's 2 GiB limit of one column."""

TASK_BYTES: Final = 16 * 2**20
"""Source files that one task reads, unless a single one has more: what bounds the memory of a worker."""


@dataclass(frozen=True, slots=True)
class Task:
    """Utterances of one split, and the files that hold them.

    Args:
        utterances: at most `BATCH_ROWS`.
        paths: of each, on a disk that the worker sees too.
        channels: how several become one: their mean, or the number of the one to take.
        raw_pcm: what files without any header hold.
        slot: memory of the caller that gets the record batches; else they are returned.
    """

    utterances: tuple[Utterance, ...]
    paths: tuple[str, ...]
    channels: Literal["mean"] | int
    raw_pcm: RawPcm | None
    slot: str | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """What is known of one utterance once its audio was read, or why it was rejected."""

    source: tuple[int, str] = (0, "")
    form: str = ""
    sanity: Sanity | None = None
    rejection: Rejection | None = None


@dataclass(frozen=True, slots=True)
class Converted:
    """The outcome of a task.

    Args:
        batches: record batches of what could be stored, unless they are in the slot.
        told: of every utterance.
        in_slot: bytes written to the slot.
    """

    batches: tuple[pa.RecordBatch, ...]
    told: tuple[Told, ...]
    in_slot: int = 0


def tasks(
    utterances: Sequence[Utterance],
    tree: RawTree,
    channels: Literal["mean"] | int,
    raw_pcm: RawPcm | None = None,
) -> Iterator[Task]:
    """Cut a corpus into tasks; where the cuts are depends on the files alone, never on who does the work."""

    def task(first: int, last: int) -> Task:
        some = tuple(utterances[first:last])
        return Task(some, tuple(tree.place(u.path) for u in some), channels, raw_pcm)

    first, size, previous = 0, 0, ""
    for i, utterance in enumerate(utterances):
        # Segments of one file follow each other and read it once.
        more = tree.size(utterance.path) if utterance.path != previous else 0
        full = i - first == BATCH_ROWS or size + more > TASK_BYTES or utterance.split != utterances[first].split
        if full and i > first:
            yield task(first, i)
            first, size = i, 0
        size += more
        previous = utterance.path
    if utterances:
        yield task(first, len(utterances))


def end_with(parent: int) -> None:
    """Let this process end when the one that started it is gone, killed perhaps, and not wait for ever."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the keyboard interrupts the one that started it, which ends it
    threading.Thread(target=watch, daemon=True).start()


def convert(task: Task) -> Converted:
    """Read, decode, resample and hash the utterances of a task.

    Nothing is raised for what is wrong with a file: that is told, with the file's name.
    """
    told, stored, batches = [], [], []
    size = 0
    path, data, digest = "", b"", ""
    for utterance, place in zip(task.utterances, task.paths, strict=True):
        try:
            if place != path or not data:
                data = read_bytes(place, utterance.path)
                path, digest = place, hashlib.sha256(data).hexdigest()
            sound = decode(
                data, utterance.path, utterance.start, utterance.end, task.channels,
                raw_pcm=task.raw_pcm, path=place,
            )  # fmt: skip
            if sound.samples[0] == sound.samples[-1] and sound.samples.min() == sound.samples.max():
                raise AudioError(
                    "it is silent: all samples are equal", where=utterance.path,
                    cure="copy it again, or exclude it with a reason",
                )  # fmt: skip
        except AudioError as error:
            reason = error.got + (f"; expected {error.expected}" if error.expected else "")
            told.append(Told(rejection=Rejection(utterance.path, reason, error.cure or "copy it again")))
            continue
        told.append(Told((len(data), digest), sound.form, sanity(sound)))
        stored.append((utterance, sound))
        size += 2 * len(sound.samples)
        if size >= BATCH_BYTES:
            batches.append(_batch(stored))
            stored, size = [], 0
    if stored:
        batches.append(_batch(stored))
    if task.slot and (size := write_slot(task.slot, batches)):
        return Converted((), tuple(told), size)
    return Converted(tuple(batches), tuple(told))


def _wav_column(sounds: Sequence[Sound]) -> pa.BinaryArray:
    """Canonical WAV bytes of all sounds, put together in one copy."""
    pieces: list[bytes | memoryview] = []
    for sound in sounds:
        pieces += (wav_header(len(sound.samples)), np.ascontiguousarray(sound.samples, dtype="<i2").data)
    sizes = [WAV_HEADER_BYTES + 2 * len(sound.samples) for sound in sounds]
    ends = np.cumsum([0, *sizes]).astype(np.int32)
    return pa.Array.from_buffers(pa.binary(), len(sounds), [None, pa.py_buffer(ends), pa.py_buffer(b"".join(pieces))])


_PLAIN: Final = [name for name in COLUMNS if name not in ("audio", "duration", "sha256")]


def _batch(stored: Sequence[tuple[Utterance, Sound]]) -> pa.RecordBatch:
    """The rows of a shard, column by column: much faster than row by row."""
    utterances = [utterance for utterance, _ in stored]
    sounds = [sound for _, sound in stored]
    columns = {name: pa.array([getattr(u, name) for u in utterances], COLUMNS[name]) for name in _PLAIN}
    columns["audio"] = pa.StructArray.from_arrays(
        [
            _wav_column(sounds),
            pa.array([u.file for u in utterances], pa.string()),
        ],
        fields=list(COLUMNS["audio"]),
    )
    columns["duration"] = pa.array([sound.seconds for sound in sounds], COLUMNS["duration"])
    columns["sha256"] = pa.array([sample_hash(sound.samples) for sound in sounds], pa.string())
    return pa.RecordBatch.from_arrays([columns[name] for name in COLUMNS], schema=arrow_schema())
