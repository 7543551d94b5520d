"""Conversion: files to rows of stored audio. One task is one function call that any executor can run anywhere."""

from __future__ import annotations

import hashlib
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import pyarrow as pa

from emoset.account import Rejection
from emoset.audio import Sanity, Sound, decode, read_bytes, sample_hash, sanity, wav_header
from emoset.errors import AudioError
from emoset.schema import COLUMNS, SAMPLING_RATE, WAV_HEADER_BYTES, arrow_schema
from emoset.slots import Pieces, audio_room, write_slot
from emoset.tree import RawTree
from emoset.utterance import Utterance

if TYPE_CHECKING:  # a worker process that starts does without the recipe model
    from emoset.parts import RawPcm

BATCH_ROWS: Final = 50
"""Rows in a record batch at most: small enough for random access."""

BATCH_BYTES: Final = 8 * 2**20
"""Audio in a record batch, unless a single recording has more: far below Arrow's 2 GiB limit of one column."""

TASK_BYTES: Final = 8 * 2**20
"""Source files that one task reads, unless a single one has more: what bounds the memory of a worker."""


LONGEST: Final = 16 * 3600 * SAMPLING_RATE
"""Samples of one utterance at most, so that no record batch comes near to Arrow's 2 GiB."""


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
        in_slot: where they are in the slot.
    """

    batches: tuple[pa.RecordBatch, ...]
    told: tuple[Told, ...]
    in_slot: Pieces = ()


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
    told: list[Told] = []
    batches: list[pa.RecordBatch] = []
    room = audio_room(task.slot) if task.slot else memoryview(bytearray())
    rows = _Rows(room)
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
            if len(sound.samples) > LONGEST:
                raise AudioError(
                    f"it is {sound.seconds / 3600:.1f} hours long", where=utterance.path,
                    expected="at most 16 hours", cure="cut it, or exclude it with a reason",
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
        rows.add(utterance, sound)
        if rows.size >= BATCH_BYTES:
            batches.append(rows.batch())
            room = room[rows.size :]
            rows = _Rows(room)
    if rows.size:
        batches.append(rows.batch())
    if task.slot and (pieces := write_slot(task.slot, batches)):
        return Converted((), tuple(told), pieces)
    if task.slot:
        batches = [pa.ipc.read_record_batch(batch.serialize(), batch.schema) for batch in batches]
    return Converted(tuple(batches), tuple(told))


_PLAIN: Final = [name for name in COLUMNS if name not in ("audio", "duration", "sha256")]


class _Rows:
    """The rows of a record batch, put together column by column: much faster than row by row.

    Args:
        memory: for the audio; it grows where that does not fit.
    """

    def __init__(self, memory: memoryview) -> None:
        self._memory, self.size = memory, 0
        self._utterances: list[Utterance] = []
        self._seconds: list[float] = []
        self._hashes: list[str] = []
        self._ends = [0]

    def add(self, utterance: Utterance, sound: Sound) -> None:
        """Another row."""
        samples = np.ascontiguousarray(sound.samples, dtype="<i2").data.cast("B")
        start = self.size + WAV_HEADER_BYTES
        self.size = start + len(samples)
        if len(self._memory) < self.size:
            self._memory = memoryview(bytearray(self._memory[: start - WAV_HEADER_BYTES]) + bytearray(self.size))
        self._memory[start - WAV_HEADER_BYTES : start] = wav_header(len(sound.samples))
        self._memory[start : self.size] = samples
        self._utterances.append(utterance)
        self._seconds.append(sound.seconds)
        self._hashes.append(sample_hash(sound.samples))
        self._ends.append(self.size)

    def batch(self) -> pa.RecordBatch:
        """The rows, which use the memory."""
        audio = pa.Array.from_buffers(
            pa.binary(), len(self._utterances),
            [None, pa.py_buffer(np.array(self._ends, np.int32)), pa.py_buffer(self._memory[: self.size])],
        )  # fmt: skip
        columns = {name: pa.array([getattr(u, name) for u in self._utterances], COLUMNS[name]) for name in _PLAIN}
        columns["audio"] = pa.StructArray.from_arrays(
            [audio, pa.array([u.file for u in self._utterances], pa.string())], fields=list(COLUMNS["audio"])
        )
        columns["duration"] = pa.array(self._seconds, COLUMNS["duration"])
        columns["sha256"] = pa.array(self._hashes, pa.string())
        return pa.RecordBatch.from_arrays([columns[name] for name in COLUMNS], schema=arrow_schema())
