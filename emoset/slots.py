"""Slots: memory that a build shares with its worker processes, so that audio goes through no pipe."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterable
from typing import Final, TypeAlias

import pyarrow as pa

from emoset.schema import arrow_schema
from emoset.shards import START

SLOT_BYTES: Final = 20 * 2**20
"""Room for what one task makes, unless compressed sources make more of it; then it goes through the pipe."""

_TABLE_BYTES: Final = 2**20
"""The beginning of a slot, for all that is not audio."""

Pieces: TypeAlias = tuple[tuple[int, int], ...]
"""Where in a slot the bytes of an Arrow stream are, in order: first byte, and the one after the last."""


_MAPPED: Final[dict[str, mmap.mmap]] = {}
"""What this process sees of slots, by address; each once, since what is mapped twice counts twice as its memory."""


class Slots:
    """Some pieces of memory, each in use by one task at a time; none where the system knows no such thing.

    Args:
        count: of them.
    """

    def __init__(self, count: int) -> None:
        self._files: list[int] = []
        self._maps: list[mmap.mmap] = []
        if hasattr(os, "memfd_create"):
            for _ in range(count):
                file = os.memfd_create("emoset-slot")
                os.truncate(file, SLOT_BYTES)
                self._files.append(file)
                self._maps.append(mmap.mmap(file, SLOT_BYTES))
                _MAPPED[self.address(len(self._maps) - 1)] = self._maps[-1]
        self._free = list(range(len(self._files)))

    def take(self) -> int | None:
        """The number of a slot that nobody uses, if there is one."""
        return self._free.pop() if self._free else None

    def address(self, slot: int) -> str:
        """Where a worker process finds it."""
        return f"/proc/{os.getpid()}/fd/{self._files[slot]}"

    def messages(self, slot: int, pieces: Pieces) -> list[memoryview]:
        """The record batches that a worker has written there, as parts of an Arrow stream. Release each after use."""
        with memoryview(self._maps[slot]) as whole:
            return [whole[first:last] for first, last in pieces]

    def give_back(self, slot: int) -> None:
        """Let other tasks use it."""
        self._free.append(slot)

    def empty(self) -> None:
        """Give the memory back to the system until it is needed again; nobody may use a slot."""
        for file in self._files:
            os.truncate(file, 0)
            os.truncate(file, SLOT_BYTES)

    def close(self) -> None:
        """Give the memory back to the system."""
        for slot, file in enumerate(self._files):
            _MAPPED.pop(self.address(slot))  # other slots may have it next
            os.close(file)
        self._files.clear()
        self._maps.clear()  # not closed: after an error somebody may still hold a part of one


def audio_room(address: str) -> memoryview:
    """Memory of a slot for audio, which `write_slot` leaves where it is; none if this process may not look there."""
    try:
        return memoryview(_mapped(address))[_TABLE_BYTES:]
    except OSError:
        return memoryview(bytearray())


def write_slot(address: str, batches: Iterable[pa.RecordBatch]) -> Pieces:
    """Write record batches to a slot, from a worker process.

    Returns:
        Where their bytes are; nothing if they do not fit, or if this process may not look there.
    """
    try:
        sink = _Sink(_mapped(address))
        stream = pa.ipc.new_stream(sink, arrow_schema())
        for batch in batches:
            stream.write_batch(batch)
    except OSError:
        return ()
    if not sink.pieces:
        return ()
    (_, end), *others = sink.pieces  # the beginning of the stream is that of the shard, which has it
    return ((len(START), end), *others)


class _Sink:
    """What Arrow takes for a file: bytes that are in the slot stay where they are, others go to its beginning."""

    closed = False

    def __init__(self, memory: mmap.mmap) -> None:
        self._memory, self._origin, self._used = memory, pa.py_buffer(memory).address, 0
        self.pieces: list[tuple[int, int]] = []

    def write(self, data: bytes | pa.Buffer) -> None:
        """Put bytes at the end."""
        size = len(data)
        first = data.address - self._origin if isinstance(data, pa.Buffer) else -1
        if not 0 <= first < SLOT_BYTES:
            first, self._used = self._used, self._used + size
            if self._used > _TABLE_BYTES:
                raise OSError("the slot is full")
            self._memory[first : self._used] = memoryview(data)
        last = first + size
        if self.pieces and self.pieces[-1][1] == first:
            first, _ = self.pieces.pop()
        self.pieces.append((first, last))


def _mapped(address: str) -> mmap.mmap:
    if address not in _MAPPED:
        file = os.open(address, os.O_RDWR)
        try:
            _MAPPED[address] = mmap.mmap(file, SLOT_BYTES)
        finally:
            os.close(file)
    return _MAPPED[address]
